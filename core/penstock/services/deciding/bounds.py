"""Bounds without rounding, and the sentences that say how far a value or an interval is from one.

Doubles are compared as the rationals they are: a margin added in floating point would round, and a tie would fall on
either side by chance. A number that is a double stays one, for comparing two is exact, and quick; what is computed is a
`Fraction`, which Python compares with doubles exactly, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType
from typing import Any, NamedTuple

from penstock.model.decisions import Outcome
from penstock.model.runs import split_value

Exact = float | Fraction


class Side(StrEnum):
    """On which side of a bound a value must be; ABOVE and BELOW do not take a tie."""

    AT_LEAST = "at least"
    AT_MOST = "at most"
    ABOVE = "above"
    BELOW = "below"


class Estimate(NamedTuple):
    """What is held against a bound: a value, and between which ends it may truly be.

    Without statistics both ends are the value itself. `how` is the plain JSON about the interval (confidence, method,
    error bound), `given` the same in words.
    """

    label: str
    value: float
    lower: Exact
    upper: Exact
    how: Mapping[str, Any] = MappingProxyType({})
    given: str = ""

    @classmethod
    def exactly(cls, label: str, value: float) -> Estimate:
        """Return a value that is what it is."""
        return cls(label, value, value, value)

    @property
    def ends(self) -> tuple[float, float]:
        """The doubles nearest to `lower` and `upper`."""
        return nearest_double(self.lower), nearest_double(self.upper)

    @property
    def is_point(self) -> bool:
        """Whether the value is known exactly."""
        return self.lower == self.upper


class Bound(NamedTuple):
    """Where a value must be. `origin` says where the bound came from, if it was computed (`champion's 0.7 …`).

    Values within `tolerance` of it tie with it.
    """

    side: Side
    exact: Exact
    origin: str = ""
    tolerance: float = 0.0

    def admits(self, value: Exact) -> bool:
        """Whether `value` is on the right side."""
        if self.side is Side.AT_LEAST:
            return value >= self._limit
        if self.side is Side.AT_MOST:
            return value <= self._limit
        return value > self._limit if self.side is Side.ABOVE else value < self._limit

    def judge(self, estimate: Estimate) -> Judgement:
        """Wholly inside passes, wholly outside fails, anything between is undecidable."""
        upwards = self.side in _UPWARDS
        worst, best = (estimate.lower, estimate.upper) if upwards else (estimate.upper, estimate.lower)
        if self.admits(worst):
            outcome, end = Outcome.PASSED, worst
        elif worst is not best and self.admits(best):
            outcome, end = Outcome.UNDECIDABLE, worst
        else:
            outcome, end = Outcome.FAILED, best
        inside = difference(end, self._limit) if upwards else difference(self._limit, end)
        return Judgement(self, estimate, outcome, inside)

    @property
    def _limit(self) -> Exact:
        """The last value that is inside (or, for ABOVE and BELOW, that no longer is)."""
        if not self.tolerance:
            return self.exact
        exact, tolerance = Fraction(self.exact), Fraction(self.tolerance)
        return exact - tolerance if self.side in {Side.AT_LEAST, Side.BELOW} else exact + tolerance


_UPWARDS = (Side.AT_LEAST, Side.ABOVE)


class Judgement(NamedTuple):
    """What a bound says of an estimate.

    `distance` is how far inside the end is that decides: of an interval the worst end, or, where even the best one
    misses, that. Negative: by how much it misses.
    """

    bound: Bound
    estimate: Estimate
    outcome: Outcome
    distance: Exact

    @property
    def sentence(self) -> str:
        """Say in one sentence whether the estimate holds, and how far it is from the other verdict."""
        estimate, exact, tolerance = self.estimate, self.bound.exact, self.bound.tolerance
        bound, away = nearest_double(exact), show_distance(self.distance)
        shown, limit = show(estimate.value, bound), show(bound, estimate.value)
        where = f"{self.bound.side.value} {limit}" + (f", which is {self.bound.origin}" if self.bound.origin else "")
        if not estimate.is_point:
            return self._sentence_of_interval(shown, where, away)
        ties = not self.distance or (tolerance and abs(Fraction(estimate.lower) - Fraction(exact)) <= tolerance)
        within = f" within {tolerance:g}" if tolerance else ""
        if self.outcome is Outcome.PASSED:
            holds = f"a tie{within}, which passes" if ties else f"holds by {away}"
            return f"{estimate.label} is {shown} and must be {where}: {holds}"
        misses = f"a tie{within}, which is not enough" if ties else f"misses by {away}"
        return f"{estimate.label} is {shown} but must be {where}: {misses}"

    def _sentence_of_interval(self, shown: str, where: str, away: str) -> str:
        estimate = self.estimate
        lower, upper = estimate.ends
        seen = f"{estimate.label} is {shown}, {estimate.given}: {show(lower, upper)} to {show(upper, lower)}"
        if self.outcome is Outcome.PASSED:
            return f"{seen}, and must be {where}: the whole interval holds, by {away}"
        if self.outcome is Outcome.FAILED:
            return f"{seen}, but must be {where}: the whole interval misses, by {away}"
        end = "lower" if self.bound.side in _UPWARDS else "upper"
        return f"{seen}, and must be {where}, which lies inside the interval: its {end} end misses by {away}"


def difference(one: Exact, other: Exact) -> Exact:
    """Return one − other: of doubles as the nearest double, which is 0 only where they are equal."""
    if isinstance(one, float) and isinstance(other, float):
        return one - other
    return Fraction(one) - Fraction(other)


def nearest_double(exact: Exact) -> float:
    """Return the double nearest to `exact`, never the negative zero; infinity where it is beyond all doubles."""
    if isinstance(exact, float):
        return exact + 0.0
    try:
        return exact.numerator / exact.denominator
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def plain_number(exact: Exact) -> float | str:
    """Return `exact` as a finite JSON number, or its kind where no double can hold it."""
    kind, value = split_value(nearest_double(exact))
    return kind.value if value is None else value


def show(number: float, against: float) -> str:
    """Return `number` in six digits, or as many as it takes to tell it from `against`."""
    text = f"{number:.6g}"
    if number == against or text != f"{against:.6g}":
        return text
    for digits in range(7, 17):
        text = f"{number:.{digits}g}"
        if text != f"{against:.{digits}g}":
            return text
    return f"{number:.17g}"


def show_distance(exact: Exact) -> str:
    """Return how far it is, in four digits, never as zero: below the smallest double it is said to be so."""
    number = abs(nearest_double(exact))
    return f"{number:.4g}" if number else ("less than any double" if exact else "0")
