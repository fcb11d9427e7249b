"""The Poisson bootstrap as mergeable state: what a metric is computed from, once for each replicate.

Kept are weighted counts in cells (confusion matrices), weighted sums, and weighted counts of scores in bins. All are
sums over rows, so states of parts add up; candidate and baseline are weighted alike, so their replicates are paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from penstock.evaluation.inference.weights import REPLICATES, Keys, parts_of, poisson_weights
from penstock.evaluation.state.bins import ordered_keys, scores_at
from penstock.evaluation.state.groups import GroupCodes, grown

Floats = NDArray[np.float64]

_CHUNK = 4096  # rows whose weights (of 200 replicates: 6.5 MB) stay near the processor
MOST_BINS = 2048  # of scores: as few as that blur a ROC AUC by some 0.0003, far below its standard error
SLICED_BINS = 256  # of the scores in slices, whose standard errors are larger
_MOST_SLICED_BYTES = 2**27  # of more slices no scores are kept
_FEW = 256  # places: too few to look for the occupied ones
PARTS = 64  # of the rows, whose sums tell how skewed an estimate is, and how well its standard error is known
ROWS = "rows"


class Bootstrap:
    """Replicates of cells, sums and scores: `update` with batches, `merge` with others, then read.

    `cells` are tables by name with their number of cells, kept for every group of rows (group 0 is all of them); `sums`
    are quantities by name, kept for all rows, with `sliced_sums` for every group, replicated and, undrawn, by 64 parts
    of the rows; `scored` are scores by name, kept in bins by `kinds` of rows: for all rows in up to `most_bins`, and
    for every group in up to `sliced_bins`, the same ones, as long as 128 MiB hold them (0: for none).
    """

    def __init__(
        self,
        cells: Mapping[str, int],
        sums: Sequence[str] = (),
        scored: Sequence[str] = (),
        *,
        kinds: int = 2,
        replicates: int = REPLICATES,
        sliced_sums: bool = False,
        most_bins: int = MOST_BINS,
        sliced_bins: int = 0,
    ) -> None:
        self.replicates, self.sliced_sums = replicates, sliced_sums
        self._cells = {name: np.zeros((1, size, replicates)) for name, size in cells.items()}
        self._quantities = (ROWS, *sums)
        self._sums = np.zeros((1, len(self._quantities), replicates))
        self._parts = np.zeros((1, len(self._quantities), PARTS))
        self._scores = {name: _Bins(kinds, replicates, most_bins) for name in scored}
        self._sliced = {name: _Bins(kinds, replicates, sliced_bins) for name in scored if sliced_bins}
        bytes_of_a_slice = max(1, len(self._sliced) * sliced_bins * kinds * replicates * 8)
        self._most_sliced = _MOST_SLICED_BYTES // bytes_of_a_slice

    def update(
        self,
        keys: Keys,
        groups: GroupCodes,
        *,
        cells: Mapping[str, NDArray[np.integer[Any]]] | None = None,
        sums: Mapping[str, Floats] | None = None,
        scores: Mapping[str, tuple[NDArray[np.floating[Any]], NDArray[np.integer[Any]]]] | None = None,
        weights: Floats | None = None,
    ) -> None:
        """Add a batch: each row's cell of every table, value of every quantity, and score with its kind.

        `weights` are the rows' own, with which everything is multiplied. A negative cell and a score that is not finite
        count nowhere; a quantity that is not finite makes its sums NaN.
        """
        self._grow(groups.size)
        own = np.ones(len(keys)) if weights is None else weights
        values = np.stack([own, *(own * (sums or {})[name] for name in self._quantities[1:])])
        places = {name: bins.places(*(scores or {})[name]) for name, bins in self._scores.items()}
        sliced = {name: bins.places(*(scores or {})[name]) for name, bins in self._sliced.items() if groups.columns}
        columns = [np.zeros(len(keys), dtype=np.int32), *groups.columns]
        parts = parts_of(keys, PARTS)
        for codes in columns if self.sliced_sums else columns[:1]:
            _add_parts(self._parts, codes.astype(np.intp), parts, values)
        for start in range(0, len(keys), _CHUNK):
            part = slice(start, start + _CHUNK)
            drawn = poisson_weights(keys[part], self.replicates)
            with np.errstate(invalid="ignore"):  # what is not finite makes its sums NaN
                self._sums[0] += values[:, part] @ drawn
            for codes in columns:
                group = codes[part].astype(np.intp)
                for name, table in self._cells.items():
                    cell = (cells or {})[name][part].astype(np.intp)
                    _add(table, np.where(cell < 0, -1, group * table.shape[1] + cell), own[part], drawn)
            for codes in columns[1:] if self.sliced_sums else ():
                group = codes[part].astype(np.intp)
                _add_all(self._sums, group, values[:, part], drawn)
            for name, bins in self._scores.items():
                _add(bins.counts, places[name][part], own[part], drawn)
            for name, place in sliced.items():
                bins, place = self._sliced[name], place[part]
                for codes in columns[1:]:
                    group = codes[part].astype(np.intp)
                    _add(bins.counts, np.where(place < 0, -1, group * bins.size + place), own[part], drawn)

    def merge(self, other: Bootstrap, places: NDArray[np.intp], size: int) -> None:
        """Add another's replicates; its group g is group `places[g]` of the `size` groups here."""
        self._grow(size)
        for name, table in self._cells.items():
            np.add.at(table, places[: len(other._cells[name])], other._cells[name])
        np.add.at(self._sums, places[: len(other._sums)], other._sums)
        np.add.at(self._parts, places[: len(other._parts)], other._parts)
        for name, bins in self._scores.items():
            bins.merge(other._scores[name], np.zeros(1, dtype=np.intp))
        for name, bins in self._sliced.items():
            bins.merge(other._sliced[name], places)

    def cells(self, name: str, group: int = 0) -> Floats:
        """Return the weighted counts of a table, of shape (cells, replicates)."""
        found: Floats = self._cells[name][group]
        return found

    def sums(self, name: str = ROWS, group: int = 0) -> Floats:
        """Return the weighted sums of a quantity (or of the rows), of shape (replicates,)."""
        found: Floats = self._sums[group, self._quantities.index(name)]
        return found

    def parts(self, name: str = ROWS, group: int = 0) -> Floats:
        """Return the sums of a quantity (or of the rows) over each part of the rows, undrawn, of shape (parts,)."""
        found: Floats = self._parts[group, self._quantities.index(name)]
        return found

    def scores(self, name: str) -> Floats:
        """Return the counts of scores in their occupied bins, ascending, of shape (bins, kinds, replicates)."""
        found: Floats = self._scores[name].counts[0]
        return found

    def scores_of(self, name: str, group: int) -> Floats | None:
        """Return the `scores` of a group, in bins of their own but for group 0; None where they are not kept."""
        if not group:
            return self.scores(name)
        bins = self._sliced.get(name)
        return None if bins is None or group >= len(bins.counts) else bins.counts[group]

    def edges(self, name: str, group: int = 0) -> tuple[Floats, Floats]:
        """Return the lowest scores of the bins of `scores`, and where the next ones begin."""
        return (self._sliced if group else self._scores)[name].edges()

    def all_rows(self) -> None:
        """Forget every group but that of all rows."""
        self._sliced = {}
        self._cells = {name: table[:1] for name, table in self._cells.items()}
        self._sums, self._parts = self._sums[:1], self._parts[:1]

    def _grow(self, size: int) -> None:
        self._cells = {name: grown(table, size) for name, table in self._cells.items()}
        self._sums = grown(self._sums, size if self.sliced_sums else 1)
        self._parts = grown(self._parts, size if self.sliced_sums else 1)
        if size > self._most_sliced + 1:
            self._sliced = {}
        for bins in self._sliced.values():
            bins.counts = grown(bins.counts, size)

    def pack(self) -> dict[str, Any]:
        """Return the state as arrays."""
        scores = {name: bins.pack() for name, bins in self._scores.items()}
        sliced = {name: bins.pack() for name, bins in self._sliced.items()}
        sums = {"sums": self._sums, "parts": self._parts}
        return {"cells": dict(self._cells), **sums, "scores": scores, "sliced": sliced}

    def unpack(self, packed: Mapping[str, Any]) -> None:
        """Take the state of `pack`."""
        self._cells = {name: packed["cells"][name] for name in self._cells}
        self._sums, self._parts = packed["sums"], packed["parts"]
        for name, bins in self._scores.items():
            bins.unpack(packed["scores"][name])
        self._sliced = {name: bins for name, bins in self._sliced.items() if name in packed["sliced"]}
        for name, bins in self._sliced.items():
            bins.unpack(packed["sliced"][name])


class _Bins:
    """Weighted counts by group, bin and kind. A bin holds the scores whose ordered bits begin alike.

    How many bits: as many as leave at most `most` bins occupied, so that scores crowded into a narrow range are told
    apart as well as others, and up to as many distinct scores exactly. That is known once all rows are; until then bins
    are joined whenever there are too many, which gives the same counts in any order.
    """

    def __init__(self, kinds: int, replicates: int, most: int) -> None:
        self._known = np.zeros(0, dtype=np.int64)
        self._shift, self._most = 0, most
        self.counts = np.zeros((1, 0, kinds, replicates))

    @property
    def size(self) -> int:
        """How many places a group has: bins x kinds."""
        return self.counts.shape[1] * self.counts.shape[2]

    def places(self, scores: NDArray[np.floating[Any]], kinds: NDArray[np.integer[Any]]) -> NDArray[np.intp]:
        """Return where each row is counted: bin x kinds + kind, or -1 for a score that is not finite."""
        finite = np.isfinite(scores)
        keys = ordered_keys(np.where(finite, scores, 0.0))
        self._know(np.unique(keys[finite] >> self._shift))
        places = np.searchsorted(self._known, keys >> self._shift) * self.counts.shape[2]
        return np.where(finite, places + kinds, -1)

    def edges(self) -> tuple[Floats, Floats]:
        return scores_at(self._known << self._shift), scores_at((self._known + 1) << self._shift)

    def merge(self, other: _Bins, groups: NDArray[np.intp]) -> None:
        """Add another's counts; its group g is group `groups[g]` here."""
        shift = max(self._shift, other._shift)
        self._know(self._known, shift)
        self._know(np.unique(other._known >> (shift - other._shift)))
        places = np.searchsorted(self._known, other._known >> (self._shift - other._shift))
        for group, counts in zip(groups, other.counts, strict=False):
            np.add.at(self.counts[group], places, counts)

    def _know(self, bins: NDArray[np.int64], shift: int | None = None) -> None:
        """Make room for `bins`, which are cut as the known ones, and cut off `shift` bits, or more if they must."""
        known, further = np.union1d(self._known, bins), 0 if shift is None else shift - self._shift
        while 1 + np.count_nonzero(np.diff(known >> further)) > self._most:
            further += 1
        known = np.unique(known >> further)
        if further or len(known) > len(self._known):
            counts = np.zeros((len(self.counts), len(known), *self.counts.shape[2:]))
            places = np.searchsorted(known, self._known >> further)
            for mine, there in zip(self.counts, counts, strict=True):
                np.add.at(there, places, mine)
            self._known, self._shift, self.counts = known, self._shift + further, counts

    def pack(self) -> dict[str, Any]:
        return {"known": self._known, "shift": self._shift, "counts": self.counts}

    def unpack(self, packed: Mapping[str, Any]) -> None:
        self._known, self._shift, self.counts = packed["known"], int(packed["shift"]), packed["counts"]


def _add(table: Floats, places: NDArray[np.intp], values: Floats, drawn: Floats) -> None:
    """Add each row's value times its drawn weights at its place, below 0 nowhere, in the flattened table."""
    if places.min() < 0:
        values = np.where(places < 0, 0.0, values)
        places = np.maximum(places, 0)
    flat = table.reshape(-1, table.shape[-1])
    if len(flat) <= _FEW:
        flat += _one_hot(places, values, len(flat)).T @ drawn
    else:
        occupied, inverse = np.unique(places, return_inverse=True)
        flat[occupied] += _one_hot(inverse, values, len(occupied)).T @ drawn


def _add_parts(table: Floats, groups: NDArray[np.intp], parts: NDArray[np.intp], values: Floats) -> None:
    """Add each row's values (quantities, rows) to its part of its group in the table."""
    size, _, count = table.shape
    places = groups * count + parts
    for quantity, of_rows in enumerate(values):
        table[:, quantity] += np.bincount(places, of_rows, minlength=size * count).reshape(size, count)


def _add_all(table: Floats, groups: NDArray[np.intp], values: Floats, drawn: Floats) -> None:
    """Add each row's values (quantities, rows) times its drawn weights to its group in the table: one product."""
    quantities, rows = values.shape
    columns = (groups[:, None] * quantities + np.arange(quantities)).astype(np.int32).ravel()
    starts = np.arange(0, rows * quantities + 1, quantities, dtype=np.int32)
    flat = table.reshape(-1, table.shape[-1])
    matrix = scipy.sparse.csr_matrix((values.T.ravel(), columns, starts), shape=(rows, len(flat)))
    flat += matrix.T @ drawn


def _one_hot(places: NDArray[np.intp], values: Floats, size: int) -> scipy.sparse.csr_matrix:
    rows = np.arange(len(places) + 1, dtype=np.int32)
    return scipy.sparse.csr_matrix((values, places.astype(np.int32), rows), shape=(len(places), size))
