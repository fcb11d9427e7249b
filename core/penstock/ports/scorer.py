"""Predicting rows and writing the predictions where they go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from penstock.model.data import DataSource
from penstock.model.scores import Destination
from penstock.ports.model_format import Predictor


@dataclass(frozen=True)
class Written:
    """How many predictions have been written; of a file its digest, too."""

    rows: int
    sha256: str | None = None


class Scorer(Protocol):
    """Predicts rows in batches and writes them as one partition of a destination."""

    def score(
        self,
        predictor: Predictor,
        rows: DataSource,
        to: Destination,
        *,
        partition: str,
        keep: Sequence[str] | None,
        facts: Mapping[str, Any],
        may_commit: Callable[[], None],
        progress: Callable[[int], None] | None = None,
    ) -> Written:
        """Write each row's columns in `keep` (None: all), `prediction`, a `probability_<class>` each, and `facts`.

        The partition is replaced as a whole, once `may_commit` has not raised, or stays as it was. Raises
        `InvalidValue` for data that lacks a feature or has a column of a name that is written, `PredictionFailed` for a
        model that fails, `StoreUnavailable` for a destination that cannot be reached.
        """
        ...

    def holds(self, to: Destination, partition: str, written: Written) -> bool:
        """Return whether a destination still holds a partition as it was written."""
        ...
