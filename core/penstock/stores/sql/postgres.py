"""What names PostgreSQL, through psycopg.

Writers run READ COMMITTED and lock the rows that decide (ADR 0008); readers run REPEATABLE READ, so that everything a
method reads belongs to one moment. Whatever waits has a deadline.
"""

from __future__ import annotations

import selectors
import sys
import time
from array import array
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, InvalidatePoolError

from penstock.errors import Busy, InvalidValue, MissingExtra, NotFound, PenstockError, StoreUnavailable
from penstock.model.history import MetricHistory
from penstock.model.runs import Attempt, ValueKind, join_value
from penstock.stores.sql.database import LOCK_TIMEOUT_S, POINT, UNASKED, Columns, Database, RolledBack, compiled_once
from penstock.stores.sql.postgres_connection import be_patient, connection_class
from penstock.stores.sql.urls import PostgresUrl

CONNECT_TIMEOUT_S = 10
STATEMENT_TIMEOUT_S = 60
MIGRATION_TIMEOUT_S = 600
PATIENCE_S = 10  # beyond the timeout that the server itself keeps
_MIGRATION_LOCK = 0x70656E73746F636B  # "penstock"
_NOW_MS = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
_FRESH_NS = 1_000_000_000
# `select` itself knows no file above number 1,023, and the others ask the system for a file of their own.
_Selector: type[selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.SelectSelector)
_CLOCK = "penstock_clock"  # of a connection: the server's time in milliseconds, and ours at that moment
_LOG_POINTS = """
WITH own AS (
    UPDATE attempts SET lease_expires_ms = %s
    WHERE run_id = %s AND step = %s AND map_index = %s AND attempt = %s AND token = %s AND state = 'RUNNING'
    RETURNING run_id, step, map_index, attempt
), added AS (
    INSERT INTO metrics (run_id, step, map_index, attempt, name, metric_step, time_ms, kind, value)
    SELECT own.*, given.* FROM own,
        unnest(%s::text[], %s::bigint[], %s::bigint[], %s::text[], %s::double precision[]) given
    ON CONFLICT DO NOTHING
)
SELECT count(*) FROM own
"""
_SPECIAL: dict[str, sa.ColumnElement[float]] = {
    kind.value: sa.literal_column(f"'{join_value(kind.value, None)}'::float8")
    for kind in ValueKind
    if kind is not ValueKind.FINITE
}
_ARRAYS = ((sa.BigInteger, "bigint"), (sa.Integer, "integer"), (sa.Float, "double precision"), (sa.String, "text"))

# SQLSTATEs that say: rolled back, in favour of somebody else (serialization failure, deadlock, unique violation).
_ROLLED_BACK = {"40001", "40P01", "23505"}
# Lock not available within lock_timeout; statement cancelled by statement_timeout.
_TOO_LONG = {"55P03": LOCK_TIMEOUT_S, "57014": float(STATEMENT_TIMEOUT_S)}
# Classes: connection exception, insufficient resources, operator intervention, system error; and single states: a
# transaction cut off because it idled, a server that only reads.
_UNAVAILABLE = ("08", "53", "57", "58", "25P03", "25006")


def insert(table: sa.Table) -> Any:
    """Return PostgreSQL's INSERT, which knows ON CONFLICT."""
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


def lock_out(connection: sa.Connection, table: sa.Table) -> None:
    """Lock a table against everybody: whoever has only read it in a transaction holds a lock until that one ends."""
    connection.exec_driver_sql(f"LOCK TABLE {table.name} IN ACCESS EXCLUSIVE MODE")


def now_ms(connection: sa.Connection) -> int:
    """Return the server's time in milliseconds, as it is now, not as it was when the transaction began.

    The server was asked when this connection was taken from the pool; since then our own clock has counted on.
    """
    server_ms, ours_ns = connection.info[_CLOCK]
    return int(server_ms + (time.monotonic_ns() - ours_ns) // 1_000_000)


def _execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
    """Let the connection decide how a statement is run, and so whether its answer is waited for."""
    unasked = bool(context.execution_options.get(UNASKED))
    return bool(cursor.connection.run(cursor, statement, parameters, unasked=unasked))


def add_rows(connection: sa.Connection, table: sa.Table, same: Mapping[str, Any], columns: Columns) -> int:
    """Insert rows given as columns, in one statement; see `dialects.add_rows`."""
    arrays = ", ".join(f"%s::{_array_type(table.c[name])}[]" for name in columns)
    statement = (
        f"INSERT INTO {table.name} ({', '.join([*same, *columns])}) "  # noqa: S608 - names of our own tables
        f"SELECT {''.join('%s, ' for _ in same)}given.* FROM unnest({arrays}) given ON CONFLICT DO NOTHING"
    )
    given = (*same.values(), *(list(values) for values in columns.values()))
    return connection.exec_driver_sql(statement, given).rowcount


def log_points(connection: sa.Connection, attempt: Attempt, lease_expires_ms: int, columns: Columns) -> bool:
    """Renew a lease and add the points in one statement: a training loop waits for every round trip."""
    step = attempt.step
    whose = (step.run_id, step.name, step.map_index, attempt.number, attempt.token)
    given = (lease_expires_ms, *whose, *(list(columns[name]) for name in POINT))
    return bool(connection.exec_driver_sql(_LOG_POINTS, given).scalar())


def read_points(connection: sa.Connection, points: sa.Select[Any], parameters: Mapping[str, Any]) -> MetricHistory:
    """Have the server pack each column into the bytes of its numbers: a million points are three values to read."""
    found = points.subquery("found")
    values = sa.case(_SPECIAL, value=found.c.kind, else_=found.c.value)
    sent = (
        *(sa.func.int8send(column) for column in (found.c.metric_step, found.c.time_ms)),
        sa.func.float8send(values),
    )
    packed = sa.select(*(sa.func.string_agg(column, sa.literal_column("''::bytea")) for column in sent))
    history = MetricHistory()
    columns: tuple[array[Any], ...] = (history.steps, history.times_ms, history.values)
    for column, content in zip(columns, connection.execute(packed, parameters).one(), strict=True):
        column.frombytes(content or b"")
        if sys.byteorder == "little":
            column.byteswap()  # what PostgreSQL sends is in network order
    return history


def _array_type(column: sa.Column[Any]) -> str:
    return next(name for kind, name in _ARRAYS if isinstance(column.type, kind))


def _connect(_dialect: object, _record: object, arguments: Any, options: Any) -> Any:
    return connection_class().connect(*arguments, **options)


def _ask_the_time(connection: Any, record: Any, _proxy: object) -> None:
    """Ask a connection for the server's time before it is used; the same question finds out whether it is alive.

    One that was asked a moment ago is not asked again, unless its socket has something to say: what a server sends
    unasked is that it ended the connection.
    """
    be_patient(connection, STATEMENT_TIMEOUT_S + PATIENCE_S)
    _, asked_ns = record.info.get(_CLOCK, (0, 0))
    fresh = time.monotonic_ns() - asked_ns < _FRESH_NS
    try:
        if fresh and not _has_something_to_say(connection):
            return
        connection.autocommit = True  # outside of any transaction
        (server_ms,) = connection.execute(_NOW_MS).fetchone()
        record.info[_CLOCK] = (server_ms, time.monotonic_ns())
        connection.autocommit = False
    except Exception as error:
        if not type(error).__module__.startswith("psycopg"):
            raise
        raise InvalidatePoolError from error  # the pool makes new connections, and asks again


def _has_something_to_say(connection: Any) -> bool:
    with _Selector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        return bool(selector.select(0))


class PostgresDatabase(Database):
    """A database on a PostgreSQL server."""

    def __init__(self, url: PostgresUrl) -> None:
        super().__init__(url)
        self._server = url

    def exists(self) -> bool:
        """Whether there is a server is found out by connecting to it."""
        return True

    def size_bytes(self, connection: sa.Connection) -> int:
        """Return what the whole database takes on the server's disk."""
        return int(connection.scalar(sa.text("SELECT pg_database_size(current_database())")) or 0)

    def lock_for_migration(self, connection: sa.Connection) -> None:
        """Take a lock that ends with the transaction; migrating, and waiting for it, may take its time."""
        for setting in ("lock_timeout", "statement_timeout"):
            connection.exec_driver_sql(f"SET LOCAL {setting} = '{MIGRATION_TIMEOUT_S}s'")
        be_patient(connection.connection.driver_connection, MIGRATION_TIMEOUT_S + PATIENCE_S)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.cast(_MIGRATION_LOCK, sa.BigInteger))))

    def run_script(self, connection: sa.Connection, statements: Sequence[str]) -> None:
        """Send them all at once: a hundred round trips less."""
        whole = ";\n".join(statements)
        connection.execution_options(no_parameters=True).exec_driver_sql(whole)

    def _new_engine(self) -> sa.Engine:
        url = self._server
        try:
            engine = sa.create_engine(
                sa.URL.create(
                    "postgresql+psycopg", url.user or None, url.password or None, url.host, url.port, url.database
                ),
                connect_args={**_connect_args(), **url.options},
                pool_timeout=LOCK_TIMEOUT_S,
                hide_parameters=True,
                execution_options=compiled_once(),
                use_native_hstore=False,
            )
        except ModuleNotFoundError as error:
            raise MissingExtra("PostgreSQL", "postgres") from error
        sa.event.listen(engine, "do_connect", _connect)
        sa.event.listen(engine, "checkout", _ask_the_time)
        sa.event.listen(engine, "do_execute", _execute)
        return engine

    def _address(self) -> Hashable:
        return self._server

    def _listen(self, engine: sa.Engine) -> None:
        """Nothing: what connections need belongs to their pool."""

    def _for_writing(self, connection: sa.Connection, one_statement: bool) -> sa.Connection:
        return _by_itself(connection) if one_statement else connection

    def _for_reading(self, connection: sa.Connection, one_statement: bool) -> sa.Connection:
        if one_statement:
            return _by_itself(connection)
        return connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    def _meaning(self, error: DBAPIError) -> PenstockError | None:
        store, cause = str(self.url), _sentence(error.orig)
        state = getattr(error.orig, "sqlstate", None)
        if state is None:
            return self._not_connected(error, store, cause)
        if state in _ROLLED_BACK:
            return RolledBack(f"store {store}", 0.0)
        if state in _TOO_LONG:
            return Busy(f"store {store}", _TOO_LONG[state])
        if state.startswith(_UNAVAILABLE):
            return StoreUnavailable(store, cause, "Look at the server and its log")
        if state == "23503":
            return NotFound("record", "that this one refers to", "Nothing was written")
        if state == "42501":
            return InvalidValue("store URL", store, "a user who may create and change tables", cause)
        if state.startswith("22"):
            return InvalidValue("value", "(not shown)", "a value that PostgreSQL can store", cause)
        return None

    def _not_connected(self, error: DBAPIError, store: str, cause: str) -> PenstockError | None:
        """Judge a fault without a SQLSTATE: the server never answered, or the driver refused a value."""
        if isinstance(error.orig, ValueError) or type(error.orig).__name__ == "DataError":
            return InvalidValue("value", "(not shown)", "a value that PostgreSQL can store", cause)
        if "does not exist" in cause:
            return NotFound("database or user in", store, cause)
        if "authentication failed" in cause or "pg_hba.conf" in cause or "no password supplied" in cause:
            return InvalidValue("store URL", store, "a user and password that the server accepts", cause)
        if isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError) or error.connection_invalidated:
            return StoreUnavailable(store, cause, "Check that the server is up and can be reached from here")
        return None


def _by_itself(connection: sa.Connection) -> sa.Connection:
    """Two round trips less: neither BEGIN nor COMMIT."""
    return connection.execution_options(isolation_level="AUTOCOMMIT")


def _connect_args() -> dict[str, str | int]:
    milliseconds = 1000
    session = {
        "statement_timeout": STATEMENT_TIMEOUT_S * milliseconds,
        "lock_timeout": int(LOCK_TIMEOUT_S * milliseconds),
        # A writer that was stopped in the middle must not hold its locks for ever.
        "idle_in_transaction_session_timeout": STATEMENT_TIMEOUT_S * milliseconds,
    }
    return {
        "application_name": "penstock",
        "connect_timeout": CONNECT_TIMEOUT_S,
        "options": " ".join(f"-c {name}={value}" for name, value in session.items()),
        # A network that swallows packets is found out, too.
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": STATEMENT_TIMEOUT_S * milliseconds,
    }


def _sentence(cause: BaseException | None) -> str:
    """One line of what the driver or the server says."""
    return " ".join(str(cause).split())
