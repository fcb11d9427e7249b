"""Metrics of scores, from a table of how many positives and negatives have each score."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penstock.evaluation.answers import Floats, JudgedRows, Scores
from penstock.evaluation.labels import Codes


@dataclass(frozen=True)
class ScoreTable:
    """Distinct finite scores, ascending, with the weight of the positives and of the negatives that have them.

    `rows` counts them without weights; `inverse` says where each row's score stands. As every metric is computed from
    sorted counts, unweighted values are the same to the last bit in whatever order the rows came.
    """

    scores: Floats
    positives: Floats
    negatives: Floats
    rows: NDArray[np.int64]
    inverse: NDArray[np.intp]

    @classmethod
    def of(cls, labels: Codes, scores: Scores, weights: Floats | None) -> ScoreTable:
        """Count `scores` (finite, shape (n,)) by label (0 or 1)."""
        distinct, inverse, rows = np.unique(scores, return_inverse=True, return_counts=True)
        size = len(distinct)
        w = np.ones(len(labels)) if weights is None else weights
        positives: Floats = np.bincount(inverse, weights=np.where(labels == 1, w, 0.0), minlength=size).astype(
            np.float64
        )
        negatives: Floats = np.bincount(inverse, weights=np.where(labels == 0, w, 0.0), minlength=size).astype(
            np.float64
        )
        return cls(distinct.astype(np.float64), positives, negatives, rows, inverse)

    def roc_auc(self) -> float:
        """P(score of a positive > score of a negative) + half the ties: the Mann-Whitney form, `roc_auc_score`."""
        below = np.cumsum(self.negatives) - self.negatives
        wins = float(np.sum(self.positives * (below + self.negatives / 2)))
        return wins / (float(self.positives.sum()) * float(self.negatives.sum()))

    def average_precision(self) -> float:
        """Sum over thresholds of (increase of recall) x precision: `average_precision_score`."""
        counted = self.positives + self.negatives > 0  # scores that only rows of weight 0 have are no thresholds
        positives, negatives = self.positives[counted][::-1], self.negatives[counted][::-1]
        above = np.cumsum(positives)
        precision = above / (above + np.cumsum(negatives))
        return float(np.sum(positives * precision) / above[-1])

    def brier_score(self) -> float:
        """Mean squared distance of the score from the label: `brier_score_loss`."""
        squares = self.positives * (1 - self.scores) ** 2 + self.negatives * self.scores**2
        return float(squares.sum() / (self.positives.sum() + self.negatives.sum()))

    def placements(self) -> tuple[Floats, Floats]:
        """Return, for each score, the share of negatives that it outranks and of positives that outrank it, ties half.

        These are DeLong's structural components of a positive and of a negative with that score; the mean of either
        over its rows is the ROC AUC. Both classes must be there.
        """
        below = np.cumsum(self.negatives) - self.negatives / 2
        above = self.positives.sum() - np.cumsum(self.positives) + self.positives / 2
        return below / self.negatives.sum(), above / self.positives.sum()

    def auc_standard_error(self) -> float | None:
        """Return the standard error of the ROC AUC; None with fewer than two rows of a class. For unweighted tables.

        DeLong et al. 1988 in the O(n log n) form of Sun & Xu, "Fast Implementation of DeLong's Algorithm for Comparing
        the Areas Under Correlated Receiver Operating Characteristic Curves", IEEE Signal Processing Letters 21 (2014).
        """
        variance = 0.0
        for rows, placement in zip((self.positives, self.negatives), self.placements(), strict=True):
            count = float(rows.sum())
            if count < 2:
                return None
            mean = float((rows * placement).sum()) / count
            variance += float((rows * (placement - mean) ** 2).sum()) / (count - 1) / count
        return math.sqrt(variance)


def score_tables(rows: JudgedRows) -> Mapping[str, ScoreTable]:
    """Return the table of each model whose scores and losses are all finite, by role."""
    return {
        of: ScoreTable.of(rows.labels, answers.scores, rows.weights)
        for of, answers in rows.answers.items()
        if answers.scores is not None and answers.losses is not None
        if np.isfinite(answers.scores).all() and np.isfinite(answers.losses).all()
    }


def auc_difference_standard_error(labels: Codes, one: ScoreTable, other: ScoreTable) -> float | None:
    """Return the standard error of the difference of two models' ROC AUCs on the same rows (DeLong, as above)."""
    variance = 0.0
    for label, mine, theirs in zip((1, 0), one.placements(), other.placements(), strict=True):
        rows = labels == label
        differences = np.sort(mine[one.inverse[rows]] - theirs[other.inverse[rows]])  # sorted: sums to the same bits
        if len(differences) < 2:
            return None
        variance += float(np.var(differences, ddof=1)) / len(differences)
    return math.sqrt(variance)
