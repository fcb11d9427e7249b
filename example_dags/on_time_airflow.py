"""The retraining pipeline as an Airflow DAG: every month, train, evaluate, and let the model in if the policy says so.

The run dated 1 May sees April complete: it holds out April, trains on the months through March, and so is the run of
the partition 2013-03. One month (`flights.WEAK_MONTHS`) is trained with a deliberately weaker configuration, so that
the gate has something real to refuse: that month's run skips what follows the gate and ends FINISHED.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import dag, task

from example_dags import flights
from penstock_airflow.operators import (
    CloseRunOperator,
    EvaluateModelOperator,
    GateOperator,
    OpenRunOperator,
    PromoteModelOperator,
    RegisterModelOperator,
)

MONTH = "{{ trained_through(ds) }}"


@task.penstock
def train(run: Any, month: str) -> dict[str, Any]:
    """Train on the months up to `month`; `run` is live, and a retry after success gets the stored result."""
    return flights.train(run, month)


@dag(
    schedule="@monthly",
    start_date=datetime(2013, 4, 1, tzinfo=UTC),
    end_date=datetime(2014, 1, 1, tzinfo=UTC),
    catchup=True,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    user_defined_macros={"trained_through": flights.trained_through, "held_out": flights.held_out},
    doc_md=__doc__,
)
def on_time_retraining() -> None:
    """Retrain the on-time model on the flights of New York."""
    opened = OpenRunOperator(task_id="open_run", experiment=flights.EXPERIMENT, key=MONTH)
    run = opened.output
    model = train(run, month=MONTH)
    evaluate = EvaluateModelOperator(
        task_id="evaluate",
        run=run,
        model=model,
        held_out="{{ held_out(trained_through(ds)) }}",
        label=flights.LABEL,
        baseline=flights.CHAMPION,
        slices=["origin"],
    )
    gate = GateOperator(task_id="gate", run=run, evaluation=evaluate.output, policy=flights.POLICY, model=flights.MODEL)
    register = RegisterModelOperator(task_id="register", run=run, name=flights.MODEL, model=model, decision=gate.output)
    promote = PromoteModelOperator(
        task_id="promote",
        run=run,
        name=flights.MODEL,
        alias="champion",
        version=register.output,
        decision=gate.output,
    )
    close = CloseRunOperator(task_id="close_run", run=run).as_teardown(setups=opened)
    promote >> close


retraining = on_time_retraining()
