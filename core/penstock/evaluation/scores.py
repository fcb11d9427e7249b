"""Metrics of scores, from a table of how many rows of each kind have each score."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CALIBRATION_BINS = 10
_EDGES = np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)


@dataclass(frozen=True)
class ScoreTable:
    """Distinct finite scores, ascending, with the rows (or their weight) of each kind that have them.

    `counts` has shape (scores, kinds), of integers where rows count once. `binned`: a score stands for a bin of them.
    """

    scores: Floats
    counts: NDArray[Any]
    binned: bool

    def one_against_rest(self, kind: int) -> BinaryTable:
        """Return the table whose positives are the rows of `kind`."""
        positives = self.counts[:, kind]
        two = self.counts.shape[1] == 2
        negatives = self.counts[:, 1 - kind] if two else self.counts.sum(axis=1) - positives
        return BinaryTable(self.scores, positives, negatives, self.binned)

    def one_against_one(self, kind: int, other: int) -> BinaryTable:
        """Return the table of the rows of two kinds, the first of them the positives."""
        return BinaryTable(self.scores, self.counts[:, kind], self.counts[:, other], self.binned)


@dataclass(frozen=True)
class BinaryTable:
    """A `ScoreTable` of two kinds; `roc_auc` and all else here need both of them to be there."""

    scores: Floats
    positives: NDArray[Any]
    negatives: NDArray[Any]
    binned: bool

    def roc_auc(self) -> float:
        """P(score of a positive > score of a negative) + half the ties: the Mann-Whitney form, `roc_auc_score`."""
        return self._area

    @cached_property
    def _area(self) -> float:
        _, upto = self._upto
        wins = (self.positives * (2 * upto - self.negatives)).sum()
        pairs = 2 * _plain(self.positives.sum()) * _plain(self.negatives.sum())
        return float(_plain(wins) / pairs)

    def roc_auc_bound(self) -> float:
        """How far binning can have moved the ROC AUC: half the pairs that share a bin, ½ Σ pₖ qₖ."""
        if not self.binned:
            return 0.0
        pairs = float((self.positives / self.positives.sum() * (self.negatives / self.negatives.sum())).sum())
        return pairs / 2

    def average_precision(self) -> float:
        """Sum over thresholds of (increase of recall) x precision: `average_precision_score`."""
        above, rows = self._from_the_top
        new = np.diff(above, prepend=0)
        counted = rows > 0  # scores that only rows of weight 0 have are no thresholds
        if not counted.all():
            new, above, rows = new[counted], above[counted], rows[counted]
        return float((new * (above / rows)).sum() / _plain(above[-1]))

    def average_precision_bound(self) -> float:
        """How far binning can have moved average precision.

        The binned value lies between that with all positives of each bin first and that with all of them last.
        """
        if not self.binned:
            return 0.0
        above, rows = self._from_the_top
        above, rows = above.astype(np.float64), rows.astype(np.float64)
        new = np.diff(above, prepend=0.0)
        before, rows_before = above - new, np.append(0.0, rows[:-1])
        taken = new > 0
        best = above[taken] / (rows_before[taken] + new[taken])
        before_all = rows[taken] - new[taken]
        worst = (before[taken] + 1) / (before_all + 1)
        best = np.where(before[taken] == 0, 1.0, best)
        best = np.maximum(best, (before[taken] + 1) / (rows_before[taken] + 1))
        here = above[taken] / rows[taken]
        spread = np.maximum(best - here, here - worst)
        return float(min(1.0, (new[taken] * np.maximum(spread, 0)).sum() / above[-1]))

    def calibration_error(self) -> float:
        """Return the expected calibration error, Σ (weight of bin / all) |mean score − rate|, in ten bins of scores.

        Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015. The
        scores are probabilities; an edge belongs to the bin below, as in scikit-learn's curves.
        """
        weight = self.positives + self.negatives
        starts = np.append(0, np.searchsorted(self.scores, _EDGES[1:-1], side="right"))
        starts = starts[np.diff(starts, append=len(weight)) > 0]  # the bins that have scores
        gaps = np.add.reduceat(self.scores * weight - self.positives, starts)
        return float(np.abs(gaps).sum() / _plain(weight.sum()))

    def calibration_bound(self, width: float) -> float:
        """How far binning can have moved it: scores are off by up to `width` of themselves, and then over an edge."""
        if not self.binned:
            return 0.0
        weight = (self.positives + self.negatives).astype(np.float64)
        off = self.scores * width
        near = np.abs(self.scores[:, None] - _EDGES).min(axis=1) <= 2 * off
        return float(min(1.0, ((off * weight).sum() + 2 * weight[near].sum()) / weight.sum()))

    def loss_moments(self, loss: str, largest: float) -> tuple[float, float]:
        """Return variance (n in the denominator) and skewness of `log_loss` (at most `largest`) or `brier_score`.

        Of scores in bins they are those of the bins' middles. The skewness of losses that are all alike is NaN.
        """
        counts = np.concatenate([self.positives, self.negatives]).astype(np.float64)
        given = np.concatenate([self.scores, 1 - self.scores])  # the probability given to what was true
        there = counts > 0
        counts, given = counts[there], given[there]
        losses = probability_losses(loss, given, largest)
        total = float(counts.sum())
        level = float(counts @ (losses * losses)) / total
        losses -= float(counts @ losses) / total
        counts *= losses
        square = float(counts @ losses) / total
        losses *= losses
        cube = float(counts @ losses) / total
        return square, cube / square**1.5 if square > 1e-12 * level else math.nan

    def ks_statistic(self) -> float:
        """Return the largest distance of the two classes' distribution functions (Kolmogorov-Smirnov)."""
        above, rows = self._from_the_top
        apart = above / above[-1] - (rows - above) / (rows[-1] - above[-1])
        return float(np.max(np.abs(apart)))

    def ks_bound(self) -> float:
        """How far binning can have moved it: what one bin holds of either class, at the most."""
        if not self.binned:
            return 0.0
        shares = np.maximum(self.positives / self.positives.sum(), self.negatives / self.negatives.sum())
        return float(shares.max())

    def gain(self, share: float) -> tuple[float, float]:
        """Return (gain, bound): the share of positives among the `share` of rows with the highest scores.

        Rows tied at the cut count in proportion, as if their order were drawn; `bound` is for binned scores.
        """
        above, rows = self._from_the_top
        wanted = share * float(rows[-1])
        cell = min(int(np.searchsorted(rows, wanted)), len(rows) - 1)
        before, rows_before = (float(upto[cell - 1]) if cell else 0.0 for upto in (above, rows))
        here, rows_here = float(above[cell]) - before, float(rows[cell]) - rows_before
        part = (wanted - rows_before) / rows_here if rows_here > 0 else 0.0
        bound = here / float(above[-1]) if self.binned else 0.0
        return (before + part * here) / float(above[-1]), bound

    def best_threshold(self, goal: Any) -> tuple[float, float]:
        """Return (threshold, value) where `goal(tn, fp, fn, tp)`, of arrays, is highest.

        Rows with score ≥ threshold are positive.
        Infinity is a threshold, too: no row is positive. Of several equally good ones it is the highest.
        """
        above, rows = self._from_the_top
        tp = np.append(0.0, above)
        fp = np.append(0.0, rows) - tp
        with np.errstate(invalid="ignore", divide="ignore"):
            values = np.asarray(goal(fp[-1] - fp, fp, tp[-1] - tp, tp), dtype=np.float64)
        values = np.where(np.isnan(values), -np.inf, values)
        best = int(np.argmax(values))
        thresholds = np.append(math.inf, self.scores[::-1])
        return float(thresholds[best]), float(values[best])

    def placements(self) -> tuple[Floats, Floats]:
        """Return, for each score, the share of negatives that it outranks and of positives that outrank it, ties half.

        These are DeLong's structural components of a positive and of a negative with that score; the mean of either
        over its rows is the ROC AUC.
        """
        upto = self._upto
        below = upto[1] - self.negatives / 2
        above = self.positives.sum() - upto[0] + self.positives / 2
        below /= self.negatives.sum()
        above /= self.positives.sum()
        return below, above

    def auc_variance(self) -> float | None:
        """Return the variance of the ROC AUC; None with fewer than two rows of a class. For unweighted tables.

        DeLong et al. 1988 in the O(n log n) form of Sun & Xu, "Fast Implementation of DeLong's Algorithm for Comparing
        the Areas Under Correlated Receiver Operating Characteristic Curves", IEEE Signal Processing Letters 21 (2014).
        """
        variance = 0.0
        for rows, placement in zip((self.positives, self.negatives), self.placements(), strict=True):
            count = float(rows.sum())
            if count < 2:
                return None
            placement -= self.roc_auc()  # their mean
            placement *= placement
            placement *= rows
            variance += float(placement.sum()) / (count - 1) / count
        return variance

    @cached_property
    def _upto(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return positives and negatives whose score is at most each score."""
        return np.cumsum(self.positives), np.cumsum(self.negatives)

    @cached_property
    def _from_the_top(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return positives and rows whose score is at least each score, from the highest score down."""
        return np.cumsum(self.positives[::-1]), np.cumsum((self.positives + self.negatives)[::-1])


def probability_losses(loss: str, given: Floats, largest: float) -> Floats:
    """Return `log_loss` (at most `largest`) or `brier_score` of rows by the probability given to what was true."""
    if loss == "log_loss":
        losses = np.log(np.maximum(given, math.exp(-largest)))
        return np.negative(losses, out=losses)
    losses = 1 - given
    losses *= losses
    return losses


def auc_covariance(
    labels: NDArray[Any], one: BinaryTable, other: BinaryTable, scores: Mapping[str, NDArray[Any]]
) -> tuple[float, float, float] | None:
    """Return the variances of two models' ROC AUCs on the same rows and their covariance (DeLong, as above).

    `scores` are the rows' scores of `candidate` (table `one`) and `baseline` (table `other`). None with fewer than two
    rows of a class. The sums are taken over sorted terms, so that they do not depend on the rows' order.
    """
    places = [np.searchsorted(table.scores, s) for table, s in zip((one, other), scores.values(), strict=True)]
    total = np.zeros(3)
    for label, mine, theirs in zip((1, 0), one.placements(), other.placements(), strict=True):
        rows = labels == label
        count = int(np.count_nonzero(rows))
        if count < 2:
            return None
        a, b = mine[places[0][rows]], theirs[places[1][rows]]
        a, b = a - np.sort(a).mean(), b - np.sort(b).mean()
        terms = [float(np.sort(product).sum()) for product in (a * a, b * b, a * b)]
        total += np.array(terms) / (count - 1) / count
    return float(total[0]), float(total[1]), float(total[2])


def _plain(number: Any) -> Any:
    """Return an int where there is one: products of counts pass 2^53."""
    return int(number) if isinstance(number, np.integer) else float(number)
