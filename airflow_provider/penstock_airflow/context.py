"""What Airflow knows about a running task, in Penstock's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock import RunKey


def host_facts(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return the task's coordinates, for the record of each attempt: nothing else of the context, nothing secret."""
    ti = context["ti"]
    return {
        "orchestrator": "airflow",
        "dag_id": ti.dag_id,
        "run_id": ti.run_id,
        "task_id": ti.task_id,
        "map_index": map_index(context),
        "try_number": ti.try_number,
    }


def map_index(context: Mapping[str, Any]) -> int:
    """Return the task's map index; -1 where it is not mapped."""
    index = context["ti"].map_index
    return -1 if index is None else int(index)


def default_key(context: Mapping[str, Any]) -> RunKey:
    """Return the key of a run whose DAG gives none: this DAG, this DAG run. Stable over retries and clears."""
    from penstock import RunKey

    ti = context["ti"]
    return RunKey(pipeline=ti.dag_id, partition=ti.run_id)
