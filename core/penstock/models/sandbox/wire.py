"""What goes between a model's process and ours: lengths and bytes, never a pickle.

A message is a JSON header and two bodies. Tables travel as Arrow IPC streams, arrays of numbers as `.npy`, other
answers as an Arrow array of their values.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

_LENGTHS = struct.Struct("<QQ")
# A header holds a few names and a sentence; an answer at most what a batch of rows can make of wide probabilities.
_MOST_HEADER = 1 << 24
_MOST_BODY = 1 << 36


class Malformed(Exception):
    """Bytes that are no message of ours: whoever sent them is not what it was."""


def write(send: Callable[[bytes | memoryview], Any], header: dict[str, Any], body: bytes | memoryview = b"") -> None:
    """Send one message."""
    text = json.dumps(header).encode()
    send(_LENGTHS.pack(len(text), len(body)))
    send(text)
    if body:
        send(body)


def read(receive: Callable[[int], bytes]) -> tuple[dict[str, Any], bytes]:
    """Receive one message; `receive(n)` returns exactly n bytes or raises `EOFError`."""
    header_bytes, body_bytes = _LENGTHS.unpack(receive(_LENGTHS.size))
    if header_bytes > _MOST_HEADER or body_bytes > _MOST_BODY:
        raise Malformed(f"a message of {header_bytes} and {body_bytes} bytes")
    try:
        header = json.loads(receive(header_bytes))
    except ValueError as error:
        raise Malformed("a header that is not JSON") from error
    if not isinstance(header, dict):
        raise Malformed("a header that is not an object")
    return header, receive(body_bytes)


def table_bytes(frame: pd.DataFrame) -> memoryview:
    """Return rows as an Arrow IPC stream; the index and pandas' own types come along."""
    table = pa.Table.from_pandas(frame, preserve_index=None)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue())


def table_of(body: bytes) -> pd.DataFrame:
    """Inverse of `table_bytes`."""
    frame: pd.DataFrame = pa.ipc.open_stream(body).read_all().to_pandas()
    return frame


def array_bytes(answer: np.ndarray[Any, Any]) -> tuple[dict[str, Any], bytes]:
    """Return an answer's header and bytes: numbers as they are, anything else by its values."""
    if answer.dtype.kind in "biufcM":
        buffer = io.BytesIO()
        np.save(buffer, answer, allow_pickle=False)
        return {"form": "npy"}, buffer.getvalue()
    values = pa.array(answer.ravel().tolist())
    sink = pa.BufferOutputStream()
    batch = pa.record_batch([values], names=["values"])
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return {"form": "arrow", "shape": list(answer.shape), "text": answer.dtype.kind == "U"}, bytes(sink.getvalue())


def array_of(header: dict[str, Any], body: bytes) -> np.ndarray[Any, Any]:
    """Inverse of `array_bytes`; `Malformed` for bytes that are no array."""
    try:
        if header["form"] == "npy":
            numbers: np.ndarray[Any, Any] = np.load(io.BytesIO(body), allow_pickle=False)
            return numbers
        table = pa.ipc.open_stream(body).read_all()
        table.validate(full=True)
        values = table.column("values").to_pylist()
        array = np.array(values, dtype=str) if header["text"] else _objects(values)
        return array.reshape(tuple(int(size) for size in header["shape"]))
    except (KeyError, ValueError, TypeError, pa.ArrowException, EOFError) as error:
        raise Malformed(f"an answer that is no array: {error}") from error


def _objects(values: list[Any]) -> np.ndarray[Any, Any]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
