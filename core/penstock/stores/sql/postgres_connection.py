"""Connections to PostgreSQL that wait no longer than they should: for what somebody asks about, and not for ever.

What nobody asks about is sent on without waiting (libpq's pipeline), and its answers come with the next one that is
waited for, the commit's at the latest.

The server's own timeouts end what it still works on, and the kernel's what the network swallows. Neither helps against
a server process that was stopped: the kernel beside it goes on answering for it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from contextlib import ExitStack, suppress
from functools import cache
from typing import Any


@cache
def connection_class() -> Any:
    """Return psycopg's class of connections, taught to send on and to close after a silence (`OperationalError`)."""
    import psycopg

    class Connection(psycopg.Connection[Any]):
        patience_s = math.inf
        _sending: Any = None  # the pipeline, while there is one
        _end_of_sending: ExitStack | None = None

        def run(self, cursor: Any, statement: Any, parameters: Any, *, unasked: bool) -> bool:
            """Run a statement in the transaction's pipeline, waiting for its answer and all before unless `unasked`.

            False, with nothing done, where there is none and need not be one.
            """
            if self._sending is None:
                if not unasked or self.autocommit or not psycopg.Pipeline.is_supported():
                    return False
                self._end_of_sending = ExitStack()
                self._sending = self._end_of_sending.enter_context(self.pipeline())
            cursor.execute(statement, parameters)
            if not unasked:
                self._sending.sync()
            return True

        def commit(self) -> None:
            """Commit; what was sent before is waited for together with this, and its errors are raised."""
            if self._sending is None:
                super().commit()
            else:
                self.execute("COMMIT", prepare=False)
                self._stop_sending()

        def rollback(self) -> None:
            with suppress(psycopg.Error):  # it has been raised, or is of no interest any more
                self._stop_sending()
            if not self.closed:  # which the server takes for a rollback
                super().rollback()

        def _stop_sending(self) -> None:
            end, self._end_of_sending, self._sending = self._end_of_sending, None, None
            if end is not None:
                end.close()

        def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
            try:
                return super().wait(self._while_heard(gen), *arguments, **options)
            except psycopg.Error:
                raise
            except BaseException:  # somebody's timeout or signal: nobody will wait for what is still to come
                self.pgconn.finish()
                raise

        def _while_heard(self, gen: Any) -> Generator[Any, Any, Any]:
            """Hand on what `gen` waits for and what became ready, as long as something does."""
            try:
                wanted, heard_at = next(gen), time.monotonic()
                while True:
                    ready = yield wanted
                    now = time.monotonic()
                    if ready:
                        heard_at = now
                    elif now - heard_at > self.patience_s:
                        self.pgconn.finish()
                        raise psycopg.OperationalError(f"no answer for {self.patience_s:g} s")
                    wanted = gen.send(ready)
            except StopIteration as done:
                return done.value

    return Connection


def be_patient(connection: Any, patience_s: float) -> None:
    """Say how long a connection waits, from its next request on."""
    connection.patience_s = patience_s
