"""Which store a command works on, and the options that every command has."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from penstock.errors import NotFound

if TYPE_CHECKING:
    from penstock.client import Client
    from penstock.stores.sql.urls import StoreUrl

Command = TypeVar("Command", bound=Callable[..., Any])
_HINT = "Point to the right one with --url or PENSTOCK_URL; a pipeline's first run, or 'penstock db upgrade', makes one"


@dataclass(frozen=True)
class Settings:
    """What the global options say."""

    url: str | None = None
    artifacts: str | None = None
    json: bool = False

    def store_url(self) -> StoreUrl:
        """Return where the records live; `InvalidValue` if the URL has no known form."""
        from penstock.client import DEFAULT_URL
        from penstock.stores.sql.urls import parse_store_url

        return parse_store_url(self.url or DEFAULT_URL)

    def existing_store(self) -> StoreUrl:
        """Return where the records live; `NotFound` where no store is, because looking must not make one."""
        from penstock.stores.sql.dialects import open_database
        from penstock.stores.sql.schema import revision

        url = self.store_url()
        database = open_database(url)
        if not database.exists():
            source = self._source()
            raise NotFound("store", url, f"{source}. {_HINT}" if source else _HINT)
        try:
            with database.reading() as connection:
                found = revision(connection)
        finally:
            database.close()
        if found is None:
            raise NotFound("penstock store in", url, f"It is there, but holds no records of ours. {_HINT}")
        return url

    @contextmanager
    def client(self) -> Iterator[Client]:
        """Open a store that is there already; no command but `db upgrade` creates one."""
        from penstock.client import DEFAULT_URL, connect

        self.existing_store()
        with connect(self.url or DEFAULT_URL, self.artifacts) as client:
            yield client

    def _source(self) -> str:
        if self.url is None:
            return "No store was named, so this is the default"
        return "PENSTOCK_URL says so" if self.url == os.environ.get("PENSTOCK_URL") else ""


def common(command: Command) -> Any:
    """Add what every command takes: --json, and the global options after the command as well as before it."""
    decorated: Any = click.pass_obj(command)
    decorated = click.option(
        "--artifacts", expose_value=False, callback=_override("artifacts"), hidden=True, help="As before the command."
    )(decorated)
    decorated = click.option("--url", expose_value=False, callback=_override("url"), hidden=True)(decorated)
    return click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=_override("json"),
        help="Print plain JSON and nothing else.",
    )(decorated)


def _override(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
        if value:
            ctx.obj = replace(ctx.obj, **{name: value})

    return callback


def version_number(_ctx: click.Context, _param: click.Parameter, value: str) -> int:
    """Return the number of a model version, given as `3` or `v3`."""
    text = value.removeprefix("v")
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text) > 0):
        raise click.BadParameter(f"{value!r} is not a version number, such as 3 or v3.")
    return int(text)
