"""Bounds of candidate − factor·baseline on the same rows, for any margin, and McNemar's test."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from penstock.statistics.bounds import NO_ROWS, ZERO_VARIANCE, check_confidence, quantile, skewed_quantile
from penstock.statistics.distributions import binomial_cdf, binomial_pmf, normal_cdf, normal_quantile, student_cdf
from penstock.statistics.evidence import Bounds, Paired, PairedEstimates, PairedProportions, Undecidable

_METHODS = {"mean": "paired t", "auc": "paired DeLong", "bootstrap": "paired bootstrap t"}
_HALVINGS = 60


class McNemar(NamedTuple):
    """P-values of "the two are equally often right": exact one-sided and two-sided, and mid-p for display."""

    candidate_better: float
    baseline_better: float
    two_sided: float
    mid_p: float


def contrast_bounds(paired: Paired, factor: float, confidence: float) -> Bounds | Undecidable:
    """Return the one-sided bounds of candidate − factor·baseline, each at `confidence`.

    For an absolute margin the factor is 1 and the bound is compared with the margin; for a percent margin m the factor
    is 1 ∓ m and the bound is compared with 0. So the null hypothesis is shifted by the margin ("worse by at least
    the margin"), never "not significantly different".

    Estimates: their variances and covariance give the contrast's (means: t of per-row differences, further away on the
    side of a long tail, as `skewed_quantile`; AUC: DeLong et al. 1988; bootstrap: t with replicates − 1 or, where rows
    tell less, fewer degrees of freedom, and for means likewise). Proportions with factor 1: Tango's score test,
    "Equivalence test and confidence interval for the difference in proportions for the paired-sample design",
    Statistics in Medicine 17 (1998), inverted. With another factor the same construction, the score test at the
    multinomial's maximum likelihood under the constraint; where the contrast is 0 that is Tang, Tang & Chan's test of a
    ratio ("On tests of equivalence via non-unity relative risk for matched-pair design", Statistics in Medicine 22,
    2003). Both hold without any disagreement between the models. Rows must be independent.
    """
    check_confidence(confidence)
    if isinstance(paired, PairedProportions):
        if not paired.rows:
            return Undecidable(NO_ROWS)
        z = normal_quantile(confidence)
        lower, upper = (_score_bound(paired, factor, target) for target in (z, -z))
        return Bounds(lower, upper, "Tango score" if factor == 1 else "paired score")
    variance = paired.variance_of_contrast(factor)
    if not variance > 0:
        return Undecidable(ZERO_VARIANCE)
    value = paired.candidate - factor * paired.baseline
    degrees, skewness = paired.degrees_of_freedom, paired.skewness_of_contrast(factor)
    below, above = (contrast_errors(confidence, degrees, side * skewness) for side in (-1, 1))
    error = math.sqrt(variance)
    return Bounds(value - below * error, value + above * error, _METHODS[paired.method])


def contrast_errors(confidence: float, degrees: float | None, skewness: float) -> float:
    """Return how many standard errors a bound is from a contrast skewed towards it: never fewer than without."""
    return max(quantile(confidence, degrees), skewed_quantile(confidence, degrees, max(skewness, 0.0)))


def contrast(paired: Paired, factor: float) -> float | None:
    """Return the estimate of candidate − factor·baseline; None of no rows."""
    if isinstance(paired, PairedEstimates):
        return paired.candidate - factor * paired.baseline
    if not paired.rows:
        return None
    return (paired.both + paired.only_candidate - factor * (paired.both + paired.only_baseline)) / paired.rows


def p_value_worse(paired: Paired, *, greater_is_better: bool = True) -> float | Undecidable:
    """Return the one-sided p-value of "the candidate is not worse than the baseline" (margin 0): small is harm.

    Proportions: McNemar, exact. Estimates: the normal distribution or Student's t, without what `contrast_bounds` adds
    towards a long tail: differences without a margin have hardly any.
    """
    if isinstance(paired, PairedProportions):
        test = mcnemar(paired)
        return test.baseline_better if greater_is_better else test.candidate_better
    variance = paired.variance_of_contrast(1.0)
    if not variance > 0:
        return Undecidable(ZERO_VARIANCE)
    score = (paired.candidate - paired.baseline) / math.sqrt(variance)
    score = score if greater_is_better else -score
    degrees = paired.degrees_of_freedom
    return normal_cdf(score) if degrees is None else student_cdf(score, degrees)


def mcnemar(paired: PairedProportions) -> McNemar:
    """Test that two models are right equally often: McNemar 1947, exact by the binomial distribution.

    Only for a margin of 0: it says nothing about any other. Conditional on the rows on which just one was right, each
    is as likely the candidate's as the baseline's. Without such rows every p-value is 1. The mid-p counts half of what
    is as extreme as what was seen (Fagerland, Lydersen & Laake, BMC Medical Research Methodology 13:91, 2013); it is
    not exact.
    """
    won, lost = paired.only_candidate, paired.only_baseline
    trials = won + lost
    better, worse = binomial_cdf(lost, trials, 0.5), binomial_cdf(won, trials, 0.5)
    two_sided = min(1.0, 2 * min(better, worse))
    seen = binomial_pmf(won, trials, 0.5)
    return McNemar(better, worse, two_sided, two_sided - (seen / 2 if won == lost and trials else seen * (won != lost)))


def _score_bound(table: PairedProportions, factor: float, target: float) -> float:
    """Find the contrast whose score is `target`; the score falls as the contrast rises, and is 0 at the estimate."""
    rows, won, lost = table.rows, table.only_candidate, table.only_baseline
    cells = [(1.0, won), (-factor, lost), (1 - factor, table.both), (0.0, table.neither)]

    def beyond(contrast: float) -> float:
        # Of a difference, rows on which the models agree weigh nothing, whatever they agree on.
        difference = factor == 1
        score = _difference_score(rows, won, lost, contrast) if difference else _score(cells, rows, contrast)
        return score - target

    estimate = sum(weight * count for weight, count in cells) / rows
    spread = sum(count * (weight - estimate) ** 2 for weight, count in cells) / rows
    # Wald's bound and what a score adds where nothing was seen to vary; rather too far than not far enough.
    reach = 1.5 * (abs(target) * math.sqrt(spread / rows) + target**2 / rows)
    lowest, highest = min(weight for weight, _ in cells), max(weight for weight, _ in cells)
    if target > 0:
        return _crossing(beyond, (lowest, math.inf), (estimate, -target), estimate - reach)
    return _crossing(beyond, (estimate, -target), (highest, -math.inf), estimate + reach)


def _difference_score(rows: int, won: int, lost: int, contrast: float) -> float:
    """Return `_score` of the difference (won − lost) / rows, whose constrained maximum likelihood Tango solved.

    The share of `lost` is a quadratic's root that is not negative. For a contrast of at least 0 no term of it takes
    nearly equal numbers from one another, and one below is the other model's.
    """
    if contrast < 0:
        return -_difference_score(rows, lost, won, -contrast)
    surplus = (2 * rows - won + lost) * contrast - won - lost
    product = lost * contrast * (1 - contrast)
    root = math.sqrt(surplus * surplus + 8 * rows * product)
    share = (root - surplus) / (4 * rows) if surplus <= 0 else 2 * product / (root + surplus)
    variance = 2 * share + contrast * (1 - contrast)
    estimate = won - lost - rows * contrast
    return estimate / math.sqrt(rows * variance) if estimate else 0.0


def _crossing(
    falling: Callable[[float], float], left: tuple[float, float], right: tuple[float, float], guess: float
) -> float:
    """Find where a falling function is zero, to the last bit it can tell: regula falsi, the Illinois way.

    `left` and `right` are ends between which it is, with the values there; an infinite one is not known. Where an end
    stays, its value counts half the next time, so both ends close in (Dowell & Jarratt, BIT 11, 1971). While an end's
    value is not known, the middle is asked, after the `guess`.
    """
    (lower, above), (upper, below) = left, right
    at = guess if lower < guess < upper else (lower + upper) / 2
    stayed = 0
    for _ in range(2 * _HALVINGS):
        if not lower < at < upper:
            break
        value = falling(at)
        if value > 0:
            lower, above = at, value
            below = below / 2 if stayed > 0 else below
            stayed = 1
        else:
            upper, below = at, value
            above = above / 2 if stayed < 0 else above
            stayed = -1
        known = math.isfinite(above) and math.isfinite(below)
        at = lower + (upper - lower) * above / (above - below) if known else (lower + upper) / 2
    return min(max(at, lower), upper)


def _score(cells: list[tuple[float, int]], rows: int, contrast: float) -> float:
    """(estimate − contrast) / its standard error if `contrast` were true.

    The cells' probabilities are then n / (rows (1 + λ (weight − contrast))), with λ such that their mean weight is the
    contrast. Where that would need more than the observed cells hold, λ ends at its limit and the rest of the
    probability falls to the empty cell of extreme weight.
    """
    moved = [(weight - contrast, count / rows) for weight, count in cells]
    furthest, nearest = max(m for m, _ in moved), min(m for m, _ in moved)
    if not nearest < 0 < furthest:  # no distribution has that mean, but for one that is all in the extreme cell
        return math.inf if nearest >= 0 else -math.inf
    estimate = sum(m * share for m, share in moved)
    held = [(m, share) for m, share in moved if share]
    lowest, highest = lower, upper = -1 / furthest, -1 / nearest
    multiplier = 0.0
    for _ in range(_HALVINGS):
        excess = slope = 0.0
        for m, share in held:
            part = m / (1 + multiplier * m)
            excess += share * part
            slope += share * part * part
        lower, upper = (multiplier, upper) if excess > 0 else (lower, multiplier)
        following = multiplier + excess / slope if slope else multiplier
        # Never all the way to a limit: beside it the terms are so steep that Newton's step looks like the last one.
        following = max(following, multiplier + 0.9 * (lowest - multiplier))
        following = min(following, multiplier + 0.9 * (highest - multiplier))
        if not lower < following < upper:
            following = (lower + upper) / 2
        if abs(following - multiplier) <= 1e-15 * abs(following):
            break
        multiplier = following
    variance = 0.0
    left = 1.0
    for m, share in held:
        probability = share / (1 + multiplier * m)
        variance += probability * m * m
        left -= probability
    extreme = furthest if multiplier < 0 else nearest
    variance += max(left, 0.0) * extreme * extreme
    return estimate * math.sqrt(rows / variance) if estimate else 0.0
