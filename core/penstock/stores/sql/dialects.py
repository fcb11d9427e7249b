"""Which database is which. What names one stands in its own file (`sqlite.py`, `postgres.py`) and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import sqlalchemy as sa

from penstock.model.history import MetricHistory
from penstock.stores.sql import postgres, sqlite
from penstock.stores.sql.database import UNASKED, Columns, Database
from penstock.stores.sql.urls import PostgresUrl, StoreUrl

Asked = TypeVar("Asked", bound=sa.Executable)

_MODULES: dict[str, Any] = {"sqlite": sqlite, "postgresql": postgres}


def open_database(url: StoreUrl) -> Database:
    """Return the database of a URL; nothing is connected yet. `MissingExtra` without its driver."""
    return postgres.PostgresDatabase(url) if isinstance(url, PostgresUrl) else sqlite.SqliteDatabase(url)


def now_ms(connection: sa.Connection) -> int:
    """Return the database's own time in milliseconds: the clocks of its clients may disagree."""
    return int(_MODULES[connection.dialect.name].now_ms(connection))


def lock_out(connection: sa.Connection, table: sa.Table) -> None:
    """Wait for every transaction that has read or written a table, and let none do so before this one has ended."""
    _MODULES[connection.dialect.name].lock_out(connection, table)


def unasked(statement: Asked) -> Asked:
    """Return a statement that writes and of which nobody asks for rows, their number, or a key the database made.

    A server is sent it without waiting for the answer. An error of it is raised by the next statement that is asked
    about, or by the commit.
    """
    return statement.execution_options(**{UNASKED: True})


def insert_or_ignore(connection: sa.Connection, table: sa.Table) -> Any:
    """Return an INSERT that leaves an existing row with the same key alone; its `rowcount` says whether it did."""
    return _ignoring(connection.dialect.name, table)


def insert_or_replace(connection: sa.Connection, table: sa.Table, keys: tuple[str, ...]) -> Any:
    """Return an INSERT, `unasked`, that updates every other column of an existing row with the same `keys`."""
    return _replacing(connection.dialect.name, table, keys)


def read_points(connection: sa.Connection, points: sa.Select[Any], parameters: Mapping[str, Any]) -> MetricHistory:
    """Return the (training step, time, value, kind) rows of a query as columns, in the query's order."""
    history: MetricHistory = _MODULES[connection.dialect.name].read_points(connection, points, parameters)
    return history


# Building a statement costs as much as running a small one: each is built once.
@cache
def _ignoring(dialect: str, table: sa.Table) -> Any:
    statement = _MODULES[dialect].insert(table).on_conflict_do_nothing()
    return statement.execution_options(preserve_rowcount=True)  # else only UPDATE and DELETE have one everywhere


@cache
def _replacing(dialect: str, table: sa.Table, keys: tuple[str, ...]) -> Any:
    statement = _MODULES[dialect].insert(table)
    changed = {c.name: statement.excluded[c.name] for c in table.columns if c.name not in keys}
    return unasked(statement.on_conflict_do_update(index_elements=list(keys), set_=changed))


def add_rows(connection: sa.Connection, table: sa.Table, same: Mapping[str, Any], columns: Columns) -> int:
    """Insert many rows, leaving existing ones with the same key alone; return how many were new.

    What all rows have in common is in `same`; the rest comes as columns of equal length (at least one), not as a
    million dicts.
    """
    return int(_MODULES[connection.dialect.name].add_rows(connection, table, same, columns))
