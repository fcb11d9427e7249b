"""Measuring models on rows, and reading rows without a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from penstock.model.custom_metrics import MetricSpec
from penstock.model.data import Dataset, DataSource
from penstock.model.evaluations import Evaluation, Measurement
from penstock.ports.model_format import Predictor


@dataclass(frozen=True)
class Measured:
    """What the measuring engine found in one pass over the data; `facts` say what it inferred, and from what."""

    dataset: Dataset
    task: str
    measurements: tuple[Measurement, ...]
    curves: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingRows:
    """A data set that a model was trained on, and a local file of what was kept of its rows: None if nothing was."""

    dataset: Dataset
    path: Path | None


class Evaluator(Protocol):
    """Measures models on rows."""

    def measure(
        self,
        candidate: Predictor | None,
        held_out: DataSource,
        *,
        task: str,
        baseline: Predictor | None = None,
        anchor: Predictor | None = None,
        slices: Sequence[str] = (),
        metrics: Sequence[MetricSpec] = (),
        min_rows: int = 1,
        bootstrap: int = 0,
        plots: bool = False,
        search_slices: Sequence[str] = (),
        determinism: bool = False,
        latency: bool = False,
        progress: Callable[[int], None] | None = None,
        trained_on: Sequence[TrainingRows] = (),
    ) -> Measured:
        """Read `held_out` once, in batches; candidate, baseline and anchor predict the same rows in the same pass.

        Without a candidate the data's own `prediction` and `scores` columns are measured. `slices` are written as
        `penstock.model.slices` says; of one with fewer than `min_rows` rows every metric is undefined. `metrics` are
        measured beside the task's default ones. How many of the rows are also in what the candidate was `trained_on`
        is part of the dataset. With `bootstrap` replicates also metrics without a formula of their own (F1, average
        precision, R²) get evidence of how far chance reaches, and every metric whose rows belong to groups; without
        any, metrics of grouped rows have none. `progress` is called with the rows read so far.

        The candidate's `stats["paired"]` compares it with the baseline, `stats["paired_anchor"]` with the anchor.
        `plots` keeps more points for plots in `curves`, and `search_slices` are columns by which the worst slices are
        searched for: `facts["slice_search"]`. With `determinism` each model is first asked twice about the
        first rows, and `PredictionFailed` if it answers differently. With `latency` every model must be an
        `IsolatedModel`: how fast it answers and what memory it takes become measurements and, of the candidate, facts.

        Raises `InvalidValue` for data that cannot be measured (no rows, no label column, missing features), `NotFound`
        for a source that is not there, `PredictionFailed` for a model that raises or answers with the wrong number of
        predictions.
        """
        ...

    def measure_part(
        self,
        candidate: Predictor | None,
        held_out: DataSource,
        *,
        task: str,
        baseline: Predictor | None = None,
        anchor: Predictor | None = None,
        slices: Sequence[str] = (),
        metrics: Sequence[MetricSpec] = (),
        min_rows: int = 1,
        bootstrap: int = 0,
        plots: bool = False,
        search_slices: Sequence[str] = (),
        determinism: bool = False,
        progress: Callable[[int], None] | None = None,
        trained_on: Sequence[TrainingRows] = (),
    ) -> bytes:
        """Measure a part of the held-out data as `measure` does, and return the state for `merge_parts`."""
        ...

    def merge_parts(
        self,
        parts: Sequence[bytes],
        held_out: DataSource,
        *,
        metrics: Sequence[MetricSpec] = (),
        trained_on: Sequence[TrainingRows] = (),
    ) -> Measured:
        """Return what `measure` would have found on the rows of all parts; `held_out` says what its columns mean.

        `InvalidValue` for parts made with other settings, `Corrupted` for bytes that are no part.
        """
        ...

    def draw(self, evaluation: Evaluation, *, title: str) -> Mapping[str, str]:
        """Return a self-contained page about an evaluation and its plots, as the text of files by name."""
        ...


class DataReader(Protocol):
    """Reads data sources without a model."""

    def fingerprint(self, data: DataSource) -> Mapping[str, Any]:
        """Return what identifies the source's content as plain JSON, independent of where it stands.

        `NotFound` for a source that is not there.
        """
        ...

    def describe(self, data: DataSource, role: str, rows_to: Path | None = None) -> Dataset:
        """Read the source once and return what is remembered of it; write hashes of its rows to the file `rows_to`.

        `InvalidValue` for data without rows.
        """
        ...
