"""Rows from where they are, in batches of pandas DataFrames. No row is dropped and no type changes silently."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import InvalidValue
from penstock.evaluation.sources import opened
from penstock.evaluation.sources.source import begins, pieces
from penstock.model.data import DataSource

BATCH_ROWS = 65_536
_MOST_CELLS = 2**23  # of a larger batch: 64 MiB of numbers
BEGINS = "penstock begins"  # in `attrs` of the batch with which a file of several begins

# pandas keeps an unnamed row index in Parquet under this name; it numbers the rows and is not data.
_ROW_INDEX = re.compile(r"__index_level_\d+__")
_EXACT_IN_DOUBLE = 2**53


def read_batches(data: DataSource, rows: int = BATCH_ROWS) -> Iterator[pd.DataFrame]:
    """Yield the source's rows in order, at most `rows` at a time, none when it has no rows.

    A DataFrame's named index is a column; an unnamed one is not data. Raises `NotFound` for a path that is not there
    and `InvalidValue` for one that cannot be read, duplicate column names, or a missing column that `data` names.
    `StoreUnavailable` when a store or a database cannot be reached.
    """
    columns, batches = opened(data.source).read(rows)
    if columns:
        _check_columns(columns, data)
    named: pd.Index[Any] | None = None  # the same for all batches: looking a column up prepares it
    wanted = [name for name in columns if not _ROW_INDEX.fullmatch(str(name))]
    for batch in batches:
        if isinstance(batch, pd.DataFrame):
            yield batch
            continue
        first = begins(batch)
        for part in pieces(batch, rows):
            frame = _to_frame(part if len(wanted) == len(columns) else part.select(wanted))
            if named is None:
                named = frame.columns
            frame.columns = named
            if first:
                frame.attrs[BEGINS] = True
            first = False
            yield frame


def from_files(data: DataSource) -> bool:
    """Whether the source may be read in another thread: a program's own batches are made in its own."""
    return isinstance(data.source, str | os.PathLike)


def read_ahead(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Yield from `batches` while a thread reads the next one, all of them in that one thread."""
    with ThreadPoolExecutor(1, "penstock-reading") as thread:
        following = thread.submit(next, batches, None)
        while (batch := following.result()) is not None:
            following = thread.submit(next, batches, None)
            yield batch


def rows_at_once(data: DataSource, *, given: bool, answers: int = 0, several_cores: bool = False) -> int:
    """Return how many rows a batch has: each has a cost of its own, and room is scarce where rows come as a stream.

    `given`: no model is asked; else a model gives up to so many `answers` a row. A model of `several_cores` waits at
    every batch's end until the last one is done.
    """
    table = data.source
    if not isinstance(table, pd.DataFrame | pa.Table):
        return BATCH_ROWS * (2 if given else 1)
    wide = _MOST_CELLS // max(1, table.shape[1] + answers)
    return max(BATCH_ROWS, min(BATCH_ROWS * (4 if several_cores else 2), wide))


def read_on(data: DataSource, read: int, rows: int) -> Iterator[pd.DataFrame]:
    """Yield the rows of a table in memory after the first `read` ones, at most `rows` at a time."""
    table = data.source
    rest = table.slice(read) if isinstance(table, pa.Table) else table.iloc[read:]
    return read_batches(replace(data, source=rest), rows)


def _check_columns(names: list[Any], data: DataSource) -> None:
    if repeated := [str(name) for name, times in Counter(names).items() if times > 1]:
        raise InvalidValue("data columns", repeated, "every column name once")
    for role, columns in data.columns.items():
        for column in columns:
            if column not in names:
                alike = [name for name in names if str(name).strip().casefold() == column.strip().casefold()]
                hint = f"There is {alike[0]!r}. " if alike else ""
                present = ", ".join(str(name) for name in names)
                raise InvalidValue(
                    f"{role} column", column, "a column of the data", f"{hint}Its columns are: {present}"
                )


def _to_frame(batch: Any) -> pd.DataFrame:
    """Convert an Arrow batch; integers that a double cannot hold stay integers even beside nulls."""
    frame: pd.DataFrame = batch.to_pandas(ignore_metadata=True, split_blocks=True)
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_integer(column.type) and 0 < column.null_count < len(column):
            bounds = pc.min_max(column).as_py()
            if max(abs(bounds["min"]), abs(bounds["max"])) > _EXACT_IN_DOUBLE:
                unsigned = pa.types.is_unsigned_integer(column.type)
                frame[name] = pd.array(column.to_pylist(), dtype="UInt64" if unsigned else "Int64")
    return frame
