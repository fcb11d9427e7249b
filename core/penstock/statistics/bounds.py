"""Bounds of one measured value: one-sided for gates, two-sided for display.

A one-sided bound at confidence c errs with probability at most 1 − c. The lower and the upper one together are the
two-sided interval at level 2c − 1, so a gate at 0.975 agrees with a displayed interval at 0.95.

There are no bounds for a maximum, a calibration error (ECE) or a Kolmogorov–Smirnov distance: such values have no
evidence here, as neither a standard error nor the bootstrap says anything reliable about them.
"""

from __future__ import annotations

import math
from functools import lru_cache

from penstock.errors import InvalidValue
from penstock.statistics.distributions import beta_quantile, normal_quantile, student_quantile
from penstock.statistics.evidence import Auc, Bounds, Evidence, Mean, Proportion, RootMean, Undecidable

NO_ROWS = "no rows"
ZERO_VARIANCE = "zero variance: the estimated standard error is 0"
# Fewer positives (or negatives) than that, and bounds of a ROC AUC miss far more often than they say: with two of 100
# rows 13 % of one-sided bounds at 0.975 did (core/adr/0010).
FEWEST_OF_A_CLASS = 20
# Skewness/√rows from which on Student's t is not believed on the side of the longer tail. It errs there by about
# (2z² + 1)/6 φ(z) times as much more than it says (Hall, "The Bootstrap and Edgeworth Expansion", 1992): by 1 point at
# 0.975, and by what of the tail was not drawn.
MOST_SKEWED = 0.12
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
    Student's t with rows − 1 degrees of freedom, which assumes that the mean of as many rows is about normal; where a
    few huge losses make it skewed, on their side Cantelli's inequality, which holds for any distribution of known
    variance: √(c/(1 − c)) standard errors (core/adr/0010). Roots of means: the roots of those. Bootstrap: t with
    replicates − 1, as the standard error is itself estimated, or with fewer degrees where rows tell less of it
    (`degrees_of_skewed`). `InvalidValue` unless 0 < confidence < 1.
    """
    return _bound(evidence, confidence, -1)


def upper_bound(evidence: Evidence, confidence: float) -> float | Undecidable:
    """Return what the true value is below with `confidence`; the rest as `lower_bound`."""
    return _bound(evidence, confidence, +1)


def interval(evidence: Evidence, level: float = 0.95) -> Bounds | Undecidable:
    """Return the two-sided interval for display.

    Proportions: Wilson's score interval ("Probable Inference", JASA 22, 1927), whose coverage is `level` on average
    where that of Clopper & Pearson is at least `level`. Everything else as `lower_bound`.
    """
    confidence = confidence_of(level)
    check_confidence(confidence)
    if isinstance(evidence, Proportion):
        return _wilson(evidence, normal_quantile(confidence)) if evidence.rows else Undecidable(NO_ROWS)
    lower, upper = lower_bound(evidence, confidence), upper_bound(evidence, confidence)
    if isinstance(lower, Undecidable) or isinstance(upper, Undecidable):
        return lower if isinstance(lower, Undecidable) else Undecidable(ZERO_VARIANCE)
    return Bounds(lower, upper, method_of(evidence))


def method_of(evidence: Evidence) -> str:
    """Name how a one-sided bound is found."""
    if isinstance(evidence, Mean) and (_skewed(evidence, 1) or _skewed(evidence, -1)):
        return "t, and Cantelli on the side of the long tail"
    names = {
        "proportion": "Clopper-Pearson",
        "auc": "logit DeLong",
        "mean": "t",
        "root_mean": "t",
        "replicates": "bootstrap t",
    }
    return names[evidence.kind]


def degrees_of_freedom(evidence: Evidence) -> int | None:
    """Return Student's degrees of freedom of a mean or of bootstrap replicates; None: none are estimated."""
    if isinstance(evidence, Proportion | Auc):
        return None
    if isinstance(evidence, Mean):
        return evidence.rows - 1
    return evidence.count - 1 if evidence.degrees_of_freedom is None else evidence.degrees_of_freedom


def degrees_of_skewed(rows: int, skewness: float | None) -> int | None:
    """Return how many degrees of freedom a standard error has that skewed losses of `rows` rows tell; None: unknown.

    Satterthwaite ("An Approximate Distribution of Estimates of Variance Components", Biometrics Bulletin 2, 1946): an
    estimated variance has 2 / (its squared coefficient of variation), which is 2 rows / (kurtosis − 1); and a kurtosis
    is at least skewness² + 1 (Pearson 1916).
    """
    if skewness is None:
        return None
    return max(1, math.floor(min(2 * rows / max(skewness**2, 1e-9), 2**31)))


@lru_cache(maxsize=1024)  # both bounds of a mean and of its difference ask the same question
def quantile(confidence: float, degrees: int | None) -> float:
    """Return the quantile of Student's t, or of the normal distribution where `degrees` is None."""
    return normal_quantile(confidence) if degrees is None else student_quantile(confidence, degrees)


def check_confidence(confidence: float) -> None:
    """Raise `InvalidValue` unless `confidence` is inside (0, 1)."""
    if not 0 < confidence < 1:
        raise InvalidValue("confidence", confidence, "a number between 0 and 1")


def _bound(evidence: Evidence, confidence: float, side: int) -> float | Undecidable:
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
    errors = quantile(confidence, degrees)
    if isinstance(evidence, Mean) and _skewed(evidence, side):
        errors = max(errors, math.sqrt(confidence / (1 - confidence)))
    reach = side * errors * evidence.standard_error
    if isinstance(evidence, RootMean):  # the mean's standard error is 2 · root times the root's
        return math.sqrt(max(0.0, evidence.value**2 + 2 * evidence.value * reach))
    return _logit_bound(evidence.value, reach) if isinstance(evidence, Auc) else evidence.value + reach


def _skewed(evidence: Mean, side: int) -> bool:
    """Whether the longer tail is above (`side` +1) or below (−1) the mean, and too long for Student's t."""
    return side * (evidence.skewness or 0.0) > MOST_SKEWED * math.sqrt(evidence.rows)


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
