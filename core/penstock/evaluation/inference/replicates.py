"""Metrics of all replicates at once, by scikit-learn's names and meanings, and the evidence that follows from them.

Undefined is NaN. Every function takes arrays whose last axis is the replicates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.statistics.evidence import PairedEstimates, Replicates

Floats = NDArray[np.float64]

_ENOUGH = 0.95  # of the replicates must be defined: more undefined ones are not chance, and say nothing about spread


def evidence(
    value: float | None, replicates: Floats, *, degrees: float | None = None, skewness: float | None = None
) -> dict[str, Any]:
    """Return `Measurement.stats` of an estimate and its replicates: empty where they bound nothing.

    `degrees` of freedom count where they are fewer than the replicates'.
    """
    usable = np.isfinite(replicates)
    if value is None or not np.isfinite(value) or usable.mean() < _ENOUGH:
        return {}
    with np.errstate(over="ignore"):
        error = float(np.std(replicates[usable], ddof=1))
    if not math.isfinite(error):
        return {}
    count = int(usable.sum())
    fewer = degrees if degrees is not None and degrees < count - 1 else None
    return {"evidence": Replicates(float(value), error, count, fewer, skewness).to_json()}


def paired(
    candidate: float | None,
    baseline: float | None,
    new: Floats,
    old: Floats,
    *,
    degrees: float | None = None,
    third_cumulants: tuple[float, float, float, float] | None = None,
) -> dict[str, Any]:
    """Return `Measurement.stats` of two estimates on the same rows: empty where the replicates compare nothing.

    `degrees` of freedom count where they are fewer than the replicates'.
    """
    usable = np.isfinite(new) & np.isfinite(old)
    if candidate is None or baseline is None or not np.isfinite([candidate, baseline]).all():
        return {}
    if usable.mean() < _ENOUGH:
        return {}
    with np.errstate(over="ignore", invalid="ignore"):
        spread = np.cov(new[usable], old[usable])
    if not np.isfinite(spread).all():
        return {}
    numbers = float(spread[0, 0]), float(spread[1, 1]), float(spread[0, 1])
    most = int(usable.sum()) - 1
    fewer = most if degrees is None else min(degrees, most)
    known = float(candidate), float(baseline), *numbers, fewer
    return {"paired": PairedEstimates("bootstrap", *known, third_cumulants).to_json()}


def skewness(contributions: Floats) -> float | None:
    """Return how skewed an estimate is, from what independent parts of the rows contribute to it; None: not known."""
    scaled = _scaled(contributions)
    spread = float((scaled**2).sum())
    return float((scaled**3).sum()) / spread**1.5 if spread > 0 else None


def third_cumulants(new: Floats, old: Floats) -> tuple[float, float, float, float] | None:
    """Return those of two estimates, as `PairedEstimates` has them, from what parts of the rows contribute to each."""
    kinds = ((new, new, new), (new, new, old), (new, old, old), (old, old, old))
    with np.errstate(over="ignore", invalid="ignore"):
        one, two, three, four = (float((a * b * c).sum()) for a, b, c in kinds)
    return (one, two, three, four) if math.isfinite(one + two + three + four) else None


def roc_auc(counts: Floats) -> Floats:
    """Return the ROC AUC from counts of shape (bins, 2 kinds, replicates), bins ascending; ties count half."""
    negatives, positives = counts[:, 0], counts[:, 1]
    wins = (positives * (np.cumsum(negatives, axis=0) - negatives / 2)).sum(axis=0)
    return _divided(wins, negatives.sum(axis=0) * positives.sum(axis=0))


def one_against_rest(counts: Floats, kind: int) -> Floats:
    """Return counts of shape (bins, 2 kinds, replicates): the rows of `kind` as the positives, all others beside."""
    positives = counts[:, kind]
    return np.stack([counts.sum(axis=1) - positives, positives], axis=1)


def roc_auc_ovo(counts: Sequence[Floats], weighted: bool) -> Floats:
    """Return the mean ROC AUC over pairs of classes from counts of each class's scores by true class, bins ascending.

    Hand and Till (2001): of a pair, the mean of both classes' scores; `weighted` by how common the two classes are.
    """
    support = counts[0].sum(axis=0)
    shares = _divided(support, np.broadcast_to(support.sum(axis=0), support.shape))
    total, weights = np.zeros_like(shares[0]), np.zeros_like(shares[0])
    for one, other in combinations(range(len(counts)), 2):
        both = roc_auc(counts[one][:, [other, one]]) + roc_auc(counts[other][:, [one, other]])
        common = shares[one] + shares[other] if weighted else np.ones_like(total)
        total, weights = total + common * both / 2, weights + common
    return _divided(total, weights)


def average_precision(counts: Floats) -> Floats:
    """Return average precision from counts of shape (bins, 2 kinds, replicates), bins ascending."""
    positives = counts[::-1, 1]
    above = np.cumsum(positives, axis=0)
    rows = np.cumsum(counts[::-1].sum(axis=1), axis=0)
    return _divided((positives * np.where(rows > 0, above / np.maximum(rows, 1e-300), 0.0)).sum(axis=0), above[-1])


def gain(counts: Floats, share: float) -> Floats:
    """Return the share of positives among the `share` of rows with the highest scores; bins ascending, ties in part.

    By linearisation at the threshold of all replicates together: rows that one of them has too few of above it, or too
    many, count with the rate of positives around it, within two standard deviations of how far the threshold moves.
    With a threshold for each, the few labels between them would count as if they were drawn, and the spread of a
    difference between two models be a tenth too large (core/adr/0010).
    """
    rows, positives = counts[::-1].sum(axis=1), counts[::-1, 1]
    known = rows.mean(axis=1)
    upto, wanted = np.cumsum(known), share * known.sum()
    place, part = _reached(upto[:, None], wanted[None])
    above = np.where(np.arange(len(known)) < place[0, 0], 1.0, 0.0)
    above[place[0, 0]] = part[0, 0]
    short = share * rows.sum(axis=0) - above @ rows
    moved = 2 * short.std()
    around = (upto >= wanted - moved) & (upto - known <= wanted + moved)
    rate = _divided(positives[around].sum(), rows[around].sum())
    return _divided(above @ positives + rate * short, positives.sum(axis=0))


def degrees(contributions: Floats) -> float | None:
    """Return how many degrees of freedom a standard error has, from what parts of the rows contribute to its estimate.

    Satterthwaite ("An Approximate Distribution of Estimates of Variance Components", Biometrics Bulletin 2, 1946): an
    estimated variance has 2 / (its squared coefficient of variation), which of sums over many parts is 2 parts /
    (their excess kurtosis). A third of that, as a sample shows about a third of a long tail's kurtosis (core/adr/0010).
    None where they tell no limit. Contributions add up to 0.
    """
    squares = _scaled(contributions) ** 2
    spread = float(squares.mean())
    excess = float((squares**2).mean()) / spread**2 - 3 if spread > 0 else math.nan
    return max(1.0, 2 * len(contributions) / (3 * excess)) if excess > 0 else None


def quantile(counts: Floats, edges: tuple[Floats, Floats], level: float) -> Floats:
    """Return a quantile from counts of shape (bins, 1 kind, replicates), bins ascending between their `edges`."""
    rows = np.cumsum(counts[:, 0], axis=0)
    place, part = _reached(rows, level * rows[-1])
    low, high = (ends[place] for ends in edges)
    found: Floats = np.where(rows[-1] > 0, (low + part * (high - low))[0], np.nan)
    return found


def _reached(rows: Floats, wanted: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Return the bin in which `rows`, summed up over the bins, reach what is wanted, and after which part of it."""
    place = np.minimum((rows < wanted).sum(axis=0), len(rows) - 1)[None, :]
    upto = np.take_along_axis(rows, place, axis=0)
    before = np.where(place > 0, np.take_along_axis(rows, np.maximum(place - 1, 0), axis=0), 0.0)
    return place, _divided(wanted - before, upto - before)


def of_confusion(counts: Floats, base: str, place: int | None = None, beta: float | None = None) -> Floats | None:
    """Return a metric of a confusion matrix, of shape (labels, predictions, replicates); None for one it does not give.

    `base` is its name without class and number; `place` the class it is of, for two classes 1 unless said. Averages are
    over all classes, so they are undefined where one is missing.
    """
    labels, predicted, right = counts.sum(axis=1), counts.sum(axis=0), np.einsum("iir->ir", counts)
    rows = labels.sum(axis=0)
    whole: Mapping[str, Callable[[], Floats]] = {
        "accuracy": lambda: _divided(right.sum(axis=0), rows),
        "balanced_accuracy": lambda: _divided(right, labels).mean(axis=0),
        "matthews_corrcoef": lambda: _matthews(labels, predicted, right.sum(axis=0), rows),
        "cohen_kappa": lambda: _kappa(labels, predicted, right.sum(axis=0), rows),
    }
    if base in whole:
        return whole[base]()
    if base == "positive_rate" and len(counts) == 2:
        return _divided(predicted[1], rows)
    square = 1.0 if beta is None else beta**2
    by_class: Mapping[str, tuple[Floats, Floats]] = {
        "precision": (right, predicted),
        "recall": (right, labels),
        "f1": (2 * right, predicted + labels),
        "fbeta": ((1 + square) * right, predicted + square * labels),
        "jaccard": (right, predicted + labels - right),
    }
    name, _, average = base.partition("_")
    if name not in by_class or (name == "fbeta") != (beta is not None):
        return None
    each = _divided(*by_class[name])
    if place is None and not average:
        place = 1 if len(counts) == 2 else None
    if place is not None:
        one: Floats = each[place]
        return one
    if average == "micro":
        share = _divided(right.sum(axis=0), rows)  # of all rows: precision, recall and every F alike
        return share / (2 - share) if name == "jaccard" else share
    if average == "macro":
        mean_of_classes: Floats = each.mean(axis=0)
        return mean_of_classes
    if average == "weighted":
        return _divided((each * labels).sum(axis=0), rows)
    return None


def _matthews(labels: Floats, predicted: Floats, right: Floats, rows: Floats) -> Floats:
    spread = np.sqrt(rows**2 - (labels**2).sum(axis=0)) * np.sqrt(rows**2 - (predicted**2).sum(axis=0))
    return _divided(right * rows - (labels * predicted).sum(axis=0), spread)


def _kappa(labels: Floats, predicted: Floats, right: Floats, rows: Floats) -> Floats:
    chance = (labels * predicted).sum(axis=0)
    return _divided(right * rows - chance, rows**2 - chance)


class ErrorSums(NamedTuple):
    """Weighted sums over parts of the rows, or over replicates: of weights, labels, errors and their squares.

    `error` for explained variance, whose errors are about their mean; None for R².
    """

    rows: Floats
    y: Floats
    y_squared: Floats
    squared_error: Floats
    error: Floats | None = None

    def total(self) -> ErrorSums:
        """Return the sums over all of them."""
        return ErrorSums(*(None if of is None else of.sum() for of in self))  # type: ignore[arg-type]


def r2(of: ErrorSums, whole: ErrorSums) -> Floats:
    """Return R² or explained variance of replicates, linear in the rows about that of the `whole`.

    By their own quotients few rows would spread it further than fresh samples do (core/adr/0010). Undefined where the
    labels are so far from 0 that their spread is lost in rounding.
    """
    about, spread = _spreads(whole)
    return 1 - _divided(about, spread) + contributions_to_r2(of, whole)


def contributions_to_r2(of: ErrorSums, whole: ErrorSums) -> Floats:
    """Return what parts of the rows contribute to R² or explained variance of the `whole`, to first order.

    R² is 1 − Σe²/Σ(y − ȳ)², so a row contributes that quotient times its (y − ȳ)², less its e², over Σ(y − ȳ)².
    """
    of_errors, of_labels = _about_means(of, whole)
    about, spread = _spreads(whole)
    return _divided(_divided(about, spread) * of_labels - of_errors, spread)


def _spreads(whole: ErrorSums) -> tuple[Floats, Floats]:
    """Return the spread of errors and that of labels; NaN where that is lost in rounding."""
    about, spread = _about_means(whole, whole)
    return about, np.where(spread > 1e-9 * whole.y_squared, spread, np.nan)


def _about_means(of: ErrorSums, whole: ErrorSums) -> tuple[Floats, Floats]:
    """Return the sums of squared errors and of squared labels about their means in the `whole`."""
    mean_y = whole.y / whole.rows
    spread = of.y_squared - 2 * mean_y * of.y + mean_y**2 * of.rows
    if of.error is None or whole.error is None:
        return of.squared_error, spread
    mean = whole.error / whole.rows
    return of.squared_error - 2 * mean * of.error + mean**2 * of.rows, spread


def contributions_to_mean(total: Floats, rows: Floats) -> Floats:
    """Return what parts of the rows contribute to a weighted mean, from the sums over each part."""
    contributions: Floats = (total - total.sum() / rows.sum() * rows) / rows.sum()
    return contributions


def mean(total: Floats, rows: Floats) -> Floats:
    """Return a weighted mean from sums."""
    return _divided(total, rows)


def _scaled(contributions: Floats) -> Floats:
    """Return them in units of the largest, so that their powers are what a float holds; NaN where there is none."""
    largest = np.abs(contributions).max()
    return contributions / largest if 0 < largest < np.inf else np.full_like(contributions, np.nan)


def _divided(one: Floats, other: Floats) -> Floats:
    return np.divide(one, other, out=np.full_like(one, np.nan), where=other > 0)
