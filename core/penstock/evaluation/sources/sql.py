"""The rows of a query, fetched in batches through a cursor of the database's own where it has one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy import exc

from penstock.errors import InvalidValue, StoreUnavailable
from penstock.evaluation.sources.source import Rows
from penstock.model.data import SqlSource

_LONGEST_QUERY = 200


class QuerySource:
    """A query's rows. Nothing it does to the database is kept: its transaction is rolled back."""

    name = "query"

    def __init__(self, source: SqlSource) -> None:
        self._source = source

    @property
    def shown(self) -> str:
        """The database, without user and password, and the query, without its parameters."""
        url = self._url() if isinstance(self._source.database, str) else self._source.database.url
        query = " ".join(self._source.query.split())
        cut = f"{query[: _LONGEST_QUERY - 1]}…" if len(query) > _LONGEST_QUERY else query
        return f"{_where(url)}: {cut}"

    def files(self) -> None:
        """None: there are no files."""

    def read(self, rows: int) -> Rows:
        """Start the query. Decimals are read as doubles, as a model needs them."""
        batches = self._batches(rows)
        return Rows(next(batches), batches)

    def _batches(self, rows: int) -> Iterator[Any]:
        """Yield the names of the columns, and then the rows."""
        given = self._source.database
        own = isinstance(given, str)
        with self._answering():
            engine = sa.create_engine(self._url(), hide_parameters=True, poolclass=sa.NullPool) if own else given
        with self._answering(), engine.connect() as connection:
            streaming = connection.execution_options(stream_results=True, yield_per=rows)
            result = streaming.execute(sa.text(self._source.query), dict(self._source.params))
            if not result.returns_rows:
                raise InvalidValue("query", self._source.query, "a SELECT statement: it returned no rows")
            names = list(result.keys())
            yield names
            for part in result.partitions(rows):
                yield _batch(names, list(zip(*part, strict=True)))

    def _url(self) -> sa.URL:
        given = self._source.database
        if isinstance(given, str) and "://" not in given:
            if not os.environ.get(given):
                expected = "a database URL, or the name of an environment variable that holds one"
                raise InvalidValue("database", given, expected)
            given = os.environ[given]
        try:
            return sa.make_url(given)
        except exc.ArgumentError:
            # Not shown, and not as the cause: it may hold a password.
            raise InvalidValue("database", "...", "a URL such as postgresql+psycopg://host/database") from None

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Say what the database's error means; its own text quotes neither parameters nor the URL."""
        try:
            yield
        except (exc.NoSuchModuleError, ModuleNotFoundError) as error:
            raise InvalidValue("database", _where(self._url()), "one whose driver is installed", str(error)) from None
        except (exc.OperationalError, exc.InterfaceError) as error:
            cause = _cause(error)
            if any(word in cause.lower() for word in ("no such table", "syntax error", "no such column")):
                raise InvalidValue("query", self._source.query, "one that the database can answer", cause) from None
            raise StoreUnavailable(self.shown.partition(": ")[0], cause) from None
        except exc.SQLAlchemyError as error:
            raise InvalidValue("query", self._source.query, "one that the database can answer", _cause(error)) from None


def _batch(names: list[str], columns: list[Any]) -> pa.RecordBatch:
    arrays = []
    for name, values in zip(names, columns, strict=True):
        try:
            array = pa.array(values)
        except (pa.ArrowException, OverflowError) as error:
            raise InvalidValue(f"column {name!r}", str(error), "values of one type, which CAST gives") from error
        arrays.append(array.cast(pa.float64()) if pa.types.is_decimal(array.type) else array)
    return pa.RecordBatch.from_arrays(arrays, names)


def _where(url: sa.URL) -> str:
    return url.set(username=None, password=None, query={}).render_as_string()


def _cause(error: exc.SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]
