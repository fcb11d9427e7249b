"""What names SQLite. WAL mode with `synchronous=FULL`: what was acknowledged is durable.

Every writing transaction starts with `BEGIN IMMEDIATE`: under a plain `BEGIN` a reader that turns writer is refused at
once, whatever the busy timeout.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Hashable, Mapping, Sequence
from itertools import repeat
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError

from penstock.errors import Busy, Corrupted, InvalidValue, NotFound, PenstockError, StoreUnavailable
from penstock.model.history import MetricHistory
from penstock.model.runs import join_value
from penstock.stores.sql.database import LOCK_TIMEOUT_S, Columns, Database, compiled_once
from penstock.stores.sql.urls import SqliteUrl

_BEGIN = "penstock_begin"  # how a transaction begins; None: not at all, a statement alone is its own
_IMMEDIATE = "BEGIN IMMEDIATE"
_PATIENCE = f"PRAGMA busy_timeout={int(LOCK_TIMEOUT_S * 1000)}"

# Between two looks at whether nobody else writes.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.0005, 0.1
_LONG_WAIT_S, _LAST_PAUSE_S = 0.5, 0.003

insert = sqlite.insert


def now_ms(_connection: sa.Connection) -> int:
    """Return the time in milliseconds. SQLite lives in this process, so its clock is ours."""
    return time.time_ns() // 1_000_000


def lock_out(_connection: sa.Connection, _table: sa.Table) -> None:
    """Do nothing: in SQLite a writing transaction is alone from its beginning."""


def add_rows(connection: sa.Connection, table: sa.Table, same: Mapping[str, Any], columns: Columns) -> int:
    """Insert rows given as columns, in one statement prepared once; see `dialects.add_rows`."""
    names = ", ".join(f'"{name}"' for name in (*same, *columns))
    places = ", ".join("?" for _ in (*same, *columns))
    statement = f"INSERT INTO {table.name} ({names}) VALUES ({places}) ON CONFLICT DO NOTHING"  # noqa: S608 - our own
    rows = list(zip(*(repeat(value) for value in same.values()), *columns.values(), strict=False))
    return connection.exec_driver_sql(statement, rows).rowcount if rows else 0


def read_points(connection: sa.Connection, points: sa.Select[Any], parameters: Mapping[str, Any]) -> MetricHistory:
    """Read points one by one into their columns: of a million rows no second one is alive."""
    history = MetricHistory()
    steps, times_ms, values = history.steps.append, history.times_ms.append, history.values.append
    result = connection.execute(points, parameters)
    for step, time_ms, value, kind in result.cursor:  # type: ignore[attr-defined]  # tuples, without SQLAlchemy's rows
        steps(step)
        times_ms(time_ms)
        values(value if kind == "finite" else join_value(kind, value))
    result.close()
    return history


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

    def run_script(self, connection: sa.Connection, statements: Sequence[str]) -> None:
        """Run them one by one: SQLite lives in this process."""
        for statement in statements:
            connection.exec_driver_sql(statement)

    def _new_engine(self) -> sa.Engine:
        engine = sa.create_engine(
            f"sqlite:///{self._path}",
            connect_args={"check_same_thread": False},
            pool_timeout=LOCK_TIMEOUT_S,
            hide_parameters=True,
            execution_options=compiled_once(),
        )
        sa.event.listen(engine, "connect", _set_up)
        return engine

    def _address(self) -> Hashable:
        return self._path.absolute()

    def _listen(self, engine: sa.Engine) -> None:
        sa.event.listen(engine, "begin", _begin)

    def _for_writing(self, connection: sa.Connection, one_statement: bool) -> sa.Connection:
        return connection.execution_options(**{_BEGIN: _IMMEDIATE})

    def _for_reading(self, connection: sa.Connection, one_statement: bool) -> sa.Connection:
        return connection.execution_options(**{_BEGIN: None}) if one_statement else connection

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
    connection.execute(_PATIENCE)
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
    begin = options.get(_BEGIN, "BEGIN")
    if begin == _IMMEDIATE:
        _wait_for_turn(connection)
    elif begin is not None:
        connection.exec_driver_sql(begin)


def _wait_for_turn(connection: sa.Connection) -> None:
    """Begin as soon as nobody else writes; whoever has waited for long looks the more often the longer it has been.

    SQLite's own waiting looks ever more seldom, in the end ten times a second, and a newcomer a thousand times: of many
    writers that come back at once, some would starve until their time is over (measured: one write in ten seconds,
    where others had a hundred). Looking often from the start would be as fair, but hands the database from process to
    process at every write, each time to one that has to read again what the other has changed.
    """
    raw: Any = connection.connection.dbapi_connection
    started, pause = time.monotonic(), _FIRST_PAUSE_S
    raw.execute("PRAGMA busy_timeout=0")
    try:
        while (waited := time.monotonic() - started) < LOCK_TIMEOUT_S:
            try:
                raw.execute(_IMMEDIATE)
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    break
            long = waited >= _LONG_WAIT_S
            pause = _LAST_PAUSE_S * _LONG_WAIT_S / waited if long else min(2 * pause, _LONGEST_PAUSE_S)
            time.sleep(random.uniform(0.5, 1.0) * pause)  # noqa: S311 - jitter, not a secret
        connection.exec_driver_sql(_IMMEDIATE)  # raises what is wrong, in the driver's words
    finally:
        raw.execute(_PATIENCE)
