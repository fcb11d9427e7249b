"""What every source of rows offers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.fs

from penstock.errors import InvalidValue
from penstock.evaluation.sources import s3

_PIECE_BYTES = 2**20
_BEGINS = b"penstock.begins"


class Rows(NamedTuple):
    """The names of the columns, in order, and the rows: DataFrames or Arrow record batches of any size."""

    columns: list[Any]
    batches: Iterator[Any]


class Source(Protocol):
    """A source of rows. Making one reads nothing."""

    @property
    def name(self) -> str:
        """A short name for what has been given no other."""
        ...

    @property
    def shown(self) -> str:
        """Where the rows are, as it is recorded and shown: no secrets."""
        ...

    def files(self) -> list[SourceFile] | None:
        """Return the files that hold the rows, by name; None where the rows are in no files."""
        ...

    def read(self, rows: int) -> Rows:
        """Start to read, in batches of about `rows` rows, in order. `NotFound` if the source is not there."""
        ...


@dataclass(frozen=True)
class SourceFile:
    """A file here or on S3. `name` is relative to the folder that was named, `shown` is its whole path."""

    filesystem: pyarrow.fs.FileSystem
    path: str
    name: str
    shown: str

    @property
    def is_remote(self) -> bool:
        """Whether every read is a request over a network."""
        return isinstance(self.filesystem, pyarrow.fs.S3FileSystem)

    def open(self) -> Any:
        """Open the file to read any part of it."""
        return self.filesystem.open_input_file(self.path)

    def stream(self) -> Any:
        """Open the file to read it from its beginning, as it is stored."""
        return self.filesystem.open_input_stream(self.path, compression=None, buffer_size=_PIECE_BYTES)

    def sha256(self) -> str:
        """Return the SHA-256 of the file's bytes."""
        found = hashlib.sha256()
        with self.readable("a readable file"), self.stream() as stream:
            while piece := stream.read(_PIECE_BYTES):
                found.update(piece)
        return found.hexdigest()

    @contextmanager
    def readable(self, expected: str) -> Iterator[None]:
        """Say of a failure which file it is and what it should be; a store that cannot be reached may pass."""
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            if self.is_remote:
                s3.refuse(error, self.shown)
            cause = f"{error}".splitlines()[0]
            raise InvalidValue("data", self.shown, expected, cause) from error

    def each(self, expected: str, batches: Iterator[Any]) -> Iterator[Any]:
        """Yield from `batches` of this file, saying of a failure which file it is."""
        while True:
            with self.readable(expected):
                batch = next(batches, None)
            if batch is None:
                return
            yield batch


def beginning(batches: Iterator[Any]) -> Iterator[Any]:
    """Yield a file's record batches; the first says that a file begins, which `begins` reads."""
    for number, batch in enumerate(batches):
        yield batch if number else batch.replace_schema_metadata({_BEGINS: b""})


def begins(batch: Any) -> bool:
    """Whether a record batch, or a slice of one, is of those that a file begins with."""
    return _BEGINS in (batch.schema.metadata or {})


def pieces(table: Any, rows: int) -> Sequence[Any]:
    """Return a record batch or a table in record batches of at most `rows` rows."""
    if isinstance(table, pa.Table):
        return list(table.to_batches(max_chunksize=rows))
    return [table.slice(start, rows) for start in range(0, table.num_rows, rows)]
