"""Which database is which. What names one stands in its own file (`sqlite.py`, `postgres.py`) and nowhere else."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from penstock.stores.sql import postgres, sqlite
from penstock.stores.sql.database import Database
from penstock.stores.sql.urls import PostgresUrl, StoreUrl

_MODULES: dict[str, Any] = {"sqlite": sqlite, "postgresql": postgres}


def open_database(url: StoreUrl) -> Database:
    """Return the database of a URL; nothing is connected yet. `MissingExtra` without its driver."""
    return postgres.PostgresDatabase(url) if isinstance(url, PostgresUrl) else sqlite.SqliteDatabase(url)


def now_ms(connection: sa.Connection) -> int:
    """Return the database's own time in milliseconds: the clocks of its clients may disagree."""
    return int(_MODULES[connection.dialect.name].now_ms(connection))


def insert_or_ignore(connection: sa.Connection, table: sa.Table) -> Any:
    """Return an INSERT that leaves an existing row with the same key alone; its `rowcount` says whether it did."""
    statement = _MODULES[connection.dialect.name].insert(table).on_conflict_do_nothing()
    return statement.execution_options(preserve_rowcount=True)  # else only UPDATE and DELETE have one everywhere


def insert_or_replace(connection: sa.Connection, table: sa.Table, keys: tuple[str, ...]) -> Any:
    """Return an INSERT that updates every other column of an existing row with the same `keys`."""
    statement = _MODULES[connection.dialect.name].insert(table)
    changed = {c.name: statement.excluded[c.name] for c in table.columns if c.name not in keys}
    return statement.on_conflict_do_update(index_elements=list(keys), set_=changed)
