"""The tiny pipeline as a DAG, and operators that lose their answer on the first try."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from airflow.sdk import DAG
from airflow.sdk.bases.decorator import task_decorator_factory
from airflow.sdk.execution_time.context import OutletEventAccessors

from penstock import Probation
from penstock_airflow.decorators import PenstockDecoratedOperator
from penstock_airflow.operators import (
    CloseRunOperator,
    EvaluateModelOperator,
    GateOperator,
    OpenRunOperator,
    PromoteModelOperator,
    RegisterModelOperator,
)
from tests import tiny
from tests.airflow_home import START


def train(run: Any, strength: float) -> dict[str, Any]:
    if strength == 0:
        raise ZeroDivisionError("training has failed")
    return tiny.train(run, strength)


class AnswerLost:
    """Mixed into an operator: on the first try it does its work, and then the answer is lost."""

    def execute(self, context: Any) -> Any:
        result = super().execute(context)  # type: ignore[misc]
        if context["ti"].try_number == 1:
            raise ConnectionError("the work is done, and its answer was lost")
        return result


def retraining(
    dag_id: str,
    held_out: str,
    *,
    strength: float = 1.0,
    policy: Any = None,
    on_refused: str = "skip",
    key: str | None = "{{ ds }}",
    lossy: bool = False,
    retries: int = 0,
    probation: Probation | None = None,
) -> DAG:
    """Return the pipeline of `tests.tiny_pipeline` as a DAG; `lossy` operators lose their first answer."""

    def kind(operator: Any) -> Any:
        return type(f"Lossy{operator.__name__}", (AnswerLost, operator), {}) if lossy else operator

    defaults = {"retries": retries, "retry_delay": timedelta(0)}
    with DAG(dag_id, schedule=None, start_date=START, default_args=defaults) as dag:
        opened = kind(OpenRunOperator)(
            task_id="open_run", experiment=tiny.EXPERIMENT, key=key, run_params={"strength": strength}
        )
        run = opened.output
        step = task_decorator_factory(train, decorated_operator_class=kind(PenstockDecoratedOperator))
        model = step(run, strength=strength)
        evaluate = kind(EvaluateModelOperator)(
            task_id="evaluate",
            run=run,
            model=model,
            held_out=held_out,
            label=tiny.LABEL,
            baseline=tiny.CHAMPION,
            slices=["side"],
            sandbox=False,  # as the plain script whose records these are compared with; and quicker
        )
        gate = kind(GateOperator)(
            task_id="gate",
            run=run,
            evaluation=evaluate.output,
            policy=policy or tiny.POLICY,
            model=tiny.MODEL,
            on_refused=on_refused,
        )
        register = kind(RegisterModelOperator)(
            task_id="register", run=run, name=tiny.MODEL, model=model, decision=gate.output
        )
        promote = kind(PromoteModelOperator)(
            task_id="promote",
            run=run,
            name=tiny.MODEL,
            alias="champion",
            version=register.output,
            decision=gate.output,
            probation=probation,
        )
        promote >> kind(CloseRunOperator)(task_id="close_run", run=run).as_teardown(setups=opened)
    return dag


def context(task_id: str, try_number: int = 1, map_index: int = -1) -> dict[str, Any]:
    """What of Airflow's context a task of ours reads, for operators that are executed outside a DAG run."""
    ti = SimpleNamespace(
        dag_id="retraining", run_id="manual__1", task_id=task_id, map_index=map_index, try_number=try_number
    )
    return {"ti": ti, "ds": "2026-01-01", "logical_date": START, "outlet_events": OutletEventAccessors()}
