"""A table of a database: a partition's rows are deleted and inserted in one transaction."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
import sqlalchemy as sa
from sqlalchemy import exc

from penstock.errors import InvalidValue, NotFound, StoreUnavailable
from penstock.model.scores import TableDestination
from penstock.ports.scorer import Written

ROWS_PER_INSERT = 1000


class TableWriter:
    """Inserts batches into one partition of a table."""

    def __init__(self, connection: sa.Connection, table: sa.Table, partition_column: str, partition: str) -> None:
        self._connection, self._table = connection, table
        self._place = {partition_column: partition}
        self.rows = 0

    @property
    def written(self) -> Written:
        """How many rows have been inserted."""
        return Written(self.rows)

    def write(self, batch: pd.DataFrame) -> None:
        """Insert a batch; `InvalidValue` names columns that the table does not have."""
        columns = [str(name) for name in batch.columns]
        if missing := [name for name in columns if name not in self._table.columns]:
            hint = f"It has: {', '.join(self._table.columns.keys())}. Add them, or name the columns to keep (keep=)"
            raise InvalidValue(
                f"columns of table {self._table.name!r}", missing, "a column for all that is written", hint
            )
        if taken := self._place.keys() & set(columns):
            raise InvalidValue("columns of the rows", sorted(taken), "none named as the table's partition column")
        plain = batch.astype(object).where(batch.notna(), None)
        rows = [dict(zip(columns, values, strict=True)) | self._place for values in plain.itertuples(index=False)]
        for start in range(0, len(rows), ROWS_PER_INSERT):
            self._connection.execute(sa.insert(self._table), rows[start : start + ROWS_PER_INSERT])
        self.rows += len(rows)


@contextmanager
def writing(to: TableDestination, partition: str, may_commit: Callable[[], None]) -> Iterator[TableWriter]:
    """Yield a writer into a partition that has been emptied; committed when the block has ended and `may_commit` has.

    Who writes the same partition at the same moment waits, so that nothing is there twice.
    """
    with _answering(to), _connected(to) as connection:
        table = _reflected(connection, to)
        if connection.dialect.name == "postgresql":
            lock = zlib.crc32(f"{to}/{partition}".encode())
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(lock)))
        connection.execute(sa.delete(table).where(table.c[to.partition_column] == partition))
        yield TableWriter(connection, table, to.partition_column, partition)
        may_commit()
        connection.commit()


def holds(to: TableDestination, partition: str, written: Written) -> bool:
    """Return whether the table has as many rows of the partition as were written."""
    with _answering(to), _connected(to) as connection:
        table = _reflected(connection, to)
        count = sa.select(sa.func.count()).select_from(table).where(table.c[to.partition_column] == partition)
        return connection.scalar(count) == written.rows


@contextmanager
def _connected(to: TableDestination) -> Iterator[sa.Connection]:
    given = to.database
    if not isinstance(given, str):
        with given.connect() as connection:
            yield connection
        return
    if "://" not in given and not os.environ.get(given):
        expected = "a database URL, or the name of an environment variable that holds one"
        raise InvalidValue("destination's database", given, expected)
    try:
        url = sa.make_url(given if "://" in given else os.environ[given])
    except exc.ArgumentError:
        # Not shown, and not as the cause: it may hold a password.
        raise InvalidValue("destination's database", "...", "a URL such as postgresql+psycopg://host/db") from None
    engine = sa.create_engine(url, hide_parameters=True, poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection


def _reflected(connection: sa.Connection, to: TableDestination) -> sa.Table:
    try:
        table = sa.Table(to.table, sa.MetaData(), schema=to.schema, autoload_with=connection)
    except exc.NoSuchTableError:
        hint = f"Create it, with the columns that are written and a text column {to.partition_column!r}"
        raise NotFound("table", to.table, hint) from None
    if to.partition_column not in table.columns:
        raise InvalidValue(f"table {to.table!r}", list(table.columns.keys()), f"a column {to.partition_column!r}")
    return table


@contextmanager
def _answering(to: TableDestination) -> Iterator[None]:
    """Say what the database's error means; its own text quotes neither rows nor the URL."""
    try:
        yield
    except (exc.NoSuchModuleError, ModuleNotFoundError) as error:
        raise InvalidValue("destination's database", str(to), "one whose driver is installed", str(error)) from None
    except (exc.OperationalError, exc.InterfaceError) as error:
        raise StoreUnavailable(str(to), _cause(error)) from None
    except exc.SQLAlchemyError as error:
        raise InvalidValue("predictions", _cause(error), f"rows that {to} can hold") from None


def _cause(error: Any) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]
