"""Groups of rows: group 0 is all rows, every slice of every slicing column is one more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, NamedTuple, TypeVar

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

Codes = NDArray[np.int32]
_MANY_ROWS = 4096
_MOST_CROSSED = 1024  # combinations whose sums stay in the processor's cache
_Array = TypeVar("_Array", bound=NDArray[Any])


class _Cross(NamedTuple):
    """The combination of groups each row is in, 0 … size − 1, and of each column crossed its groups, in that order."""

    codes: Codes
    size: int
    groups: list[NDArray[np.intp]]

    def add(self, found: NDArray[Any], crossed: NDArray[Any]) -> None:
        """Add what was counted by combination to the groups in `found`."""
        table = crossed.reshape(*(len(groups) for groups in self.groups), *crossed.shape[1:])
        for axis, groups in enumerate(self.groups):
            others = tuple(other for other in range(len(self.groups)) if other != axis)
            found[groups] += table.sum(axis=others)

    def add_largest(self, found: NDArray[Any], largest: NDArray[Any]) -> None:
        """Raise what is in `found` to the largest value of each group, from those by combination."""
        table = largest.reshape([len(groups) for groups in self.groups])
        for axis, groups in enumerate(self.groups):
            others = tuple(other for other in range(len(self.groups)) if other != axis)
            found[groups] = np.maximum(found[groups], table.max(axis=others))


class GroupCodes:
    """To which groups the rows of a batch belong: to group 0, and to one group of each slicing column.

    `columns` are the group of each row by slicing column, each of shape (rows,) with values in 1 … size − 1; `present`,
    if known, says which groups those are. Of many rows, columns are counted several at a time: by every combination of
    their groups, which is then added up.
    """

    def __init__(
        self,
        rows: int,
        columns: Sequence[Codes] = (),
        size: int = 1,
        present: Sequence[NDArray[np.intp]] | None = None,
    ) -> None:
        self.rows = rows
        self.columns = tuple(columns)
        self.size = size
        self._present = present
        self._known: dict[tuple[int, int], Any] = {}  # every sum of a batch is over the same parts

    @cached_property
    def _crosses(self) -> list[_Cross]:
        if self.rows < _MANY_ROWS:
            return [_Cross(codes, self.size, [np.arange(self.size)]) for codes in self.columns]
        found: list[_Cross] = []
        for place, codes in enumerate(self.columns):
            used = np.flatnonzero(np.bincount(codes)) if self._present is None else np.sort(self._present[place])
            table = np.zeros(self.size, dtype=np.int32)
            table[used] = np.arange(len(used))
            own = np.take(table, codes, mode="clip")
            if found and found[-1].size * len(used) <= _MOST_CROSSED:
                last = found.pop()
                np.multiply(last.codes, len(used), out=last.codes)
                own += last.codes
                found.append(_Cross(own, last.size * len(used), [*last.groups, used]))
            else:
                found.append(_Cross(own, len(used), [used]))
        return found

    @cached_property
    def _starts(self) -> list[int]:
        """The number of each cross's first combination, where those of all are numbered through."""
        return [0, *accumulate(cross.size for cross in self._crosses[:-1])]

    @property
    def combinations(self) -> int:
        """How many combinations of groups there are, each column or several of them counted by itself."""
        return self._starts[-1] + self._crosses[-1].size if self.columns else 1

    @cached_property
    def _matrix(self) -> Codes:
        """The combination of each row, numbered through, of shape (rows, crosses)."""
        columns = [cross.codes + start for cross, start in zip(self._crosses, self._starts, strict=True)]
        return np.stack(columns, axis=1).astype(np.int32, copy=False)

    @cached_property
    def _whole(self) -> NDArray[np.int64]:
        found = np.zeros(self.size, dtype=np.int64)
        for cross in self._crosses:
            cross.add(found, np.bincount(cross.codes, minlength=cross.size))
        found[0] = self.rows
        return found

    def counts(self, chosen: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Return how many rows (of the chosen) each group has."""
        if chosen is None:
            return self._whole.copy()
        found = np.zeros(self.size, dtype=np.int64)
        for codes in self.columns:
            found += np.bincount(codes[chosen], minlength=self.size)
        found[0] = np.count_nonzero(chosen)
        return found

    def cells(self, cells: NDArray[np.intp], size: int, weights: NDArray[np.float64] | None = None) -> NDArray[Any]:
        """Return the rows, or their weight, in each of `size` cells of each group, of shape (groups, size)."""
        found = np.zeros((self.size, size), dtype=np.int64 if weights is None else np.float64)
        for cross in self._crosses:
            places = cross.codes.astype(np.intp) * size + cells
            cross.add(found, np.bincount(places, weights, minlength=cross.size * size).reshape(cross.size, size))
        found[0] = np.bincount(cells, weights, minlength=size)
        return found

    def largest(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the largest of `values` ≥ 0, one for each row, in each group: 0 in a group without rows."""
        found = np.zeros(self.size)
        for cross in self._crosses:
            crossed = np.zeros(cross.size)
            np.maximum.at(crossed, cross.codes, values)
            cross.add_largest(found, crossed)
        found[0] = values.max(initial=0.0)
        return found

    def combined(self, values: NDArray[np.float64], part: slice) -> NDArray[np.float64]:
        """Return the sums of `values` (quantities, rows of `part`) by combination, for `of_combinations`.

        Of shape (`combinations`, quantities).
        """
        if not self.columns:
            return np.add.reduce(values, axis=1, keepdims=True).T
        sums: NDArray[np.float64] = self._members(part) @ np.ascontiguousarray(values.T)
        return sums

    def of_combinations(self, combined: NDArray[Any]) -> NDArray[Any]:
        """Return the sums by group of what was summed by combination, of shape (groups, …)."""
        found = np.zeros((self.size, *combined.shape[1:]), dtype=combined.dtype)
        if not self.columns:
            found[0] = combined[0]
            return found
        parts = np.split(combined, self._starts[1:])
        for cross, sums in zip(self._crosses, parts, strict=True):
            cross.add(found, sums)
        found[0] = parts[0].sum(axis=0)  # every row is in one group of each column
        return found

    def _members(self, part: slice) -> Any:
        """Return a sparse matrix of 0 and 1: which combinations the rows of `part` are in, (combinations, rows)."""
        place = part.start, part.stop
        if place not in self._known:
            codes = self._matrix[part]
            starts = np.arange(0, codes.size + 1, codes.shape[1], dtype=np.int32)
            ones = np.ones(codes.size)
            rows = scipy.sparse.csr_matrix(
                (ones, codes.ravel(), starts), shape=(len(codes), self.combinations), copy=False
            )
            self._known[place] = rows.T
        return self._known[place]

    def take(self, rows: slice) -> GroupCodes:
        """Return the groups of the chosen rows."""
        start, stop, _ = rows.indices(self.rows)
        return GroupCodes(stop - start, [codes[rows] for codes in self.columns], self.size)


def grown(array: _Array, size: int) -> _Array:
    """Return `array` with zeros added along its first axis until it has `size` entries."""
    missing = size - len(array)
    if missing <= 0:
        return array
    return np.concatenate([array, np.zeros((missing, *array.shape[1:]), dtype=array.dtype)])  # type: ignore[return-value]


def by_group(codes: NDArray[np.int32], size: int) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Yield each group with its rows, in their order."""
    order, groups = grouped(codes, size)
    for group, part in groups:
        yield group, order[part]


def grouped(codes: NDArray[np.int32], size: int) -> tuple[NDArray[np.intp], list[tuple[int, slice]]]:
    """Return the rows group by group, in their order, and which part of that each group is.

    Codes of few bits are sorted by radix: in linear time.
    """
    few: Any = np.int16 if size < 2**15 else np.int32
    order = np.argsort(codes.astype(np.uint8 if size <= 2**8 else few, copy=False), kind="stable")
    sizes = np.bincount(codes)
    present = np.flatnonzero(sizes)
    edges = np.append(0, np.cumsum(sizes[present])).tolist()
    return order, [(group, slice(*edge)) for group, edge in zip(present.tolist(), pairwise(edges), strict=True)]
