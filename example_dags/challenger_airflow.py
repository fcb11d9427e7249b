"""A challenger first, the champion when a person says so: one model, two aliases, two policies.

The night's model becomes `on-time@challenger` under the usual policy, unattended. To become `on-time@champion` it also
needs a release manager's yes, asked for on Airflow's page of required actions; until somebody answers, no worker waits.
Who approves or rejects, and why, is in the ledger. The champion is on probation for its first two months: see
`fresh_labels_airflow.py`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import dag, task

from example_dags import flights
from penstock import Probation
from penstock_airflow.operators import (
    ApproveModelOperator,
    CloseRunOperator,
    EvaluateModelOperator,
    GateOperator,
    OpenRunOperator,
    PromoteModelOperator,
    RegisterModelOperator,
)

CHAMPION_POLICY = str(Path(__file__).with_name("challenger_policy.yaml"))
MONTH = "{{ trained_through(ds) }}"


@task.penstock
def train(run: Any, month: str) -> dict[str, Any]:
    """Train on the months up to `month`; `run` is live, and a retry after success gets the stored result."""
    return flights.train(run, month)


@dag(
    schedule="@monthly",
    start_date=datetime(2013, 4, 1, tzinfo=UTC),
    end_date=datetime(2014, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    user_defined_macros={"trained_through": flights.trained_through, "held_out": flights.held_out},
    doc_md=__doc__,
)
def on_time_challenger() -> None:
    """Train a challenger; promote it to champion once a person agrees."""
    opened = OpenRunOperator(task_id="open_run", experiment=f"{flights.EXPERIMENT}/challenger", key=MONTH)
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
    gate = GateOperator(
        task_id="gate",
        run=run,
        evaluation=evaluate.output,
        policy=flights.POLICY,
        model=flights.MODEL,
        alias="challenger",
    )
    register = RegisterModelOperator(task_id="register", run=run, name=flights.MODEL, model=model, decision=gate.output)
    challenge = PromoteModelOperator(
        task_id="promote_challenger",
        run=run,
        name=flights.MODEL,
        alias="challenger",
        version=register.output,
        decision=gate.output,
    )
    # Where the numbers do not say no, a person is asked; both verdicts lead to the task that asks.
    ask = GateOperator(
        task_id="gate_champion",
        run=run,
        evaluation=evaluate.output,
        policy=CHAMPION_POLICY,
        model=flights.MODEL,
        on_inconclusive="ask",
        branches={"PASS": "approve", "INCONCLUSIVE": "approve"},
    )
    approve = ApproveModelOperator(
        task_id="approve", run=run, decision=ask.output, response_timeout=timedelta(days=2), retries=3
    )
    promote = PromoteModelOperator(
        task_id="promote_champion",
        run=run,
        name=flights.MODEL,
        alias="champion",
        version=register.output,
        decision=approve.output,
        probation=Probation(policy=flights.PROBATION, days=62),
    )
    challenge >> ask >> approve >> promote >> CloseRunOperator(task_id="close_run", run=run).as_teardown(setups=opened)


challenger = on_time_challenger()
