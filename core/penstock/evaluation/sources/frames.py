"""Rows that are in memory already."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pyarrow as pa

from penstock.evaluation.sources.source import Rows


class FrameSource:
    """A pandas DataFrame. A named index is a column; an unnamed one numbers the rows and is not data."""

    name = shown = "DataFrame"

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame

    def files(self) -> None:
        """None: there are no files."""

    def read(self, rows: int) -> Rows:
        """Read slices of the frame."""
        frame = self._frame
        named = [name for name in frame.index.names if name is not None]

        def batches() -> Iterator[pd.DataFrame]:
            for start in range(0, len(frame), rows):
                batch = frame.iloc[start : start + rows]
                yield (batch.reset_index(level=named) if named else batch).reset_index(drop=True)

        return Rows([*named, *frame.columns], batches())


class TableSource:
    """An Arrow table."""

    name = shown = "Table"

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def files(self) -> None:
        """None: there are no files."""

    def read(self, rows: int) -> Rows:
        """Read the table's own batches."""
        return Rows(self._table.schema.names, iter(self._table.to_batches(max_chunksize=rows)))
