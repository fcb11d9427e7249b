"""Rows from where they are, in batches of pandas DataFrames. No row is dropped and no type changes silently."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from penstock.errors import InvalidValue, NotFound
from penstock.model.data import DataSource

BATCH_ROWS = 65_536
PARQUET = (".parquet", ".pq")
CSV = (".csv",)

# Column types of a CSV file are inferred from its first block. A file up to this size is one block, so that no later
# row can contradict what was inferred; in a larger one such a row is an error, never a changed value.
_CSV_BLOCK_BYTES = 256 * 2**20
# pandas keeps an unnamed row index in Parquet under this name; it numbers the rows and is not data.
_ROW_INDEX = re.compile(r"__index_level_\d+__")
_EXACT_IN_DOUBLE = 2**53


def read_batches(data: DataSource, rows: int = BATCH_ROWS) -> Iterator[pd.DataFrame]:
    """Yield the source's rows in order, at most `rows` at a time, none when it has no rows.

    A DataFrame's named index is a column; an unnamed one is not data. Raises `NotFound` for a path that is not there
    and `InvalidValue` for one that cannot be read, duplicate column names, or a missing column that `data` names.
    """
    if isinstance(data.source, pd.DataFrame):
        yield from _frame_batches(data, rows)
        return
    if isinstance(data.source, pa.Table):
        schema, batches = data.source.schema, iter(data.source.to_batches(max_chunksize=rows))
    else:
        schema, batches = _file_batches(locate(data.source), rows)
    _check_columns(schema.names, data)
    wanted = [name for name in schema.names if not _ROW_INDEX.fullmatch(name)]
    for batch in batches:
        for start in range(0, batch.num_rows, rows):
            yield _to_frame(batch.slice(start, rows).select(wanted))


def in_memory(source: Any) -> str:
    """Return "DataFrame" or "Table" for rows that are already in memory, else an empty string."""
    return "DataFrame" if isinstance(source, pd.DataFrame) else "Table" if isinstance(source, pa.Table) else ""


def locate(source: Any) -> Path:
    """Return the path that `source` names, checked to exist and to be a folder, a Parquet or a CSV file."""
    if not isinstance(source, str | os.PathLike):
        expected = "a path, a pandas DataFrame or an Arrow table"
        raise InvalidValue("data", type(source).__name__, expected)
    text = os.fspath(source)
    if "://" in text:
        raise InvalidValue("data", text.split("://")[0] + "://…", "a local path", "Remote data is not supported yet")
    path = Path(text)
    if not path.exists():
        raise NotFound("data", path, f"Relative paths start at {Path.cwd()}" if not path.is_absolute() else "")
    if not path.is_dir() and path.suffix.lower() not in PARQUET + CSV:
        raise InvalidValue("data", str(path), f"a folder or a file ending in {', '.join(PARQUET + CSV)}")
    return path


def parquet_files(folder: Path) -> tuple[Path, ...]:
    """Return the Parquet files in `folder` and below, by relative name.

    Names that begin with `.` or `_` are markers of the tool that wrote the folder. `InvalidValue` when there is no
    Parquet file, or something else that holds data: rows in a CSV file or values in folder names (`month=3`).
    """
    found = [
        path
        for path in sorted(folder.rglob("*"), key=lambda p: p.relative_to(folder).as_posix())
        if path.is_file() and not any(part[0] in "._" for part in path.relative_to(folder).parts)
    ]
    if any("=" in part for path in found for part in path.relative_to(folder).parent.parts):
        raise InvalidValue("data", str(folder), "a folder without values in folder names (column=value)")
    if others := [path.name for path in found if path.suffix.lower() in CSV]:
        raise InvalidValue("data", str(folder), "a folder of Parquet files only", f"It also holds {others[0]!r}")
    files = tuple(path for path in found if path.suffix.lower() in PARQUET)
    if not files:
        raise InvalidValue("data", str(folder), "a folder that holds Parquet files")
    return files


def _frame_batches(data: DataSource, rows: int) -> Iterator[pd.DataFrame]:
    frame: pd.DataFrame = data.source
    _check_columns([*(name for name in frame.index.names if name is not None), *frame.columns], data)
    for start in range(0, len(frame), rows):
        batch = frame.iloc[start : start + rows]
        named = [name for name in frame.index.names if name is not None]
        yield (batch.reset_index(level=named) if named else batch).reset_index(drop=True)


def _file_batches(path: Path, rows: int) -> tuple[Any, Iterator[Any]]:
    if path.suffix.lower() in CSV and not path.is_dir():
        with _readable(path, "CSV"):
            block = min(max(path.stat().st_size + 1, 2**16), _CSV_BLOCK_BYTES)
            reader = pyarrow.csv.open_csv(
                path,
                read_options=pyarrow.csv.ReadOptions(block_size=block),
                convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=True),
            )
        return reader.schema, _each(path, "CSV", reader)
    files = parquet_files(path) if path.is_dir() else (path,)
    schema = _common_schema(files)

    def batches() -> Iterator[Any]:
        for file in files:
            with _readable(file, "Parquet"):
                opened = pq.ParquetFile(file)
            with opened:
                for batch in _each(file, "Parquet", opened.iter_batches(batch_size=rows)):
                    yield batch.select(schema.names).cast(schema)

    return schema, batches()


def _common_schema(files: tuple[Path, ...]) -> Any:
    """Return a schema that holds the columns of every file; numbers and all-null columns widen, nothing else does."""
    schemas = []
    for file in files:
        with _readable(file, "Parquet"):
            schemas.append(pq.read_schema(file).remove_metadata())
        if odd := set(schemas[0].names) ^ set(schemas[-1].names):
            hint = f"{files[0].name!r} and {file.name!r} differ in {', '.join(sorted(odd))}"
            raise InvalidValue("data", str(file), "files with the same columns", hint)
    if len(schemas) == 1 or len(set(schemas[0].names)) != len(schemas[0].names):
        return schemas[0]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowException as error:
        raise InvalidValue(
            "data", str(files[0].parent), "files whose columns have the same types", str(error)
        ) from error


@contextmanager
def _readable(path: Path, kind: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise InvalidValue("data", str(path), f"a readable {kind} file", f"{error}".splitlines()[0]) from error


def _each(path: Path, kind: str, batches: Iterable[Any]) -> Iterator[Any]:
    """Yield from `batches`, saying of a failure which file it is."""
    remaining = iter(batches)
    while True:
        with _readable(path, kind):
            batch = next(remaining, None)
        if batch is None:
            return
        yield batch


def _check_columns(names: list[Any], data: DataSource) -> None:
    if repeated := [str(name) for name, times in Counter(names).items() if times > 1]:
        raise InvalidValue("data columns", repeated, "every column name once")
    named = {"label": (data.label,), "id": (data.id,), "weight": (data.weight,), "drop": data.drop}
    for role, columns in named.items():
        for column in columns:
            if column is not None and column not in names:
                present = ", ".join(str(name) for name in names)
                raise InvalidValue(f"{role} column", column, "a column of the data", f"Its columns are: {present}")


def _to_frame(batch: Any) -> pd.DataFrame:
    """Convert an Arrow batch; integers that a double cannot hold stay integers even beside nulls."""
    frame: pd.DataFrame = batch.to_pandas(ignore_metadata=True)
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_integer(column.type) and 0 < column.null_count < len(column):
            bounds = pc.min_max(column).as_py()
            if max(abs(bounds["min"]), abs(bounds["max"])) > _EXACT_IN_DOUBLE:
                unsigned = pa.types.is_unsigned_integer(column.type)
                frame[name] = pd.array(column.to_pylist(), dtype="UInt64" if unsigned else "Int64")
    return frame
