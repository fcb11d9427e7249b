"""The champion on fresh labels: once a month's flights have landed, what was live is measured on them.

A champion on probation (`challenger_airflow.py` promotes so) that fails its policy goes back by itself, and there the
story ends. One that has long passed its probation, or never had one, is put before a gate with the same policy: where
it no longer holds, a task takes the alias back to the version before. Where the gate cannot say (too few rows, for
example), nothing is changed and the DAG run fails, so that somebody looks.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import dag

from example_dags import flights
from penstock_airflow.operators import (
    CloseRunOperator,
    EvaluateModelOperator,
    GateOperator,
    JudgeProbationOperator,
    OpenRunOperator,
    RollbackModelOperator,
)

MONTH = "{{ trained_through(ds) }}"


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
def on_time_fresh_labels() -> None:
    """Measure the champion on the newest month; take it back if it fails."""
    opened = OpenRunOperator(task_id="open_run", experiment=f"{flights.EXPERIMENT}/fresh-labels", key=MONTH)
    run = opened.output
    evaluate = EvaluateModelOperator(
        task_id="evaluate",
        run=run,
        model=flights.CHAMPION,
        accept_from=flights.TRAINED_BY,
        held_out="{{ held_out(trained_through(ds)) }}",
        label=flights.LABEL,
    )
    judge = JudgeProbationOperator(task_id="judge", run=run, model=flights.MODEL, evaluation=evaluate.output)
    gate = GateOperator(
        task_id="gate",
        run=run,
        evaluation=evaluate.output,
        policy=flights.PROBATION,
        model=flights.MODEL,
        on_refused="branch",
        on_inconclusive="fail",
        branches={"FAIL": "roll_back"},
    )
    roll_back = RollbackModelOperator(
        task_id="roll_back",
        name=flights.MODEL,
        alias="champion",
        reason="refused on the labels of the month after {{ trained_through(ds) }}",
    )
    close = CloseRunOperator(task_id="close_run", run=run).as_teardown(setups=opened)
    judge >> gate >> [roll_back, EmptyOperator(task_id="keep")] >> close


fresh_labels = on_time_fresh_labels()
