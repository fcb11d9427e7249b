"""Which slices the rows of a batch belong to: found as the batches come, numbered, and merged by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from penstock.errors import InvalidValue
from penstock.evaluation.state.groups import Codes, GroupCodes
from penstock.model.slices import SlicePart, Slicing

NULL = "(null)"
MOST_VALUES = 1000


class GroupIndex:
    """Numbers all rows as group 0 and each slice as one more, in the order they are found.

    A row is in one slice of every slicing; `(null)` stands for a missing value.
    """

    def __init__(self, slicings: Sequence[Slicing]) -> None:
        self.slicings = tuple(dict.fromkeys(slicings))
        self._numbers: dict[tuple[int, tuple[str, ...]], int] = {}

    @property
    def size(self) -> int:
        """The groups found so far, all rows among them."""
        return 1 + len(self._numbers)

    def codes(self, batch: pd.DataFrame) -> GroupCodes:
        """Return the groups of a batch's rows. `InvalidValue` for a missing column or more than 1000 slices of one."""
        found = [self._codes(place, slicing, batch) for place, slicing in enumerate(self.slicings)]
        return GroupCodes(len(batch), [codes for codes, _ in found], self.size, [present for _, present in found])

    def _codes(self, place: int, slicing: Slicing, batch: pd.DataFrame) -> tuple[Codes, NDArray[np.intp]]:
        """Return each row's group, and which groups there are."""
        codes, names = part_codes(slicing.parts[0], batch)
        found = [(name,) for name in names]
        for part in slicing.parts[1:]:
            more, more_names = part_codes(part, batch)
            both, codes = np.unique(codes * len(more_names) + more, return_inverse=True)
            if len(both) > MOST_VALUES:
                raise _too_many(slicing)
            found = [(*found[pair // len(more_names)], more_names[pair % len(more_names)]) for pair in both.tolist()]
        used = np.flatnonzero(np.bincount(codes, minlength=len(found)))
        table = np.zeros(len(found), dtype=np.int32)
        for code in used.tolist():
            table[code] = self._number(place, found[code])
        return table[codes], table[used].astype(np.intp)

    def _number(self, place: int, values: tuple[str, ...]) -> int:
        number = self._numbers.get((place, values))
        if number is None:
            if sum(known == place for known, _ in self._numbers) >= MOST_VALUES:
                raise _too_many(self.slicings[place])
            number = self._numbers[place, values] = self.size
        return number

    def merge(self, other: GroupIndex) -> NDArray[np.intp]:
        """Add another's slices; return, for each of its groups, the group here."""
        places = [0] + [self._number(*key) for key in other._numbers]
        return np.array(places, dtype=np.intp)

    def result(self) -> list[tuple[int, Mapping[str, str]]]:
        """Return every group with its slice (column → value), all rows first, slicings as given, values in order."""
        ordered = sorted(self._numbers.items(), key=lambda item: item[0])
        groups: list[tuple[int, Mapping[str, str]]] = [(0, {})]
        for (place, values), number in ordered:
            groups.append((number, dict(zip(self.slicings[place].columns, values, strict=True))))
        return groups

    def pack(self) -> list[Any]:
        """Return the slices in the order of their numbers, as plain JSON."""
        return [[place, list(values)] for place, values in self._numbers]

    def unpack(self, packed: Sequence[Any]) -> None:
        """Take the state of `pack`."""
        self._numbers = {(int(place), tuple(values)): number for number, (place, values) in enumerate(packed, start=1)}


def part_codes(part: SlicePart, batch: pd.DataFrame) -> tuple[NDArray[np.intp], list[str]]:
    """Return each row's place in the list of values, and their names."""
    if part.column not in batch.columns:
        present = ", ".join(str(name) for name in batch.columns)
        raise InvalidValue("slice column", part.column, "a column of the data", f"Its columns are: {present}")
    column = batch[part.column]
    if part.edges:
        try:
            numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
        except (TypeError, ValueError) as error:
            raise InvalidValue(f"slice column {part.column!r}", str(column.dtype), "numbers to cut at edges") from error
        places = np.searchsorted(np.array(part.edges), numbers, side="right")
        places[np.isnan(numbers)] = len(part.edges) + 1
        return places, [*(part.interval(place) for place in range(len(part.edges) + 1)), NULL]
    if isinstance(column.dtype, pd.CategoricalDtype) and len(column.dtype.categories) <= MOST_VALUES:
        codes, values = column.array.codes.astype(np.intp), column.dtype.categories
    else:
        codes, values = pd.factorize(column)
    if len(values) > MOST_VALUES:
        raise _too_many(Slicing((part,)))
    if len(codes) and codes.min() < 0:
        codes[codes < 0] = len(values)
    return codes, [*(_text(value) for value in values.tolist()), NULL]


def _too_many(slicing: Slicing) -> InvalidValue:
    hint = "Slice by a category, or cut a number at edges (distance:500,1000), not by a number or id"
    return InvalidValue("slice column", str(slicing), f"at most {MOST_VALUES} values", hint)


def _text(value: Any) -> str:
    """Write a category; whole numbers are written alike whether or not nulls beside them made them doubles."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
