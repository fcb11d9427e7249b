"""What names SQLite. WAL mode with `synchronous=FULL`: what was acknowledged is durable.

Every writing transaction starts with `BEGIN IMMEDIATE`: under a plain `BEGIN` a reader that turns writer is refused at
once, whatever the busy timeout.
"""

from __future__ import annotations

import sqlite3
import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError

from penstock.errors import Busy, Corrupted, InvalidValue, NotFound, PenstockError, StoreUnavailable
from penstock.stores.sql.database import LOCK_TIMEOUT_S, Database
from penstock.stores.sql.urls import SqliteUrl

_WRITE = "penstock_write"

insert = sqlite.insert


def now_ms(_connection: sa.Connection) -> int:
    """Return the time in milliseconds. SQLite lives in this process, so its clock is ours."""
    return time.time_ns() // 1_000_000


class SqliteDatabase(Database):
    """A SQLite file."""

    def __init__(self, url: SqliteUrl) -> None:
        super().__init__(url)
        self._path = url.path

    def exists(self) -> bool:
        """Whether the file is there."""
        return self._path.is_file()

    def size_bytes(self, connection: sa.Connection) -> int:
        """Return the size of the file and, while it is in use, of SQLite's log beside it."""
        files = (self._path, self._path.with_name(f"{self._path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def lock_for_migration(self, connection: sa.Connection) -> None:
        """`BEGIN IMMEDIATE` has taken the write lock already."""

    def _new_engine(self) -> sa.Engine:
        engine = sa.create_engine(
            f"sqlite:///{self._path}",
            connect_args={"check_same_thread": False},
            pool_timeout=LOCK_TIMEOUT_S,
            hide_parameters=True,
        )
        sa.event.listen(engine, "connect", _set_up)
        sa.event.listen(engine, "begin", _begin)
        return engine

    def _for_writing(self, connection: sa.Connection) -> sa.Connection:
        return connection.execution_options(**{_WRITE: True})

    def _for_reading(self, connection: sa.Connection) -> sa.Connection:
        return connection

    def _meaning(self, error: DBAPIError) -> PenstockError | None:
        cause, store = str(error.orig), str(self.url)
        if "locked" in cause or "busy" in cause:
            return Busy(f"store {store}", LOCK_TIMEOUT_S)
        if isinstance(error, IntegrityError) and "FOREIGN KEY" in cause:
            return NotFound("record", "that this one refers to", "Nothing was written")
        if "not a database" in cause:
            return InvalidValue("store URL", store, "a SQLite database", f"SQLite says: {cause}")
        if "malformed" in cause:
            return Corrupted("store", store, "a sound SQLite database", cause)
        if "unable to open" in cause or "disk" in cause or "readonly" in cause:
            return StoreUnavailable(store, cause, "Check that the folder exists, is writable and has space")
        return None


def _set_up(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by us, not guessed by the driver
    connection.execute(f"PRAGMA busy_timeout={int(LOCK_TIMEOUT_S * 1000)}")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA synchronous=FULL")
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            # Switching a new file to WAL ignores the busy timeout while another process does the same.
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _begin(connection: sa.Connection) -> None:
    options: Any = connection.get_execution_options()
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get(_WRITE) else "BEGIN")
