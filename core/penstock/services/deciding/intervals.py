"""From what an evaluation stored to where a value may truly be: intervals, widened by the measurement's own error.

Without confidence a value is what it is, give or take its error bound. With confidence both ends are one-sided bounds
at that confidence; together they are the two-sided interval at level 2c − 1. What allows no bound is an `Objection`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeVar

from penstock.errors import InvalidValue
from penstock.services.deciding.bounds import Estimate, Exact, nearest_double, plain_number
from penstock.services.deciding.readings import Reading
from penstock.statistics import bounds as statistics
from penstock.statistics.evidence import (
    Bounds,
    Evidence,
    Paired,
    Undecidable,
    evidence_from_json,
    paired_from_json,
)
from penstock.statistics.paired import contrast, contrast_bounds
from penstock.statistics.power import POWER, rows_needed, smallest_difference

_T = TypeVar("_T")
# How far a stored estimate may be from the stored value: they are computed by different sums.
_ROUNDING = 1e-6
_MOST_TIMES = 1e6
_MOST_FACTOR = 1e9


@dataclass(frozen=True)
class Objection:
    """Why nothing can be said: a cause in one word and a sentence."""

    cause: str
    problem: str


@dataclass(frozen=True)
class Power:
    """What rows like these could tell, from the standard error, never from what was observed."""

    smallest_difference: float
    rows: int
    aim: float
    rows_for_aim: int
    power: float = POWER

    def __str__(self) -> str:
        return (
            f"these {self.rows:,} rows would tell {self.smallest_difference:.3g} with a chance of {self.power:.0%}; "
            f"{self.aim:.3g} would take about {self.rows_for_aim:,} rows"
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return dict(self.__dict__)


def estimate_of(reading: Reading, confidence: float | None) -> Estimate | Objection:
    """Return where a usable reading's true value is: at its own value, within its error, or in an interval."""
    error = _error_bound(reading)
    if isinstance(error, Objection):
        return error
    if confidence is None:
        return _within(Estimate.exactly(reading.label, reading.value), error)
    evidence = _evidence(reading, error)
    if isinstance(evidence, Objection):
        return evidence
    lower, upper = _bounds(evidence, confidence)
    for end in (lower, upper):
        if isinstance(end, Undecidable):
            return _no_bound(reading.label, end)
    ends = (lower, upper, statistics.method_of(evidence))
    return _interval(reading.label, reading.value, ends, confidence, error)


def contrast_estimate(
    candidate: Reading, baseline: Reading, factor: Exact, confidence: float, pair: str
) -> Estimate | Objection:
    """Return where candidate − factor·baseline truly is, from the paired statistics stored as `pair`."""
    ours, theirs = _error_bound(candidate), _error_bound(baseline)
    if isinstance(ours, Objection):
        return ours
    if isinstance(theirs, Objection):
        return theirs
    total = Fraction(ours) + abs(Fraction(factor)) * Fraction(theirs) if theirs else ours
    paired = paired_of(candidate, baseline, pair, nearest_double(total))
    if isinstance(paired, Objection):
        return paired
    weight = nearest_double(factor)
    if abs(weight) > _MOST_FACTOR:
        return Objection("no_evidence", f"a margin of so many percent of {baseline.label} has no interval")
    found = _contrast_bounds(paired, weight, confidence)
    of = "" if factor == 1 else f"{weight:g} of "
    label = f"{candidate.label} less {of}{baseline.label}"
    value = contrast(paired, weight)
    if isinstance(found, Undecidable) or value is None:
        return _no_bound(label, found if isinstance(found, Undecidable) else Undecidable(statistics.NO_ROWS))
    return _interval(label, value, found, confidence, total)


def power_of(
    reading: Reading, confidence: float, *, paired: Paired | None = None, factor: float = 1.0, aim: float | None = None
) -> Power | None:
    """Return the power statement at this confidence; None where there is no standard error to make it from.

    `aim` is the difference somebody wants to be told, such as a margin; without one, half of what these rows can tell.
    """
    known: Evidence | Paired | Objection = _evidence(reading, math.inf) if paired is None else paired
    rows = reading.rows
    if isinstance(known, Objection) or rows < 1:
        return None
    smallest = smallest_difference(known, confidence, factor=factor)
    if isinstance(smallest, Undecidable) or not math.isfinite(smallest):
        return None
    # A margin that no number of rows could tell is no aim.
    aimed = aim if aim and smallest < aim * _MOST_TIMES else smallest / 2
    needed = rows_needed(known, rows, aimed, confidence, factor=factor)
    return None if isinstance(needed, Undecidable) else Power(smallest, rows, aimed, needed)


def paired_of(candidate: Reading, baseline: Reading, pair: str, error: float = math.inf) -> Paired | Objection:
    """Return the paired statistics of a comparison, if they are there and are about these two values."""
    label = f"{candidate.label} and {baseline.label}"
    paired = _parsed(candidate, pair, paired_from_json)
    if paired is None:
        problem = f"{label} were measured without paired statistics, so confidence in their difference is unknown"
        return Objection("no_evidence", problem)
    if isinstance(paired, str):
        return Objection("bad_statistics", f"{label} have paired statistics that cannot be: {paired}")
    ours, theirs = (contrast(paired, 0.0), contrast(paired, 1.0))
    if ours is None or theirs is None:
        return Objection("too_few_rows", f"{label} were compared on no rows")
    if _agree(ours, candidate.value, error) and _agree(ours - theirs, baseline.value, error):
        return paired
    return Objection("bad_statistics", f"{label} have paired statistics of other values")


# A policy asks the same of the same numbers many times over, and the search for a flip many more.
@lru_cache(maxsize=4096)
def _bounds(evidence: Evidence, confidence: float) -> tuple[float | Undecidable, float | Undecidable]:
    return statistics.lower_bound(evidence, confidence), statistics.upper_bound(evidence, confidence)


@lru_cache(maxsize=4096)
def _contrast_bounds(paired: Paired, factor: float, confidence: float) -> Bounds | Undecidable:
    return contrast_bounds(paired, factor, confidence)


def _interval(
    label: str, value: float, found: tuple[Any, Any, str], confidence: float, error: Exact
) -> Estimate | Objection:
    lower, upper, method = found
    if not (math.isfinite(lower) and math.isfinite(upper)):
        return Objection("no_evidence", f"{label} has no finite interval at confidence {confidence:g}")
    low, high = sorted((lower, upper))
    how = {
        "confidence": confidence,
        "level": statistics.level_of(confidence),
        "method": method,
        "estimate": value,
    }
    words = f"with confidence {confidence:.10g} on each side ({method})"
    return _within(Estimate(label, value, low, high, how, words), error)


def _within(estimate: Estimate, error: Exact) -> Estimate:
    if not error and not estimate.how:
        return estimate
    how, given, lower, upper = dict(estimate.how), estimate.given, estimate.lower, estimate.upper
    if error:
        how["error_bound"] = plain_number(error)
        given = ", ".join(part for part in (given, f"give or take {nearest_double(error):.4g}") if part)
        lower, upper = Fraction(lower) - Fraction(error), Fraction(upper) + Fraction(error)
    how["interval"] = {"lower": plain_number(lower), "upper": plain_number(upper)}
    return Estimate(estimate.label, estimate.value, lower, upper, how, given)


def _error_bound(reading: Reading) -> float | Objection:
    given = reading.stats.get("error_bound", 0.0)
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given) or given < 0:
        return Objection("bad_statistics", f"{reading.label} has the error bound {given!r}, which cannot be")
    return given


def _evidence(reading: Reading, error: float) -> Evidence | Objection:
    evidence = _parsed(reading, "evidence", evidence_from_json)
    if evidence is None:
        because = reading.stats.get("unbounded")
        problem = f"{reading.label} was measured without statistics that bound it, so confidence in it is unknown"
        return Objection("no_evidence", f"{problem}: {because}" if isinstance(because, str) else problem)
    if isinstance(evidence, str):
        return Objection("bad_statistics", f"{reading.label} has statistics that cannot be: {evidence}")
    value = evidence.value
    if value is None:
        return Objection("too_few_rows", f"{reading.label} was measured on no rows")
    if _agree(value, reading.value, error):
        return evidence
    return Objection("bad_statistics", f"{reading.label} is {reading.value:g}, but its statistics are of {value:g}")


def _parsed(reading: Reading, name: str, read: Callable[[Mapping[str, Any]], _T]) -> _T | str | None:
    """Return what was stored as `name`, read once; None if nothing was, and a text that says why it cannot be."""
    if name not in reading.parsed:
        stored = reading.stats.get(name)
        try:
            reading.parsed[name] = read(stored) if isinstance(stored, Mapping) else None
        except InvalidValue as problem:
            reading.parsed[name] = str(problem)
    known: _T | str | None = reading.parsed[name]
    return known


def _agree(one: float, other: float, error: float) -> bool:
    return abs(one - other) <= error + _ROUNDING * max(1.0, abs(one), abs(other))


def _no_bound(label: str, why: Undecidable) -> Objection:
    # What is not without variance is without enough rows, of a class or at all.
    cause = "zero_variance" if why.cause == statistics.ZERO_VARIANCE else "too_few_rows"
    return Objection(cause, f"{label} has no bound: {why.cause}")


def forget_statistics() -> None:
    """Forget the bounds that were kept: for measuring what they cost."""
    _bounds.cache_clear()
    _contrast_bounds.cache_clear()
