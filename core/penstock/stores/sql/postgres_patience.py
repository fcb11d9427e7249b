"""How long a client waits for a PostgreSQL server that has taken a request and says nothing.

The server's own timeouts end what it still works on, and the kernel's what the network swallows. Neither helps against
a server process that was stopped: the kernel beside it goes on answering for it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from functools import cache
from typing import Any


@cache
def patient_connection() -> Any:
    """Return psycopg's class of connections, taught to close after a silence, with an `OperationalError`."""
    import psycopg

    class PatientConnection(psycopg.Connection[Any]):
        patience_s = math.inf
        together: Any = None  # what ends the pipeline, while there may be one
        sending: Any = None  # the pipeline, while there is one

        def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
            return super().wait(self._while_heard(gen), *arguments, **options)

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

    return PatientConnection


def be_patient(connection: Any, patience_s: float) -> None:
    """Say how long a connection waits, from its next request on."""
    connection.patience_s = patience_s
