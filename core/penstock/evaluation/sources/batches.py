"""Batches of rows that a program makes: a list, an iterator, or a function that returns an iterator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import pandas as pd
import pyarrow as pa

from penstock.errors import InvalidValue
from penstock.evaluation.sources.frames import FrameSource
from penstock.evaluation.sources.source import Rows, pieces

_EXPECTED = "a DataFrame, an Arrow table or a record batch"


class BatchSource:
    """Batches with the same columns, in any order within a batch: the first batch says which."""

    name = shown = "batches"

    def __init__(self, source: Any) -> None:
        self._source = source

    def files(self) -> None:
        """None: there are no files."""

    def read(self, rows: int) -> Rows:
        """Ask for the first batch, then for one after the other."""
        source = self._source() if callable(self._source) else self._source
        if not isinstance(source, Iterable):
            given = f"a function that returned {type(source).__name__}"
            raise InvalidValue("data", given, "a function that returns an iterator of batches")
        remaining = iter(source)
        first = next(remaining, None)
        if first is None:
            return Rows([], iter(()))
        columns = _read(first, 0, rows).columns
        return Rows(columns, _batches(chain([first], remaining), columns, rows))


def _batches(batches: Iterator[Any], columns: list[Any], rows: int) -> Iterator[Any]:
    for number, batch in enumerate(batches):
        found = _read(batch, number, rows)
        if sorted(map(str, found.columns)) != sorted(map(str, columns)):
            odd = ", ".join(sorted(str(name) for name in set(columns) ^ set(found.columns)))
            raise InvalidValue("data", f"batch {number} with other columns than batch 0", "the same columns", odd)
        for part in found.batches:
            yield part[columns] if isinstance(part, pd.DataFrame) else part.select(columns)


def _read(batch: Any, number: int, rows: int) -> Rows:
    if isinstance(batch, pd.DataFrame):
        return FrameSource(batch).read(rows)
    if isinstance(batch, pa.Table | pa.RecordBatch):
        return Rows(batch.schema.names, iter(pieces(batch, rows)))
    raise InvalidValue("data", f"batch {number} of type {type(batch).__name__}", _EXPECTED)
