"""CSV files, plain or compressed with gzip, read in blocks whatever their size.

A file longer than one block is read twice: first to find the type that every value of a column has, then for its
rows. The first rows alone do not tell, and a value that changed its type on the way would be a changed value.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from penstock.errors import InvalidValue
from penstock.evaluation.sources.source import Rows, SourceFile

BLOCK_BYTES = 2**23

_LOOKED_AT = 100
_EXPECTED = "a readable CSV file"
_GZIP = b"\x1f\x8b"
_NOT_CSV = (
    (b"PK\x03\x04", "an Excel workbook or a ZIP archive", "Save it as CSV (UTF-8)"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "Save it as CSV (UTF-8)"),
    (b"PAR1", "a Parquet file", "Name it .parquet"),
    (b"\xff\xfe", "text in UTF-16", "Save it in UTF-8"),
    (b"\xfe\xff", "text in UTF-16", "Save it in UTF-8"),
    (b"SQLite format 3", "a SQLite database", "Read it with SqlSource"),
)
_OTHER_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}

# In the order in which they are preferred; the same that pyarrow infers, in its order.
_TYPES = (
    pa.null(),
    pa.int64(),
    pa.bool_(),
    pa.date32(),
    pa.time32("s"),
    pa.timestamp("s"),
    pa.timestamp("ns"),
    pa.timestamp("s", "UTC"),
    pa.timestamp("ns", "UTC"),
    pa.float64(),
    pa.string(),
)


def read_csv(file: SourceFile) -> Rows:
    """Read a file with a header line, values between commas, and as many of them in every line.

    An empty value is a null, and so are `NA`, `NaN`, `NULL` and the like. `InvalidValue` says what is wrong with a
    file, and in which row.
    """
    head = _head(file)
    longer = len(head) > BLOCK_BYTES
    reader = _reader(file, _types(file) if longer else None)
    if odd := [field.name for field in reader.schema if pa.types.is_binary(field.type)]:
        raise InvalidValue("data", file.shown, f"{_EXPECTED} in UTF-8", f"Column {odd[0]!r} is not. Save it in UTF-8")
    return Rows(reader.schema.names, file.each(_EXPECTED, iter(reader)))


def _head(file: SourceFile) -> bytes:
    """Return the beginning of the file's text: one block, and a byte more if it is longer."""
    with file.readable(_EXPECTED), _text(file) as stream:
        head = bytes(stream.read(BLOCK_BYTES + 1))
    for magic, what, hint in _NOT_CSV:
        if head.startswith(magic):
            raise InvalidValue("data", file.shown, _EXPECTED, f"Its content is {what}. {hint}")
    if not head.strip(b"\xef\xbb\xbf\r\n \t"):
        raise InvalidValue("data", file.shown, _EXPECTED, "It is empty")
    first = head.split(b"\n", 1)[0].decode("utf-8-sig", "replace").rstrip("\r")
    if "," not in first:
        for delimiter, named in _OTHER_DELIMITERS.items():
            if delimiter in first:
                hint = f"Its header has {named} and no comma: {first[:80]!r}"
                raise InvalidValue("data", file.shown, f"{_EXPECTED} with commas between values", hint)
    return head


def _text(file: SourceFile) -> Any:
    with file.stream() as stream:
        packed = stream.read(2) == _GZIP
    return file.filesystem.open_input_stream(file.path, compression="gzip" if packed else None)


def _reader(file: SourceFile, types: dict[str, Any] | None) -> Any:
    with file.readable(_EXPECTED):
        return pyarrow.csv.open_csv(
            _text(file),
            # In one thread, so that an error names its row.
            read_options=pyarrow.csv.ReadOptions(block_size=BLOCK_BYTES + 1, use_threads=False),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=True, column_types=types),
        )


def _types(file: SourceFile) -> dict[str, Any]:
    """Return the first type of `_TYPES` that every value of a column has, by column."""
    names = _reader(file, None).schema.names
    possible, texts = {name: list(_TYPES) for name in names}, dict.fromkeys(names, pa.string())
    for batch in file.each(_EXPECTED, iter(_reader(file, texts))):
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            possible[name] = [kind for kind in possible[name] if _holds(kind, column)]
    return {name: kinds[0] for name, kinds in possible.items()}


def _holds(kind: Any, texts: Any) -> bool:
    if kind == pa.string():
        return True
    if pa.types.is_null(kind):
        return bool(texts.null_count == len(texts))
    try:
        for part in (texts.slice(0, _LOOKED_AT), texts):  # a cast that fails takes longest
            _converted(pc.utf8_trim_whitespace(part), kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True


def _converted(texts: Any, kind: Any) -> Any:
    if pa.types.is_time(kind):  # to which there is no cast from text
        return pc.cast(pc.binary_join_element_wise("1970-01-01", texts, " "), pa.timestamp("s"))
    return pc.cast(texts, kind)
