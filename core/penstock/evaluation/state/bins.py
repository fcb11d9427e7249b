"""Bins of scores that are prefixes of the ordered bits of a double, fixed before any row is seen.

Every octave has the same number of bins, so rare scores near 0 are told apart as well as common ones; scores above one
half are binned by their distance from 1, so that those near 1 are, too. Scores nearer than 2⁻⁴⁰ to 0 (or to 1) share a
bin, and so do those beyond ±2⁴⁰.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.int64]
Prefixes = NDArray[np.int32]
Floats = NDArray[np.float64]

_MANTISSA = 52
_CHUNK = 16_384  # rows whose numbers stay in the processor's cache
_MAGNITUDE = np.int64(2**63 - 1)
_TINY, _HUGE = 2.0**-40, 2.0**40
# Magnitudes are numbered from here: their ordered bits then leave room for twice the range.
_BASE = np.float64(_TINY / 2).view(np.int64)
_HALF = np.float64(0.5).view(np.int64) - _BASE
_FIRST = np.float64(_TINY).view(np.int64) - _BASE  # what is less is 0


def ordered_keys(scores: NDArray[np.floating[Any]]) -> Keys:
    """Return integers in the order of the (finite) scores: the bits of a double as a whole number."""
    keys = np.empty(len(scores), dtype=np.int64)
    for start in range(0, len(scores), _CHUNK):
        keys[start : start + _CHUNK] = _keys_of(scores[start : start + _CHUNK])
    return keys


def _keys_of(scores: NDArray[np.floating[Any]]) -> Keys:
    values = scores.astype(np.float64)
    upper = values > 0.5
    if values.min() >= 0.0 and values.max() <= 1.0:  # probabilities: the distance from the nearer end
        nearer = np.minimum(values, np.subtract(1.0, values)) + 0.0  # -0.0 is 0
        ordered = nearer.view(np.int64)
        ordered -= _BASE
        if int(ordered.min()) < _FIRST:
            ordered[ordered < _FIRST] = 0
        ordered -= _HALF  # below one half it is what is missing, above it what has been passed
        np.negative(ordered, out=ordered, where=upper)
        ordered += _HALF
        return ordered
    values = np.where(upper, 1.0 - values, values)
    values[np.abs(values) < _TINY] = 0.0
    bits = np.clip(values, -_HUGE, _HUGE).view(np.int64)
    ordered = np.where(bits < 0, _BASE - (bits & _MAGNITUDE), np.where(bits > 0, bits - _BASE, 0))
    ordered[values == 0] = 0
    return np.where(upper, 2 * _HALF - ordered, ordered)


def prefixes(scores: NDArray[np.floating[Any]], bits: int) -> Prefixes:
    """Return `ordered_keys(scores)` without all but the first `bits` bits of the mantissa."""
    found = np.empty(len(scores), dtype=np.int32)
    for start in range(0, len(scores), _CHUNK):
        found[start : start + _CHUNK] = _prefixes_of(scores[start : start + _CHUNK], bits)
    return found


def _prefixes_of(scores: NDArray[np.floating[Any]], bits: int) -> Any:
    shift = _MANTISSA - bits
    values = scores.astype(np.float64, copy=False)
    nearer = np.subtract(1.0, values)
    np.minimum(values, nearer, out=nearer)
    least = nearer.min()
    if not least >= 0.0:  # no probabilities
        return _keys_of(scores) >> shift
    if least < _TINY:
        np.maximum(nearer, _TINY / 2, out=nearer)  # whose key is 0
        nearer[nearer < _TINY] = _TINY / 2
    upper = values > 0.5
    # Above one half a key is 2 _HALF - k, of which the prefix is ~((k - 1) >> shift) + (2 _HALF >> shift); a prefix of
    # bits fits in half of a word.
    ordered = nearer.view(np.uint64)
    ordered -= upper
    ordered >>= np.uint64(shift)
    found = ordered.astype(np.int32)
    found -= np.int32(_BASE >> shift)
    turned = -upper.view(np.int8).astype(np.int32)
    found ^= turned
    turned &= np.int32(2 * _HALF >> shift)
    found += turned
    return found


def magnitude_prefixes(values: NDArray[np.floating[Any]], bits: int) -> Prefixes:
    """Return `magnitude_keys(values)` without all but the first `bits` bits of the mantissa."""
    return (magnitude_keys(values) >> (_MANTISSA - bits)).astype(np.int32)


def magnitude_keys(values: NDArray[np.floating[Any]]) -> Keys:
    """Return integers in the order of numbers ≥ 0, over their whole range: a bin has a fixed relative width."""
    found: Keys = (values.astype(np.float64) + 0.0).view(np.int64)
    return found


def magnitudes_at(keys: Keys) -> Floats:
    """Inverse of `magnitude_keys`."""
    found: Floats = keys.view(np.float64)
    return found


def scores_at(keys: Keys) -> Floats:
    """Inverse of `ordered_keys`."""
    upper = keys > _HALF
    ordered = np.where(upper, 2 * _HALF - keys, keys)
    values = np.where(ordered == 0, 0, np.abs(ordered) + _BASE).view(np.float64)
    values = np.where(ordered < 0, -values, values)
    return np.where(upper, 1.0 - values, values)


class Counted(NamedTuple):
    """Some rows: prefixes of their scores, kinds, weights (None: all count once) and groups (None: all in group 0)."""

    prefixes: Prefixes
    kinds: NDArray[np.integer[Any]]
    weights: Floats | None
    codes: NDArray[np.integer[Any]] | None = None


class ScoreBins:
    """Counts (or weights) of scores by group, bin and kind (a label, say): `update`, `merge`, then `cells`.

    Memory follows the octaves that occur, at most some 200: groups × octaves × 2^bits × kinds numbers of 8 bytes.
    """

    def __init__(self, bits: int, kinds: int, weighted: bool, at: Callable[[Keys], Floats] = scores_at) -> None:
        self.bits, self._kinds, self._at = bits, kinds, at
        self._type = np.float64 if weighted else np.int64
        self._pages = np.zeros(0, dtype=np.int64)
        self._first, self._table = 0, np.zeros(0, dtype=np.int64)  # the place of each page from the first one on
        self._counts: NDArray[Any] = np.zeros((1, 0, 2**bits, kinds), dtype=self._type)

    def update(self, parts: Sequence[Counted], size: int = 1) -> None:
        """Count rows by the prefixes of `self.bits` bits of their scores, in groups below `size`."""
        parts = [part for part in parts if len(part.prefixes)]
        if not parts:
            return
        self._know(parts, size)
        places = np.empty(sum(len(part.prefixes) for part in parts), dtype=np.intp)
        done = 0
        for part in parts:
            for start in range(0, len(part.prefixes), _CHUNK):
                here = self._places(part, slice(start, start + _CHUNK))
                places[done : done + len(here)] = here
                done += len(here)
        weights = None if parts[0].weights is None else np.concatenate([part.weights for part in parts])
        self._counts += np.bincount(places, weights, minlength=self._counts.size).reshape(self._counts.shape)

    def _places(self, part: Counted, rows: slice) -> Any:
        """Return the cell of each row."""
        places: Any = part.prefixes[rows]
        if len(self._table) == len(self._pages):  # one after the other
            places = places - np.int32(self._first << self.bits)
        else:
            jumps = (self._table << self.bits) - (np.arange(self._first, self._first + len(self._table)) << self.bits)
            places = places + jumps[(places >> self.bits) - self._first]
        if part.codes is not None:
            places = places + part.codes[rows] * np.intp(len(self._pages) << self.bits)
        if self._kinds > 1:
            places *= self._kinds
            places += part.kinds[rows]
        return places

    def _know(self, parts: Sequence[Counted], size: int) -> None:
        """Make room for the octaves of all rows and for `size` groups."""
        found = []
        for part in parts:
            lowest, highest = int(part.prefixes.min()) >> self.bits, int(part.prefixes.max()) >> self.bits
            last = self._first + len(self._table) - 1
            known = len(self._pages) > 0 and self._first <= lowest and highest <= last
            if not known or (self._table[lowest - self._first : highest - self._first + 1] < 0).any():
                found.append(np.flatnonzero(np.bincount((part.prefixes >> self.bits) - lowest)) + lowest)
        self._grow(np.concatenate([self._pages, *found]), size)

    def merge(self, other: ScoreBins, places: NDArray[np.intp], size: int) -> None:
        """Add another's counts; its group g is group `places[g]` of the `size` groups here."""
        self._grow(other._pages, size)
        columns = np.searchsorted(self._pages, other._pages)
        for group, place in enumerate(places[: len(other._counts)].tolist()):
            self._counts[place, columns] += other._counts[group]

    def _grow(self, pages: Keys, size: int) -> None:
        known = np.union1d(self._pages, pages)
        groups = max(size, len(self._counts))
        if len(known) == len(self._pages) and groups == len(self._counts):
            return
        counts = np.zeros((groups, len(known), 2**self.bits, self._kinds), dtype=self._type)
        counts[: len(self._counts), np.searchsorted(known, self._pages)] = self._counts
        self._pages, self._counts = known, counts
        self._number_pages()

    def _number_pages(self) -> None:
        self._first = int(self._pages[0]) if len(self._pages) else 0
        self._table = np.full(int(self._pages[-1]) - self._first + 1 if len(self._pages) else 0, -1, dtype=np.int64)
        self._table[self._pages - self._first] = np.arange(len(self._pages))

    def cells(self, group: int) -> tuple[Floats, NDArray[Any]]:
        """Return the middles of a group's occupied bins, ascending, and its counts, of shape (bins, kinds)."""
        if group >= len(self._counts):
            return np.zeros(0), np.zeros((0, self._kinds), dtype=self._type)
        counts = self._counts[group].reshape(-1, self._kinds)
        occupied = np.flatnonzero(counts.any(axis=1))
        short = (self._pages[occupied >> self.bits] << self.bits) | (occupied & (2**self.bits - 1))
        shift = _MANTISSA - self.bits
        middle = (short << shift) + (np.int64(1) << (shift - 1))
        return self._at(np.where(short == 0, 0, middle)), counts[occupied]

    def pack(self) -> dict[str, Any]:
        """Return the state as arrays, occupied bins only."""
        flat = self._counts.reshape(-1)
        occupied = np.flatnonzero(flat)
        return {"pages": self._pages, "groups": len(self._counts), "occupied": occupied, "counts": flat[occupied]}

    def unpack(self, packed: Mapping[str, Any]) -> None:
        """Take the state of `pack`."""
        self._pages = packed["pages"]
        shape = (int(packed["groups"]), len(self._pages), 2**self.bits, self._kinds)
        self._counts = np.zeros(shape, dtype=self._type)
        self._counts.reshape(-1)[packed["occupied"]] = packed["counts"]
        self._number_pages()
