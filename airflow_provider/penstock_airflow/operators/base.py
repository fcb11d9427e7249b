"""What every operator shares: connect, do one thing in the store, map failures, hand on small JSON."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, XComArg

from penstock_airflow.context import map_index, remember_run
from penstock_airflow.hooks import DEFAULT_CONN_ID
from penstock_airflow.killed import EndsWhenKilled
from penstock_airflow.lineage import Lineage
from penstock_airflow.links import RunLink
from penstock_airflow.opened_run import OpenedRun, tasks_beside
from penstock_airflow.results import small_json
from penstock_airflow.session import store_session
from penstock_airflow.templates import RendersOurs

if TYPE_CHECKING:
    from penstock import Client


class PenstockOperator(EndsWhenKilled, Lineage, RendersOurs, BaseOperator):  # type: ignore[misc]
    """Does one thing in the store of a connection. Subclasses say what, in `act`."""

    ui_color = "#d9e8f5"
    operator_extra_links: Collection[Any] = (RunLink(),)
    # The decision that this task made or acted under, once it is known: for its link.
    acts_under: str | None = None

    def __init__(self, *, conn_id: str = DEFAULT_CONN_ID, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id

    def __setattr__(self, name: str, value: Any) -> None:
        # Airflow would neither wait for that task nor resolve what it returns.
        if isinstance(value, XComArg) and name not in self.template_fields:
            allowed = ", ".join(self.template_fields)
            raise TypeError(f"{type(self).__name__}: {name} cannot come from another task. What can: {allowed}")
        super().__setattr__(name, value)

    def execute(self, context: Mapping[str, Any]) -> Any:
        """Connect, act, and return a small JSON reference."""
        with store_session(self, context, self.facts()) as client:
            return small_json(self.task_id, self.act(client, context))

    def facts(self) -> Mapping[str, Any]:
        """Return what is to be on record of this task's attempts beside its coordinates."""
        return {}

    @abstractmethod
    def act(self, client: Client, context: Mapping[str, Any]) -> Any:
        """Do the one thing, log one line on it, and return a reference to what came of it."""

    def work_in(self, context: Mapping[str, Any], run_id: str) -> str:
        """Say which run this task works in, for whoever kills it and for Airflow's own record of its state."""
        self.works_in = run_id
        remember_run(context, run_id)
        return run_id


class RunOperator(PenstockOperator):
    """Does one thing within a run. `run` is what `open_run` returned; other references must have been made in that run.

    `accept_from` names pipelines (their keys' `pipeline`) whose references are accepted too. `step` names the step of
    the run that this is. Without it that is what the operator does (`evaluate`, `decide`, `register`, `promote`), and
    the task's id where the DAG has several tasks of the kind: side by side they would fence each other.
    """

    template_fields: Sequence[str] = ("run",)

    def __init__(self, *, run: Any, accept_from: Sequence[str] = (), step: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run = run
        self.accept_from = accept_from
        self.step = step
        self.opened_run = OpenedRun.of(run)

    def within(self, client: Client, context: Mapping[str, Any]) -> dict[str, Any]:
        """Return where this task stands, as every call of the core within a run takes it."""
        run_id = self.opened_run.check(self, context, client, self.run, self.accept_from)
        step = self.step or ("" if self._is_only_one() else self.task_id)
        return {
            "run": self.work_in(context, run_id),
            "accept_from": self.accept_from,
            "map_index": map_index(context),
            **({"step": step} if step else {}),
        }

    def _is_only_one(self) -> bool:
        """Whether no other task of the DAG does what this one does."""
        kinds = (getattr(task, "operator_class", type(task)) for task in tasks_beside(self))
        return sum(kind is type(self) for kind in kinds) < 2
