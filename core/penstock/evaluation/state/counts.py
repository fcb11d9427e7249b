"""Counts of rows and sums of weights in cells (a confusion matrix, ranks), by group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.evaluation.state.groups import GroupCodes, grown


class CellCounts:
    """Rows, weights and squared weights in `cells` cells of each group. Without weights all three are the rows."""

    def __init__(self, cells: int, weighted: bool) -> None:
        self.rows: NDArray[np.int64] = np.zeros((1, cells), dtype=np.int64)
        self._weight = np.zeros((1, cells)) if weighted else None
        self._squared = np.zeros((1, cells)) if weighted else None

    @property
    def weight(self) -> NDArray[Any]:
        """The weight in each cell, of shape (groups, cells)."""
        return self.rows if self._weight is None else self._weight

    @property
    def squared(self) -> NDArray[Any]:
        """The sum of squared weights in each cell."""
        return self.rows if self._squared is None else self._squared

    def update(self, cells: NDArray[np.intp], weights: NDArray[np.float64] | None, groups: GroupCodes) -> None:
        """Count each row in its cell."""
        size = self.rows.shape[1]
        self._grow(groups.size)
        self.rows += groups.cells(cells, size)
        if self._weight is not None and self._squared is not None and weights is not None:
            self._weight += groups.cells(cells, size, weights)
            self._squared += groups.cells(cells, size, weights**2)

    def update_all(self, cell: int, groups: GroupCodes) -> None:
        """Count every row in one cell; without weights."""
        self._grow(groups.size)
        self.rows[:, cell] += groups.counts()

    def merge(self, other: CellCounts, places: NDArray[np.intp], size: int) -> None:
        """Add another's counts; its group g is group `places[g]` of the `size` groups here."""
        self._grow(size)
        np.add.at(self.rows, places, other.rows)
        if self._weight is not None and self._squared is not None:
            np.add.at(self._weight, places, other.weight)
            np.add.at(self._squared, places, other.squared)

    def _grow(self, size: int) -> None:
        self.rows = grown(self.rows, size)
        if self._weight is not None and self._squared is not None:
            self._weight, self._squared = grown(self._weight, size), grown(self._squared, size)

    def pack(self) -> dict[str, Any]:
        """Return the state as arrays."""
        packed: dict[str, Any] = {"rows": self.rows}
        if self._weight is not None:
            packed |= {"weight": self._weight, "squared": self._squared}
        return packed

    def unpack(self, packed: Mapping[str, Any]) -> None:
        """Take the state of `pack`."""
        self.rows = packed["rows"]
        if self._weight is not None:
            self._weight, self._squared = packed["weight"], packed["squared"]


class UnitSums:
    """Sums of numbers in [0, 1] in cells of each group, cut into whole multiples of 2⁻³⁰ and 2⁻⁶⁰: exact in any order.

    With weights the products are summed as doubles.
    """

    def __init__(self, cells: int, weighted: bool) -> None:
        self._weighted = weighted
        self._words: NDArray[Any] = np.zeros((2, 1, cells), dtype=np.float64 if weighted else np.int64)

    def update(
        self,
        cells: NDArray[np.intp],
        values: NDArray[np.float64],
        weights: NDArray[np.float64] | None,
        groups: GroupCodes,
    ) -> None:
        """Add each row's value to its cell."""
        self._grow(groups.size)
        size = self._words.shape[2]
        if weights is not None:
            self._words[0] += groups.cells(cells, size, values * weights)
            return
        high = np.rint(scaled := values * 2.0**30)
        low = np.rint((scaled - high) * 2.0**30)
        self._words[0] += groups.cells(cells, size, high).astype(np.int64)
        self._words[1] += groups.cells(cells, size, low).astype(np.int64)

    def merge(self, other: UnitSums, places: NDArray[np.intp], size: int) -> None:
        """Add another's sums; its group g is group `places[g]` of the `size` groups here."""
        self._grow(size)
        for mine, theirs in zip(self._words, other._words, strict=True):
            np.add.at(mine, places, theirs)

    def total(self) -> NDArray[np.float64]:
        """Return the sums, of shape (groups, cells)."""
        if self._weighted:
            weighted: NDArray[np.float64] = self._words[0]
            return weighted
        total: NDArray[np.float64] = self._words[0] * 2.0**-30 + self._words[1] * 2.0**-60
        return total

    def _grow(self, size: int) -> None:
        if size > self._words.shape[1]:
            self._words = np.stack([grown(words, size) for words in self._words])

    def pack(self) -> dict[str, Any]:
        """Return the state as arrays."""
        return {"words": self._words}

    def unpack(self, packed: Mapping[str, Any]) -> None:
        """Take the state of `pack`."""
        self._words = packed["words"]


class Maxima:
    """The largest value seen in each group, of a quantity ≥ 0; rows of weight 0 count like any other."""

    def __init__(self) -> None:
        self.values = np.zeros(1)

    def update(self, values: NDArray[np.float64], groups: GroupCodes) -> None:
        """Add one value per row; NaN stays NaN."""
        with np.errstate(invalid="ignore"):
            self.values = np.maximum(grown(self.values, groups.size), groups.largest(values))

    def merge(self, other: Maxima, places: NDArray[np.intp], size: int) -> None:
        """Add another's; its group g is group `places[g]` of the `size` groups here."""
        self.values = grown(self.values, size)
        np.maximum.at(self.values, places, other.values)

    def pack(self) -> dict[str, Any]:
        """Return the state as arrays."""
        return {"values": self.values}

    def unpack(self, packed: Mapping[str, Any]) -> None:
        """Take the state of `pack`."""
        self.values = packed["values"]
