"""What every database does for the store: engines, transactions, faults in our words, another try where it is safe."""

from __future__ import annotations

import functools
import os
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from penstock.errors import Busy, PenstockError
from penstock.failpoints import failpoint
from penstock.stores.sql.urls import StoreUrl

LOCK_TIMEOUT_S = 30.0
TRIES = 5

Columns = Mapping[str, Sequence[Any]]  # of rows to insert: a sequence for each name, all of one length

POINT = ("name", "metric_step", "time_ms", "kind", "value")
"""The columns of a metric's point, in order."""

UNASKED = "penstock_unasked"
"""The option of a statement that need not be waited for; see `dialects.unasked`."""

KNOWN = 16
"""How many databases a process remembers after a store of theirs was closed: those that were closed last."""

Given = ParamSpec("Given")
Answer = TypeVar("Answer")


class RolledBack(Busy):
    """The database gave up our transaction in favour of another: nothing of it remains, so it may run again at once."""


def retried(method: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """Run a method that is one transaction again, where the database says that it rolled the transaction back.

    A deadlock, a serialization failure, or two writers that create the same row. Five tries with jitter, then `Busy`.
    Nothing else is retried here: above all not a commit whose answer was lost, because it may have happened. The
    caller's own retry resolves that one by its key.
    """

    @functools.wraps(method)
    def tried(*args: Given.args, **kwargs: Given.kwargs) -> Answer:
        for number in range(1, TRIES):
            try:
                return method(*args, **kwargs)
            except RolledBack:
                time.sleep(random.uniform(0.2, 1.0) * 0.01 * 2**number)  # noqa: S311 - jitter, not a secret
        return method(*args, **kwargs)

    return tried


class Database(ABC):
    """One database: engines that survive a fork, transactions, its faults as `PenstockError`s.

    A process that opens a store again (task after task, request after request) compiles no statement twice and asks a
    server no second time what it is: an engine that was closed is what the next one of the same database starts from.
    """

    _closed: ClassVar[dict[Hashable, sa.Engine]] = {}

    def __init__(self, url: StoreUrl) -> None:
        self.url = url
        self._engine: sa.Engine | None = None
        self._pid = 0

    def engine(self) -> sa.Engine:
        """Return this process's engine; a forked child gets its own and leaves its parent's sockets alone."""
        if self._engine is None or self._pid != os.getpid():
            if self._engine is not None:
                self._engine.dispose(close=False)
            known = self._closed.get(self._address())
            self._engine = self._new_engine() if known is None else _like(known)
            self._pid = os.getpid()
            self._listen(self._engine)
        return self._engine

    @contextmanager
    def writing(self, *, one_statement: bool = False) -> Iterator[sa.Connection]:
        """One writing transaction: committed at the end, or rolled back whole.

        With `one_statement` no more than one statement changes anything, so that it may be its own transaction.
        """
        with self._translated(), self.engine().connect() as connection:
            connection = self._for_writing(connection, one_statement)
            with connection.begin():
                failpoint("transaction.begun")
                yield connection
                failpoint("transaction.before_commit")
        failpoint("transaction.committed")

    @contextmanager
    def reading(self, *, one_statement: bool = False) -> Iterator[sa.Connection]:
        """One reading transaction: everything read in it belongs to the same moment.

        With `one_statement` no more than one statement is run in it, which by itself sees one moment.
        """
        with self._translated(), self.engine().connect() as connection:
            connection = self._for_reading(connection, one_statement)
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Give back this process's connections."""
        if self._engine is not None and self._pid == os.getpid():
            self._engine.dispose()
            self._closed.pop(self._address(), None)
            for closed_first in list(self._closed)[: max(0, len(self._closed) + 1 - KNOWN)]:
                self._closed.pop(closed_first, None)
            self._closed[self._address()] = self._engine
        self._engine = None

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except PenstockError:
            raise
        except PoolTimeout as error:
            raise Busy(f"every connection of this process to store {self.url}", LOCK_TIMEOUT_S) from error
        except DBAPIError as error:
            meaning = self._meaning(error)
            if meaning is None:
                raise
            raise meaning from error

    @abstractmethod
    def exists(self) -> bool:
        """Whether there is anything to connect to; looking must not create it."""

    @abstractmethod
    def size_bytes(self, connection: sa.Connection) -> int:
        """Return what the records take on disk."""

    @abstractmethod
    def lock_for_migration(self, connection: sa.Connection) -> None:
        """Make everybody else who wants to migrate wait until this transaction has ended."""

    @abstractmethod
    def run_script(self, connection: sa.Connection, statements: Sequence[str]) -> None:
        """Run statements without parameters, in this transaction."""

    @abstractmethod
    def _address(self) -> Hashable:
        """Return what two databases have in common only if they are one, reached by the same means."""

    @abstractmethod
    def _new_engine(self) -> sa.Engine: ...

    @abstractmethod
    def _listen(self, engine: sa.Engine) -> None:
        """Attach to an engine what its transactions need; what its connections need belongs to its pool."""

    @abstractmethod
    def _for_writing(self, connection: sa.Connection, one_statement: bool) -> sa.Connection: ...

    @abstractmethod
    def _for_reading(self, connection: sa.Connection, one_statement: bool) -> sa.Connection: ...

    @abstractmethod
    def _meaning(self, error: DBAPIError) -> PenstockError | None:
        """Return what a fault of the driver means; None if it means a bug of ours."""


def compiled_once() -> dict[str, Any]:
    """Return the options of an engine whose compiled statements those that start from it share."""
    return {"compiled_cache": sa.util.LRUCache(500)}


def _like(known: sa.Engine) -> sa.Engine:
    """Return an engine with connections of its own, and all that a closed one has learnt."""
    options = known.get_execution_options()
    return sa.Engine(known.pool.recreate(), known.dialect, known.url, hide_parameters=True, execution_options=options)
