"""`penstock.join_run()` inside a plain `@task`: this task's run and store, without a word of configuration.

Core finds this by an entry point. It imports next to nothing and answers None where no Airflow task is running.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.services.active_run import ActiveRun

_joined: list[ActiveRun] = []


def join_here(run: Any = None, step: str | None = None, map_index: int | None = None) -> ActiveRun | None:
    """Join the run that the DAG's `open_run` opens (or the one passed), as the step of this task; None outside a task.

    The attempt ends with the handle's `with` block, and otherwise with the task, with the task's outcome.
    """
    if "airflow.sdk" not in sys.modules:
        return None
    from airflow.sdk import get_current_context

    try:
        context = get_current_context()
    except RuntimeError:
        return None
    from penstock_airflow.context import host_facts, remember_run
    from penstock_airflow.context import map_index as this_index
    from penstock_airflow.errors import failures_mapped
    from penstock_airflow.hooks import DEFAULT_CONN_ID, PenstockHook
    from penstock_airflow.opened_run import OpenedRun

    task = context["ti"].task
    with failures_mapped():
        opener = _opener(task)
        client = PenstockHook(getattr(opener, "conn_id", DEFAULT_CONN_ID)).get_client(host_facts(context))
        passed = None if run is None else OpenedRun(None).check(task, context, client, run)
        run_id = passed or _default_run(opener, context)
        index = this_index(context) if map_index is None else map_index
        joined = client.join_run(run_id, step=step or task.task_id, map_index=index)
    _joined.append(joined)
    remember_run(context, run_id)
    return joined


def leave_joined(error: str = "") -> None:
    """End what this task has joined and not left: its process ends without the usual goodbyes."""
    while _joined:
        _joined.pop().leave(error)


def _opener(task: Any) -> Any:
    """Return the one `open_run` before this task, else the one of its DAG; None where there is none."""
    from penstock.errors import InvalidValue

    openers = {found.task_id: found for found in task.dag.tasks if hasattr(found, "opens")}
    before = [openers[name] for name in sorted(task.get_flat_relative_ids(upstream=True)) if name in openers]
    found = before or list(openers.values())
    if len(found) > 1:
        names = ", ".join(repr(opener.task_id) for opener in found)
        hint = "Pass the one that is meant: penstock.join_run(opened), opened being what its task returned"
        raise InvalidValue("run", None, f"one open_run task, and there are {names}", hint)
    return found[0] if found else None


def _default_run(opener: Any, context: Mapping[str, Any]) -> str:
    from penstock.model.ids import WORKSPACE, run_id_of
    from penstock_airflow.context import default_key

    return run_id_of(WORKSPACE, default_key(context)) if opener is None else str(opener.opens(context))
