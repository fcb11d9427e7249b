"""Binary classification: what is counted of rows and answers, and the metrics that follow, by scikit-learn's names."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from penstock.evaluation.answers import Answers, Floats, JudgedRows
from penstock.evaluation.counts import FN, FP, TN, TP, Confusion, Ratio
from penstock.evaluation.labels import ClassPair
from penstock.evaluation.scores import ScoreTable, auc_difference_standard_error
from penstock.model.evaluations import BASELINE, CANDIDATE, Measurement

LABEL_METRICS = (
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "f1",
    "matthews_corrcoef",
    "positive_rate",
)
SCORE_METRICS = ("roc_auc", "average_precision", "log_loss", "brier_score")


class BinaryRows:
    """The exact state: labels, scores and weights of the rows seen, 17 bytes a row and model and 9 a row."""

    def __init__(self) -> None:
        self._parts: list[JudgedRows] = []

    def update(self, rows: JudgedRows) -> None:
        """Add a batch."""
        self._parts.append(rows)

    def merge(self, other: BinaryRows) -> None:
        """Add the rows of another accumulator of the same models."""
        self._parts.extend(other._parts)

    def result(self) -> JudgedRows:
        """Return all rows as one; there must be at least one batch."""
        self._parts = [JudgedRows.concatenate(self._parts)]
        return self._parts[0]


def measure(
    rows: JudgedRows, tables: Mapping[str, ScoreTable], pair: ClassPair, where: Mapping[str, str]
) -> list[Measurement]:
    """Return every metric of every model on `rows`, which are the slice `where` (empty: all rows).

    `tables` are their `score_tables`.

    A metric is None with its cause where it is undefined, and NaN where a model's own answers made it so.
    `positive_rate` is the share of rows *predicted* positive.
    """
    found = {of: dict(_measure_model(rows, answers, tables.get(of), pair)) for of, answers in rows.answers.items()}
    if BASELINE in found:
        _add_comparisons(rows, tables, found[CANDIDATE])
    return [
        Measurement(metric=metric, of=of, value=value, n=len(rows), slice=dict(where), cause=cause, stats=stats)
        for of, metrics in found.items()
        for metric, (value, cause, stats) in metrics.items()
    ]


_Found = tuple[float | None, str, dict[str, Any]]


def _measure_model(
    rows: JudgedRows, answers: Answers, table: ScoreTable | None, pair: ClassPair
) -> Iterator[tuple[str, _Found]]:
    if nulls := int(np.count_nonzero(answers.predicted < 0)):
        for metric in LABEL_METRICS:
            yield metric, (math.nan, f"{nulls} of {len(rows)} predictions are null", {})
    else:
        yield from _of_labels(Confusion.of(rows.labels, answers.predicted, rows.weights), _one_class(rows, pair))
    scores, losses = answers.scores, answers.losses
    if scores is None or losses is None:
        for metric in SCORE_METRICS:
            yield metric, (None, "the model gives no probabilities", {})
    elif table is None:
        lost = np.count_nonzero(~np.isfinite(scores) | ~np.isfinite(losses))
        for metric in SCORE_METRICS:
            yield metric, (math.nan, f"{lost} of {len(rows)} scores are not finite", {})
    else:
        yield from _of_scores(rows, table, losses, pair)


def _of_labels(confusion: Confusion, one_class: str) -> Iterator[tuple[str, _Found]]:
    weightless = "" if sum(confusion.weight) > 0 else "the weights sum to 0"
    no_positives, no_predicted = weightless or "y has no positive rows", weightless or "no positive predictions"
    recall = confusion.ratio((TP,), (FN, TP))
    specificity = confusion.ratio((TN,), (TN, FP))
    yield "accuracy", _ratio(confusion.ratio((TN, TP)), weightless)
    balanced = None if recall is None or specificity is None else (recall.value + specificity.value) / 2
    yield "balanced_accuracy", _number(balanced, one_class)
    yield "precision", _ratio(confusion.ratio((TP,), (FP, TP)), no_predicted)
    yield "recall", _ratio(recall, no_positives)
    yield "f1", _number(confusion.f1(), weightless or "y has no positive rows and none was predicted")
    yield "matthews_corrcoef", _number(confusion.matthews(), one_class or "all predictions are of one class")
    yield "positive_rate", _ratio(confusion.ratio((FP, TP)), weightless)


def _of_scores(rows: JudgedRows, table: ScoreTable, losses: Floats, pair: ClassPair) -> Iterator[tuple[str, _Found]]:
    positives = int(np.count_nonzero(rows.labels))
    counts = {"positives": positives, "negatives": len(rows) - positives}
    if one_class := _one_class(rows, pair):
        yield "roc_auc", (None, one_class, counts)
        yield "average_precision", (None, one_class, counts)
    else:
        error = None if rows.weights is not None else table.auc_standard_error()
        yield "roc_auc", (table.roc_auc(), "", {**counts, **({} if error is None else {"standard_error": error})})
        yield "average_precision", (table.average_precision(), "", counts)
    cause = ""
    if table.scores[0] < 0 or table.scores[-1] > 1:
        cause = "scores are outside [0, 1]"
    elif rows.weights is not None and not rows.weights.sum() > 0:
        cause = "the weights sum to 0"
    if cause:
        yield "log_loss", (None, cause, {})
        yield "brier_score", (None, cause, {})
        return
    # math.fsum rounds once, so the sum does not depend on the order of the rows.
    weighted = losses if rows.weights is None else losses * rows.weights
    total = len(rows) if rows.weights is None else math.fsum(rows.weights.tolist())
    yield "log_loss", (math.fsum(weighted.tolist()) / total, "", {})
    yield "brier_score", (table.brier_score(), "", {})


def _add_comparisons(rows: JudgedRows, tables: Mapping[str, ScoreTable], candidate: dict[str, _Found]) -> None:
    """Add to the candidate's metrics what a paired test against the baseline needs.

    For accuracy the rows that only one of the two got right (McNemar); for ROC AUC the standard error of candidate
    minus baseline on the same rows (DeLong).
    """
    new, old = rows.answers[CANDIDATE], rows.answers[BASELINE]
    if min(new.predicted.min(), old.predicted.min()) >= 0:
        new_right, old_right = new.predicted == rows.labels, old.predicted == rows.labels
        candidate["accuracy"][2].update(
            only_candidate_correct=int(np.count_nonzero(new_right & ~old_right)),
            only_baseline_correct=int(np.count_nonzero(~new_right & old_right)),
        )
    if BASELINE in tables and "standard_error" in candidate["roc_auc"][2]:
        error = auc_difference_standard_error(rows.labels, tables[CANDIDATE], tables[BASELINE])
        candidate["roc_auc"][2]["standard_error_of_difference"] = error


def _one_class(rows: JudgedRows, pair: ClassPair) -> str:
    """Return why metrics that need both classes are undefined; empty if both are there (with weight)."""
    counted = rows.labels if rows.weights is None else rows.labels[rows.weights > 0]
    if len(counted) == 0:
        return "the weights sum to 0"
    first = int(counted[0])
    return f"y has one class ({pair[first]})" if (counted == first).all() else ""


def _number(value: float | None, cause: str) -> _Found:
    return value, "" if value is not None else cause, {}


def _ratio(ratio: Ratio | None, cause: str) -> _Found:
    if ratio is None:
        return None, cause, {}
    return ratio.value, "", {"standard_error": ratio.standard_error, "of_rows": ratio.rows}
