"""Operators executed one by one on a real store: what they refuse, what they return, what they leave on record."""

from __future__ import annotations

import json
import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, Asset
from airflow.sdk import task as airflow_task

import penstock
from penstock import DataSource, RunKey
from penstock.errors import InvalidValue
from penstock.model.ids import WORKSPACE, run_id_of
from penstock_airflow import operators
from penstock_airflow.assets import model_asset
from penstock_airflow.compat import AirflowFailException, AirflowNotFoundException
from penstock_airflow.decorators import PenstockDecoratedOperator, penstock_task
from penstock_airflow.operators import (
    ApproveModelOperator,
    EvaluateModelOperator,
    GateOperator,
    LogOperator,
    OpenRunOperator,
    PromoteModelOperator,
    RegisterModelOperator,
    RollbackModelOperator,
)
from penstock_airflow.sensors import ModelAliasSensor
from tests import tiny
from tests.airflow_home import START, run_dag
from tests.airflow_provider.pipelines import context, train

OPERATORS = [getattr(operators, name) for name in operators.__all__]
FOREIGN_ID = "0123456789abcdef0123456789abcdef"
NONSENSE: list[Any] = [
    None,
    "",
    7,
    "/etc/passwd",
    "s3://bucket/model",
    {"__classname__": "os.system", "__data__": "true"},
    {"run_id": "../../etc", "model": "/etc/passwd", "evaluation_id": "x" * 32, "decision_id": ["a"]},
]


def opened(key: Any = "2026-01") -> Any:
    task = OpenRunOperator(task_id="open_run", experiment=tiny.EXPERIMENT, key=key, run_params={"a": 1})
    return task.execute(context("open_run"))


def trained(run: Any) -> Any:
    task = PenstockDecoratedOperator(task_id="train", python_callable=train, op_args=[run], op_kwargs={"strength": 1.0})
    return task.execute(context("train"))


def evaluating(run: Any, model: Any, held_out: str, **options: Any) -> Any:
    asked = {"label": tiny.LABEL, "baseline": tiny.CHAMPION, "sandbox": False, **options}
    return EvaluateModelOperator(task_id="evaluate", run=run, model=model, held_out=held_out, **asked)


def gate(run: Any, evaluation: Any) -> Any:
    return GateOperator(task_id="gate", run=run, evaluation=evaluation, policy=tiny.POLICY, model=tiny.MODEL)


def step(function: Any, run: Any, **inputs: Any) -> Any:
    task = PenstockDecoratedOperator(task_id="step", python_callable=function, op_args=[run], op_kwargs=inputs)
    return task.execute(context("step"))


def test_an_attempt_records_the_tasks_coordinates_and_nothing_else_of_the_context(store: str) -> None:
    run = opened()
    with penstock.connect(store) as client:
        (recorded,) = client.get_run(run).steps
    assert {k: v for k, v in recorded.host.items() if k not in {"host", "pid"}} == {
        "orchestrator": "airflow",
        "dag_id": "retraining",
        "run_id": "manual__1",
        "task_id": "open_run",
        "map_index": -1,
        "try_number": 1,
    }


def test_a_run_records_the_logical_date(store: str) -> None:
    with penstock.connect(store) as client:
        assert client.get_run(opened()).run.logical_date == START


def test_a_key_may_be_a_run_key(store: str) -> None:
    key = penstock.RunKey("monthly", "2026-01", namespace="team")
    assert opened(key=key)["run_id"] != opened()["run_id"]


@pytest.mark.parametrize("given", NONSENSE, ids=repr)
def test_what_arrives_must_be_a_reference(store: str, held_out: str, given: Any) -> None:
    run = opened()
    tasks = [
        evaluating(given, {"model": "runs:/x/model"}, held_out),
        evaluating(run, given, held_out),
        gate(given, {"evaluation_id": FOREIGN_ID}),
        gate(run, given),
        RegisterModelOperator(task_id="r", run=given, name="m", model={}, decision={}),
        RegisterModelOperator(task_id="r", run=run, name="m", model={}, decision=given),
        PromoteModelOperator(task_id="p", run=run, name="m", alias="champion", version={}, decision=given),
    ]
    for task in tasks:
        with pytest.raises(AirflowFailException, match=r"expected|does not exist"):
            task.execute(context("t"))
    with pytest.raises(AirflowFailException, match="run reference"):
        trained(given)


def test_a_reference_made_in_another_run_is_refused_unless_the_dag_accepts_its_pipeline(
    store: str, held_out: str
) -> None:
    ours, theirs = opened(), opened("theirs")
    model = trained(theirs)
    evaluation = evaluating(theirs, model, held_out).execute(context("evaluate"))
    decision = gate(theirs, evaluation).execute(context("gate"))
    version = RegisterModelOperator(task_id="r", run=theirs, name=tiny.MODEL, model=model, decision=decision)
    tasks = [
        evaluating(ours, model, held_out),
        gate(ours, evaluation),
        RegisterModelOperator(task_id="r", run=ours, name=tiny.MODEL, model=model, decision=decision),
        PromoteModelOperator(
            task_id="p",
            run=ours,
            name=tiny.MODEL,
            alias="champion",
            version=version.execute(context("register")),
            decision=decision,
        ),
    ]
    for task in tasks:
        with pytest.raises(AirflowFailException, match=f"belongs to run {theirs['run_id']}"):
            task.execute(context("t"))
        task.accept_from = [tiny.EXPERIMENT]
        assert task.execute(context("t"))


def test_what_is_returned_is_small_plain_json(store: str, held_out: str) -> None:
    run = opened()
    model = trained(run)
    evaluation = evaluating(run, model, held_out).execute(context("evaluate"))
    for reference in (run, model, evaluation, gate(run, evaluation).execute(context("gate"))):
        assert len(json.dumps(reference, allow_nan=False)) < 500


def test_models_predict_in_processes_of_their_own_unless_told_otherwise(store: str, held_out: str) -> None:
    run = opened()
    model = trained(run)
    isolated = EvaluateModelOperator(task_id="evaluate", run=run, model=model, held_out=held_out, label=tiny.LABEL)
    found = isolated.execute(context("evaluate"))
    with penstock.connect(store) as client:
        assert client.get_evaluation(found).model_facts["load_test"]["passed"]


def test_a_step_that_returns_no_plain_json_is_refused_before_it_is_stored(store: str) -> None:
    def undefined(run: Any) -> dict[str, Any]:
        return {"auc": math.nan}

    def huge(run: Any) -> dict[str, Any]:
        return {"rows": "x" * 60_000}

    run = opened()
    with pytest.raises(AirflowFailException, match="plain JSON without NaN"):
        step(undefined, run)
    with pytest.raises(AirflowFailException, match="at most 49152 bytes"):
        step(huge, run)
    with penstock.connect(store) as client:
        states = {s.step.name: s.state.value for s in client.get_run(run).steps}
    assert states == {"open_run": "DONE", "step": "FAILED"}


def test_a_step_is_done_once_for_its_inputs(store: str) -> None:
    calls = []

    def count(run: Any, number: int, ds: str, **more: Any) -> dict[str, Any]:
        calls.append((number, ds, more["more"]))
        return {"calls": len(calls)}

    run = opened()
    assert [step(count, run, number=n, more=1)["calls"] for n in (1, 1, 2, 1)] == [1, 1, 2, 1]
    assert calls == [(1, "2026-01-01", 1), (2, "2026-01-01", 1)]


@pytest.mark.parametrize(
    "function", [lambda: None, lambda month: None, lambda month, run: None, lambda run, *months: None]
)
def test_a_step_takes_the_run_first_and_inputs_that_have_names(function: Any) -> None:
    with pytest.raises(TypeError, match="'run' as its first parameter"):
        PenstockDecoratedOperator(task_id="step", python_callable=function)


def test_a_step_annotated_as_a_dict_is_one_xcom_unless_asked_otherwise() -> None:
    with DAG("annotated"):
        assert penstock_task(train)({}, strength=1.0).operator.multiple_outputs is False
        assert penstock_task(train, multiple_outputs=True)({}, strength=1.0).operator.multiple_outputs is True


@pytest.mark.parametrize("operator", OPERATORS)
def test_references_and_names_are_templated_and_the_connection_is_not(operator: Any) -> None:
    assert "conn_id" not in operator.template_fields
    assert not [field for field in operator.template_fields if hasattr(operator, field)]


def test_operators_can_be_mapped() -> None:
    with DAG("mapped_operators", schedule=None, start_date=START):
        run = OpenRunOperator(task_id="open_run", experiment=tiny.EXPERIMENT).output
        partial = EvaluateModelOperator.partial(task_id="evaluate", run=run, label="late", task="binary", model=run)
        partial.expand(held_out=["a", "b"])
        GateOperator.partial(task_id="gate", run=run, policy="p", model="m").expand(evaluation=[run])


def test_the_path_of_a_data_source_is_templated_too() -> None:
    held_out = DataSource("s3://bucket/{{ ds }}.parquet", label="late", id="id")
    task = EvaluateModelOperator(task_id="evaluate", run={}, model={}, held_out=held_out)
    task.render_template_fields({"ds": "2026-01-01"})
    assert task.held_out == DataSource("s3://bucket/2026-01-01.parquet", label="late", id="id")


def test_the_parts_of_a_run_key_are_templated_too() -> None:
    key = RunKey("retraining-{{ params.region }}", "{{ ds }}")
    rendered = {"ds": "2026-01-01", "params": {"region": "eu"}}
    opening = OpenRunOperator(task_id="open_run", experiment="e", key=key)
    own = PenstockDecoratedOperator(task_id="train", python_callable=train, op_kwargs={"strength": 1.0}, key=key)
    for task in (opening, own):
        task.render_template_fields(rendered)
        assert task.key == RunKey("retraining-eu", "2026-01-01")
    expected = run_id_of(WORKSPACE, RunKey("retraining-eu", "2026-01-01"))
    assert opening.opens({**context("open_run"), **rendered}) == expected


def test_what_default_args_say_holds_wherever_it_is_looked_at() -> None:
    said = {"conn_id": "prod", "poke_interval": 60, "response_timeout": timedelta(hours=1)}
    with DAG("defaults", default_args=said):
        promote = PromoteModelOperator(task_id="promote", run={}, name="m", alias="champion", version={}, decision={})
        sensor = ModelAliasSensor(task_id="moved", model="m")
        approve = ApproveModelOperator(task_id="approve", run={}, decision={})
    (outlet,) = promote.outlets
    (watcher,) = outlet.watchers
    assert (promote.conn_id, watcher.trigger.serialize()[1]["conn_id"]) == ("prod", "prod")
    assert (sensor.conn_id, sensor.poke_interval) == ("prod", 60)
    assert (approve.conn_id, approve.longest_wait, approve.response_timeout) == ("prod", *[timedelta(hours=1)] * 2)


def test_what_cannot_come_from_another_task_says_so_when_the_dag_is_written() -> None:
    with DAG("elsewhere") as dag:
        other = OpenRunOperator(task_id="open_run", experiment="e").output
        asked = {"run": other, "model": other, "held_out": "rows.parquet"}
        EvaluateModelOperator(task_id="fine", label=other["label"], expect_digest=other["digest"], **asked)
        with pytest.raises(TypeError, match="min_rows cannot come from another task"):
            EvaluateModelOperator(task_id="evaluate", min_rows=other["rows"], **asked)
    assert dag.get_task("fine").upstream_task_ids == {"open_run"}


def test_a_promotion_tells_of_its_alias_and_a_rollback_leaves_that_to_the_watcher() -> None:
    def told(**options: Any) -> list[str]:
        task = PromoteModelOperator(task_id="promote", run={}, version={}, decision={}, **options)
        return [outlet.uri for outlet in task.outlets]

    champion, other = model_asset("m"), Asset("other", uri="file:///other")
    assert told(name="m", alias="champion") == [champion.uri]
    assert told(name="m", alias="champion", outlets=[other]) == [other.uri, champion.uri]
    assert told(name="m", alias="champion", outlets=[champion]) == [champion.uri]
    assert told(name="m", alias="{{ params.alias }}") == []
    with pytest.raises(ValueError, match="an outlet would tell twice"):
        RollbackModelOperator(task_id="back", name="m", alias="champion", reason="r", outlets=[champion])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_refused": "pass"}, "on_refused: expected 'skip', 'fail', 'branch', 'ask', got 'pass'"),
        ({"on_inconclusive": "pass"}, "on_inconclusive: expected 'skip', .* got 'pass'"),
        ({"on_refused": "ask", "branches": {"FAIL": "a"}}, "where the gate cannot say: on_inconclusive='ask'"),
        ({"on_refused": "branch", "branches": {"FAIL": "a"}}, "needs to name the tasks that follow INCONCLUSIVE"),
        ({"on_inconclusive": "ask"}, "needs to name the tasks that follow INCONCLUSIVE"),
        ({"branches": {"FAIL": "a"}}, "of no use beside 'skip': do not name the tasks that follow FAIL"),
        ({"branches": {"fail": "a"}}, "branches: expected PASS, FAIL, INCONCLUSIVE, got 'fail'"),
    ],
)
def test_a_gate_has_no_mode_in_which_a_refusal_passes(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GateOperator(task_id="g", run={}, evaluation={}, policy={}, model="m", **options)


def test_neither_a_policy_nor_a_file_to_log_is_taken_from_another_task() -> None:
    with DAG("elsewhere"):
        other = OpenRunOperator(task_id="open_run", experiment="e").output
        template = "{{ ti.xcom_pull('open_run') }}"
        for number, policy in enumerate((other, template, {"name": "n", "rules": [template]})):
            with pytest.raises(ValueError, match="a policy is named by the DAG's code"):
                GateOperator(task_id=f"g{number}", run=other, evaluation=other, policy=policy, model="m")
        for number, path in enumerate((other["path"], template)):
            with pytest.raises(ValueError, match="needs files_from="):
                LogOperator(task_id=f"log{number}", run=other, files={"a": path})


def test_neither_comes_from_another_task_by_mapping_over_what_it_returned(store: str, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")

    @airflow_task
    def said() -> list[Any]:
        return [{"a.txt": str(tmp_path / "secret.txt")}]

    with DAG("mapped_elsewhere", schedule=None, start_date=START, default_args={"retries": 0}) as dag:
        run = OpenRunOperator(task_id="open_run", experiment=tiny.EXPERIMENT, key="mapped").output
        LogOperator.partial(task_id="log", run=run).expand(files=said())
        LogOperator.partial(task_id="log_kwargs", run=run).expand_kwargs(said().map(lambda files: {"files": files}))
        LogOperator.partial(task_id="named", run=run).expand(files=[{"a.txt": str(tmp_path / "secret.txt")}])
        GateOperator.partial(task_id="gate", run=run, evaluation={}, model="m").expand(policy=said())
    outcome = run_dag(dag)
    states = {name: outcome.states[f"{name}[0]"] for name in ("log", "log_kwargs", "named", "gate")}
    assert states == {"log": "failed", "log_kwargs": "failed", "named": "success", "gate": "failed"}


def test_a_file_that_another_task_names_lies_in_the_folder_the_dag_names(store: str, tmp_path: Path) -> None:
    run = opened()
    folder, secret = tmp_path / "out", tmp_path / "secret.txt"
    folder.mkdir()
    secret.write_text("secret")
    (folder / "link.txt").symlink_to(secret)
    for path in (str(secret), "../secret.txt", "link.txt", "/etc/passwd", "missing.txt", {"__classname__": "x"}, None):
        task = LogOperator(task_id="log", run=run, files={"a.txt": path}, files_from=str(folder))
        with pytest.raises(AirflowFailException, match="file to log"):
            task.execute(context("log"))
    (folder / "fine.txt").write_text("fine")
    fine = LogOperator(task_id="log", run=run, files={"a.txt": "fine.txt"}, files_from=str(folder))
    assert fine.execute(context("log"))["artifacts"] == 1


def test_a_metric_that_is_no_number_is_refused_and_nothing_is_logged(store: str) -> None:
    run = opened()
    for value in ("high", "", None, [1], True):
        task = LogOperator(task_id="log", run=run, metrics={"fine": 1, "auc": value})
        with pytest.raises(AirflowFailException, match="metric 'auc'"):
            task.execute(context("log"))
    with penstock.connect(store) as client:
        assert client.get_run(run).metrics == {}


def test_a_run_that_left_no_xcom_is_told_by_the_task_that_should_have() -> None:
    with DAG("gone") as dag:
        run = OpenRunOperator.partial(task_id="open_run").expand(experiment=["a"]).output
        task = LogOperator(task_id="log", run=run)
    task.run = None
    with pytest.raises(
        InvalidValue, match=r"what task 'open_run' \(map index 3\) returned, got None. It has left no XCom"
    ):
        dag.get_task("log").opened_run.check(task, context("log", map_index=3), None, None)


def test_a_run_that_this_dag_run_knows_nothing_of_is_refused_wherever_it_comes_from(store: str) -> None:
    with penstock.connect(store, host={"orchestrator": "airflow", "dag_id": "retraining", "run_id": "other"}) as client:
        other = client.open_run(tiny.EXPERIMENT, "another DAG run's").ref
    task = LogOperator(task_id="log", run=other, metrics={"m": 1})
    with pytest.raises(AirflowFailException, match="declare accept_from"):
        task.execute(context("log"))
    task.accept_from = [tiny.EXPERIMENT]
    assert task.execute(context("log"))["metrics"] == 1


def test_a_connection_that_is_missing_is_named_when_the_task_runs() -> None:
    task = OpenRunOperator(task_id="open_run", experiment="e", conn_id="nowhere")
    with pytest.raises(AirflowNotFoundException, match="connection 'nowhere' isn't defined"):
        task.execute(context("open_run"))
