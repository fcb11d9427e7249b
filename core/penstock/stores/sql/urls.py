"""Store URLs, parsed once and in one place: allow-listed schemes and options, never printed with a password."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from penstock.errors import InvalidValue

_SQLITE = "sqlite:///relative/path.db or sqlite:////absolute/path.db"
_POSTGRES = "postgresql+psycopg://user:password@host:port/database"
_EXPECTED = f"{_SQLITE}, or {_POSTGRES}"
_POSTGRES_SCHEMES = ("postgresql", "postgresql+psycopg")
_PORT = 5432
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_OPTIONS = {
    "sslmode": re.compile(r"disable|allow|prefer|require|verify-ca|verify-full"),
    "application_name": re.compile(r"[A-Za-z0-9_.:/-]{1,63}"),
    "connect_timeout": re.compile(r"[1-9][0-9]{0,2}"),
}


@dataclass(frozen=True)
class SqliteUrl:
    """A SQLite store: its file."""

    path: Path

    @property
    def dialect(self) -> str:
        """What names the database."""
        return "sqlite"

    def __str__(self) -> str:
        return f"sqlite:///{self.path}"


@dataclass(frozen=True)
class PostgresUrl:
    """A PostgreSQL store: where its server is and who we are there. The password is neither printed nor compared."""

    host: str
    port: int
    database: str
    user: str = ""
    password: str = field(default="", repr=False)
    options: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def dialect(self) -> str:
        """What names the database."""
        return "postgresql"

    def __str__(self) -> str:
        secret = ":***" if self.password else ""
        who = f"{self.user}{secret}@" if self.user or secret else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        options = "&".join(f"{name}={value}" for name, value in self.options.items())
        question = f"?{options}" if options else ""
        return f"postgresql+psycopg://{who}{host}:{self.port}/{self.database}{question}"


StoreUrl = SqliteUrl | PostgresUrl


def parse_store_url(text: object) -> StoreUrl:
    """Parse the URL of a metadata store; `InvalidValue` for anything but an allow-listed form.

    What is refused is shown without what may be a password: of an unknown scheme only the scheme, of a PostgreSQL URL
    only the part that is wrong. Without a password in the URL, libpq's own sources count (`PGPASSWORD`, `~/.pgpass`).
    """
    if not isinstance(text, str):
        raise InvalidValue("store URL", text, _EXPECTED)
    scheme, separator, rest = text.partition("://")
    if separator and scheme in _POSTGRES_SCHEMES:
        return _postgres(text)
    if scheme != "sqlite" or not separator:
        raise InvalidValue("store URL", f"{scheme}://..." if separator else "(no scheme)", _EXPECTED)
    if not rest.startswith("/") or len(rest) < 2 or any(c in rest for c in "?#;\0"):
        raise InvalidValue("store URL", text, _SQLITE, "Options after '?' are not supported")
    return SqliteUrl(Path(rest[1:]))


def _postgres(text: str) -> PostgresUrl:
    if any(c.isspace() or not c.isprintable() for c in text):
        raise _refused("URL", "(white space or a control character in it)", _POSTGRES)
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        # The reason would quote the URL, and with it the password.
        raise _refused("host and port", "(not readable)", _POSTGRES) from None
    if not host or not _HOST.fullmatch(host) or "@" in parts.path + parts.query + parts.fragment:
        # An '@' that comes late: a password with a '/' in it has ended the host's place too early.
        hint = "In a password, write '@', '/', ':', '?' and '#' as %40, %2F, %3A, %3F and %23"
        raise _refused("host", "(none)" if not host else "(not readable)", "one host name or address", hint)
    database = unquote(parts.path.removeprefix("/"))
    if not database or "/" in database or "\0" in database or parts.fragment:
        raise _refused("database", "(none)" if not database else "(not readable)", "the name of a database")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if "\0" in user + password:
        raise _refused("user", "(a NUL character in it)", "a user and a password")
    return PostgresUrl(host, _PORT if port is None else port, database, user, password, _options(parts.query))


def _options(query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    allowed = ", ".join(_OPTIONS)
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in _OPTIONS:
            # Only the name of an option is shown, and only if it is one: its value may be a secret.
            shown = name if re.fullmatch(r"[a-z_]{1,40}", name) else "(not readable)"
            raise _refused("option", shown, f"one of {allowed}")
        if name in options or not _OPTIONS[name].fullmatch(value):
            raise _refused(f"option {name}", "(given twice)" if name in options else value, _OPTIONS[name].pattern)
        options[name] = value
    return options


def _refused(part: str, shown: str, expected: str, hint: str = "") -> InvalidValue:
    return InvalidValue(f"store URL, {part}", shown, expected, hint)
