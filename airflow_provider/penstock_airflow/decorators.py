"""`@task.penstock`: a function that runs once, as a step of a run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

from airflow.sdk.bases.decorator import DecoratedOperator, TaskDecorator, task_decorator_factory

from penstock_airflow.context import map_index
from penstock_airflow.hooks import DEFAULT_CONN_ID
from penstock_airflow.opened_run import OpenedRun
from penstock_airflow.results import small_json
from penstock_airflow.session import store_session


class PenstockDecoratedOperator(DecoratedOperator):  # type: ignore[misc]
    """Runs the decorated function as a step of the run it is given; see `penstock_task`."""

    custom_operator_name = "@task.penstock"

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        parameters = inspect.signature(python_callable).parameters
        if next(iter(parameters), None) != "run" or any(p.kind is p.VAR_POSITIONAL for p in parameters.values()):
            expected = "'run' as its first parameter, and inputs that have names"
            raise TypeError(f"@task.penstock: {python_callable.__name__}() must take {expected}")
        super().__init__(python_callable=python_callable, op_args=op_args, op_kwargs=op_kwargs, **kwargs)
        self.conn_id = conn_id
        self.opened_run = OpenedRun.of(next(iter(op_args or ()), (op_kwargs or {}).get("run")))

    def execute(self, context: Mapping[str, Any]) -> Any:
        """Do the step once: if it is done already with these inputs and this code, its stored result answers."""
        with store_session(self.conn_id, context) as client:
            inputs = self._arguments(context)
            run = client.join_run(self.opened_run.check(self, context, inputs.pop("run")))
            called = False

            def work(handle: Any, **given: Any) -> Any:
                nonlocal called
                called = True
                return small_json(self.task_id, self.python_callable(handle, **given))

            # The step's code is the user's, not this wrapper's.
            work.__wrapped__ = self.python_callable  # type: ignore[attr-defined]
            result = run.step(self.task_id, work, map_index=map_index(context), **inputs)
            how = "done" if called else "had been done with these inputs and this code; its stored result answers"
            self.log.info("Step %s of run %s %s", self.task_id, run.run_id, how)
            return result

    def _arguments(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Bind what the DAG passed, and what the function takes from Airflow's context by name (`ds`, for example)."""
        signature = inspect.signature(self.python_callable)
        bound = signature.bind_partial(*self.op_args, **self.op_kwargs).arguments
        for name, parameter in signature.parameters.items():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                bound.update(bound.pop(name, {}))
            elif name not in bound and name in context:
                bound[name] = context[name]
        return bound


def penstock_task(
    python_callable: Callable[..., Any] | None = None, multiple_outputs: bool = False, **kwargs: Any
) -> TaskDecorator:
    """Make a function a step of a run: `@task.penstock def train(run, month): ...`.

    It is called with what `open_run` returned (`train(opened.output, month="2013-03")`) and receives a live run to log
    into. It runs once for its inputs and its code: a retry after it has succeeded gets the stored result. It returns
    plain JSON, as one XCom whatever its annotation says, unless `multiple_outputs` is asked for.
    """
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=multiple_outputs,
        decorated_operator_class=PenstockDecoratedOperator,
        **kwargs,
    )
