"""Law L1 in Prefect: what is retried, relaunched or killed happens once (BI-089, BI-097)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import penstock
from penstock.errors import Busy, NotFound
from penstock.model.runs import RunStatus
from penstock_prefect import close_run, evaluate_model, gate, open_run, promote_model, register_model, tracked_flow
from tests import tiny
from tests.prefect_tasks.stumbling import counted
from tests.prefect_tasks.tiny_flow import retrain, train

pytestmark = pytest.mark.prefect

ONCE = [
    "run_opened",
    "evaluation_recorded",
    "decision_made",
    "version_registered",
    "version_checked",
    "alias_moved",
    "run_ended",
]


def test_tasks_whose_answers_are_lost_after_the_work_was_done_do_nothing_twice(
    client: penstock.Client, held_out: str
) -> None:
    from prefect import flow

    tasks = [open_run, train, evaluate_model, gate, register_model, promote_model, close_run]
    lost = [counted(task.with_options(retries=2), ConnectionError("the answer was lost")) for task in tasks]

    def stumbling() -> Any:
        opening, training, evaluating, gating, registering, promoting, closing = (task.task for task in lost)
        run = opening(tiny.EXPERIMENT, "2013-01", params={"strength": 1.0})
        model = training(run, 1.0)
        evaluation = evaluating(model, held_out, label=tiny.LABEL, baseline=tiny.CHAMPION, run=run)
        decision = gating(evaluation, tiny.POLICY, tiny.MODEL, run=run)
        version = registering(tiny.MODEL, model, decision, run=run)
        promoting(tiny.MODEL, "champion", version, decision, run=run)
        closing(run)

    flow(stumbling)()
    for task in lost:
        assert task.starts == 2
        assert task.results[0] == task.results[1]
    assert Counter(event.kind for event in client.read_ledger()) == Counter(ONCE)
    assert (
        len(client.list_runs()) == len(client.list_versions(tiny.MODEL)) == len(client.alias_history(tiny.MODEL)) == 1
    )


def test_a_passing_fault_is_retried_and_a_terminal_one_is_not(client: penstock.Client) -> None:
    from prefect import flow

    passing = counted(open_run, Busy("store", 1.0), Busy("store", 1.0))
    terminal = counted(open_run, NotFound("thing", "x"), NotFound("thing", "x"))

    def faults() -> None:
        passing.task("tests/flows", "passing")
        terminal.task("tests/flows", "terminal")

    with pytest.raises(NotFound):
        flow(faults)()
    assert (passing.starts, terminal.starts) == (3, 1)


def test_a_refused_gate_that_fails_its_task_is_not_retried(client: penstock.Client, held_out: str) -> None:
    from prefect import flow

    from penstock.errors import GateBlocked
    from tests.tiny_pipeline import retrain as retrain_in_plain_python

    decision = retrain_in_plain_python(client, "2013-01", held_out, strength=0.001)
    gating = counted(gate)

    def strict() -> None:
        gating.task(decision.evaluation_id, tiny.POLICY, tiny.MODEL, on_refused="fail")

    with pytest.raises(GateBlocked):
        flow(strict)()
    assert gating.starts == 1


def test_a_flow_that_prefect_retries_does_nothing_twice(client: penstock.Client, held_out: str) -> None:
    tries = []

    @tracked_flow(experiment=tiny.EXPERIMENT, key="{key}", retries=1)
    def unlucky(run: Any, key: str) -> Any:
        model = train(run, 1.0)
        evaluation = evaluate_model(model, held_out, label=tiny.LABEL, run=run)
        tries.append(evaluation)
        if len(tries) == 1:
            raise ConnectionError("out of luck")
        return evaluation

    assert unlucky("2013-01") == tries[0]
    (run,) = client.list_runs()
    assert run.status is RunStatus.FINISHED
    kinds = [event.kind for event in client.read_ledger()]
    assert kinds == ["run_opened", "evaluation_recorded", "run_ended", "run_reopened", "run_ended"]


@pytest.mark.parametrize(("death", "told_by"), [("SIGKILL", "is Crashed"), ("SIGTERM", "TerminationSignal")])
def test_a_flow_whose_process_was_killed_is_carried_on_by_a_new_flow_run(
    client: penstock.Client, held_out: str, monkeypatch: pytest.MonkeyPatch, death: str, told_by: str
) -> None:
    import asyncio

    from prefect.deployments import run_deployment
    from prefect.runner import Runner

    monkeypatch.chdir(Path(__file__).parents[2])  # a served flow is found relative to where its runner stands
    monkeypatch.setenv("DIE_IN_FLOW", death)
    runner = Runner(pause_on_shutdown=False)
    runner.add_flow(retrain, name="doomed")
    doomed = run_deployment("retrain/doomed", parameters={"key": "2013-01", "held_out": held_out}, timeout=0)
    asyncio.run(runner.start(run_once=True))
    monkeypatch.delenv("DIE_IN_FLOW")

    (run,) = client.list_runs()
    assert run.status is RunStatus.KILLED
    assert told_by in run.reason
    done = {event.kind: event for event in client.read_ledger()}
    assert set(done) == {*ONCE} - {"version_checked", "alias_moved"}

    decision = retrain("2013-01", held_out)

    (run,) = client.list_runs()
    assert run.status is RunStatus.FINISHED
    events = Counter(event.kind for event in client.read_ledger())
    assert events == Counter([*ONCE, "run_reopened", "run_ended"])
    assert decision["decision_id"] == done["decision_made"].subject["decision_id"]
    assert [version.version for version in client.list_versions(tiny.MODEL)] == [1]
    flow_runs = {step.step.name: step.host["flow_run_id"] for step in client.get_run(run).steps}
    assert flow_runs["register"] == str(doomed.id)
    assert flow_runs["promote"] != str(doomed.id)
