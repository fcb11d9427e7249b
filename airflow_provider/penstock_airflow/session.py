"""A task's time with the store: what operators and `@task.penstock` share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from penstock_airflow.context import host_facts
from penstock_airflow.errors import failures_mapped
from penstock_airflow.hooks import PenstockHook

if TYPE_CHECKING:
    from penstock import Client


@contextmanager
def store_session(conn_id: str, context: Mapping[str, Any]) -> Iterator[Client]:
    """Yield a client for this task's work: its failures reach Airflow mapped, its records say which task made them."""
    with failures_mapped(), PenstockHook(conn_id).get_client(host_facts(context)) as client:
        yield client
