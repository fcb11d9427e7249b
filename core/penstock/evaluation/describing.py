"""What is remembered of rows: their digest, count, columns and source."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from penstock.errors import InvalidValue
from penstock.evaluation.digests import RowDigest
from penstock.evaluation.reading import BATCH_ROWS, in_memory, locate, parquet_files, read_batches
from penstock.model.data import Dataset, DataSource


class RowSummary:
    """Digest and column types of the rows seen so far: `update` with batches, `merge` with others, then `result`."""

    def __init__(self) -> None:
        self._digest = RowDigest()
        self._types: dict[str, Any] = {}

    def update(self, batch: pd.DataFrame) -> None:
        """Add the batch's rows."""
        self._digest.update(batch)
        self._widen({str(name): kind for name, kind in batch.dtypes.items()})

    def merge(self, other: RowSummary) -> None:
        """Add the rows of another summary."""
        self._digest.merge(other._digest)
        self._widen(other._types)

    def _widen(self, types: Mapping[str, Any]) -> None:
        """Keep one type per column: integers beside nulls arrive as doubles, and only in some of the batches."""
        for name, kind in types.items():
            known = self._types.setdefault(name, kind)
            if known != kind:
                numbers = (
                    isinstance(known, np.dtype) and isinstance(kind, np.dtype) and "O" not in (known.kind, kind.kind)
                )
                self._types[name] = np.result_type(known, kind) if numbers else np.dtype(object)

    def result(self, data: DataSource, role: str) -> Dataset:
        """Return the data set; `InvalidValue` if no row was seen."""
        if self._digest.rows == 0:
            raise InvalidValue("data", f"{role} data has 0 rows", "at least one row")
        held = in_memory(data.source)
        return Dataset(
            name=data.name or held or Path(data.source).stem,
            digest=self._digest.result(),
            rows=self._digest.rows,
            role=role,
            source=held or str(data.source),
            schema={name: str(kind) for name, kind in self._types.items()},
        )


class SourceReader:
    """Reads data sources without a model, `batch_rows` at a time (implements `penstock.ports.DataReader`)."""

    def __init__(self, batch_rows: int = BATCH_ROWS) -> None:
        self._batch_rows = batch_rows

    def fingerprint(self, data: DataSource) -> Mapping[str, Any]:
        """Return what identifies the content and the columns' roles as plain JSON: bytes for files, else every cell.

        The same table as a DataFrame and as an Arrow table has one fingerprint. A path is no part of it.
        """
        columns = {"label": data.label, "id": data.id, "weight": data.weight, "drop": sorted(data.drop)}
        if in_memory(data.source):
            digest = RowDigest()
            for batch in read_batches(data, self._batch_rows):
                digest.update(batch)
            return {"rows": digest.result(), "columns": columns}
        path = locate(data.source)
        if path.is_dir():
            files = [[file.relative_to(path).as_posix(), _sha256(file)] for file in parquet_files(path)]
            return {"files": files, "columns": columns}
        return {"sha256": _sha256(path), "columns": columns}

    def describe(self, data: DataSource, role: str) -> Dataset:
        """Read the source once and return its digest, row count and schema (pandas' names of types)."""
        summary = RowSummary()
        for batch in read_batches(data, self._batch_rows):
            summary.update(batch)
        return summary.result(data, role)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
