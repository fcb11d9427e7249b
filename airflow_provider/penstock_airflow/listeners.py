"""The backstop: what a task left open when it died without a word is ended as soon as Airflow knows.

Airflow calls these functions in whichever process learns of it: the task's own (where almost everything has been ended
by then), the API server's (a task marked failed), the scheduler's (a worker that died, a DAG run that is over). In the
latter two the store is reached from a thread of its own, so that a slow one holds up nothing, and nothing that goes
wrong is raised: lease and reaper end the same work, only later.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from airflow.listeners import hookimpl

_log = logging.getLogger(__name__)
_AT_ONCE = 4
_busy = threading.BoundedSemaphore(_AT_ONCE)


@hookimpl  # type: ignore[untyped-decorator]
def on_task_instance_success(previous_state: Any, task_instance: Any) -> None:
    """End what the task has joined (`penstock.join_run()`) and not left."""
    _leave_joined(task_instance, "")


@hookimpl(optionalhook=True)  # type: ignore[untyped-decorator]
def on_task_instance_skipped(previous_state: Any, task_instance: Any) -> None:
    """End what the task has joined and not left: to skip is no failure. Airflow calls this from 3.3 on."""
    _leave_joined(task_instance, "")


@hookimpl  # type: ignore[untyped-decorator]
def on_task_instance_failed(previous_state: Any, task_instance: Any, error: Any) -> None:
    """End the attempts that this task had begun; it may have died without ending them."""
    text = " ".join(f"{type(error).__name__ if isinstance(error, BaseException) else ''} {error or ''}".split())
    if not _leave_joined(task_instance, text or "the task failed"):
        _end_dead(_of_task(task_instance))


@hookimpl  # type: ignore[untyped-decorator]
def on_dag_run_success(dag_run: Any, msg: str) -> None:
    """End what tasks of this DAG run have left open: attempts, and runs in which nobody works."""
    _end_dead(_of_dag_run(dag_run))


@hookimpl  # type: ignore[untyped-decorator]
def on_dag_run_failed(dag_run: Any, msg: str) -> None:
    """End what tasks of this DAG run have left open: attempts, and runs in which nobody works."""
    _end_dead(_of_dag_run(dag_run))


def end_dead(conn_id: str, coordinates: Mapping[str, Any]) -> int:
    """End the attempts begun, and the runs left open, at `coordinates` in one store; return how many."""
    from penstock_airflow.hooks import PenstockHook

    with PenstockHook(conn_id).get_client({"orchestrator": "airflow", "listener": True}) as client:
        lapsed = client.reap(dead=coordinates)
    for found in lapsed:
        _log.warning("Run %s: %s%s", found.step.run_id, found.reason, "; it is KILLED" if found.run_ended else "")
    return len(lapsed)


def _leave_joined(task_instance: Any, error: str) -> bool:
    """End what a plain task has joined, in its own process; return whether this is that process."""
    if getattr(task_instance, "task", None) is None or not _is_task_process(task_instance):
        return False
    joining = sys.modules.get("penstock_airflow.joining")
    if joining is not None:
        try:
            joining.leave_joined(error)
        except Exception:  # noqa: BLE001 - the task's outcome is not ours to change
            _log.warning("An attempt that this task began is left to its lease", exc_info=True)
    return True


def _is_task_process(task_instance: Any) -> bool:
    return type(task_instance).__name__ == "RuntimeTaskInstance"


def _of_task(ti: Any) -> dict[str, Any]:
    from penstock_airflow.context import coordinates

    return coordinates(ti)


def _of_dag_run(dag_run: Any) -> dict[str, Any]:
    return {"orchestrator": "airflow", "dag_id": dag_run.dag_id, "run_id": dag_run.run_id}


def _end_dead(coordinates: Mapping[str, Any]) -> None:
    for conn_id in _conn_ids():
        _aside(lambda conn_id=conn_id: end_dead(conn_id, coordinates))  # type: ignore[misc]


def _conn_ids() -> list[str]:
    from airflow.configuration import conf

    names = conf.get("penstock", "listener_conn_ids", fallback="penstock_default")
    return [name.strip() for name in names.split(",") if name.strip()]


def _aside(work: Callable[[], Any]) -> threading.Thread | None:
    """Do it in a thread of its own, unless several are at it already: then it is left to lease and reaper."""
    if not _busy.acquire(blocking=False):
        return None

    def guarded() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - a scheduler must not stumble over a store
            _log.debug("Left to lease and reaper: %s", error)
        finally:
            _busy.release()

    thread = threading.Thread(target=guarded, name="penstock-listener", daemon=True)
    thread.start()
    return thread
