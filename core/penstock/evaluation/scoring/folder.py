"""A folder of Parquet files, one for each partition: written under another name, then renamed."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from penstock.errors import InvalidValue, StoreUnavailable
from penstock.model.scores import FolderDestination
from penstock.ports.scorer import Written


class FileWriter:
    """Writes batches into one Parquet file, whose columns are those of the first."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self.written = Written(0)
        self._writer: Any = None

    def write(self, batch: pd.DataFrame) -> None:
        """Append a batch; `InvalidValue` if its columns have other types than those of the first."""
        try:
            if self._writer is None:
                rows = pa.Table.from_pandas(batch, preserve_index=False)
                self._writer = pq.ParquetWriter(self.path, rows.schema)
            else:
                rows = pa.Table.from_pandas(batch, schema=self._writer.schema, preserve_index=False)
            self._writer.write_table(rows)
        except pa.ArrowException as error:
            cause = str(error).splitlines()[0]
            raise InvalidValue("predictions", cause, "columns whose types Parquet has, the same in all rows") from error
        self.rows += len(batch)

    def finish(self) -> None:
        """Close the file and see it on disk."""
        if self._writer is None:
            pq.write_table(pa.table({}), self.path)  # no rows: a file without columns
        else:
            self._writer.close()
        with self.path.open("rb") as file:
            self.written = Written(self.rows, hashlib.file_digest(file, "sha256").hexdigest())
            os.fsync(file.fileno())


@contextmanager
def writing(to: FolderDestination, partition: str, may_commit: Callable[[], None]) -> Iterator[FileWriter]:
    """Yield a writer; the file takes its name when the block has ended and `may_commit` has not raised.

    A reader finds the old file or the new one, whole. What an attempt that was killed has left half-written is removed.
    """
    path = path_of(to, partition)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(f".{_escaped(path.name)}.*.partial"):
            left.unlink(missing_ok=True)
        writer = FileWriter(path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial"))
    except OSError as error:
        raise StoreUnavailable(str(to), str(error.strerror or error)) from error
    try:
        yield writer
        writer.finish()
        may_commit()
        writer.path.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise StoreUnavailable(str(to), str(error.strerror or error)) from error
    finally:
        with suppress(OSError):
            writer.path.unlink(missing_ok=True)


def holds(to: FolderDestination, partition: str, written: Written) -> bool:
    """Return whether the file has the bytes that were written."""
    try:
        with path_of(to, partition).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == written.sha256
    except OSError:
        return False


def path_of(to: FolderDestination, partition: str) -> Path:
    """Return a partition's file; what has a meaning in paths or patterns is written as %XX."""
    name = quote(partition, safe=" =,+@:~")
    return to.folder / f"{name.removeprefix('.') if name.strip('.') else name.replace('.', '%2E')}.parquet"


def _escaped(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
