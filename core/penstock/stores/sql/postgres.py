"""What names PostgreSQL, through psycopg.

Writers run READ COMMITTED and lock the rows that decide (ADR 0008); readers run REPEATABLE READ, so that everything a
method reads belongs to one moment. Whatever waits has a deadline.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from penstock.errors import Busy, InvalidValue, MissingExtra, NotFound, PenstockError, StoreUnavailable
from penstock.stores.sql.database import LOCK_TIMEOUT_S, Database, RolledBack
from penstock.stores.sql.urls import PostgresUrl

CONNECT_TIMEOUT_S = 10
STATEMENT_TIMEOUT_S = 60
MIGRATION_TIMEOUT_S = 600
_MIGRATION_LOCK = 0x70656E73746F636B  # "penstock"
_NOW_MS = sa.text("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")

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


def now_ms(connection: sa.Connection) -> int:
    """Return the server's time in milliseconds, as it is now, not as it was when the transaction began."""
    return int(connection.scalar(_NOW_MS))


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
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.cast(_MIGRATION_LOCK, sa.BigInteger))))

    def _new_engine(self) -> sa.Engine:
        url = self._server
        try:
            return sa.create_engine(
                sa.URL.create(
                    "postgresql+psycopg", url.user or None, url.password or None, url.host, url.port, url.database
                ),
                connect_args={**_connect_args(), **url.options},
                pool_pre_ping=True,
                pool_timeout=LOCK_TIMEOUT_S,
                hide_parameters=True,
                use_native_hstore=False,
            )
        except ModuleNotFoundError as error:
            raise MissingExtra("PostgreSQL", "postgres") from error

    def _for_writing(self, connection: sa.Connection) -> sa.Connection:
        return connection

    def _for_reading(self, connection: sa.Connection) -> sa.Connection:
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
