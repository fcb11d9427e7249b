"""Values as a person reads them."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from penstock.model.audit import Actor
from penstock.model.runs import split_value

NOTHING = "–"
ID_LENGTH = 12


def clean(text: object) -> str:
    """Return text in which nothing can steer a terminal: control characters are written out."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in str(text))


def one_line(text: object) -> str:
    """Return text on one line."""
    return clean(" ".join(str(text).split()))


def short(identifier: str) -> str:
    """Return the first characters of an id or digest: enough to name it by."""
    return identifier.rpartition(":")[2][:ID_LENGTH]


def when(time: datetime | None) -> str:
    """Return a time in UTC, to the second."""
    return NOTHING if time is None else time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def duration(start: datetime, end: datetime | None) -> str:
    """Return how long something took."""
    if end is None:
        return NOTHING
    seconds = max(0.0, (end - start).total_seconds())
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def number(value: float | None) -> str:
    """Return a measured number; a non-finite one by its kind."""
    if value is None:
        return NOTHING
    return f"{value:.6g}" if math.isfinite(value) else split_value(value)[0].value


def size(count: int) -> str:
    """Return a number of bytes in decimal units."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def version(found: int | None) -> str:
    """Return a version number as people say it."""
    return "none" if found is None else f"v{found}"


def plural(count: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def series(parts: Sequence[str]) -> str:
    """Return parts as `a, b and c`."""
    return " and ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)


def who(actor: Mapping[str, Any]) -> str:
    """Return who acted, and whether anybody has checked that."""
    return str(Actor(**actor)) if actor else NOTHING


def pairs(values: Mapping[str, Any]) -> str:
    """Return a flat mapping as `name=value, ...`, with ids and digests cut short."""
    return ", ".join(f"{name}={_cut(value)}" for name, value in values.items())


def _cut(value: Any) -> str:
    text = str(value)
    last = text.rpartition(":")[2]
    return short(text) if len(last) >= 32 and all(c in "0123456789abcdef" for c in last) else text


def indented(text: str, width: int, indent: str) -> str:
    """Return text wrapped to `width`, every line after `indent`."""
    return textwrap.fill(text, max(width, len(indent) + 20), initial_indent=indent, subsequent_indent=indent)
