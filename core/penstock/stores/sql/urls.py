"""Store URLs, parsed once and in one place: allow-listed schemes, never printed with a password."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from penstock.errors import InvalidValue

_EXPECTED = "sqlite:///relative/path.db or sqlite:////absolute/path.db"


@dataclass(frozen=True)
class StoreUrl:
    """A parsed store URL: the dialect and, for SQLite, the file."""

    dialect: str
    path: Path

    def __str__(self) -> str:
        return f"{self.dialect}:///{self.path}"


def parse_store_url(text: object) -> StoreUrl:
    """Parse the URL of a metadata store; `InvalidValue` for anything but an allow-listed form."""
    if not isinstance(text, str):
        raise InvalidValue("store URL", text, _EXPECTED)
    scheme, separator, rest = text.partition("://")
    if scheme != "sqlite" or not separator:
        # The text is not shown: it may hold a password of another scheme.
        raise InvalidValue("store URL", f"{scheme}://..." if separator else "(no scheme)", _EXPECTED)
    if not rest.startswith("/") or len(rest) < 2 or any(c in rest for c in "?#;\0"):
        raise InvalidValue("store URL", text, _EXPECTED, "Options after '?' are not supported")
    return StoreUrl("sqlite", Path(rest[1:]))
