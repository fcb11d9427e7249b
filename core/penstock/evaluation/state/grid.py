"""Counts of rows in cells of a grid that finds its own width: for plots, mergeable, the same in any order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Cells = NDArray[np.int64]
_LOWEST = -1000


class Grid:
    """Weighted rows by cell, in one or more dimensions; cell i of one that is 2^e wide holds [i·2^e, (i+1)·2^e).

    Each dimension's cells are as narrow as lets at most `most` of them reach from its smallest value to its largest, a
    matter of these two alone. Rows with a value that is not finite are counted as `lost`.
    """

    def __init__(self, dimensions: int, most: int) -> None:
        self._most = most
        self._low, self._high = np.full(dimensions, math.inf), np.full(dimensions, -math.inf)
        self.exponents = np.full(dimensions, _LOWEST, dtype=np.int64)
        self.cells: Cells = np.zeros((0, dimensions), dtype=np.int64)
        self.counts: Floats = np.zeros(0)
        self.lost = 0

    def update(self, values: Sequence[Floats], weights: Floats | None = None) -> None:
        """Add rows: one array of values for each dimension."""
        table = np.column_stack([np.asarray(column, dtype=np.float64) for column in values])
        finite = np.isfinite(table).all(axis=1)
        self.lost += int(np.count_nonzero(~finite))
        table = table[finite]
        if len(table):
            self._reach(table.min(axis=0), table.max(axis=0))
            added = np.floor(np.ldexp(table, -self.exponents)).astype(np.int64)
            self._add(added, np.ones(len(table)) if weights is None else weights[finite])

    def merge(self, other: Grid) -> None:
        """Add another's rows."""
        self.lost += other.lost
        if len(other.cells):
            self._reach(other._low, other._high)
            self._add(other.cells >> (self.exponents - other.exponents), other.counts)

    def _reach(self, low: Floats, high: Floats) -> None:
        self._low, self._high = np.minimum(self._low, low), np.maximum(self._high, high)
        wider = np.array([_exponent(*ends, self._most) for ends in zip(self._low, self._high, strict=True)])
        if len(self.cells) and (wider > self.exponents).any():
            held, self.cells, counts = self.cells >> (wider - self.exponents), self.cells[:0], self.counts
            self.counts = counts[:0]
            self.exponents = wider
            self._add(held, counts)
        self.exponents = wider

    def _add(self, cells: Cells, counts: Floats) -> None:
        both = np.concatenate([self.cells, cells])
        self.cells, places = np.unique(both, axis=0, return_inverse=True)
        summed: Floats = np.bincount(places.ravel(), np.concatenate([self.counts, counts])).astype(np.float64)
        self.counts = summed

    def window(self, dimension: int, share: float = 0.99) -> tuple[int, int]:
        """Return the first and last cell between which the middle `share` of the rows lies."""
        order = np.argsort(self.cells[:, dimension], kind="stable")
        reached = np.cumsum(self.counts[order]) / self.counts.sum()
        first, last = np.searchsorted(reached, [(1 - share) / 2, (1 + share) / 2]).clip(0, len(order) - 1)
        places = self.cells[order, dimension]
        return int(places[first]), int(places[last])

    def pack(self) -> dict[str, Any]:
        """Return the state as arrays."""
        names = ("_low", "_high", "exponents", "cells", "counts", "lost")
        return {name.strip("_"): getattr(self, name) for name in names}

    def unpack(self, packed: Mapping[str, Any]) -> None:
        """Take the state of `pack`."""
        self._low, self._high, self.exponents = packed["low"], packed["high"], packed["exponents"]
        self.cells, self.counts, self.lost = packed["cells"], packed["counts"], int(packed["lost"])


def _exponent(low: float, high: float, most: int) -> int:
    """Return the least exponent whose cells are few enough from `low` to `high`, and whose numbers fit 53 bits."""
    found = math.frexp(max(abs(low), abs(high)))[1] - 50
    if high > low:
        found = max(found, math.frexp((high - low) / most)[1] - 1)
    while math.floor(math.ldexp(high, -found)) - math.floor(math.ldexp(low, -found)) >= most:
        found += 1
    return found
