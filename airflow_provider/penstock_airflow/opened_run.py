"""Which run a task belongs to, derived from the DAG's code and never believed from an XCom alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.sdk import XComArg

if TYPE_CHECKING:
    from penstock import Client
    from penstock.model.runs import RunDetails


@dataclass(frozen=True)
class OpenedRun:
    """The task that opens the run, where the DAG hands on its output directly (`run=opened.output`)."""

    task_id: str | None

    @classmethod
    def of(cls, run: Any) -> OpenedRun:
        """Remember, when the DAG is written, which task `run` comes from."""
        operator = getattr(run, "operator", None) if isinstance(run, XComArg) else None
        return cls(getattr(operator, "task_id", None))

    def check(
        self, task: Any, context: Mapping[str, Any], client: Client, arrived: Any, accept_from: Sequence[str] = ()
    ) -> str:
        """Return the id of the run that arrived; refuse one that does not belong to this DAG run.

        The run is the one that the DAG's `open_run` opens in this DAG run, which follows from the DAG's code. Where it
        comes from elsewhere (mapped tasks, templates), the store must know that this DAG run opened it or worked in it,
        or it must be nested in one that this DAG run opens, or be of a pipeline in `accept_from`.
        """
        from penstock.errors import InvalidValue
        from penstock.services.references import id_in

        if arrived is None:
            raise InvalidValue("run reference", None, f"what {self._source(context)} returned", _NONE_HINT)
        run_id = id_in(arrived, "run_id")
        opener = self.opener(task)
        if opener is not None:
            expected = opener.opens(context)
            if run_id != expected:
                wanted = f"run {expected}, which task {self.task_id!r} opens in this DAG run"
                raise InvalidValue("run reference", run_id, wanted)
        elif run_id not in runs_opened_in(task, context):
            self._check_in_store(task, context, client, run_id, accept_from)
        return run_id

    def opener(self, task: Any) -> Any:
        """Return the operator that opens the run, if it is one of the DAG's and not mapped."""
        found: Any = None if self.task_id is None else task.dag.get_task(self.task_id)
        return found if hasattr(found, "opens") else None

    def _check_in_store(
        self, task: Any, context: Mapping[str, Any], client: Client, run_id: str, accept_from: Sequence[str]
    ) -> None:
        from penstock.errors import ForeignReference

        details, ti = client.get_run(run_id), context["ti"]
        run = details.run
        here = (ti.dag_id, ti.run_id)
        # The keys of a mapped `open_run` are known to itself only: what this DAG's has opened before is its own, too.
        mapped = run.source.get("dag_id") == ti.dag_id and run.source.get("task_id") in _mapped_openers(task)
        if not (
            here in _dag_runs(details)
            or mapped
            or run.parent_run_id in runs_opened_in(task, context)
            or run.key.pipeline in accept_from
        ):
            owner = f"{run.run_id} of {run.key}"
            raise ForeignReference("run", run_id, owner, f"that DAG run {ti.run_id!r} of {ti.dag_id!r} opened")

    def _source(self, context: Mapping[str, Any]) -> str:
        index = context["ti"].map_index
        mapped = f" (map index {index})" if index is not None and index >= 0 else ""
        return f"task {self.task_id!r}{mapped}" if self.task_id else f"the task that opens the run{mapped}"


_NONE_HINT = "It has left no XCom: it was skipped, has failed, or its XCom was cleared"


def runs_opened_in(task: Any, context: Mapping[str, Any]) -> set[str]:
    """Return the ids of the runs that the DAG's own `open_run` tasks open in this DAG run."""
    return {found.opens(context) for found in tasks_beside(task) if hasattr(found, "opens")}


def _mapped_openers(task: Any) -> set[str]:
    return {t.task_id for t in tasks_beside(task) if hasattr(getattr(t, "operator_class", None), "opens")}


def tasks_beside(task: Any) -> Sequence[Any]:
    """Return the tasks of the task's DAG; none where it has no DAG."""
    return task.dag.tasks if task.has_dag() else ()


def _dag_runs(details: RunDetails) -> Iterator[tuple[Any, Any]]:
    """Yield (DAG id, DAG run id) of who opened a run and who worked in it."""
    for facts in (details.run.source, *(step.host for step in details.steps)):
        yield facts.get("dag_id"), facts.get("run_id")
