"""One way to write a value as bytes, so that equal values have equal digests.

Canonical JSON as used for every digest and for the ledger: keys sorted, no white space, UTF-8, no NaN or infinity
(a non-finite measurement is written by its kind, never as a JSON number).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from penstock.errors import InvalidValue

JsonObject = Mapping[str, Any]

_ENCODED = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def canonical_json(value: Any) -> str:
    """Return `value` as canonical JSON; `InvalidValue` when it is not plain, finite JSON."""
    try:
        return _ENCODED(value)
    except (TypeError, ValueError) as error:
        raise InvalidValue(
            "value", value, "plain JSON (finite numbers, strings, booleans, lists, objects)", str(error)
        ) from error


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON of `value`, as 64 hexadecimal characters."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
