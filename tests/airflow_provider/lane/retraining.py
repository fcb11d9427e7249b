"""A DAG file of the real lane: the tiny pipeline as an Airflow of its own parses it. `@HELD_OUT@` is filled in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import dag, task

from penstock_airflow.operators import (
    CloseRunOperator,
    EvaluateModelOperator,
    GateOperator,
    OpenRunOperator,
    PromoteModelOperator,
    RegisterModelOperator,
)
from tests import tiny

STRENGTH = "{{ dag_run.conf.get('strength', 1.0) }}"


@task.penstock
def train(run: Any, strength: str) -> dict[str, Any]:
    """Train with the strength that the DAG run asks for."""
    return tiny.train(run, float(strength))


@dag(
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    end_date=datetime(2026, 3, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=3,
    default_args={"retries": 40, "retry_delay": timedelta(0)},
)
def retraining() -> None:
    """Retrain; every DAG run has a key of its own."""
    opened = OpenRunOperator(task_id="open_run", experiment=tiny.EXPERIMENT, key="{{ run_id }}")
    run = opened.output
    model = train(run, strength=STRENGTH)
    evaluate = EvaluateModelOperator(
        task_id="evaluate", run=run, model=model, held_out="@HELD_OUT@", label=tiny.LABEL, baseline=tiny.CHAMPION
    )
    gate = GateOperator(task_id="gate", run=run, evaluation=evaluate.output, policy=tiny.POLICY, model=tiny.MODEL)
    register = RegisterModelOperator(task_id="register", run=run, name=tiny.MODEL, model=model, decision=gate.output)
    promote = PromoteModelOperator(
        task_id="promote",
        run=run,
        name=tiny.MODEL,
        alias="champion",
        version=register.output,
        decision=gate.output,
    )
    promote >> CloseRunOperator(task_id="close_run", run=run).as_teardown(setups=opened)


retraining()
