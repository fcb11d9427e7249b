"""How a slicing of the rows is written: a column, a column cut at edges, a cross of several.

carrier                       one slice for each value
distance:500,1000             below 500, from 500 to below 1000, from 1000
carrier × origin              one slice for each pair that occurs; also written ("carrier", "origin")
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from penstock.errors import InvalidValue

CROSS = " × "
SliceSpec = str | Sequence[str]


@dataclass(frozen=True)
class SlicePart:
    """A column and, where it is cut, the ascending edges at which it is."""

    column: str
    edges: tuple[float, ...] = ()

    def __str__(self) -> str:
        return self.column + (":" + ",".join(f"{edge:g}" for edge in self.edges) if self.edges else "")

    def interval(self, place: int) -> str:
        """Return how the slice of numbers below edge `place`, and not below the one before, is written."""
        if place == 0:
            return f"< {self.edges[0]:g}"
        if place == len(self.edges):
            return f">= {self.edges[-1]:g}"
        return f"[{self.edges[place - 1]:g}, {self.edges[place]:g})"


@dataclass(frozen=True)
class Slicing:
    """One way to cut all rows into slices; a row is in one slice of each. `str` is its stable name."""

    parts: tuple[SlicePart, ...]

    def __str__(self) -> str:
        return CROSS.join(str(part) for part in self.parts)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it needs."""
        return tuple(part.column for part in self.parts)


def read_slicing(given: object) -> Slicing:
    """Read a slicing as it is written above; `InvalidValue` for anything else.

    >>> str(read_slicing(("carrier", "distance:500,1000")))
    'carrier × distance:500,1000'
    """
    names = given.split(CROSS) if isinstance(given, str) else given
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) and name for name in names):
        raise InvalidValue("slices", given, "a column, a column with edges (distance:500,1000) or several crossed")
    parts = tuple(_read_part(name) for name in names)
    if len({part.column for part in parts}) != len(parts):
        raise InvalidValue("slices", given, "every column of a cross once")
    return Slicing(parts)


def _read_part(name: str) -> SlicePart:
    column, colon, text = name.rpartition(":")
    if not colon:
        return SlicePart(name)
    try:
        edges = tuple(float(edge) for edge in text.split(","))
    except ValueError:
        return SlicePart(name)  # a colon in a column's name
    if not all(math.isfinite(edge) for edge in edges) or any(a >= b for a, b in pairwise(edges)):
        raise InvalidValue(f"edges of slices by {column!r}", text, "finite numbers that ascend")
    return SlicePart(column, edges)
