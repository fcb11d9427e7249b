"""What names a database: how to open it, its transactions, its clock, its faults. Nothing else in `sql/` does.

SQLite runs in WAL mode with `synchronous=FULL` (acknowledged means durable), and every writing transaction starts with
`BEGIN IMMEDIATE`: under a plain `BEGIN` a reader that turns writer is refused at once, whatever the busy timeout.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError

from penstock.errors import Busy, Corrupted, InvalidValue, PenstockError, StoreUnavailable
from penstock.stores.sql.urls import StoreUrl

BUSY_TIMEOUT_S = 30.0
_WRITE = "penstock_write"


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by us, not guessed by the driver
    connection.execute(f"PRAGMA busy_timeout={int(BUSY_TIMEOUT_S * 1000)}")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA synchronous=FULL")
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            # Switching a new file to WAL ignores the busy timeout while another process does the same.
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _begin_sqlite(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(_WRITE) else "BEGIN")


class Database:
    """One database: engines that survive a fork, transactions, the database's clock."""

    def __init__(self, url: StoreUrl) -> None:
        self.url = url
        self._engine: sa.Engine | None = None
        self._pid = 0

    def engine(self) -> sa.Engine:
        """Return this process's engine; a forked child gets its own and leaves its parent's sockets alone."""
        if self._engine is None or self._pid != os.getpid():
            if self._engine is not None:
                self._engine.dispose(close=False)
            engine = sa.create_engine(f"sqlite:///{self.url.path}", connect_args={"check_same_thread": False})
            sa.event.listen(engine, "connect", _set_up_sqlite)
            sa.event.listen(engine, "begin", _begin_sqlite)
            self._engine, self._pid = engine, os.getpid()
        return self._engine

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One writing transaction: committed at the end, or rolled back whole."""
        with self._translated(), self.engine().connect() as connection:
            connection = connection.execution_options(**{_WRITE: True})
            with connection.begin():
                yield connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One reading transaction: everything read in it belongs to the same moment."""
        with self._translated(), self.engine().connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except PenstockError:
            raise
        except DBAPIError as error:
            cause = str(error.orig)
            if "locked" in cause or "busy" in cause:
                raise Busy(f"store {self.url}", BUSY_TIMEOUT_S) from error
            if "not a database" in cause:
                raise InvalidValue("store URL", str(self.url), "a SQLite database", f"SQLite says: {cause}") from error
            if "malformed" in cause:
                raise Corrupted("store", str(self.url), "a sound SQLite database", cause) from error
            if "unable to open" in cause or "disk" in cause or "readonly" in cause:
                hint = "Check that the folder exists, is writable and has space"
                raise StoreUnavailable(str(self.url), cause, hint) from error
            raise

    def close(self) -> None:
        """Give back this process's connections."""
        if self._engine is not None and self._pid == os.getpid():
            self._engine.dispose()
        self._engine = None


def now_ms(connection: sa.Connection) -> int:
    """Return the database's time in milliseconds; SQLite lives in this process, so its clock is ours."""
    return time.time_ns() // 1_000_000


def insert_or_ignore(table: sa.Table) -> Any:
    """Return an INSERT that leaves an existing row with the same key alone."""
    return sqlite.insert(table).on_conflict_do_nothing()


def insert_or_replace(table: sa.Table, keys: tuple[str, ...]) -> Any:
    """Return an INSERT that updates every other column of an existing row with the same `keys`."""
    statement = sqlite.insert(table)
    changed = {c.name: statement.excluded[c.name] for c in table.columns if c.name not in keys}
    return statement.on_conflict_do_update(index_elements=list(keys), set_=changed)
