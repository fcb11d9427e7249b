"""Which run a task belongs to, derived from the DAG's code and never believed from an XCom alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow.sdk import XComArg


@dataclass(frozen=True)
class OpenedRun:
    """The task that opens the run, where the DAG hands on its output directly (`run=opened.output`)."""

    task_id: str | None

    @classmethod
    def of(cls, run: Any) -> OpenedRun:
        """Remember, when the DAG is written, which task `run` comes from."""
        operator = getattr(run, "operator", None) if isinstance(run, XComArg) else None
        return cls(getattr(operator, "task_id", None))

    def check(self, task: Any, context: Mapping[str, Any], arrived: Any) -> str:
        """Return the id of the run that arrived; refuse one that this DAG run's own `open_run` does not open."""
        from penstock.errors import InvalidValue
        from penstock.services.references import id_in

        run_id = id_in(arrived, "run_id")
        opener: Any = None if self.task_id is None else task.dag.get_task(self.task_id)
        if hasattr(opener, "opens"):
            expected = opener.opens(context)
            if run_id != expected:
                wanted = f"run {expected}, which task {self.task_id!r} opens in this DAG run"
                raise InvalidValue("run reference", run_id, wanted)
        return run_id
