"""Scores with their labels: row by row up to a size, in bins beyond it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.evaluation.scores import ScoreTable
from penstock.evaluation.state.bins import (
    Counted,
    Prefixes,
    ScoreBins,
    magnitude_prefixes,
    magnitudes_at,
    prefixes,
    scores_at,
)
from penstock.evaluation.state.groups import GroupCodes, grouped, grown
from penstock.evaluation.state.selection import Quantiles, quantiles_by_group

EXACT_ROWS = 2**20
_CELLS_BITS = 14  # 2^14 bins an octave: the bound of a ROC AUC is about 2^-15 at the worst
_GROUP_BITS = 8
_MAGNITUDE_BITS = 12
_MOST_NUMBERS = 2**23  # scores held, 64 MiB
_MOST_KINDS = 512  # kinds x scores whose slices are binned

Floats = NDArray[np.float64]


class ScoreRows:
    """What orders rows, of several models: `update`, `merge`, then `tables`, group by group.

    `scored` names what is kept (a model, or a model's class). Up to `exact_rows` rows are kept as they are, at 8 bytes
    for each of `scored` and 4 for each slicing column; with the first row beyond, all are counted in bins. So the
    result depends on how many rows there are, not on their order or parts. `kinds` is the number of labels.
    `magnitudes`: the scores are numbers ≥ 0 of any size, not probabilities.
    """

    def __init__(
        self, scored: Sequence[str], kinds: int, weighted: bool, exact_rows: int = EXACT_ROWS, magnitudes: bool = False
    ) -> None:
        self._scored, self._kinds, self._weighted = tuple(scored), kinds, weighted
        self._exact_rows = min(exact_rows, _MOST_NUMBERS // max(1, len(self._scored)))
        self._parts: list[_Part] = []
        self._sorted: dict[str, _Part] = {}
        self._held = 0
        self.rows = 0
        # Bins hold as many numbers for many kinds as for two.
        fewer = max(kinds * max(1, len(self._scored) // 2), 2).bit_length() - 2
        bits, group_bits = max(_CELLS_BITS - fewer, 6), max(_GROUP_BITS - fewer, 4)
        bits = _MAGNITUDE_BITS if magnitudes else bits
        self._prefixes: Callable[[NDArray[np.floating[Any]], int], Prefixes] = (
            magnitude_prefixes if magnitudes else prefixes
        )
        at = magnitudes_at if magnitudes else scores_at
        self._bins = {name: ScoreBins(bits, kinds, weighted, at) for name in self._scored}
        few = kinds * len(self._scored) <= _MOST_KINDS
        self._group_bins = {name: ScoreBins(group_bits, kinds, weighted, at) for name in self._scored if few}
        self._lost = np.zeros((1, len(self._scored)), dtype=np.int64)
        self.binned = False

    def update(
        self,
        kinds: NDArray[np.integer[Any]],
        scores: Mapping[str, NDArray[np.floating[Any]]],
        weights: Floats | None,
        groups: GroupCodes,
    ) -> None:
        """Add rows: their kind (0 … kinds − 1), one score per name of `scored`, and their weight."""
        self._lost = grown(self._lost, groups.size)
        for place, name in enumerate(self._scored):
            if len(kinds) and not (scores[name].min() > -np.inf and scores[name].max() < np.inf):
                self._lost[: groups.size, place] += groups.counts(~np.isfinite(scores[name]))
        self._add(_Part(kinds, {name: scores[name] for name in self._scored}, weights, groups.columns, groups.size))

    def _add(self, part: _Part) -> None:
        self._parts.append(part)
        self._sorted = {}
        self._held += len(part.kinds)
        self.rows += len(part.kinds)
        if self._held > self._exact_rows:
            self._spill()

    def _spill(self) -> None:
        """Count all rows held in the bins."""
        self.binned = True
        held, self._parts, self._held, self._sorted = self._parts, [], 0, {}
        for name, bins in self._bins.items():
            parts = [_finite(part, name) for part in held]
            found = [self._prefixes(part.scores[name], bins.bits) for part in parts]
            bins.update([Counted(short, part.kinds, part.weights) for short, part in zip(found, parts, strict=True)])
            groups = self._group_bins.get(name)
            if groups is None or not parts:
                continue
            found = [short >> (bins.bits - groups.bits) for short in found]
            for column in range(len(parts[0].columns)):
                rows = zip(found, parts, strict=True)
                groups.update(
                    [Counted(short, part.kinds, part.weights, part.columns[column]) for short, part in rows],
                    max(part.size for part in parts),
                )

    def _joined(self) -> _Part | None:
        if len(self._parts) > 1:
            self._parts = [_Part.concatenate(self._parts)]
        return self._parts[0] if self._parts else None

    def merge(self, other: ScoreRows, places: NDArray[np.intp], size: int) -> None:
        """Add another's rows; its group g is group `places[g]` of the `size` groups here."""
        self._lost = grown(self._lost, size)
        np.add.at(self._lost, places[: len(other._lost)], other._lost)
        for part in other._parts:
            columns = [places[codes].astype(np.int32) for codes in part.columns]
            self._add(_Part(part.kinds, part.scores, part.weights, columns, size))
        if other.binned:
            self.rows += other.rows - other._held
            for name in self._scored:
                self._bins[name].merge(other._bins[name], np.zeros(1, dtype=np.intp), 1)
                if name in self._group_bins:
                    self._group_bins[name].merge(other._group_bins[name], places, size)
            self._spill()

    def held(self) -> tuple[NDArray[Any], Mapping[str, NDArray[Any]], Floats | None] | None:
        """Return (kinds, scores by name, weights) of all rows where they are still there, for statistics on rows."""
        part = None if self.binned else self._joined()
        return None if part is None else (part.kinds, part.scores, part.weights)

    def held_columns(self) -> Sequence[NDArray[np.int32]]:
        """Return the group of each row that `held` returns, by slicing column."""
        part = None if self.binned else self._joined()
        return () if part is None else part.columns

    def relative_width(self, group: int) -> float:
        """Return half the width of a magnitude's bin, of the magnitude: how far a binned one can be from the truth."""
        bins = self._group_bins if group else self._bins
        return 2.0 ** -(bins[self._scored[0]].bits + 1)

    def lost(self, name: str, group: int) -> int:
        """Return how many rows of a group had no finite score."""
        return int(self._lost[group, self._scored.index(name)]) if group < len(self._lost) else 0

    def tables(self, name: str) -> Iterator[tuple[int, ScoreTable]]:
        """Yield each group's table of the finite scores `name`; groups without rows are left out."""
        if self.binned:
            self._spill()
            yield 0, ScoreTable(*self._bins[name].cells(0), True)
            for group in range(1, len(self._lost) if name in self._group_bins else 1):
                scores, counts = self._group_bins[name].cells(group)
                if len(scores):
                    yield group, ScoreTable(scores, counts, True)
            return
        held = self._joined()
        if held is None:
            return
        ascending = self._ascending(held, name)
        scores, kinds, weights = ascending.scores[name], ascending.kinds, ascending.weights
        whole = self._table(scores, kinds, weights)
        distinct = len(whole.scores) == len(scores)  # then so are the scores of every part
        yield 0, whole
        for codes in ascending.columns:
            order, groups = grouped(codes, held.size)
            own, own_kinds = scores[order], kinds[order]
            own_weights = None if weights is None else weights[order]
            table = self._table(own, own_kinds, own_weights, distinct=True) if distinct else None
            for group, part in groups:
                if table is not None:
                    yield group, ScoreTable(table.scores[part], table.counts[part], False)
                    continue
                yield group, self._table(own[part], own_kinds[part], None if own_weights is None else own_weights[part])

    def _ascending(self, held: _Part, name: str) -> _Part:
        """Return the rows held that have a finite score, in the order of their scores."""
        if name not in self._sorted:
            scores = held.scores[name]
            order = np.argsort(scores, kind="stable")
            if len(scores) and not (scores.min() > -np.inf and scores.max() < np.inf):
                order = order[np.isfinite(scores[order])]
            self._sorted[name] = held.take(order, name)
        return self._sorted[name]

    def sums(self, name: str, values: Callable[[Floats, NDArray[Any]], Sequence[Floats]]) -> Floats | None:
        """Return the sums of what `values` makes of finite scores and kinds, by group: (quantities, groups).

        Rows count once, whatever they weigh. Alike in any order of the rows, as long as they are held; then None.
        """
        held = None if self.binned else self._joined()
        if held is None:
            return None
        ascending = self._ascending(held, name)
        kinds = ascending.kinds.astype(np.intp)
        quantities = values(ascending.scores[name].astype(np.float64, copy=False), kinds)
        # Rows of one kind with equal scores are alike: within a kind it does not matter which of them came first.
        found = np.zeros((len(quantities), len(self._lost), self._kinds))
        for codes in (None, *ascending.columns):
            cells = kinds if codes is None else codes * np.intp(self._kinds) + kinds
            for place, quantity in enumerate(quantities):
                sums = np.bincount(cells, quantity, minlength=found[place].size)
                found[place] += sums.reshape(found[place].shape)
        total: Floats = found.sum(axis=2)
        return total

    def quantiles(self, name: str, levels: Sequence[float]) -> Mapping[int, Quantiles]:
        """Return the quantiles of each group's finite magnitudes; of groups that have any, while the rows are held."""
        held = self._joined()
        if held is None or self.binned:
            return {}
        part = _finite(held, name)
        return quantiles_by_group(part.scores[name], part.weights, part.columns, part.size, levels)

    def _table(
        self, scores: NDArray[Any], kinds: NDArray[Any], weights: Floats | None, distinct: bool = False
    ) -> ScoreTable:
        """Return the table of rows whose scores ascend; `distinct` if they are known to differ."""
        kind: Any = np.int64 if weights is None else np.float64
        starts = None
        if not distinct and len(scores):
            new = scores[1:] != scores[:-1]
            starts = None if new.all() else np.append(0, np.flatnonzero(new) + 1)
        size = len(scores) if starts is None else len(starts)
        counts = np.empty((self._kinds, size), dtype=kind)
        for label in range(self._kinds):
            chosen = kinds == label if weights is None else (kinds == label) * weights
            counts[label] = chosen if starts is None else np.add.reduceat(chosen.astype(kind), starts)
        ascending = scores if starts is None else scores[starts]
        return ScoreTable(ascending.astype(np.float64, copy=False), counts.T, False)

    def pack(self) -> dict[str, Any]:
        """Return the state as arrays."""
        packed: dict[str, Any] = {"lost": self._lost, "rows": self.rows, "binned": self.binned}
        held = self._joined()
        if held is not None:
            packed["held"] = {"kinds": held.kinds, "scores": dict(held.scores), "size": held.size}
            packed["held"]["columns"] = {str(place): codes for place, codes in enumerate(held.columns)}
            if held.weights is not None:
                packed["held"]["weights"] = held.weights
        if self.binned:
            packed["bins"] = {name: bins.pack() for name, bins in self._bins.items()}
            packed["group_bins"] = {name: bins.pack() for name, bins in self._group_bins.items()}
        return packed

    def unpack(self, packed: Mapping[str, Any]) -> None:
        """Take the state of `pack`."""
        self._lost, self.rows, self.binned = packed["lost"], int(packed["rows"]), bool(packed["binned"])
        if "held" in packed:
            held = packed["held"]
            columns = [held["columns"][str(place)] for place in range(len(held["columns"]))]
            scores = {name: held["scores"][name] for name in self._scored}
            self._parts = [_Part(held["kinds"], scores, held.get("weights"), columns, int(held["size"]))]
            self._held = len(self._parts[0].kinds)
        if self.binned:
            for name, bins in self._bins.items():
                bins.unpack(packed["bins"][name])
            for name, bins in self._group_bins.items():
                bins.unpack(packed["group_bins"][name])


def _finite(part: _Part, name: str) -> _Part:
    """Return the rows whose score `name` is finite."""
    scores = part.scores[name]
    if not len(scores) or (scores.min() > -np.inf and scores.max() < np.inf):
        return part
    return part.take(np.flatnonzero(np.isfinite(scores)), name)


class _Part:
    """Some rows as they came."""

    def __init__(
        self,
        kinds: NDArray[Any],
        scores: Mapping[str, NDArray[Any]],
        weights: Floats | None,
        columns: Sequence[NDArray[np.int32]],
        size: int,
    ) -> None:
        self.kinds, self.scores, self.weights = kinds, scores, weights
        self.columns, self.size = tuple(columns), size

    def take(self, rows: NDArray[np.intp], name: str) -> _Part:
        """Return the chosen rows with their scores `name`."""
        weights = None if self.weights is None else self.weights[rows]
        columns = [codes[rows] for codes in self.columns]
        return _Part(self.kinds[rows], {name: self.scores[name][rows]}, weights, columns, self.size)

    @classmethod
    def concatenate(cls, parts: Sequence[_Part]) -> _Part:
        first = parts[0]
        return cls(
            np.concatenate([part.kinds for part in parts]),
            {name: np.concatenate([part.scores[name] for part in parts]) for name in first.scores},
            None
            if first.weights is None
            else np.concatenate([part.weights for part in parts if part.weights is not None]),
            [np.concatenate([part.columns[place] for part in parts]) for place in range(len(first.columns))],
            max(part.size for part in parts),
        )
