"""Parquet files, and values in the names of the folders they stand in (`month=3`), as Hive and Spark write them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from penstock.errors import InvalidValue
from penstock.evaluation.sources.source import Rows, SourceFile, beginning

# What Hive writes for a null.
_NULL = "__HIVE_DEFAULT_PARTITION__"
# Column chunks here are read through a window of this size: whole ones are as large as the row groups make them.
_WINDOW_BYTES = 2**20


def read_parquet(files: Sequence[SourceFile], shown: str, rows: int) -> Rows:
    """Read files that have the same columns, with those that their folders' names hold.

    Numbers and all-null columns widen, nothing else does: `InvalidValue` names the files that disagree.
    """
    values = _folder_values(files, shown)
    schema = _common_schema(files, shown)
    if twice := sorted(set(schema.names) & set(values[0])):
        hint = f"{twice[0]!r} is a column of the files and a value in their folders' names"
        raise InvalidValue("data", shown, "every column name once", hint)

    def batches() -> Iterator[pa.RecordBatch]:
        for file, constants in zip(files, values, strict=True):
            yield from beginning(of_file(file, constants))

    def of_file(file: SourceFile, constants: Mapping[str, pa.Scalar]) -> Iterator[pa.RecordBatch]:
        with _opened(file) as opened:
            for batch in file.each("a readable Parquet file", opened.iter_batches(batch_size=rows)):
                whole = batch if batch.schema == schema else batch.select(schema.names).cast(schema)
                for name, value in constants.items():
                    whole = whole.append_column(name, pa.repeat(value, len(whole)))
                yield whole

    return Rows([*schema.names, *values[0]], batches())


@contextmanager
def _opened(file: SourceFile) -> Iterator[pq.ParquetFile]:
    with file.readable("a readable Parquet file"):
        whole_chunks = file.is_remote  # a request for each window would take longer than the bytes do
        opened = pq.ParquetFile(file.open(), buffer_size=_WINDOW_BYTES, pre_buffer=whole_chunks)
    try:
        yield opened
    finally:
        opened.close(force=True)  # the file, too


def _common_schema(files: Sequence[SourceFile], shown: str) -> pa.Schema:
    schemas = []
    for file in files:
        with _opened(file) as opened:
            schemas.append(opened.schema_arrow.remove_metadata())
        if odd := set(schemas[0].names) ^ set(schemas[-1].names):
            hint = f"{files[0].name!r} and {file.name!r} differ in {', '.join(sorted(odd))}"
            raise InvalidValue("data", file.shown, "files with the same columns", hint)
    if len(schemas) == 1 or len(set(schemas[0].names)) != len(schemas[0].names):
        return schemas[0]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowException as error:
        raise InvalidValue("data", shown, "files whose columns have the same types", str(error)) from error


def _folder_values(files: Sequence[SourceFile], shown: str) -> list[Mapping[str, pa.Scalar]]:
    """Return the columns that each file's folders name, whole numbers where all are, else text."""
    texts = [_named(file.name) for file in files]
    for file, found in zip(files, texts, strict=True):
        if list(found) != list(texts[0]):
            hint = f"{files[0].name!r} and {file.name!r} are in different kinds of folders"
            raise InvalidValue("data", shown, "folders that name the same columns in the same order", hint)
    kinds = {name: _kind([found[name] for found in texts]) for name in texts[0]}
    return [
        {
            name: pa.scalar(text if text is None or kinds[name] != pa.int64() else int(text), kinds[name])
            for name, text in found.items()
        }
        for found in texts
    ]


def _named(path: str) -> dict[str, str | None]:
    pairs = [part.partition("=") for part in PurePosixPath(path).parent.parts if "=" in part]
    return {unquote(name): None if value == _NULL else unquote(value) for name, _, value in pairs}


def _kind(texts: Sequence[str | None]) -> Any:
    """Return the type of values that stand in folder names: `03` is text where not all are plain whole numbers."""
    present = [text for text in texts if text is not None]
    whole = all(text.isascii() and text.removeprefix("-").isdigit() and len(text) < 19 for text in present)
    return pa.int64() if whole and present else pa.string()
