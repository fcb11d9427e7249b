"""A task's time with the store: what operators and `@task.penstock` share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from penstock_airflow.context import host_facts
from penstock_airflow.errors import failures_mapped
from penstock_airflow.hooks import PenstockHook
from penstock_airflow.killed import Killed

if TYPE_CHECKING:
    from penstock import Client


@contextmanager
def store_session(task: Any, context: Mapping[str, Any], facts: Mapping[str, Any] | None = None) -> Iterator[Client]:
    """Yield a client for this task's work: its failures reach Airflow mapped, its records say which task made them.

    `facts` go on record beside the task's coordinates.
    A task that is killed ends the run it works in (`penstock_airflow.killed`).
    """
    with failures_mapped(), PenstockHook(task.conn_id).get_client({**host_facts(context), **(facts or {})}) as client:
        try:
            yield client
        except Killed as killed:
            task.end_killed(client, killed)
            raise
