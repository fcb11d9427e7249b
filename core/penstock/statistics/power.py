"""The power statement: what a held-out set of this size could tell apart, whatever it did show.

Computed from the standard error alone, never from the observed difference: power at the observed difference only
repeats the p-value (Hoenig & Heisey, "The Abuse of Power", The American Statistician 55, 2001).
"""

from __future__ import annotations

import math

from penstock.errors import InvalidValue
from penstock.statistics.bounds import (
    NO_ROWS,
    ZERO_VARIANCE,
    bound_errors,
    check_confidence,
    degrees_of_freedom,
    quantile,
    skewness_of,
)
from penstock.statistics.evidence import Evidence, Paired, PairedEstimates, PairedProportions, Proportion, Undecidable
from penstock.statistics.paired import contrast_errors

POWER = 0.8
_HALVINGS = 60
_MOST_ROWS = 2.0**62


def smallest_difference(
    statistics: Evidence | Paired, confidence: float, power: float = POWER, *, factor: float = 1.0
) -> float | Undecidable:
    """Return the smallest true difference that a one-sided test at `confidence` finds with probability `power`.

    For `Evidence` the distance from a bound, for `Paired` the distance of candidate − factor·baseline from the margin,
    both in the metric's unit: (quantile at `confidence` + quantile at `power`) standard errors, normal or Student's t
    as the test itself (Chow, Shao & Wang, "Sample Size Calculations in Clinical Research", 2008, chapter 3). Where a
    long tail moves a bound away, as many standard errors as the further one is away.
    """
    check_confidence(confidence)
    check_confidence(power)
    error = standard_error(statistics, factor)
    if isinstance(error, Undecidable):
        return error
    degrees = _degrees(statistics)
    if degrees is not None and degrees < 1:
        return Undecidable("fewer than two rows")
    return _errors(statistics, confidence, power, factor) * error


def rows_needed(
    statistics: Evidence | Paired,
    rows: int,
    difference: float,
    confidence: float,
    power: float = POWER,
    *,
    factor: float = 1.0,
) -> int | Undecidable:
    """Return how many rows like these `rows` a test would need to find a true `difference` > 0.

    As standard errors and skewness fall with the root of the rows. `difference` is what somebody wants to be told, such
    as the margin; it must not be the observed one.
    """
    if not (math.isfinite(difference) and difference > 0):
        raise InvalidValue("difference", difference, "a finite number > 0")
    smallest = smallest_difference(statistics, confidence, power, factor=factor)
    if isinstance(smallest, Undecidable):
        return smallest
    now = _errors(statistics, confidence, power, factor)
    times = smallest / difference * (smallest / difference)
    if not rows * times < _MOST_ROWS:
        return Undecidable("more rows than can be counted")
    # The more rows the fewer standard errors a bound is away, but never fewer than without skewness.
    unskewed = times * (_errors(statistics, confidence, power, factor, math.inf) / now) ** 2
    least, most = (unskewed, times) if times > 1 else (times, 1.0)
    if unskewed == times:
        return max(1, math.ceil(rows * times))
    for _ in range(_HALVINGS):
        times = (least + most) / 2
        enough = smallest * _errors(statistics, confidence, power, factor, times) / now <= difference * math.sqrt(times)
        least, most = (least, times) if enough else (times, most)
    return max(1, math.ceil(rows * most))


def _errors(statistics: Evidence | Paired, confidence: float, power: float, factor: float, times: float = 1.0) -> float:
    """Return how many standard errors `smallest_difference` is, with `times` as many rows."""
    degrees = _degrees(statistics)
    if isinstance(statistics, PairedEstimates):
        skewness = abs(statistics.skewness_of_contrast(factor)) / math.sqrt(times)
        bound = contrast_errors(confidence, degrees, min(skewness, 1.0))
    elif isinstance(statistics, PairedProportions):
        bound = quantile(confidence, degrees)
    else:
        bound = bound_errors(confidence, degrees, min(abs(skewness_of(statistics)) / math.sqrt(times), 1.0))
    return bound + quantile(power, degrees)


def standard_error(statistics: Evidence | Paired, factor: float = 1.0) -> float | Undecidable:
    """Return the standard error of the value, or of candidate − factor·baseline.

    Of paired proportions, the error if both were equally often right: the observed difference does not enter.
    """
    if isinstance(statistics, PairedProportions | Proportion) and not statistics.rows:
        return Undecidable(NO_ROWS)
    if isinstance(statistics, PairedProportions):
        either = (statistics.only_candidate + statistics.only_baseline) / statistics.rows
        both = statistics.both / statistics.rows
        mean = (1 - factor) * (both + either / 2)
        error = math.sqrt(max((1 - factor) ** 2 * both + (1 + factor**2) * either / 2 - mean**2, 0.0) / statistics.rows)
    elif isinstance(statistics, PairedEstimates):
        error = math.sqrt(statistics.variance_of_contrast(factor))
    elif isinstance(statistics, Proportion):
        share = statistics.successes / statistics.rows
        error = math.sqrt(share * (1 - share) / statistics.rows)
    else:
        error = statistics.standard_error
    return error if error > 0 else Undecidable(ZERO_VARIANCE)


def _degrees(statistics: Evidence | Paired) -> float | None:
    if isinstance(statistics, PairedProportions):
        return None
    if isinstance(statistics, PairedEstimates):
        return statistics.degrees_of_freedom
    return degrees_of_freedom(statistics)
