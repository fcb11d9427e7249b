"""A state as bytes and back: plain values as JSON, arrays as NumPy's own format, never pickle.

Layout: a line of magic with the version, a line with the SHA-256 of all that follows, a line with the length of the
JSON head, the head, then the arrays one after the other. Reading checks the digest before it looks at anything else.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from penstock.errors import Corrupted, InvalidValue

_MAGIC = b"penstock evaluation part 1\n"
MOST_BYTES = 2**31
_KINDS = "biufUM"
_ARRAY, _MISSING = "\0array", "\0float"


def pack(tree: Mapping[str, Any]) -> bytes:
    """Return nested dictionaries and lists of arrays, text, numbers, booleans and None as bytes."""
    arrays: list[bytes] = []
    head = json.dumps(_written(tree, arrays), allow_nan=False).encode()
    body = b"%d\n" % len(head) + head + b"".join(arrays)
    return _MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def unpack(packed: bytes, name: str = "evaluation part") -> dict[str, Any]:
    """Inverse of `pack`. `Corrupted` for bytes that `pack` did not write, `InvalidValue` for more than 2 GiB."""
    if len(packed) > MOST_BYTES:
        raise InvalidValue(name, f"{len(packed)} bytes", f"at most {MOST_BYTES} bytes")
    if not packed.startswith(_MAGIC):
        raise Corrupted(name, "", f"a file that begins with {_MAGIC.decode().strip()!r}", repr(packed[:32]))
    digest, body = packed[len(_MAGIC) : len(_MAGIC) + 64], memoryview(packed)[len(_MAGIC) + 65 :]
    found = hashlib.sha256(body).hexdigest()
    if found.encode() != digest:
        raise Corrupted(name, "", f"SHA-256 {digest.decode('ascii', 'replace')}", found)
    length, _, _ = bytes(body[:24]).partition(b"\n")
    start = len(length) + 1
    head = json.loads(bytes(body[start : start + int(length)]))
    tree = _read(head, body[start + int(length) :])
    if not isinstance(tree, dict):
        raise Corrupted(name, "", "a mapping", type(tree).__name__)
    return tree


def _written(value: Any, arrays: list[bytes]) -> Any:
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in _KINDS:
            raise InvalidValue("array of a state", str(value.dtype), "numbers, fixed text or times")
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.ascontiguousarray(value).reshape(value.shape), allow_pickle=False)
        start = sum(len(array) for array in arrays)
        arrays.append(buffer.getvalue())
        return {_ARRAY: [start, len(arrays[-1])]}
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise InvalidValue("keys of a state", list(value), "text")
        return {key: _written(item, arrays) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_written(item, arrays) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if np.isfinite(value) else {_MISSING: repr(value)}
    if value is None or isinstance(value, str | int | bool):
        return value
    raise InvalidValue(
        "value of a state", type(value).__name__, "arrays, text, numbers, lists and dictionaries of them"
    )


def _read(value: Any, arrays: memoryview) -> Any:
    if isinstance(value, list):
        return [_read(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if _ARRAY in value:
        start, length = value[_ARRAY]
        return np.lib.format.read_array(io.BytesIO(arrays[start : start + length]), allow_pickle=False)
    if _MISSING in value:
        return float(value[_MISSING])
    return {key: _read(item, arrays) for key, item in value.items()}
