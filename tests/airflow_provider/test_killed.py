"""A task killed with SIGKILL when its work is done and its answer is not yet given."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import penstock
from penstock_airflow.decorators import PenstockDecoratedOperator
from penstock_airflow.operators import (
    EvaluateModelOperator,
    GateOperator,
    OpenRunOperator,
    PromoteModelOperator,
    RegisterModelOperator,
)
from tests import tiny, tiny_pipeline
from tests.airflow_provider.pipelines import context, train
from tests.scenarios.ledgers import state


def test_every_task_killed_after_its_work_and_run_again_duplicates_nothing(
    store: str, held_out: str, script_url: str
) -> None:
    def killed_then_again(step: str, task: Callable[[], Any]) -> Any:
        _killed(task(), context(step))
        with penstock.connect(store) as client:
            (run,) = client.list_runs()
            states = {s.step.name: s.state.value for s in client.get_run(run.run_id).steps}
        assert states[step] == "DONE"
        return task().execute(context(step, try_number=2))

    strength = {"strength": 1.0}
    run = killed_then_again(
        "open_run",
        lambda: OpenRunOperator(task_id="open_run", experiment=tiny.EXPERIMENT, key="2026-01-01", run_params=strength),
    )
    model = killed_then_again(
        "train",
        lambda: PenstockDecoratedOperator(task_id="train", python_callable=train, op_args=[run], op_kwargs=strength),
    )
    evaluation = killed_then_again(
        "evaluate",
        lambda: EvaluateModelOperator(
            task_id="evaluate",
            run=run,
            model=model,
            held_out=held_out,
            label=tiny.LABEL,
            baseline=tiny.CHAMPION,
            slices=["side"],
            sandbox=False,  # as the plain script
        ),
    )
    decision = killed_then_again(
        "decide",
        lambda: GateOperator(task_id="gate", run=run, evaluation=evaluation, policy=tiny.POLICY, model=tiny.MODEL),
    )
    version = killed_then_again(
        "register",
        lambda: RegisterModelOperator(task_id="register", run=run, name=tiny.MODEL, model=model, decision=decision),
    )
    killed_then_again(
        "promote",
        lambda: PromoteModelOperator(
            task_id="promote", run=run, name=tiny.MODEL, alias="champion", version=version, decision=decision
        ),
    )
    with penstock.connect(store) as client, penstock.connect(script_url) as other:
        client.close_run(run)
        tiny_pipeline.retrain(other, "2026-01-01", held_out)
        assert state(client, tiny.EXPERIMENT, tiny.MODEL) == state(other, tiny.EXPERIMENT, tiny.MODEL)


def _killed(operator: Any, given: dict[str, Any]) -> None:
    child = os.fork()
    if child == 0:
        try:
            operator.execute(given)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
