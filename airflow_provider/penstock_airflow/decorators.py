"""`@task.penstock`: a function that runs once, as a step of a run that its task opens or joins."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.decorator import DecoratedOperator, TaskDecorator, task_decorator_factory

from penstock_airflow.compat import AirflowSkipException
from penstock_airflow.context import map_index, remember_run, task_key
from penstock_airflow.hooks import DEFAULT_CONN_ID
from penstock_airflow.killed import EndsWhenKilled, Killed
from penstock_airflow.links import RunLink
from penstock_airflow.opened_run import OpenedRun
from penstock_airflow.results import small_json
from penstock_airflow.session import store_session
from penstock_airflow.templates import RendersOurs

if TYPE_CHECKING:
    from penstock import Client, RunKey
    from penstock.services.active_run import ActiveRun


class PenstockDecoratedOperator(EndsWhenKilled, RendersOurs, DecoratedOperator):  # type: ignore[misc]
    """Runs the decorated function as a step of a run; see `penstock_task`."""

    template_fields: Sequence[str] = (*DecoratedOperator.template_fields, "experiment", "key")
    custom_operator_name = "@task.penstock"
    operator_extra_links: Collection[Any] = (RunLink(),)

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        conn_id: str = DEFAULT_CONN_ID,
        experiment: str | None = None,
        key: RunKey | str | None = None,
        nested: bool = False,
        resume: bool = False,
        accept_from: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        parameters = inspect.signature(python_callable).parameters
        if next(iter(parameters), None) != "run" or any(p.kind is p.VAR_POSITIONAL for p in parameters.values()):
            expected = "'run' as its first parameter, and inputs that have names"
            raise TypeError(f"@task.penstock: {python_callable.__name__}() must take {expected}")
        # Airflow looks whether the call fits the function: a task that opens its own run is called without one.
        given = dict(op_kwargs or {})
        joins = bool(op_args) or "run" in given
        if not joins:
            given["run"] = None
        super().__init__(python_callable=python_callable, op_args=op_args, op_kwargs=given, **kwargs)
        self.conn_id = conn_id
        self.joins = joins
        self.experiment = experiment
        self.key = key
        self.nested = nested
        self.resume = resume
        self.accept_from = accept_from
        self.opened_run = OpenedRun.of(next(iter(op_args or ()), given.get("run")))

    def execute(self, context: Mapping[str, Any]) -> Any:
        """Do the step once: if it is done already with these inputs and this code, its stored result answers."""
        with store_session(self, context) as client:
            given, declared = self._arguments(context)
            with self._run(client, context, given.pop("run")) as (run, index):
                self.works_in = run.run_id
                remember_run(context, run.run_id)
                called = False

                def work(handle: Any, **_: Any) -> Any:
                    nonlocal called
                    called = True
                    return small_json(self.task_id, self.python_callable(handle, **given))

                # The step's code is the user's, not this wrapper's.
                work.__wrapped__ = self.python_callable  # type: ignore[attr-defined]
                result = run.step(self.task_id, work, map_index=index, resume=self.resume, **declared)
            how = "done" if called else "had been done with these inputs and this code; its stored result answers"
            self.log.info("Step %s of run %s (%s) %s", self.task_id, run.run_id, run.record.key, how)
            return result

    @contextmanager
    def _run(self, client: Client, context: Mapping[str, Any], given: Any) -> Iterator[tuple[ActiveRun, int]]:
        """Yield the run of this task, and the map index of its step there.

        A run that was passed is joined, or with `nested` the parent of this task's own. A run that this task has for
        itself is closed with the task's outcome.
        """
        parent = None
        if self.joins:
            parent = client.join_run(self.opened_run.check(self, context, client, given, self.accept_from))
            if not self.nested:
                yield parent, map_index(context)
                return
        own = client.open_run(
            self.experiment or (context["ti"].dag_id if parent is None else parent.record.experiment),
            self._key(context, parent),
            logical_date=context.get("logical_date"),
            parent=None if parent is None else parent.run_id,
        )
        with _closed_with_outcome(client, own.run_id):
            yield own, -1

    def _key(self, context: Mapping[str, Any], parent: ActiveRun | None) -> Any:
        """Return the key of this task's own run: the DAG's word, else by its parent's key or its own coordinates."""
        if self.key is not None:
            return self.key
        if parent is None:
            return task_key(context)
        from penstock import RunKey

        index, key = map_index(context), parent.record.key
        place = f"{self.task_id}[{index}]" if index >= 0 else self.task_id
        return RunKey(key.pipeline, f"{key.partition}/{place}", key.namespace)

    def _arguments(self, context: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what the function is called with, and what of that are the step's declared inputs.

        What the DAG passed is both. What the function takes from Airflow's context by name is declared where it is
        plain JSON (`ds`, `params`) or a date of this DAG run (`logical_date`, as ISO text); objects such as `ti` and
        what follows from other DAG runs (`prev_...`) are not, nor is anything in `**context`.
        """
        signature = inspect.signature(self.python_callable)
        given = signature.bind_partial(*self.op_args, **self.op_kwargs).arguments
        rest = next((n for n, p in signature.parameters.items() if p.kind is p.VAR_KEYWORD), None)
        given |= given.pop(rest, {}) if rest else {}
        declared = {name: value for name, value in given.items() if name != "run"}
        for name in signature.parameters:
            if name not in given and name != rest and name in context:
                given[name] = context[name]
                declared |= _declarable(name, context[name])
        return ({**context, **given} if rest else given), declared


def _declarable(name: str, value: Any) -> dict[str, Any]:
    """Return what of Airflow's context can be an input: empty where it is none."""
    from penstock.errors import InvalidValue
    from penstock.model.canonical import canonical_json

    if name.startswith("prev_"):
        return {}
    if isinstance(value, datetime):
        return {name: value.isoformat()}
    try:
        canonical_json(value)
    except InvalidValue:
        return {}
    return {name: value}


@contextmanager
def _closed_with_outcome(client: Client, run_id: str) -> Iterator[None]:
    """Close a task's own run as its work ends. A kill is left to the session, which ends the run as KILLED."""
    from penstock.services.once import error_text

    try:
        yield
    except Killed:
        raise
    except AirflowSkipException as skipped:
        client.settle_run(run_id, "FINISHED", error_text(skipped))
        raise
    except BaseException as error:
        client.settle_run(run_id, "FAILED", error_text(error))
        raise
    client.settle_run(run_id, "FINISHED")


def penstock_task(
    python_callable: Callable[..., Any] | None = None, multiple_outputs: bool = False, **kwargs: Any
) -> TaskDecorator:
    """Make a function a step of a run: `@task.penstock def train(run, month): ...`.

    It receives a live run to log into, runs once for its inputs and its code (a retry after it has succeeded gets the
    stored result), and returns plain JSON, as one XCom whatever its annotation says, unless `multiple_outputs` is asked
    for. Which run that is:

        train(opened.output, month=...)     joined: the run that the DAG's `open_run` opens
        train(month=...)                    its own, in `experiment` (default: the DAG's id) with `key` (default: this
                                            task in this DAG run), closed with the task's outcome
        @task.penstock(nested=True)         its own, nested in the run it is called with, by key: of mapped tasks each
        train(opened.output, month=...)     has one, `<partition>/train[3]`, closed with the task's outcome

    `resume=True` keeps the metrics of an attempt that was cut off (training from a checkpoint).

    It may name what it takes from Airflow's context (`ds`, `logical_date`, `params`, `ti`, `**context`). A step is done
    again for other inputs, and those of them that say what it works on count among these: plain JSON, and dates of this
    DAG run. Objects (`ti`, `dag_run`) and what arrives in `**context` do not: a retry has others.
    """
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=multiple_outputs,
        decorated_operator_class=PenstockDecoratedOperator,
        **kwargs,
    )
