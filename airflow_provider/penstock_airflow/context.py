"""What Airflow knows about a running task, in Penstock's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock import RunKey

REMEMBERED = "penstock_run_id"


def host_facts(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return the task's coordinates, and who triggered its DAG run by hand, for the record of each attempt.

    Nothing else of the context, nothing secret.
    """
    person = getattr(context.get("dag_run"), "triggering_user_name", None)
    return {**coordinates(context["ti"]), **({"triggered_by": str(person)} if person else {})}


def coordinates(ti: Any) -> dict[str, Any]:
    """Return a task instance's coordinates, as attempts record them."""
    return {
        "orchestrator": "airflow",
        "dag_id": ti.dag_id,
        "run_id": ti.run_id,
        "task_id": ti.task_id,
        "map_index": -1 if ti.map_index is None else int(ti.map_index),
        "try_number": ti.try_number,
    }


def installation() -> str:
    """Return what tells this Airflow from others on the same store; "" where it has neither a name nor an address.

    `[penstock] installation`, else a digest of `[api] base_url`.
    """
    from hashlib import sha256

    from airflow.configuration import conf

    named = str(conf.get("penstock", "installation", fallback=None) or "").strip()
    address = str(conf.get("api", "base_url", fallback=None) or "").strip().rstrip("/")
    return named or (sha256(address.encode()).hexdigest()[:12] if address else "")


def map_index(context: Mapping[str, Any]) -> int:
    """Return the task's map index; -1 where it is not mapped."""
    index = context["ti"].map_index
    return -1 if index is None else int(index)


def in_backfill(context: Mapping[str, Any]) -> bool:
    """Whether this DAG run replays the past."""
    kind = getattr(context.get("dag_run"), "run_type", None)
    return str(getattr(kind, "value", kind)) == "backfill"


def default_key(context: Mapping[str, Any]) -> RunKey:
    """Return the key of a run whose DAG gives none: this DAG, this DAG run. Stable over retries and clears."""
    from penstock import RunKey

    ti = context["ti"]
    return RunKey(pipeline=ti.dag_id, partition=ti.run_id)


def task_key(context: Mapping[str, Any]) -> RunKey:
    """Return the key of a run that one task has for itself: this task, this DAG run, this map index."""
    from penstock import RunKey

    ti, index = context["ti"], map_index(context)
    return RunKey(pipeline=f"{ti.dag_id}.{ti.task_id}", partition=ti.run_id if index < 0 else f"{ti.run_id}[{index}]")


def remember_run(context: Mapping[str, Any], run_id: str) -> None:
    """Leave the run's id where Airflow shows a task's state, if this Airflow has such a place. Nothing reads it back.

    The run's id follows from the DAG's code: no retry depends on what an earlier try remembered.
    """
    state = context.get("task_state_store")
    if state is not None:
        try:
            state.set(REMEMBERED, run_id)
        except Exception:  # noqa: BLE001 - a convenience must not fail a task
            context["ti"].task.log.info("Airflow's task state store did not take %s", REMEMBERED, exc_info=True)
