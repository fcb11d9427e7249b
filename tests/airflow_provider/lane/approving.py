"""DAG files of the real lane: a version that a person must approve, and one nobody will. `@HELD_OUT@` is filled in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.openlineage.utils.selective_enable import enable_lineage
from airflow.sdk import DAG, task

from penstock_airflow.operators import (
    ApproveModelOperator,
    CloseRunOperator,
    EvaluateModelOperator,
    GateOperator,
    OpenRunOperator,
    RegisterModelOperator,
)
from tests import tiny

MODEL = "approved"
POLICY = {
    "name": "needs a person",
    "rules": [
        {"at_least": {"metric": "roc_auc", "value": 0.5}},
        {"approval": {"role": "release-manager", "expires_hours": 1}},
    ],
}


@task.penstock
def train(run: Any) -> dict[str, Any]:
    """Train."""
    return tiny.train(run)


def approving(dag_id: str, wait: timedelta | None) -> DAG:
    """Return a DAG that asks before it registers, and waits so long."""
    defaults = {"retries": 3, "retry_delay": timedelta(0)}
    with DAG(dag_id, schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), default_args=defaults) as dag:
        opened = OpenRunOperator(task_id="open_run", experiment="tests/approving", key="{{ run_id }}")
        run = opened.output
        model = train(run)
        evaluate = EvaluateModelOperator(
            task_id="evaluate", run=run, model=model, held_out="@HELD_OUT@", label=tiny.LABEL
        )
        gate = GateOperator(
            task_id="gate",
            run=run,
            evaluation=evaluate.output,
            policy=POLICY,
            model=MODEL,
            on_inconclusive="ask",
            branches={"PASS": "approve", "INCONCLUSIVE": "approve"},
        )
        approve = ApproveModelOperator(task_id="approve", run=run, decision=gate.output, response_timeout=wait)
        register = RegisterModelOperator(task_id="register", run=run, name=MODEL, model=model, decision=approve.output)
        register >> CloseRunOperator(task_id="close_run", run=run).as_teardown(setups=opened)
    return dag


approved = enable_lineage(approving("approving", None))
unanswered = approving("unanswered", timedelta(seconds=5))
