"""The search for the slices on which a model does worst: every value of every column, and every pair of columns.

Numbers are counted in ranges fixed in advance (four to an octave), which are joined into about five equally full ones
at the end; so the state of parts adds up, and what is found does not depend on how the rows were split.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from penstock.errors import InvalidValue
from penstock.evaluation.slices import NULL, part_codes
from penstock.evaluation.state.counts import CellCounts
from penstock.evaluation.state.groups import GroupCodes
from penstock.evaluation.tasks.losses import LossMeans
from penstock.model.evaluations import BASELINE, CANDIDATE
from penstock.model.slices import SlicePart
from penstock.statistics.bounds import interval
from penstock.statistics.evidence import (
    Bounds,
    Evidence,
    Paired,
    PairedProportions,
    Proportion,
    Undecidable,
    evidence_from_json,
    paired_from_json,
)
from penstock.statistics.harm import holm, p_value_worse_than
from penstock.statistics.paired import p_value_worse

MOST_SLICES = 2000  # of one column or pair
RANGES = 5
ALPHA = 0.05  # the chance of naming any slice wrongly
_SHIFT = 50  # of a double's 52 bits: four ranges to an octave
_MAGNITUDE = np.int64(2**63 - 1)
_LOSS = "loss"

_Cut = tuple[str, ...]
_Value = str | int


@dataclass(frozen=True)
class SearchedSlice:
    """One slice of a search. `value` and `reference` are the candidate's value on it, and what it is compared with.

    That is the baseline's value on the same rows, or without a baseline the candidate's own on all rows. `interval` is
    the value's, at 95 %, or None where there is none. `p_value` is of "not worse"; `adjusted` covers every slice
    searched (Holm), and `harmed` says whether it is ≤ alpha.
    """

    slice: Mapping[str, str]
    rows: int
    value: float
    reference: float
    interval: Bounds | None
    p_value: float
    adjusted: float
    harmed: bool


@dataclass(frozen=True)
class SearchResult:
    """The slices looked at, the worst first.

    `too_small` is how many had fewer than `min_rows` rows; `not_searched` are columns and pairs with too many values.
    """

    slices: tuple[SearchedSlice, ...]
    too_small: int
    not_searched: tuple[_Cut, ...]


class SliceSearch:
    """Counts by slice, of every column and pair: `update` with batches, `merge` with others, then `result`.

    Each row has a loss (lower is better), or was right or wrong (`hits`); weighted rows have losses only.
    """

    def __init__(self, columns: Sequence[str], of: Sequence[str], *, hits: bool, weighted: bool = False) -> None:
        if hits and weighted:
            raise InvalidValue("hits", hits, "losses where rows have weights", "Pass 1 - right as the loss")
        self._columns, self._of, self._hits, self._weighted = tuple(columns), tuple(of), hits, weighted
        self._cuts: list[_Cut] = [*((name,) for name in columns), *combinations(columns, 2)]
        self._dropped: set[_Cut] = set()
        self._ranged: set[str] = set()
        self._numbers: dict[tuple[_Cut, tuple[_Value, ...]], int] = {}
        self._sizes = dict.fromkeys(self._cuts, 0)
        self._table = self._empty()

    def _empty(self) -> CellCounts | LossMeans:
        return CellCounts(4, False) if self._hits else LossMeans(self._of, [_LOSS], self._weighted)

    def update(
        self, batch: pd.DataFrame, losses: Mapping[str, NDArray[Any]], weights: NDArray[np.float64] | None = None
    ) -> None:
        """Add a batch with each model's loss (or whether it was right) on each row, by role."""
        parts = {name: part for name in self._columns if (part := self._part(name, batch)) is not None}
        columns = [codes for cut in self._cuts if (codes := self._codes(cut, parts)) is not None]
        groups = GroupCodes(len(batch), columns, 1 + len(self._numbers))
        if isinstance(self._table, CellCounts):
            right = [np.asarray(losses.get(role, losses[CANDIDATE])).astype(np.intp) for role in (CANDIDATE, BASELINE)]
            self._table.update(2 * right[0] + right[1], None, groups)
        else:
            self._table.update({role: {_LOSS: losses[role]} for role in self._of}, weights, groups)

    def _part(self, name: str, batch: pd.DataFrame) -> tuple[NDArray[np.intp], list[_Value]] | None:
        if name in batch.columns and pd.api.types.is_numeric_dtype(batch[name]) and batch[name].dtype.kind != "b":
            self._ranged.add(name)
            numbers = batch[name].to_numpy(dtype=np.float64, na_value=np.nan)
            keys, codes = np.unique(_range_keys(numbers[~np.isnan(numbers)]), return_inverse=True)
            places = np.full(len(numbers), len(keys), dtype=np.intp)
            places[~np.isnan(numbers)] = codes
            return places, [*keys.tolist(), NULL]
        try:
            codes, names = part_codes(SlicePart(name), batch)
        except InvalidValue:
            if name not in batch.columns:
                raise
            self._drop(lambda cut: name in cut)  # too many values already in one batch
            return None
        return codes, list(names)

    def _codes(self, cut: _Cut, parts: Mapping[str, tuple[NDArray[np.intp], list[_Value]]]) -> NDArray[np.int32] | None:
        if cut in self._dropped:
            return None
        codes, values = parts[cut[0]]
        found: list[tuple[_Value, ...]] = [(value,) for value in values]
        for name in cut[1:]:
            more, more_values = parts[name]
            both, codes = np.unique(codes * len(more_values) + more, return_inverse=True)
            pairs = (divmod(pair, len(more_values)) for pair in both.tolist())
            found = [(*found[one], more_values[other]) for one, other in pairs]
        used = np.flatnonzero(np.bincount(codes, minlength=len(found)))
        table = np.zeros(len(found), dtype=np.int32)
        for code in used.tolist():
            table[code] = self._number(cut, found[code])
        if self._sizes[cut] > MOST_SLICES:
            self._drop(lambda other: other == cut)
            return None
        return table[codes]

    def _number(self, cut: _Cut, values: tuple[_Value, ...]) -> int:
        number = self._numbers.get((cut, values))
        if number is None:
            number = self._numbers[cut, values] = 1 + len(self._numbers)
            self._sizes[cut] += 1
        return number

    def _drop(self, chosen: Callable[[_Cut], bool]) -> None:
        self._dropped.update(cut for cut in self._cuts if chosen(cut))

    def merge(self, other: SliceSearch) -> None:
        """Add another search of the same columns and models."""
        self._dropped |= other._dropped
        self._ranged |= other._ranged
        places = np.array([0, *(self._number(*key) for key in other._numbers)], dtype=np.intp)
        self._drop(lambda cut: self._sizes[cut] > MOST_SLICES)
        self._table.merge(other._table, places, 1 + len(self._numbers))  # type: ignore[arg-type]

    def result(self, *, min_rows: int = 100, alpha: float = ALPHA) -> SearchResult:
        """Return every slice of at least `min_rows` rows, the worst first; all of them count in Holm's procedure."""
        names: dict[tuple[_Cut, _Cut], int] = {}
        places = np.zeros(1 + len(self._numbers), dtype=np.intp)
        ranges = {name: self._joined(name) for name in self._ranged}
        for (cut, values), number in self._numbers.items():
            if cut in self._dropped:
                continue  # group 0 is not read here
            shown = tuple(
                ranges[name].get(value, str(value)) if name in ranges else str(value)
                for name, value in zip(cut, values, strict=True)
            )
            places[number] = names.setdefault((cut, shown), 1 + len(names))
        table = self._empty()
        table.merge(self._table, places, 1 + len(names))  # type: ignore[arg-type]
        judged = _Judged(table, self._table, BASELINE in self._of)
        large = {key: number for key, number in names.items() if judged.rows[number] >= min_rows}
        p_values = [judged.p_value(number) for number in large.values()]
        found = [
            SearchedSlice(
                dict(zip(cut, shown, strict=True)),
                int(judged.rows[number]),
                *judged.values(number),
                judged.interval(number),
                p_value,
                adjusted,
                adjusted <= alpha,
            )
            for ((cut, shown), number), p_value, adjusted in zip(large.items(), p_values, holm(p_values), strict=True)
        ]
        found.sort(key=lambda one: (one.p_value, -one.rows, sorted(one.slice.items())))
        return SearchResult(tuple(found), len(names) - len(large), tuple(sorted(self._dropped)))

    def _joined(self, name: str) -> dict[_Value, str]:
        """Return the name of the joined range that each of a column's ranges is in."""
        rows = self._table.rows if isinstance(self._table, LossMeans) else self._table.rows.sum(axis=1)
        counts = {
            values[0]: int(rows[number])
            for (cut, values), number in self._numbers.items()
            if cut == (name,) and isinstance(values[0], int)
        }
        keys = sorted(key for key in counts if isinstance(key, int))
        sizes = np.array([counts[key] for key in keys], dtype=np.float64)
        middles = (np.cumsum(sizes) - sizes / 2) / max(sizes.sum(), 1.0)
        wanted = np.minimum((RANGES * middles).astype(int), RANGES - 1)
        starts = [place for place in range(1, len(keys)) if wanted[place] != wanted[place - 1]]
        part = SlicePart(name, tuple(float(_lower_edge(keys[place])) for place in starts))
        if not starts:
            return dict.fromkeys(keys, "any number")
        return {key: part.interval(sum(place <= at for place in starts)) for at, key in enumerate(keys)}

    def pack(self) -> dict[str, Any]:
        """Return the state as arrays and plain JSON."""
        return {
            "numbers": [[list(cut), list(values)] for cut, values in self._numbers],
            "dropped": [list(cut) for cut in sorted(self._dropped)],
            "ranged": sorted(self._ranged),
            "table": self._table.pack(),
        }

    def unpack(self, packed: Mapping[str, Any]) -> None:
        """Take the state of `pack`."""
        self._numbers, self._sizes = {}, dict.fromkeys(self._cuts, 0)
        for cut, values in packed["numbers"]:
            self._number(tuple(cut), tuple(values))
        self._dropped = {tuple(cut) for cut in packed["dropped"]}
        self._ranged = set(packed["ranged"])
        self._table.unpack(packed["table"])


class _Judged:
    """Reads a table of either kind, and compares each group with the baseline, or with the candidate on all rows."""

    def __init__(self, table: CellCounts | LossMeans, whole: CellCounts | LossMeans, compared: bool) -> None:
        self.greater_is_better = isinstance(table, CellCounts)
        self._compared = compared
        self._evidence, self._paired = _statistics(table)
        overall = _statistics(whole)[0][0]
        self._overall = math.nan if overall is None or overall.value is None else overall.value
        self.rows = table.rows.sum(axis=1) if isinstance(table, CellCounts) else table.rows

    def values(self, group: int) -> tuple[float, float]:
        """Return the candidate's value in a group and what it is compared with; NaN where there is none."""
        evidence, paired = self._evidence[group], self._paired[group]
        value = math.nan if evidence is None or evidence.value is None else evidence.value
        if not self._compared:
            return value, self._overall
        if isinstance(paired, PairedProportions):
            return value, (paired.both + paired.only_baseline) / paired.rows
        return value, math.nan if paired is None else paired.baseline

    def interval(self, group: int) -> Bounds | None:
        """Return the interval of the candidate's value in a group."""
        evidence = self._evidence[group]
        found = None if evidence is None else interval(evidence)
        return None if isinstance(found, Undecidable) else found

    def p_value(self, group: int) -> float:
        """Return the p-value of "not worse" in a group; 1 where nothing can be said."""
        evidence, paired = self._evidence[group], self._paired[group]
        found: float | Undecidable = 1.0
        if self._compared and paired is not None:
            found = p_value_worse(paired, greater_is_better=self.greater_is_better)
        elif not self._compared and evidence is not None and math.isfinite(self._overall):
            found = p_value_worse_than(evidence, self._overall, greater_is_better=self.greater_is_better)
        return 1.0 if isinstance(found, Undecidable) else found


def _statistics(table: CellCounts | LossMeans) -> tuple[list[Evidence | None], list[Paired | None]]:
    if isinstance(table, CellCounts):
        cells = [tuple(counts) for counts in table.rows.tolist()]  # neither, only baseline, only candidate, both
        pairs = [PairedProportions(both, new, old, neither) for neither, old, new, both in cells]
        return [Proportion(pair.both + pair.only_candidate, pair.rows) for pair in pairs], list(pairs)
    stats = table.evidence(CANDIDATE, _LOSS)
    evidence = [evidence_from_json(found["evidence"]) if found else None for found in stats]
    return evidence, [paired_from_json(found["paired"]) if found else None for found in table.paired(_LOSS)]


def _range_keys(numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the range of each number, in their order: the first bits of a double, as a whole number."""
    bits = np.where(numbers == 0, 0.0, numbers).view(np.int64)
    return np.where(bits < 0, -(bits & _MAGNITUDE), bits) >> _SHIFT


def _lower_edge(key: int) -> float:
    ordered = np.int64(key) << _SHIFT
    return float(ordered.view(np.float64) if ordered >= 0 else -(-ordered).view(np.float64))
