"""What tasks hand to each other: small, plain JSON."""

from __future__ import annotations

import json
from typing import Any

LIMIT_BYTES = 48 * 1024


def small_json(task_id: str, value: Any) -> Any:
    """Return `value` if it may travel as an XCom: finite, plain JSON of at most 48 KiB."""
    from penstock.errors import InvalidValue

    field = f"result of task {task_id!r}"
    try:
        size = len(json.dumps(value, allow_nan=False).encode())
    except (TypeError, ValueError) as error:
        raise InvalidValue(field, value, "plain JSON without NaN or infinity", str(error)) from error
    if size > LIMIT_BYTES:
        hint = "Log it as an artifact and return where it is"
        raise InvalidValue(field, f"{size} bytes", f"at most {LIMIT_BYTES} bytes", hint)
    return value
