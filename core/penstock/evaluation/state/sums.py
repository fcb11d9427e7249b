"""Sums by group that are the same to the last bit in whatever order and parts the rows come.

Each number is cut at fixed places into words of 32 bits (a word is an exact multiple of its unit, a power of two); sums
of words are exact in doubles and integers, so only their set matters. What lies below the last word is dropped: with
three words at most 2⁻⁶⁴ of the largest number, or 2⁻⁹⁹². After Demmel and Nguyen, "Parallel Reproducible Summation",
IEEE Transactions on Computers 64 (2015).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.evaluation.room import Room
from penstock.evaluation.sharing import shared
from penstock.evaluation.state.groups import GroupCodes, grown

Floats = NDArray[np.float64]

_BITS = 32
_WORDS = 3
_LOWEST, _HIGHEST = -28, 30  # levels whose units are ordinary doubles
LARGEST = 2.0 ** (_BITS * _HIGHEST - 1)
_CHUNK = 16_384  # rows whose words stay in the processor's cache
_ROOM = 53 - _BITS - 14  # bits beyond a word's own with which the sum of a chunk of them is still exact


class GroupSums:
    """Exact sums of named per-row quantities, by group: `update`, `merge`, then `total`.

    `words` of 32 bits are kept of each number: two are enough for what needs 9 digits.
    `bounded`: all numbers whose sums matter are below 2³¹, so that what is carried into a word is never cut off there.
    A row whose quantity is not finite (or beyond 2⁹⁵⁹) is counted in `lost` instead of being summed.
    """

    def __init__(self, quantities: Sequence[str], words: int = _WORDS, *, bounded: bool = False) -> None:
        self.quantities = tuple(quantities)
        self._bounded = bounded
        self._per_number = words
        self._places = {name: place for place, name in enumerate(self.quantities)}
        self._levels = np.full(len(self.quantities), _LOWEST, dtype=np.int64)
        self._words = np.zeros((1, len(self.quantities), words), dtype=np.int64)
        self._lost = np.zeros((1, len(self.quantities)), dtype=np.int64)
        self._rooms = Room(), Room()

    def update(self, values: Mapping[str, Floats], groups: GroupCodes) -> None:
        """Add one value per row of every quantity, each an array of shape (rows,)."""
        self._grow(groups.size)
        rows = groups.rows
        if rows == 0 or not self.quantities:
            return
        columns: dict[int, Floats] = {}
        largests: dict[int, float] = {}
        for place, name in enumerate(self.quantities):
            column = values[name]
            largest = _largest(column)
            if not largest < LARGEST:
                usable = np.abs(column) < LARGEST
                self._lost[:, place] += groups.counts(~usable)
                column = np.where(usable, column, 0.0)
                largest = _largest(column)
            if largest > 0:  # zeros add nothing
                columns[place], largests[place] = column, largest
                self._raise_level(place, _level(largest))
        thin = [place for place in columns if self._is_thin(place, largests[place])]
        self._sum({place: column for place, column in columns.items() if place not in thin}, groups, 0)
        self._sum({place: columns[place] for place in thin}, groups, 1)

    def _is_thin(self, place: int, largest: float) -> bool:
        """Whether so few bits of the first word are used that the next one has room for them."""
        return self._bounded and self._levels[place] == 1 and largest < 2.0**_ROOM

    def _sum(self, columns: Mapping[int, Floats], groups: GroupCodes, first: int) -> None:
        """Add the columns by place, cut into the words from `first` on: what is before it is carried there."""
        if not columns:
            return
        summed, chunk = list(columns), min(_CHUNK, groups.rows)
        exponents = _BITS * (self._levels[summed] - 1 - np.arange(first, self._per_number)[:, None])
        rounders = np.ldexp(1.5, 52 + exponents)[:, :, None]
        scales = np.ldexp(1.0, -exponents)

        def of_parts(parts: Sequence[slice], share: int) -> NDArray[np.int64]:
            room, shape = self._rooms[share], (*exponents.shape, chunk)
            words = room.take("words", math.prod(shape), np.float64).reshape(shape)
            rest = room.take("rest", len(columns) * chunk, np.float64).reshape(len(columns), chunk)
            found = np.zeros((groups.combinations, *exponents.shape), dtype=np.int64)
            for part in parts:
                size = part.stop - part.start
                for row, column in enumerate(columns.values()):
                    rest[row, :size] = column[part]
                self._cut(rest[:, :size], rounders, words[:, :, :size])
                sums = groups.combined(words[:, :, :size].reshape(-1, size), part)
                found += (sums.reshape(found.shape) * scales).astype(np.int64)
            return found

        starts = range(0, groups.rows, chunk)
        parts = [slice(start, min(start + chunk, groups.rows)) for start in starts]
        for found in shared(of_parts, parts, groups.rows):
            self._words[:, summed, first:] += groups.of_combinations(found).swapaxes(1, 2)

    def _cut(self, rest: Floats, rounders: Floats, words: Floats) -> None:
        """Cut each number of `rest`, which is used up, into `words`: each a whole multiple of its unit."""
        for word, rounder in zip(words[:-1], rounders[:-1], strict=True):
            np.add(rest, rounder, out=word)
            word -= rounder
            rest -= word
        np.add(rest, rounders[-1], out=words[-1])
        words[-1] -= rounders[-1]

    def _raise_level(self, place: int, level: int) -> None:
        step = level - int(self._levels[place])
        if step > 0:
            moved = np.zeros_like(self._words[:, place])
            if step < self._per_number:
                moved[:, step:] = self._words[:, place, : self._per_number - step]
            self._words[:, place] = moved
            self._levels[place] = level

    def merge(self, other: GroupSums, places: NDArray[np.intp], size: int) -> None:
        """Add another's sums; its group g is group `places[g]` of the `size` groups here."""
        self._grow(size)
        for place in range(len(self.quantities)):
            self._raise_level(place, int(other._levels[place]))
            other._raise_level(place, int(self._levels[place]))
        np.add.at(self._words, places, other._words)
        np.add.at(self._lost, places, other._lost)

    def total(self, quantity: str) -> Floats:
        """Return the sum of `quantity` in each group as a double; NaN where a row was lost."""
        place = self._places[quantity]
        words = self._words[:, place].copy()
        for word in range(self._per_number - 1, 0, -1):  # carry, so that one sum has one form
            words[:, word - 1] += words[:, word] >> _BITS
            words[:, word] &= 2**_BITS - 1
        total = np.zeros(len(words))
        for word in range(self._per_number):
            total += words[:, word] * 2.0 ** int(_BITS * (self._levels[place] - 1 - word))
        return np.where(self._lost[:, place] > 0, np.nan, total)

    def exact(self, quantity: str, group: int) -> Fraction:
        """Return the sum in one group as it stands, unrounded."""
        place = self._places[quantity]
        total = 0
        for word in self._words[group, place].tolist():
            total = (total << _BITS) + word
        bits = _BITS * (int(self._levels[place]) - self._per_number)
        return Fraction(total << bits) if bits >= 0 else Fraction(total, 1 << -bits)

    def lost(self, quantity: str) -> NDArray[np.int64]:
        """Return how many rows of each group had no finite value."""
        found: NDArray[np.int64] = self._lost[:, self._places[quantity]]
        return found

    def _grow(self, size: int) -> None:
        self._words, self._lost = grown(self._words, size), grown(self._lost, size)

    def pack(self) -> dict[str, Any]:
        """Return the state as arrays."""
        return {"levels": self._levels, "words": self._words, "lost": self._lost}

    def unpack(self, packed: Mapping[str, Any]) -> None:
        """Take the state of `pack`."""
        self._levels, self._words, self._lost = packed["levels"], packed["words"], packed["lost"]


def _largest(column: Floats) -> float:
    """Return the largest magnitude, NaN if there is a NaN."""
    return max(float(column.max()), -float(column.min()))


def _level(largest: float) -> int:
    """Return the lowest level that holds numbers up to `largest`: |x| < 2^(32 level − 1).

    Below half of the next unit, so that a number has the same words whichever level it is cut at.
    """
    if largest == 0:
        return _LOWEST
    _, exponent = np.frexp(largest)
    return max(_LOWEST, -(-(int(exponent) + 1) // _BITS))


def squares(values: Floats, weights: Floats | None = None) -> tuple[Floats, Floats]:
    """Return (high, low) with high + low = weights · values² to about twice the precision of a double.

    So that a variance can be taken from sums of squares without cancellation. Veltkamp's splitting and Dekker's
    product, Numerische Mathematik 18 (1971).
    """
    high, low = product(values, values)
    if weights is None:
        return high, low
    weighted, rest = product(high, weights)
    return weighted, rest + low * weights


def product(one: Floats, other: Floats) -> tuple[Floats, Floats]:
    """Return (high, low) with high + low = one · other exactly."""
    one_high, one_low = _split(one)
    other_high, other_low = (one_high, one_low) if other is one else _split(other)
    with np.errstate(over="ignore", invalid="ignore"):
        high = one * other
        low = one_low * other_low - (((high - one_high * other_high) - one_low * other_high) - one_high * other_low)
    return high, np.where(np.isfinite(low), low, 0.0)


def _split(values: Floats) -> tuple[Floats, Floats]:
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = values * 134_217_729.0  # 2^27 + 1
        high = scaled - (scaled - values)
    return high, values - high
