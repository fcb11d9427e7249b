"""Metrics of predicted classes, from confusion matrices: the rows (or weight) of each class by predicted class."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.evaluation.tasks.task import Found
from penstock.statistics.evidence import Mean, Proportion

Matrix = NDArray[Any]


@dataclass(frozen=True)
class Confusion:
    """One confusion matrix, three times: of rows, of weights and of squared weights, each of shape (classes, classes).

    Rows of a matrix are true classes, columns predicted ones.
    """

    rows: Matrix
    weight: Matrix
    squared: Matrix
    weighted: bool

    @property
    def support(self) -> Matrix:
        """The weight of each true class."""
        found: Matrix = self.weight.sum(axis=1)
        return found

    def share(self, hits: Matrix, among: Matrix) -> tuple[float, dict[str, Any]] | None:
        """Return the share of the weight of the cells `among` that lies in `hits` (both boolean), with its evidence.

        None when there is no weight. With weights the standard error is that of a weighted mean by linearisation,
        sqrt(n/(n−1) Σ w²(hit − p)²) / Σ w.
        """
        total = self.weight[among].sum()
        if not total > 0:
            return None
        p = float(self.weight[hits].sum() / total)
        rows = int(self.rows[among].sum())
        if not self.weighted:
            return p, {"evidence": Proportion(int(self.rows[hits].sum()), rows).to_json()}
        if rows < 2:
            return p, {}
        spread = (self.squared[among] * (hits[among] - p) ** 2).sum()
        return p, {"evidence": Mean(p, math.sqrt(rows / (rows - 1) * spread) / float(total), rows).to_json()}

    def matthews(self) -> float | None:
        """Correlation of labels and predictions; None when either takes one value only (scikit-learn says 0)."""
        weight = self.weight.astype(np.float64)
        total, right = weight.sum(), np.trace(weight)
        true, predicted = weight.sum(axis=1), weight.sum(axis=0)
        apart = right * total - true @ predicted
        # The root of each factor apart: their product overflows the 53 bits of a double's integers.
        spread = math.sqrt(total**2 - predicted @ predicted) * math.sqrt(total**2 - true @ true)
        return None if _single(true) or _single(predicted) else float(apart / spread)

    def kappa(self) -> float | None:
        """Cohen's kappa, agreement beyond chance; None when chance alone agrees fully."""
        weight = self.weight.astype(np.float64)
        total = weight.sum()
        if not total > 0:
            return None
        chance = float(weight.sum(axis=1) @ weight.sum(axis=0)) / total
        return None if chance >= total else float((np.trace(weight) - chance) / (total - chance))


def _single(weights: Matrix) -> bool:
    return int(np.count_nonzero(weights > 0)) <= 1


def f_beta(tp: Any, fp: Any, fn: Any, beta: float) -> Any:
    """Return (1+β²)tp / ((1+β²)tp + β²fn + fp), the weighted harmonic mean of precision and recall; 0/0 is NaN."""
    scaled = (1 + beta**2) * tp
    with np.errstate(invalid="ignore", divide="ignore"):
        return scaled / (scaled + beta**2 * fn + fp)


def accuracy(confusion: Confusion, cause: str) -> Found:
    """Return the share of rows predicted right."""
    everything = np.ones_like(confusion.rows, dtype=bool)
    return _shared("accuracy", confusion.share(np.eye(len(confusion.rows), dtype=bool), everything), cause)


def _shared(metric: str, share: tuple[float, dict[str, Any]] | None, cause: str) -> Found:
    return Found(metric, None, cause) if share is None else Found(metric, share[0], "", share[1])


def number(metric: str, value: float | None, cause: str) -> Found:
    """Return a metric that is undefined for `cause` where its value is None or NaN."""
    undefined = value is None or math.isnan(value)
    return Found(metric, None, cause) if undefined else Found(metric, value)


def of_two_classes(confusion: Confusion, one_class: str, wanted: Sequence[tuple[str, float]]) -> Iterator[Found]:
    """Yield the metrics of a binary classifier's predictions; `wanted` are (fbeta_…, β) that were asked for.

    `one_class` says why metrics that need both classes are undefined; empty if both are there.
    """
    (tn, fp), (fn, tp) = confusion.weight.astype(np.float64).tolist()
    cells = np.arange(4).reshape(2, 2)
    hit = cells == 3
    weightless = "" if tn + fp + fn + tp > 0 else "the weights sum to 0"
    no_positives, none_predicted = weightless or "y has no positive rows", weightless or "no positive predictions"
    yield accuracy(confusion, weightless)
    recall = confusion.share(hit, (cells >= 2))
    balanced = None if one_class else (tp / (fn + tp) + tn / (tn + fp)) / 2
    yield number("balanced_accuracy", balanced, one_class)
    yield _shared("precision", confusion.share(hit, (cells % 2 == 1)), none_predicted)
    yield _shared("recall", recall, no_positives)
    nothing = weightless or "y has no positive rows and none was predicted"
    yield number("f1", float(f_beta(np.float64(tp), fp, fn, 1.0)), nothing)
    for name, beta in wanted:
        yield number(name, float(f_beta(np.float64(tp), fp, fn, beta)), nothing)
    yield number("matthews_corrcoef", confusion.matthews(), one_class or "all predictions are of one class")
    yield number("cohen_kappa", confusion.kappa(), one_class or "y and predictions have the same one class")
    yield _shared("positive_rate", confusion.share(cells % 2 == 1, cells >= 0), weightless)


def of_classes(tp: Matrix, predicted: Matrix, true: Matrix) -> dict[str, Matrix]:
    """Return precision, recall, f1 and jaccard of each class; NaN where a class was never predicted or is not there."""
    tp, predicted, true = (numbers.astype(np.float64) for numbers in (tp, predicted, true))
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "precision": tp / predicted,
            "recall": tp / true,
            "f1": 2 * tp / (predicted + true),
            "jaccard": tp / (predicted + true - tp),
        }
