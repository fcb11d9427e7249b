"""The same measurements on parts of the rows: one part for each value of a column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from penstock.errors import InvalidValue
from penstock.evaluation.answers import JudgedRows
from penstock.evaluation.binary import BinaryRows

NULL = "(null)"
MOST_VALUES = 1000


class Slices:
    """One accumulator for each value of each column: `update` with batches, `merge` with others, then `result`.

    A row is in one slice of every column, `(null)` if it has no value there; so the state grows with every column by
    that of all rows.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._parts: dict[str, dict[str, BinaryRows]] = {column: {} for column in columns}

    def update(self, batch: pd.DataFrame, rows: JudgedRows) -> None:
        """Add a batch and its answers. `InvalidValue` for a column that is missing or has more than 1000 values."""
        for column, parts in self._parts.items():
            if column not in batch.columns:
                present = ", ".join(str(name) for name in batch.columns)
                raise InvalidValue("slice column", column, "a column of the data", f"Its columns are: {present}")
            codes, values = pd.factorize(batch[column])
            names = [*(_text(value) for value in values), NULL]  # code -1, a null, is the last name
            order = np.argsort(codes, kind="stable")
            starts = np.flatnonzero(np.diff(codes[order], prepend=-2))
            ordered = rows.take(order)
            for start, stop in zip(starts, [*starts[1:], len(codes)], strict=True):
                part = parts.setdefault(names[codes[order[start]]], BinaryRows())
                part.update(ordered.take(slice(start, stop)))
            if len(parts) > MOST_VALUES:
                raise InvalidValue(
                    "slice column",
                    column,
                    f"at most {MOST_VALUES} values",
                    "Slice by a category, not by a number or id",
                )

    def merge(self, other: Slices) -> None:
        """Add the rows of another accumulator with the same columns."""
        for column, parts in other._parts.items():
            for value, part in parts.items():
                self._parts[column].setdefault(value, BinaryRows()).merge(part)

    def result(self) -> list[tuple[dict[str, str], JudgedRows]]:
        """Return each slice as column → value with its rows, columns as they were named, values in order."""
        return [
            ({column: value}, part.result())
            for column, parts in self._parts.items()
            for value, part in sorted(parts.items())
        ]


def _text(value: Any) -> str:
    """Write a category; whole numbers are written alike whether or not nulls beside them made them doubles."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
