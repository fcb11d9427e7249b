"""One pass over the rows: read a batch, predict it, write it. Memory is bounded by the batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from penstock.errors import InvalidValue
from penstock.evaluation.reading import read_batches
from penstock.evaluation.scoring import folder, table
from penstock.model.data import DataSource
from penstock.model.scores import Destination, FolderDestination
from penstock.ports import Predictor
from penstock.ports.scorer import Written

PREDICTION = "prediction"


class BatchScorer:
    """Implements `penstock.ports.scorer.Scorer`, where its methods are documented."""

    def score(  # noqa: D102
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
        if isinstance(to, FolderDestination):
            writing: Any = folder.writing(to, partition, may_commit)
        else:
            writing = table.writing(to, partition, may_commit)
        with writing as writer:
            for batch in read_batches(rows):
                writer.write(_scored(predictor, batch, keep, facts))
                if progress is not None:
                    progress(writer.rows)
        written: Written = writer.written
        return written

    def holds(self, to: Destination, partition: str, written: Written) -> bool:  # noqa: D102
        if isinstance(to, FolderDestination):
            return folder.holds(to, partition, written)
        return table.holds(to, partition, written)


def _scored(
    predictor: Predictor, batch: pd.DataFrame, keep: Sequence[str] | None, facts: Mapping[str, Any]
) -> pd.DataFrame:
    """Return a batch's columns that are kept, with what the model says of each row (rows, any columns)."""
    names = list(batch.columns) if keep is None else list(keep)
    if missing := [name for name in names if name not in batch.columns]:
        hint = f"The columns are: {', '.join(map(str, batch.columns))}"
        raise InvalidValue("keep", missing, "columns of the rows", hint)
    added: dict[str, Any] = {PREDICTION: predictor.predict(batch)}
    proba = predictor.predict_proba(batch)
    if proba is not None:
        numbers = np.asarray(proba, dtype=np.float64)
        for index, label in enumerate(predictor.classes or range(numbers.shape[1])):
            added[f"probability_{label}"] = numbers[:, index]
    added |= facts
    if taken := [name for name in added if name in names]:
        hint = "Name the columns to keep (keep=), or rename them in the rows"
        raise InvalidValue(
            "columns of the rows", taken, f"names other than {', '.join(added)}, which are written", hint
        )
    return batch[names].assign(**added)
