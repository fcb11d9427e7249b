"""Metrics of predicted classes, from the four cells of the confusion matrix."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from penstock.evaluation.answers import Floats
from penstock.evaluation.labels import Codes

TN, FP, FN, TP = range(4)
_ALL = (TN, FP, FN, TP)


@dataclass(frozen=True)
class Ratio:
    """A share of weight: its value and, from the same cells, its standard error. `rows` are those it is a share of."""

    value: float
    standard_error: float
    rows: int


@dataclass(frozen=True)
class Confusion:
    """Rows, weights and squared weights in the cells true negative, false positive, false negative, true positive."""

    rows: tuple[int, ...]
    weight: tuple[float, ...]
    squared: tuple[float, ...]

    @classmethod
    def of(cls, labels: Codes, predicted: Codes, weights: Floats | None) -> Confusion:
        """Count rows whose label and prediction are 0 or 1."""
        cells = 2 * labels.astype(np.intp) + predicted
        rows = np.bincount(cells, minlength=4)
        counted = rows if weights is None else np.bincount(cells, weights=weights, minlength=4)
        squared = rows if weights is None else np.bincount(cells, weights=weights**2, minlength=4)
        return cls(
            tuple(int(count) for count in rows),
            tuple(float(total) for total in counted),
            tuple(float(total) for total in squared),
        )

    def ratio(self, hits: tuple[int, ...], among: tuple[int, ...] = _ALL) -> Ratio | None:
        """Return the share of the weight of `among` that lies in `hits`; None when there is none.

        The standard error is that of a weighted mean by linearisation, sqrt(sum w²(hit - p)²) / sum w, which without
        weights is sqrt(p(1-p)/n). It is 0 at p = 0 and p = 1, where it says nothing about certainty.
        """
        total = sum(self.weight[cell] for cell in among)
        if not total > 0:
            return None
        p = sum(self.weight[cell] for cell in hits) / total
        spread = sum(self.squared[cell] * ((cell in hits) - p) ** 2 for cell in among)
        return Ratio(p, math.sqrt(spread) / total, sum(self.rows[cell] for cell in among))

    def f1(self) -> float | None:
        """Harmonic mean of precision and recall, 2tp / (2tp + fp + fn); None when nothing is positive."""
        _, fp, fn, tp = self.weight
        return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn > 0 else None

    def matthews(self) -> float | None:
        """Correlation of labels and predictions; None when either takes one value only (scikit-learn says 0)."""
        tn, fp, fn, tp = self.weight
        margins = (tp + fp, tp + fn, tn + fp, tn + fn)
        if not min(margins) > 0:
            return None
        # The root of each margin apart: their product overflows the 53 bits of a double's integers.
        return (tp * tn - fp * fn) / math.prod(math.sqrt(margin) for margin in margins)
