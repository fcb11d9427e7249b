"""What is remembered of rows: digest, count, columns and their profile, hashes of rows, time range, source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd

from penstock.errors import InvalidValue
from penstock.evaluation.reading import BATCH_ROWS, from_files, read_ahead, read_batches
from penstock.evaluation.rows.cells import Cells
from penstock.evaluation.rows.digests import RowDigest, row_hashes
from penstock.evaluation.rows.hashing import Words
from penstock.evaluation.rows.overlap import Columns, TrainedOn
from penstock.evaluation.rows.profile import ProfiledColumn, TimeRange
from penstock.evaluation.rows.sketch import ROWS_KEPT, HashSample, RowSample
from penstock.evaluation.sources import opened
from penstock.model.data import Dataset, DataSource
from penstock.ports import TrainingRows

# Roles whose columns tell rows apart without saying anything about them, or were made by a model.
_NOT_COMPARED = ("weight", "id", "time", "group", "prediction", "scores", "drop")


class RowSummary:
    """What is remembered of the rows seen so far: `update` with batches, `merge` with others, then `result`.

    With `trained_on`, of each row a hash over the columns of that training data is kept, up to `rows_kept` of them, to
    find how many rows are in both; if it will be `sampled`, also one over its features and label. Summaries to be
    merged must have been made alike. `Corrupted` if what was kept of the training data is damaged.
    """

    def __init__(
        self,
        data: DataSource,
        trained_on: Sequence[TrainingRows] = (),
        *,
        rows_kept: int = ROWS_KEPT,
        sampled: bool = False,
    ) -> None:
        self._data, self._sampled = data, sampled
        self._trained_on = TrainedOn(trained_on)
        self._rows_kept = rows_kept
        self._digest = RowDigest()
        self._types: dict[str, Any] = {}
        self._profiles: dict[str, ProfiledColumn] = {}
        self._times = None if data.time is None else TimeRange(data.time)
        self._samples: dict[Columns, HashSample] = {}

    @property
    def rows(self) -> int:
        """The rows seen so far."""
        return self._digest.rows

    @property
    def digest(self) -> str:
        """The digest of the rows seen so far."""
        return self._digest.result()

    def update(self, batch: pd.DataFrame) -> None:
        """Add the batch's rows."""
        names = frozenset(str(name) for name in batch.columns)
        for columns in ([self._own(names)] if self._sampled else []) + self._trained_on.comparable(names):
            self._samples.setdefault(columns, HashSample(self._rows_kept))
        for name in batch.columns:
            self._profiles.setdefault(str(name), ProfiledColumn())
        left_out: dict[Columns, Words] = {}  # the sums of cells that are not among a sample's columns
        one_at_a_time = Lock()

        def seen(name: str, cells: Cells, hashes: Words, factor: np.uint64) -> None:
            self._profiles[name].update(cells, hashes, factor)
            for columns in self._samples:
                if name not in columns:
                    with one_at_a_time:
                        left_out[columns] = left_out[columns] + hashes if columns in left_out else hashes.copy()

        sums, whole = self._digest.update(batch, seen)
        for columns, sample in self._samples.items():
            if columns:
                sample.update(row_hashes(sums - left_out[columns]) if columns in left_out else whole)
        if self._times is not None:
            self._times.update(batch[self._data.time])
        self._widen({str(name): kind for name, kind in batch.dtypes.items()})

    def merge(self, other: RowSummary) -> None:
        """Add the rows of another summary."""
        self._digest.merge(other._digest)
        self._widen(other._types)
        for columns, sample in other._samples.items():
            self._samples.setdefault(columns, HashSample(self._rows_kept)).merge(sample)
        for name, profile in other._profiles.items():
            self._profiles.setdefault(name, ProfiledColumn()).merge(profile)
        if self._times is not None and other._times is not None:
            self._times.merge(other._times)

    def _own(self, names: Columns) -> Columns:
        """Return the data's features and label."""
        return names - {name for role in _NOT_COMPARED for name in self._data.columns.get(role, ())}

    def _widen(self, types: Mapping[str, Any]) -> None:
        """Keep one type per column: integers beside nulls arrive as doubles, and only in some of the batches."""
        for name, kind in types.items():
            known = self._types.setdefault(name, kind)
            if known != kind:
                numbers = (
                    isinstance(known, np.dtype) and isinstance(kind, np.dtype) and "O" not in (known.kind, kind.kind)
                )
                self._types[name] = np.result_type(known, kind) if numbers else np.dtype(object)

    def sample(self) -> RowSample:
        """Return hashes of the rows over features and label, to be kept beside the data set's record."""
        own = self._own(frozenset(self._types))
        found = self._samples.get(own, HashSample(0))
        return RowSample(sorted(own), found.bound, found.hashes)

    def result(self, role: str) -> Dataset:
        """Return the data set; `InvalidValue` if no row was seen."""
        source = opened(self._data.source)
        if self._digest.rows == 0:
            raise InvalidValue("data", f"{role} data has 0 rows", "at least one row", f"Its source is {source.shown}")
        types = {name: str(kind) for name, kind in self._types.items()}
        return Dataset(
            name=self._data.name or source.name,
            digest=self._digest.result(),
            rows=self._digest.rows,
            role=role,
            source=source.shown,
            schema=types,
            profile={name: profile.result(types[name]) for name, profile in self._profiles.items()},
            earliest=None if self._times is None else self._times.earliest,
            latest=None if self._times is None else self._times.latest,
            overlap=self._trained_on.overlap(self._samples),
        )

    def pack(self) -> dict[str, Any]:
        """Return the state as arrays and plain values."""
        return {
            "digest": self._digest.result(),
            "types": {name: str(kind) for name, kind in self._types.items()},
            "profiles": {name: profile.pack() for name, profile in self._profiles.items()},
            "times": [] if self._times is None else self._times.pack(),
            "samples": [{"columns": sorted(c), "sample": sample.pack()} for c, sample in self._samples.items()],
        }

    def unpack(self, packed: Mapping[str, Any]) -> None:
        """Take the state of `pack`."""
        self._digest = RowDigest.from_result(packed["digest"])
        self._types = {name: pd.api.types.pandas_dtype(kind) for name, kind in packed["types"].items()}
        for name, profile in packed["profiles"].items():
            self._profiles.setdefault(name, ProfiledColumn()).unpack(profile)
        if self._times is not None:
            self._times.unpack(packed["times"])
        for found in packed["samples"]:
            sample = self._samples.setdefault(frozenset(found["columns"]), HashSample(self._rows_kept))
            sample.unpack(found["sample"])


class SourceReader:
    """Reads data sources without a model (implements `penstock.ports.DataReader`).

    `batch_rows` at a time; None: as many as suit the source.
    """

    def __init__(self, batch_rows: int | None = None, rows_kept: int = ROWS_KEPT) -> None:
        self._batch_rows = batch_rows
        self._rows_kept = rows_kept

    def fingerprint(self, data: DataSource) -> Mapping[str, Any]:
        """Return what identifies the content and the columns' roles as plain JSON: bytes for files, else every cell.

        The same table as a DataFrame and as an Arrow table has one fingerprint. A path is no part of it, but for the
        names of files below a folder, which may hold values (`month=3`). What is not a file is read through once.
        """
        columns = {"label": data.label, "id": data.id, "weight": data.weight, "drop": sorted(data.drop)}
        later = ("time", "group", "prediction", "scores")
        columns |= {role: list(data.columns[role]) for role in later if role in data.columns}
        source = opened(data.source, again=True)
        files = source.files()
        if files is None:
            digest = RowDigest()
            for batch in read_batches(data, self._batch_rows or BATCH_ROWS):
                digest.update(batch)
            return {"rows": digest.result(), "columns": columns}
        if [file.shown for file in files] == [source.shown]:
            return {"sha256": files[0].sha256(), "columns": columns}
        return {"files": [[file.name, file.sha256()] for file in files], "columns": columns}

    def describe(self, data: DataSource, role: str, rows_to: Path | None = None) -> Dataset:
        """Read the source once and return what is remembered of it; write the hashes of its rows to `rows_to`."""
        summary = RowSummary(data, rows_kept=self._rows_kept, sampled=rows_to is not None)
        batches = read_batches(data, self._batch_rows or BATCH_ROWS)
        for batch in read_ahead(batches) if from_files(data) else batches:
            summary.update(batch)
        dataset = summary.result(role)
        if rows_to is not None:
            summary.sample().write(rows_to)
        return dataset
