"""How failures reach Airflow: the one table.

    Terminal            AirflowFailException: failed at once, retries would only repeat it
    Transient           as it is: Airflow retries
    anything else       as it is: Airflow retries (a user's own training code, for example)

A refused gate that skips is raised by the gate itself: it is an outcome, not a failure.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def failures_mapped() -> Iterator[None]:
    """Map what the core raises to what Airflow acts upon; the message stays the core's own."""
    from penstock.errors import Terminal

    try:
        yield
    except Terminal as error:
        from penstock_airflow.compat import AirflowFailException

        raise AirflowFailException(str(error)) from error
