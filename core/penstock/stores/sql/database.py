"""What every database does for the store: engines, transactions, faults in our words, another try where it is safe."""

from __future__ import annotations

import functools
import os
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from penstock.errors import Busy, PenstockError
from penstock.stores.sql.urls import StoreUrl

LOCK_TIMEOUT_S = 30.0
TRIES = 5

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
    """One database: engines that survive a fork, transactions, its faults as `PenstockError`s."""

    def __init__(self, url: StoreUrl) -> None:
        self.url = url
        self._engine: sa.Engine | None = None
        self._pid = 0

    def engine(self) -> sa.Engine:
        """Return this process's engine; a forked child gets its own and leaves its parent's sockets alone."""
        if self._engine is None or self._pid != os.getpid():
            if self._engine is not None:
                self._engine.dispose(close=False)
            self._engine, self._pid = self._new_engine(), os.getpid()
        return self._engine

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One writing transaction: committed at the end, or rolled back whole."""
        with self._translated(), self.engine().connect() as connection:
            connection = self._for_writing(connection)
            with connection.begin():
                yield connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One reading transaction: everything read in it belongs to the same moment."""
        with self._translated(), self.engine().connect() as connection:
            connection = self._for_reading(connection)
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Give back this process's connections."""
        if self._engine is not None and self._pid == os.getpid():
            self._engine.dispose()
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
    def _new_engine(self) -> sa.Engine: ...

    @abstractmethod
    def _for_writing(self, connection: sa.Connection) -> sa.Connection: ...

    @abstractmethod
    def _for_reading(self, connection: sa.Connection) -> sa.Connection: ...

    @abstractmethod
    def _meaning(self, error: DBAPIError) -> PenstockError | None:
        """Return what a fault of the driver means; None if it means a bug of ours."""
