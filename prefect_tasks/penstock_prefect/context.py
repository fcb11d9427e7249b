"""Where Prefect runs us, for the attempt's record and for the log; nothing here can be a secret."""

from __future__ import annotations

import logging
from typing import Any

from prefect.context import FlowRunContext, TaskRunContext
from prefect.logging import get_run_logger
from prefect.runtime import flow_run, task_run

from penstock.client import Client
from penstock_prefect.blocks import PenstockStore, get_store


def host_facts() -> dict[str, Any]:
    """Return Prefect's coordinates of this process: names and ids, never parameters, which may hold secrets."""
    context = FlowRunContext.get()
    facts = {
        "flow": context.flow.name if context is not None else None,
        "flow_run_id": flow_run.id,
        "task": task_run.task_name,
        "task_run_id": task_run.id,
        "run_count": task_run.run_count or None,
    }
    return {"orchestrator": "prefect", **{name: value for name, value in facts.items() if value is not None}}


def client_of(store: PenstockStore | str | None) -> Client:
    """Return a client of `store` that records this flow run and task run with everything it does."""
    return get_store(store).get_client(host_facts())


def in_a_run() -> bool:
    """Whether Prefect runs this code, or it was called as a plain function: `task.fn()`."""
    return FlowRunContext.get() is not None or TaskRunContext.get() is not None


def run_logger() -> Any:
    """Return the logger of this Prefect run, or a plain one outside of any."""
    return get_run_logger() if in_a_run() else logging.getLogger("penstock_prefect")
