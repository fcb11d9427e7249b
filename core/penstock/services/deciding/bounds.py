"""Bounds in exact rationals, and the sentences that say how far a value is from one.

Doubles are compared as the rationals they are: a margin added in floating point would round, and a tie would fall on
either side by chance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from penstock.model.runs import split_value


class Side(StrEnum):
    """On which side of a bound a value must be; ABOVE and BELOW do not take a tie."""

    AT_LEAST = "at least"
    AT_MOST = "at most"
    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True)
class Bound:
    """Where a value must be. `origin` says where the bound came from, if it was computed (`champion's 0.7 …`)."""

    side: Side
    exact: Fraction
    origin: str = ""

    def admits(self, value: float) -> bool:
        """Whether `value` is on the right side; a value that is not finite never is."""
        if self.side is Side.AT_LEAST:
            return math.isfinite(value) and Fraction(value) >= self.exact
        if self.side is Side.AT_MOST:
            return math.isfinite(value) and Fraction(value) <= self.exact
        if self.side is Side.ABOVE:
            return math.isfinite(value) and Fraction(value) > self.exact
        return math.isfinite(value) and Fraction(value) < self.exact

    def distance(self, value: float) -> Fraction:
        """How far a finite `value` is inside the bound; negative: by how much it misses."""
        inside = Fraction(value) - self.exact
        return inside if self.side in {Side.AT_LEAST, Side.ABOVE} else -inside

    def sentence(self, label: str, value: float) -> str:
        """Say in one sentence whether `value` holds, and how far it is from the other verdict."""
        bound, away = nearest_double(self.exact), abs(self.distance(value))
        shown, limit = show(value, bound), show(bound, value)
        where = f"{self.side.value} {limit}" + (f", which is {self.origin}" if self.origin else "")
        if self.admits(value):
            holds = f"holds by {show_distance(away)}" if away else "a tie, which passes"
            return f"{label} is {shown} and must be {where}: {holds}"
        misses = f"misses by {show_distance(away)}" if away else "a tie, which is not enough"
        return f"{label} is {shown} but must be {where}: {misses}"


def nearest_double(exact: Fraction) -> float:
    """Return the double nearest to `exact`; infinity where it is beyond all doubles."""
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def plain_number(exact: Fraction) -> float | str:
    """Return `exact` as a finite JSON number, or its kind where no double can hold it."""
    kind, value = split_value(nearest_double(exact))
    return kind.value if value is None else value


def show(number: float, against: float) -> str:
    """Return `number` in six digits, or as many as it takes to tell it from `against`."""
    for digits in range(6, 17):
        text = f"{number:.{digits}g}"
        if number == against or text != f"{against:.{digits}g}":
            return text
    return f"{number:.17g}"


def show_distance(exact: Fraction) -> str:
    """Return a distance in four digits, never as zero: below the smallest double it is said to be so."""
    number = nearest_double(exact)
    return f"{number:.4g}" if number else "less than any double"
