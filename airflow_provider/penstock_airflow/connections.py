"""From the fields of an Airflow connection to where records and bytes live. What is refused is named, never shown.

    host = a host name        PostgreSQL there; port, schema (the database), login and password in their own fields
    host = a store URL        sqlite:////srv/penstock.db, or a server's URL; user and password have their own fields

Any extra but the ones listed here is refused, so that a misspelt one is not ignored and a dangerous one never arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from penstock import S3Options

UrlWith = Callable[[str | None], str]

SCHEME = "postgresql+psycopg"
URL_OPTIONS = ("sslmode", "connect_timeout", "application_name")
S3_EXTRAS = {
    "s3_endpoint": "endpoint",
    "s3_region": "region",
    "s3_access_key_id": "access_key_id",
    "s3_secret_access_key": "secret_access_key",
    "s3_session_token": "session_token",
}
EXTRAS = ("artifacts", "scheme", *URL_OPTIONS, *S3_EXTRAS)


@dataclass(frozen=True)
class StoreFields:
    """What `penstock.connect` needs, as a connection says it; never printed with a secret.

    `public_url` is the URL without its password, for processes that get that by other ways.
    """

    url: str = field(repr=False)
    public_url: str
    artifacts: str | None = None
    s3: S3Options | None = None

    @classmethod
    def of(cls, where: str, connection: Any) -> StoreFields:
        """Read a connection's fields; `InvalidValue` names the field that cannot be used. `where` names it."""
        from penstock.errors import InvalidValue
        from penstock.stores.sql.urls import parse_store_url

        if connection.conn_type != "penstock":
            raise InvalidValue(f"type of {where}", connection.conn_type, "'penstock'")
        extras = _extras(where, connection)
        host = (connection.host or "").strip()
        if not host:
            hint = "SQLite: sqlite:////srv/penstock.db. PostgreSQL: the server's name, with schema, login and password"
            raise InvalidValue(f"host of {where}", connection.host, "the store URL or a database server", hint)
        url_with = (_from_url if "://" in host else _from_parts)(where, host, connection, extras)
        parse_store_url(url_with(connection.password))
        return cls(url_with(connection.password), url_with(None), extras.get("artifacts"), _s3(extras))


def _extras(where: str, connection: Any) -> dict[str, str]:
    from penstock.errors import InvalidValue

    given: Mapping[str, Any] = connection.extra_dejson
    for option, value in given.items():
        # Only an option's name is shown: its value may be a secret.
        if option not in EXTRAS:
            raise InvalidValue(f"unsupported connection option in {where}", option, f"only {', '.join(EXTRAS)}")
        if value is not None and not isinstance(value, str | int):
            raise InvalidValue(f"extra {option!r} of {where}", type(value).__name__, "a text")
    # A form sends every field, the empty ones too.
    return {option: str(value) for option, value in given.items() if value not in {None, ""}}


def _from_url(where: str, host: str, connection: Any, extras: Mapping[str, str]) -> UrlWith:
    """Return a host that is a whole URL, completed with the login and password that have fields of their own."""
    from penstock.errors import InvalidValue

    scheme, _, rest = host.partition("://")
    if scheme == "sqlite":
        return lambda password: host
    try:
        parts = urlsplit(host)
        in_host = "@" in rest or parts.username is not None or parts.password is not None
    except ValueError:
        in_host = True
    if in_host:
        # Airflow masks the password field only: the host is shown to whoever may see the connection.
        hint = "Put the user into login and the password into password; Airflow encrypts and masks only that field"
        raise InvalidValue(f"host of {where}", f"{scheme}://...@...", "a URL without user and password", hint)
    other = [name for name in ("port", "schema", *URL_OPTIONS) if getattr(connection, name, None) or name in extras]
    if other or "scheme" in extras:
        hint = "Either everything in the URL, or the server's name in host and each part in its own field"
        raise InvalidValue(f"fields of {where}", ", ".join(other) or "scheme", "none beside a host that is a URL", hint)
    return lambda password: f"{scheme}://{_who(connection.login, password)}{rest}"


def _from_parts(where: str, host: str, connection: Any, extras: Mapping[str, str]) -> UrlWith:
    """Put a server's URL together from the fields, each quoted: no field can become another part of the URL."""
    from penstock.errors import InvalidValue

    if not connection.schema:
        raise InvalidValue(f"schema of {where}", connection.schema, "the name of the database")
    # Of a host only what a name or an IPv6 address needs is left as it is; anything else is refused as a host.
    server = f"[{quote(host, safe=':')}]" if ":" in host else quote(host, safe="")
    port = f":{connection.port}" if connection.port else ""
    options = "&".join(f"{name}={quote(extras[name], safe='')}" for name in URL_OPTIONS if name in extras)
    scheme = quote(extras.get("scheme", SCHEME), safe="+")
    if scheme.startswith("sqlite"):
        raise InvalidValue(f"extra 'scheme' of {where}", scheme, "that of a database server", "SQLite: host is the URL")
    database = quote(connection.schema, safe="")
    rest = f"{server}{port}/{database}{'?' if options else ''}{options}"
    return lambda password: f"{scheme}://{_who(connection.login, password)}{rest}"


def _who(login: str | None, password: str | None) -> str:
    user, secret = (quote(text or "", safe="") for text in (login, password))
    return f"{user}{':' if secret else ''}{secret}{'@' if user or secret else ''}"


def _s3(extras: Mapping[str, str]) -> S3Options | None:
    from dataclasses import replace

    from penstock import S3Options

    named: dict[str, Any] = {name: extras[extra] for extra, name in S3_EXTRAS.items() if extra in extras}
    return replace(S3Options.from_environment(), **named) if named else None
