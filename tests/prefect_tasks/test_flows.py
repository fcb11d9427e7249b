"""Real flows on a real server: what passes, what is refused, what fails, what is paused, and what users see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import penstock
from penstock.errors import InvalidValue
from penstock.model.runs import RunStatus
from penstock_prefect import gate, open_run, tracked_flow, tracked_task
from tests import tiny
from tests.prefect_tasks.tiny_flow import retrain, train

pytestmark = pytest.mark.prefect


def only_run(client: penstock.Client) -> Any:
    (run,) = client.list_runs()
    return run


def test_a_good_model_goes_through_the_gate_and_becomes_the_champion(
    client: penstock.Client, held_out: str, logs: pytest.LogCaptureFixture
) -> None:
    decision = retrain("2013-01", held_out)
    assert decision["passed"]
    assert decision["verdict"] == "PASS"
    assert client.list_models()[0].aliases == {"champion": 1}
    assert only_run(client).status is RunStatus.FINISHED
    details = client.get_run(decision)
    assert [step.step.name for step in details.steps] == ["train", "evaluate", "decide", "register", "promote"]
    for step in details.steps:
        assert step.host["orchestrator"] == "prefect"
        assert step.host["flow"] == "retrain"
        assert step.host["run_count"] == 1
        assert {"flow_run_id", "task", "task_run_id"} <= set(step.host)
    assert "opened run 2013-01 of tests/cancer/benign" in logs.text
    assert "gate for benign@champion: PASS: all 2 rules hold" in logs.text
    assert "moved benign@champion from nothing to version 1" in logs.text


def test_a_refused_model_is_not_registered_and_its_run_ends_finished(
    client: penstock.Client, held_out: str, logs: pytest.LogCaptureFixture
) -> None:
    decision = retrain("2013-01", held_out, strength=0.001)
    assert decision["verdict"] == "FAIL"
    assert "roc_auc" in decision["reasons"]
    assert decision["reasons"] in logs.text
    assert client.list_models() == []
    assert only_run(client).status is RunStatus.FINISHED


def test_launching_a_finished_flow_again_does_nothing_twice(client: penstock.Client, held_out: str) -> None:
    first = retrain("2013-01", held_out)
    before = list(client.read_ledger())
    again = retrain("2013-01", held_out)
    assert again == first
    assert list(client.read_ledger()) == before


def test_a_flow_that_raises_ends_its_run_failed_and_says_why(client: penstock.Client, tmp_path: Path) -> None:
    with pytest.raises(penstock.PenstockError):
        retrain("2013-01", str(tmp_path / "no such file.parquet"))
    run = only_run(client)
    assert run.status is RunStatus.FAILED
    assert "no such file" in run.reason


def test_a_failed_run_is_carried_on_by_the_next_launch(client: penstock.Client, held_out: str) -> None:
    with pytest.raises(penstock.PenstockError):
        retrain("2013-01", held_out + ".missing")
    assert retrain("2013-01", held_out)["passed"]
    assert only_run(client).status is RunStatus.FINISHED


def test_an_interrupted_flow_ends_its_run_killed(client: penstock.Client) -> None:
    @tracked_flow(experiment="tests/flows", key="only")
    def interrupted(run: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert only_run(client).status is RunStatus.KILLED


def test_a_flow_that_returns_a_failed_state_ends_its_run_failed(client: penstock.Client) -> None:
    from prefect.states import Failed

    @tracked_flow(experiment="tests/flows", key="only")
    def unhappy(run: Any) -> Any:
        return Failed(message="not today")

    assert unhappy(return_state=True).is_failed()
    assert only_run(client).status is RunStatus.FAILED


def test_a_run_is_closed_only_after_the_tasks_whose_futures_a_flow_returns(client: penstock.Client) -> None:
    import time

    @tracked_task
    def slow(run: Any) -> str:
        time.sleep(0.3)
        run.log_metrics({"slow": 1})
        return "done"

    @tracked_flow(experiment="tests/flows", key="only")
    def hurried(run: Any) -> Any:
        return slow.submit(run)

    hurried()
    assert only_run(client).status is RunStatus.FINISHED
    assert client.get_run(only_run(client)).metrics == {"slow": 1.0}


def test_a_paused_flow_leaves_its_run_open(client: penstock.Client) -> None:
    from prefect.exceptions import Pause

    @tracked_flow(experiment="tests/flows", key="only")
    def waiting(run: Any) -> None:
        raise Pause

    with pytest.raises(Pause):
        waiting()
    assert only_run(client).status is RunStatus.RUNNING


def test_the_key_may_be_a_function_of_the_parameters_with_their_defaults(client: penstock.Client) -> None:
    @tracked_flow(experiment="tests/flows", key=lambda region, month: penstock.RunKey(region, month))
    def regional(run: Any, region: str, month: str = "2013-01") -> Any:
        return run

    assert regional("north")["partition"] == "2013-01"
    assert only_run(client).key == penstock.RunKey("north", "2013-01")


def test_the_run_is_no_parameter_of_the_flow() -> None:
    assert list(retrain.parameters.properties) == ["key", "held_out", "strength"]
    assert retrain.parameters.required == ["key", "held_out"]


def test_tasks_mapped_side_by_side_have_a_step_each(client: penstock.Client) -> None:
    from prefect import unmapped

    @tracked_task(step="square/{number}")
    def square(run: Any, number: int) -> int:
        return number * number

    @tracked_flow(experiment="tests/flows", key="only")
    def squares(run: Any) -> list[int]:
        return [future.result() for future in square.map(unmapped(run), [1, 2, 3])]

    assert squares() == [1, 4, 9]
    steps = {step.step.name for step in client.get_run(only_run(client)).steps}
    assert steps == {"square/1", "square/2", "square/3"}


def test_one_model_is_evaluated_on_several_files_side_by_side(
    client: penstock.Client, held_out: str, tmp_path: Path
) -> None:
    from prefect import unmapped

    from penstock_prefect import evaluate_model

    part = str(tmp_path / "part.parquet")
    tiny.rows().iloc[::6].to_parquet(part)

    @tracked_flow(experiment="tests/flows", key="only")
    def both(run: Any) -> list[Any]:
        model = train(run, 1.0)
        files = [held_out, part]
        measured = evaluate_model.map(
            unmapped(model), files, label=tiny.LABEL, run=unmapped(run), map_index=list(range(len(files)))
        )
        return [future.result() for future in measured]

    measured = [client.get_evaluation(evaluation) for evaluation in both()]
    assert [evaluation.dataset.rows for evaluation in measured] == [190, 95]
    # Each model predicted in a process of its own, as they do unless told otherwise.
    assert all(evaluation.model_facts["load_test"]["passed"] for evaluation in measured)


def test_a_gate_may_fail_its_task_on_refusal_and_the_artifact_tells_why(client: penstock.Client, held_out: str) -> None:
    from prefect.artifacts import Artifact

    from penstock.errors import GateBlocked
    from tests.tiny_pipeline import retrain as retrain_in_plain_python

    decision = retrain_in_plain_python(client, "2013-01", held_out, strength=0.001)

    @tracked_flow(experiment="tests/flows", key="only")
    def strict(run: Any) -> Any:
        return gate(decision.evaluation_id, tiny.POLICY, tiny.MODEL, on_refused="fail")

    with pytest.raises(GateBlocked, match="FAIL"):
        strict()
    shown = Artifact.get("gate-benign-champion")
    assert shown.data.startswith("# FAIL: benign@champion")
    assert decision.decision_id in shown.data


def test_a_gate_whose_artifact_cannot_be_shown_still_answers_and_says_so(
    client: penstock.Client, held_out: str, logs: pytest.LogCaptureFixture
) -> None:
    from prefect import flow
    from prefect.context import SyncClientContext
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from tests.tiny_pipeline import retrain as retrain_in_plain_python

    decided = retrain_in_plain_python(client, "2013-01", held_out)

    def cut_off() -> Any:
        with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
            SyncClientContext.__var__.set(None)  # forget the connection this flow run holds
            return gate.fn(decided.evaluation_id, tiny.POLICY, tiny.MODEL)

    assert flow(cut_off)()["passed"]
    assert f"decision {decided.decision_id} could not be shown as an artifact" in logs.text


def test_a_task_can_be_called_as_a_plain_function_without_prefect(client: penstock.Client) -> None:
    assert open_run.fn("tests/flows", "one")["run_id"] == only_run(client).run_id


def test_a_reference_from_another_run_is_refused(client: penstock.Client, held_out: str) -> None:
    from penstock.errors import ForeignReference

    foreign = retrain("2013-01", held_out)

    @tracked_flow(experiment=tiny.EXPERIMENT, key="2013-02")
    def tampered(run: Any) -> Any:
        return gate({"evaluation_id": client.get_decision(foreign).evaluation_id}, tiny.POLICY, tiny.MODEL, run=run)

    with pytest.raises(ForeignReference, match="belongs to run"):
        tampered()


def test_tasks_answer_to_submit_and_with_options(client: penstock.Client) -> None:
    from prefect import flow

    def opening() -> Any:
        patient = open_run.with_options(retries=5, name="open")
        return patient.submit("tests/flows", "one").result()

    assert flow(opening)()["run_id"] == only_run(client).run_id


@pytest.mark.parametrize("wrong", ["{year}", "{month", "{}"])
def test_a_key_that_names_no_parameter_is_refused_before_anything_runs(wrong: str) -> None:
    def pipeline(run: Any, month: str) -> None: ...

    with pytest.raises(InvalidValue, match="a format string over month"):
        tracked_flow(experiment="tests/flows", key=wrong)(pipeline)
