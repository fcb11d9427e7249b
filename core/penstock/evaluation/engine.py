"""One pass over the rows: candidate and baseline predict the same batches, and everything is counted from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from penstock.errors import InvalidValue
from penstock.evaluation.answers import Floats, JudgedRows
from penstock.evaluation.binary import BinaryRows, measure
from penstock.evaluation.curves import curves
from penstock.evaluation.describing import RowSummary, SourceReader
from penstock.evaluation.labels import encode_labels
from penstock.evaluation.predicting import Respondent
from penstock.evaluation.reading import read_batches
from penstock.evaluation.scores import score_tables
from penstock.evaluation.slices import Slices
from penstock.model.data import DataSource
from penstock.model.evaluations import BASELINE, CANDIDATE
from penstock.ports import Measured, Predictor

ROLE = "held-out"
TASKS = ("binary", "auto")


class MeasuringEngine(SourceReader):
    """Measures models on rows, and reads rows without a model (implements `ports.Evaluator` and `ports.DataReader`)."""

    def measure(
        self,
        candidate: Predictor,
        held_out: DataSource,
        *,
        task: str,
        baseline: Predictor | None = None,
        slices: Sequence[str] = (),
        progress: Callable[[int], None] | None = None,
    ) -> Measured:
        """Read `held_out` once; both models predict each batch, from all columns that have no other role.

        `task` is "binary", or "auto" for a label that must then have two values. Raises as `Evaluator.measure` says;
        also `InvalidValue` for null labels, labels that are not the models' classes and unusable weights.
        """
        if task not in TASKS:
            raise InvalidValue("task", task, f"one of {', '.join(TASKS)}", "Other tasks are not supported yet")
        if held_out.label is None:
            raise InvalidValue(
                "held-out data", "no label column", "a label to measure against", "Pass label='<column>'"
            )
        asked = {CANDIDATE: Respondent(candidate)}
        if baseline is not None:
            asked[BASELINE] = _same_classes(Respondent(baseline), asked[CANDIDATE])
        summary, whole, sliced = RowSummary(), BinaryRows(), Slices(slices)
        read = 0
        batches = read_batches(held_out, self._batch_rows)
        for batch in batches:
            summary.update(batch)
            rows = _judge(batch, batches, held_out, held_out.label, asked, read)
            whole.update(rows)
            sliced.update(batch, rows)
            read += len(batch)
            if progress is not None:
                progress(read)
        dataset = summary.result(held_out, ROLE)
        pair, rows = asked[CANDIDATE].pair, whole.result()
        if task == "auto" and (rows.labels == rows.labels[0]).all():
            given = f"one value ({pair[rows.labels[0]]})"
            raise InvalidValue(
                f"label column {held_out.label!r}", given, "two values for task 'auto'", "Say task='binary'"
            )
        tables = score_tables(rows)
        measurements = measure(rows, tables, pair, {})
        for where, part in sliced.result():
            measurements += measure(part, score_tables(part), pair, where)
        return Measured(dataset=dataset, task="binary", measurements=tuple(measurements), curves=curves(rows, tables))


def _same_classes(baseline: Respondent, candidate: Respondent) -> Respondent:
    if [candidate.pair.find(c) for c in baseline.pair] != [0, 1]:
        expected = f"a baseline with the candidate's classes {list(candidate.pair)}"
        raise InvalidValue(f"model {baseline.predictor.uri!r}", list(baseline.pair), expected)
    return baseline


def _judge(
    batch: pd.DataFrame,
    following: Iterator[pd.DataFrame],
    data: DataSource,
    label: str,
    asked: dict[str, Respondent],
    start: int,
) -> JudgedRows:
    if nulls := int(batch[label].isna().sum()):
        nulls += sum(int(later[label].isna().sum()) for later in following)
        raise InvalidValue(f"label column {label!r}", f"{nulls} nulls", "a label in every row")
    codes = encode_labels(batch[label], asked[CANDIDATE].pair, asked[CANDIDATE].predictor)
    weights = None if data.weight is None else _weights(batch[data.weight])
    excluded = frozenset(c for c in (label, data.id, data.weight, *data.drop) if c is not None)
    if start == 0:
        for respondent in asked.values():
            respondent.check_features(batch, excluded)
    features = batch[[name for name in batch.columns if name not in excluded]]
    return JudgedRows(codes, weights, {of: model.answer(features, codes, start) for of, model in asked.items()})


def _weights(column: pd.Series[Any]) -> Floats:
    try:
        weights: Floats = column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise InvalidValue(f"weight column {column.name!r}", str(column.dtype), "numbers") from error
    usable = np.isfinite(weights) & (weights >= 0)
    if not usable.all():
        given = f"{np.count_nonzero(~usable)} rows without one, the first {column.iloc[int(np.argmin(usable))]!r}"
        raise InvalidValue(f"weight column {column.name!r}", given, "a finite weight ≥ 0 in every row")
    return weights
