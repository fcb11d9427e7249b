"""Batch scoring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from penstock.client.base import OnWiring
from penstock.model.data import DataSource
from penstock.model.scores import Scores, destination_of


class Scoring(OnWiring):
    """Batch scoring."""

    def score(
        self,
        model: object,
        rows: Any,
        to: object,
        *,
        partition: str,
        run: object,
        keep: Sequence[str] | None = None,
        accept_from: Sequence[str] = (),
        trusted_types: Sequence[str] | None = None,
        step: str = "score",
        map_index: int = -1,
        progress: Callable[[int], None] | None = None,
    ) -> Scores:
        """Predict rows with a model and write the predictions as one partition of a destination, as a whole.

        `model` is a URI (`models:/on-time@champion`, usually), `rows` a path, a DataFrame or a `DataSource`, `to` a
        folder of Parquet files (`<partition>.parquet`) or a `TableDestination`. What the partition held is replaced:
        by a file that is renamed, or by delete and insert in one transaction. Each row gets its columns in `keep`
        (default: all), `prediction`, for a classifier a `probability_<class>` for each class, and `model_version`.
        Happens once for the same rows, model URI and partition in the same `run`.
        """
        from penstock.services import scoring

        return scoring.score(
            self.wiring,
            model,
            rows if isinstance(rows, DataSource) else DataSource(rows),
            destination_of(to),
            partition=partition,
            run=run,
            keep=keep,
            accept_from=accept_from,
            trusted_types=trusted_types,
            step=step,
            map_index=map_index,
            progress=progress,
        )
