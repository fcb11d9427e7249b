"""Saving and loading models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from penstock.ports.sandbox import Limits


class Predictor(Protocol):
    """A loaded model that predicts batches of rows given as a pandas DataFrame of its features."""

    @property
    def uri(self) -> str:
        """What it was loaded from, for messages."""
        ...

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The feature columns of its signature, in order; None if it has none."""
        ...

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """The class labels in the order of `predict_proba`'s columns; None if it is not a classifier."""
        ...

    def predict(self, batch: Any) -> Any:
        """Return one prediction per row, as an array of shape (n,)."""
        ...

    def predict_proba(self, batch: Any) -> Any | None:
        """Return class probabilities as an array of shape (n, classes); None if the model has none."""
        ...


class IsolatedModel(Predictor, Protocol):
    """A predictor in a process of its own. Closing it ends that process and whatever it has started."""

    def measure_latency(self, rows: Any, *, repeats: int = 200) -> Mapping[str, float]:
        """Time the model on rows in its own process.

        Milliseconds: `load_ms`, and `latency_p50_ms`, `_p95_ms`, `_p99_ms` of single rows and `batch_latency_…` of
        `batch_rows` rows; `memory_bytes` is the most it held beyond what its process held before loading.
        """
        ...

    def close(self) -> None:
        """End the process; nothing happens if it has ended."""
        ...


@dataclass(frozen=True)
class PackagedModel:
    """A model saved into a folder in the MLmodel layout, before its files are stored.

    `facts` is plain JSON that policies and people ask about: `signature` (the MLmodel block or None),
    `input_example` (bool), `requirements` (list), `trusted_types` (list), `flavor_version`.
    """

    model_id: str
    payload_digest: str
    flavor: str
    facts: Mapping[str, Any]


class ModelFormat(Protocol):
    """Saves and loads models in the MLmodel layout."""

    def save(
        self,
        model: Any,
        folder: Path,
        *,
        run_id: str,
        name: str,
        input_example: Any = None,
        trusted_types: Sequence[str] = (),
    ) -> PackagedModel:
        """Write `model` into the empty `folder`. `Untrusted` when it holds types not listed in `trusted_types`."""
        ...

    def payload_digest(self, folder: Path) -> str:
        """Compute the payload digest of a saved folder again, from its bytes."""
        ...

    def load(self, folder: Path, *, uri: str, trusted_types: Sequence[str] | None = None) -> Predictor:
        """Load a folder whose bytes have been verified.

        The types recorded at save time are trusted when `trusted_types` is None; a list given by the caller replaces
        them. Formats that can run code while loading (pickle) are refused with `Untrusted`.
        """
        ...

    def load_isolated(
        self, folder: Path, *, uri: str, trusted_types: Sequence[str] | None = None, limits: Limits | None = None
    ) -> IsolatedModel:
        """Load a folder whose bytes have been verified in a clean process of its own, within `limits`.

        Raises what `load` raises. Whatever the model does there (hang, exit, crash, eat memory) is `PredictionFailed`
        here. The folder may go once this has returned; the caller closes what it returns.
        """
        ...
