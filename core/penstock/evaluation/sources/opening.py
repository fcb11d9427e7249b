"""From what a caller named to a source of rows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from penstock.errors import InvalidValue
from penstock.evaluation.sources.batches import BatchSource
from penstock.evaluation.sources.files import FileSource
from penstock.evaluation.sources.frames import FrameSource, TableSource
from penstock.evaluation.sources.source import Source
from penstock.evaluation.sources.sql import QuerySource
from penstock.model.data import SqlSource

_EXPECTED = "a path, a pandas DataFrame, an Arrow table, a SqlSource, or batches of rows"


def opened(source: Any, *, again: bool = False) -> Source:
    """Return the source that a caller named; with `again` it must be one that can be read more than once.

    `InvalidValue` for anything that is no source of rows.
    """
    if isinstance(source, pd.DataFrame):
        return FrameSource(source)
    if isinstance(source, pa.Table):
        return TableSource(source)
    if isinstance(source, str | os.PathLike):
        return FileSource(os.fspath(source))
    if isinstance(source, SqlSource):
        return QuerySource(source)
    if callable(source) or (isinstance(source, Sequence) and source and all(_is_batch(part) for part in source)):
        return BatchSource(source)
    if isinstance(source, Iterator | pa.RecordBatchReader):
        if again:
            hint = "Rows are read twice here. Pass a function that returns a new iterator, e.g. lambda: read_batches()"
            raise InvalidValue("data", f"an iterator ({type(source).__name__})", "batches that can be read again", hint)
        return BatchSource(source)
    raise InvalidValue("data", type(source).__name__, _EXPECTED)


def _is_batch(part: Any) -> bool:
    return isinstance(part, pd.DataFrame | pa.Table | pa.RecordBatch)
