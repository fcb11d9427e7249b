"""Bounds of one measured value: one-sided for gates, two-sided for display.

A one-sided bound at confidence c errs with probability at most 1 − c. The lower and the upper one together are the
two-sided interval at level 2c − 1, so a gate at 0.975 agrees with a displayed interval at 0.95: but for proportions and
for means of losses with a long tail, where a gate's bounds are held to "at most" and an interval to "on average".

There are no bounds for a maximum, a calibration error (ECE) or a Kolmogorov–Smirnov distance: such values have no
evidence here, as neither a standard error nor the bootstrap says anything reliable about them.
"""

from __future__ import annotations

import math
from functools import lru_cache

from penstock.errors import InvalidValue
from penstock.statistics.distributions import beta_quantile, normal_quantile, student_quantile
from penstock.statistics.evidence import Auc, Bounds, Evidence, Mean, Proportion, Replicates, RootMean, Undecidable

NO_ROWS = "no rows"
ZERO_VARIANCE = "zero variance: the estimated standard error is 0"
# Fewer positives (or negatives) than that, and bounds of a ROC AUC miss far more often than they say: with two of 100
# rows 13 % of one-sided bounds at 0.975 did (core/adr/0010).
FEWEST_OF_A_CLASS = 20
# Skewness/√rows from which on a sample is not believed to know its longer tail: what of the tail was not drawn is in
# neither its standard error nor its skewness (core/adr/0010).
MOST_SKEWED = 0.12
# By 1 + as many times its skewness the error of a bound on the side of the longer tail is divided (core/adr/0010).
_TIMES_SKEWNESS = 10
TOO_FEW_OF_A_CLASS = f"fewer than {FEWEST_OF_A_CLASS} rows of a class"


def confidence_of(level: float) -> float:
    """Return the confidence of each side of a two-sided interval at `level`: 0.95 → 0.975."""
    return (1 + level) / 2


def level_of(confidence: float) -> float:
    """Inverse of `confidence_of`: 0.975 → 0.95."""
    return 2 * confidence - 1


def lower_bound(evidence: Evidence, confidence: float) -> float | Undecidable:
    """Return what the true value exceeds with `confidence`, one-sided.

    Proportions: Clopper & Pearson 1934, exact for independent rows. ROC AUC: DeLong's standard error on the logit
    scale (Pepe, "The Statistical Evaluation of Medical Tests", 2003, 5.2), from 20 rows of either class on. Means:
    Hall's transformation ("On the Removal of Skewness by Transformation", JRSS B 54, 1992) of Student's t with rows − 1
    degrees of freedom, which is t where the losses are not skewed (`skewed_quantile`); where a few of them are huge, on
    their side at least Cantelli's inequality, which holds for any distribution of known variance: √(c/(1 − c)) standard
    errors (core/adr/0010). Roots of means: the roots of those. Bootstrap: t with replicates − 1, as the standard error
    is itself estimated, or with fewer degrees where the rows tell less of it; where the skewness of the estimate is
    known, as for means of groups of rows, likewise. `InvalidValue` unless 0 < confidence < 1.
    """
    return _bound(evidence, confidence, -1)


def upper_bound(evidence: Evidence, confidence: float) -> float | Undecidable:
    """Return what the true value is below with `confidence`; the rest as `lower_bound`."""
    return _bound(evidence, confidence, +1)


def interval(evidence: Evidence, level: float = 0.95) -> Bounds | Undecidable:
    """Return the two-sided interval for display.

    Proportions: Wilson's score interval ("Probable Inference", JASA 22, 1927), whose coverage is `level` on average
    where that of Clopper & Pearson is at least `level`. Means of losses with a long tail likewise without Cantelli's
    inequality. Everything else as `lower_bound`.
    """
    confidence = confidence_of(level)
    check_confidence(confidence)
    if isinstance(evidence, Proportion):
        return _wilson(evidence, normal_quantile(confidence)) if evidence.rows else Undecidable(NO_ROWS)
    lower, upper = (_bound(evidence, confidence, side, shown=True) for side in (-1, 1))
    if isinstance(lower, Undecidable):
        return lower
    if isinstance(upper, Undecidable):
        return upper
    return Bounds(lower, upper, _name(evidence))


def method_of(evidence: Evidence) -> str:
    """Name how a one-sided bound is found."""
    name = _name(evidence)
    return f"{name}, and Cantelli on the side of the long tail" if _long_tailed(evidence) else name


def _name(evidence: Evidence) -> str:
    names = {
        "proportion": "Clopper-Pearson",
        "auc": "logit DeLong",
        "mean": "t",
        "root_mean": "t",
        "replicates": "bootstrap t",
    }
    if not isinstance(evidence, Mean | Replicates) or evidence.skewness is None:
        return names[evidence.kind]
    return "bootstrap Hall" if isinstance(evidence, Replicates) else "Hall"


def degrees_of_freedom(evidence: Evidence) -> float | None:
    """Return Student's degrees of freedom of a mean or of bootstrap replicates; None: none are estimated."""
    if isinstance(evidence, Proportion | Auc):
        return None
    if isinstance(evidence, Mean):
        return evidence.rows - 1
    return evidence.count - 1 if evidence.degrees_of_freedom is None else evidence.degrees_of_freedom


@lru_cache(maxsize=1024)  # both bounds of a mean and of its difference ask the same question
def quantile(confidence: float, degrees: float | None) -> float:
    """Return the quantile of Student's t, or of the normal distribution where `degrees` is None."""
    return normal_quantile(confidence) if degrees is None else student_quantile(confidence, degrees)


def skewness_of(evidence: Evidence) -> float:
    """Return the skewness of an estimate itself, above 0 where its longer tail is above it; 0 if it is not known.

    Between -1 and 1, as |Σu³| ≤ (Σu²)^1.5.
    """
    if not isinstance(evidence, Mean | Replicates) or evidence.skewness is None:
        return 0.0
    of_estimate = 1.0 if isinstance(evidence, Replicates) else math.sqrt(max(evidence.rows, 1))
    return min(1.0, max(-1.0, evidence.skewness / of_estimate))


def bound_errors(confidence: float, degrees: float | None, skewness: float) -> float:
    """Return how many standard errors a bound for a gate is from an estimate skewed by `skewness` towards it."""
    known = skewed_quantile(confidence, degrees, skewness)
    return known if skewness <= MOST_SKEWED else max(known, math.sqrt(confidence / (1 - confidence)))


def skewed_quantile(confidence: float, degrees: float | None, skewness: float) -> float:
    """Return how many standard errors a bound is from a mean, itself skewed by `skewness` towards it (below 0: away).

    Hall's transformation of Student's t. Towards a tail it is that of a smaller error, as a sample shows less of a long
    tail than there is: 1 − `confidence` over 1 + 10 · skewness. But then no further than the inequality of Vysochanskij
    and Petunin, which holds for any distribution with one mode (one-sided: Mercadier & Strobel, "A One-Sided
    Vysochanskii-Petunin Inequality with Financial Applications", EJOR 295, 2021). How often it misses: core/adr/0010.
    """
    known = _hall(quantile(confidence, degrees), skewness)
    if skewness <= 0:
        return known
    smaller = (1 - confidence) / (1 + _TIMES_SKEWNESS * skewness)
    return max(known, min(_hall(-quantile(smaller, degrees), skewness), _vysochanskij_petunin(confidence)))


def check_confidence(confidence: float) -> None:
    """Raise `InvalidValue` unless `confidence` is inside (0, 1)."""
    if not 0 < confidence < 1:
        raise InvalidValue("confidence", confidence, "a number between 0 and 1")


def _bound(evidence: Evidence, confidence: float, side: int, *, shown: bool = False) -> float | Undecidable:
    check_confidence(confidence)
    if isinstance(evidence, Proportion):
        return _clopper_pearson(evidence, confidence, side)
    degrees = degrees_of_freedom(evidence)
    if degrees is not None and degrees < 1:
        return Undecidable(
            "fewer than two rows" if isinstance(evidence, Mean) else "fewer than two bootstrap replicates"
        )
    if isinstance(evidence, Auc) and min(evidence.positives, evidence.negatives) < FEWEST_OF_A_CLASS:
        return Undecidable(TOO_FEW_OF_A_CLASS)
    if not evidence.standard_error > 0:
        return Undecidable(ZERO_VARIANCE)
    skewness = side * skewness_of(evidence)
    errors = skewed_quantile(confidence, degrees, skewness) if shown else bound_errors(confidence, degrees, skewness)
    reach = side * errors * evidence.standard_error
    if isinstance(evidence, RootMean):  # the mean's standard error is 2 · root times the root's
        return math.sqrt(max(0.0, evidence.value * evidence.value + 2 * evidence.value * reach))
    return _logit_bound(evidence.value, reach) if isinstance(evidence, Auc) else evidence.value + reach


def _hall(quantile_of_t: float, skewness: float) -> float:
    """Return how many standard errors a bound is from a mean that is skewed by `skewness` towards it.

    Where the cube is about -1/8 that is largest; a mean that is still more skewed is not known better.
    """
    if abs(skewness) < 1e-6:  # nearly 0/0
        return quantile_of_t
    skewness = min(skewness, 3 * (math.sqrt(quantile_of_t**2 + 0.75) - quantile_of_t))
    cube = 1 - skewness * (quantile_of_t + skewness / 6)
    root = math.copysign(abs(cube) ** (1 / 3), cube)
    return max(3 / skewness * (1 - root), min(quantile_of_t, 0.0))


def _vysochanskij_petunin(confidence: float) -> float:
    """Return the standard deviations that a value with one mode exceeds its mean by with at most 1 − `confidence`."""
    error = 1 - confidence
    return math.sqrt(4 / (9 * error) - 1 if error <= 1 / 6 else 4 / (3 * error + 1) - 1)


def _long_tailed(evidence: Evidence) -> bool:
    return abs(skewness_of(evidence)) > MOST_SKEWED


def _clopper_pearson(share: Proportion, confidence: float, side: int) -> float | Undecidable:
    failures = share.rows - share.successes
    if not share.rows:
        return Undecidable(NO_ROWS)
    if side < 0:
        return beta_quantile(1 - confidence, share.successes, failures + 1) if share.successes else 0.0
    return 1 - beta_quantile(1 - confidence, failures, share.successes + 1) if failures else 1.0


def _logit_bound(value: float, reach: float) -> float | Undecidable:
    if not 0 < value < 1:
        return Undecidable(ZERO_VARIANCE)
    return 1 / (1 + (1 - value) / value * math.exp(-reach / (value * (1 - value))))


def _wilson(share: Proportion, z: float) -> Bounds:
    n, p, square = share.rows, share.successes / share.rows, z * z
    centre = (p + square / (2 * n)) / (1 + square / n)
    half = z / (1 + square / n) * math.sqrt(p * (1 - p) / n + square / (4 * n * n))
    lower = centre - half if share.successes else 0.0
    return Bounds(lower, centre + half if share.successes < n else 1.0, "Wilson")
