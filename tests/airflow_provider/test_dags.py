"""Whole DAG runs through Airflow's own task runner."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from airflow.sdk import DAG, get_current_context, task

import penstock
from penstock.model.runs import StepId
from penstock.services.once import new_attempt
from penstock_airflow.compat import AirflowFailException
from penstock_airflow.decorators import penstock_task
from penstock_airflow.operators import (
    BatchScoreOperator,
    CloseRunOperator,
    EvaluateModelOperator,
    GateOperator,
    LogOperator,
    MergeEvaluationsOperator,
    OpenRunOperator,
)
from tests import airflow_home, tiny, tiny_pipeline
from tests.airflow_home import START, run_dag
from tests.airflow_provider.pipelines import context, retraining, train
from tests.scenarios.ledgers import state

pytestmark = pytest.mark.airflow

IMPOSSIBLE = {"name": "impossible", "rules": [{"at_least": {"metric": "roc_auc", "value": 1.0}}]}
AFTER_THE_GATE = ("register", "promote")


def test_a_good_model_goes_all_the_way_and_leaves_the_ledger_of_the_plain_script(
    store: str, held_out: str, script_url: str
) -> None:
    outcome = run_dag(retraining("passes", held_out))
    assert set(outcome.states.values()) == {"success"}
    assert outcome.returned("promote") == {
        "model": tiny.MODEL,
        "alias": "champion",
        "version": 1,
        "from_version": None,
        "generation": 1,
    }
    with penstock.connect(store) as client, penstock.connect(script_url) as other:
        assert client.get_run(outcome.returned("open_run")).run.status.value == "FINISHED"
        tiny_pipeline.retrain(other, "2026-01-01", held_out)
        assert state(client, tiny.EXPERIMENT, tiny.MODEL) == state(other, tiny.EXPERIMENT, tiny.MODEL)


def test_a_dag_run_that_is_run_again_changes_nothing(store: str, held_out: str) -> None:
    dag = retraining("again", held_out)
    first = run_dag(dag)
    with penstock.connect(store) as client:
        before = state(client, tiny.EXPERIMENT, tiny.MODEL)
        second = run_dag(dag)
        assert state(client, tiny.EXPERIMENT, tiny.MODEL) == before
    assert set(second.states.values()) == {"success"}
    assert {task: second.returned(task) for task in second.states} == {t: first.returned(t) for t in first.states}


def test_a_refused_gate_skips_what_follows_and_the_run_ends_finished(store: str, held_out: str) -> None:
    outcome = run_dag(retraining("refused", held_out, policy=IMPOSSIBLE, retries=2))
    assert outcome.states["gate"] == "skipped"
    assert [outcome.states[t] for t in AFTER_THE_GATE] == ["skipped", "skipped"]
    assert outcome.tries["gate"] == 1
    assert outcome.returned("close_run")["status"] == "FINISHED"
    with penstock.connect(store) as client:
        assert client.list_models() == []


def test_a_refused_gate_that_fails_is_not_retried_and_never_passes(store: str, held_out: str) -> None:
    outcome = run_dag(retraining("refused_fail", held_out, policy=IMPOSSIBLE, on_refused="fail", retries=2))
    assert (outcome.states["gate"], outcome.tries["gate"]) == ("failed", 1)
    assert [outcome.states[t] for t in AFTER_THE_GATE] == ["upstream_failed", "upstream_failed"]
    assert outcome.state == "failed"


def test_a_gate_that_cannot_say_refuses(store: str, held_out: str) -> None:
    no_such_slice = {"name": "p", "rules": [{"no_worse_than": {"baseline": "champion", "metric": "f1", "margin": 0}}]}
    outcome = run_dag(retraining("cannot_say", held_out, policy=no_such_slice))
    assert outcome.states["gate"] == "skipped"


def test_training_that_fails_is_retried_and_the_teardown_closes_the_run_failed(store: str, held_out: str) -> None:
    outcome = run_dag(retraining("train_fails", held_out, strength=0, retries=1))
    assert (outcome.states["train"], outcome.tries["train"]) == ("failed", 2)
    assert outcome.states["close_run"] == "success"
    assert outcome.state == "failed"
    with penstock.connect(store) as client:
        run = client.get_run(outcome.returned("open_run")).run
    assert run.status.value == "FAILED"
    assert run.reason == "failed: train; not run: evaluate, gate, promote, register"


def test_every_task_retried_after_its_side_effect_duplicates_nothing(
    store: str, held_out: str, script_url: str
) -> None:
    outcome = run_dag(retraining("lossy", held_out, lossy=True, retries=1))
    assert set(outcome.states.values()) == {"success"}
    assert set(outcome.tries.values()) == {2}
    with penstock.connect(store) as client, penstock.connect(script_url) as other:
        tiny_pipeline.retrain(other, "2026-01-01", held_out)
        assert state(client, tiny.EXPERIMENT, tiny.MODEL) == state(other, tiny.EXPERIMENT, tiny.MODEL)


def test_without_a_key_each_dag_run_has_a_run_of_its_own(store: str, held_out: str) -> None:
    first, second = (
        run_dag(retraining("keyless", held_out), START + timedelta(days=d)).returned("open_run") for d in (0, 1)
    )
    assert first["run_id"] != second["run_id"]
    dag = retraining("keyless_too", held_out, key=None)
    opened = run_dag(dag)
    with penstock.connect(store) as client:
        key = client.get_run(opened.returned("open_run")).run.key
    assert key.pipeline == "keyless_too"
    assert key.partition.startswith("manual__")


def test_a_store_that_cannot_be_reached_is_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "mounted later"
    folder.write_text("not yet a folder")

    def mount(context: Any) -> None:
        folder.unlink()
        folder.mkdir()

    with DAG("transient", schedule=None, start_date=START) as dag:
        OpenRunOperator(
            task_id="open_run",
            experiment="tests/transient",
            retries=1,
            retry_delay=timedelta(0),
            on_retry_callback=mount,
        )
    with airflow_home.connection(host=f"sqlite:///{folder}/p.db"):
        outcome = run_dag(dag)
    assert (outcome.states["open_run"], outcome.tries["open_run"]) == ("success", 2)


def test_what_will_fail_again_is_not_tried_again(store: str) -> None:
    with DAG("terminal", schedule=None, start_date=START, default_args={"retries": 3}) as dag:
        OpenRunOperator(task_id="open_run", experiment="not a name!")
    outcome = run_dag(dag)
    assert (outcome.states["open_run"], outcome.tries["open_run"]) == ("failed", 1)


def test_mapped_steps_keep_to_themselves_and_a_failed_one_is_named(store: str) -> None:
    @task.penstock  # type: ignore[untyped-decorator]
    def shard(run: Any, number: int, ds: str) -> dict[str, Any]:
        if number == 2:
            raise ValueError("a bad shard")
        run.log_metrics({f"m{number}": number})
        return {"number": number, "ds": ds}

    with DAG("mapped", schedule=None, start_date=START) as dag:
        opened = OpenRunOperator(task_id="open_run", experiment="tests/mapped")
        shards = shard.partial(run=opened.output).expand(number=[0, 1, 2])
        shards >> CloseRunOperator(task_id="close_run", run=opened.output).as_teardown(setups=opened)
    outcome = run_dag(dag)
    assert outcome.xcoms["shard[1]", "return_value"] == {"number": 1, "ds": "2026-01-01"}
    assert ("shard[1]", "number") not in outcome.xcoms
    with penstock.connect(store) as client:
        details = client.get_run(outcome.returned("open_run"))
    assert details.metrics == {"m0": 0.0, "m1": 1.0}
    assert {s.step.map_index: s.host["map_index"] for s in details.steps} == {0: 0, 1: 1, 2: 2}
    assert details.run.reason == "failed: shard_2; not run: none"


def test_a_run_put_in_another_runs_place_by_way_of_xcom_is_refused(store: str, held_out: str) -> None:
    with penstock.connect(store) as client:
        other = client.open_run(tiny.EXPERIMENT, "somebody else's").ref

    dag = retraining("tampered", held_out, retries=2)
    with dag:

        @task
        def tamper() -> None:
            # What a user may do in the UI: `dag.test()` lets a task reach the metadata database.
            from airflow.models.xcom import XComModel
            from airflow.utils.session import create_session

            where = {"dag_id": "tampered", "run_id": get_current_context()["run_id"], "task_id": "open_run"}
            with create_session() as session:
                session.query(XComModel).filter_by(**where).update({"value": other})

        dag.get_task("open_run") >> tamper() >> dag.get_task("train")
    outcome = run_dag(dag)
    assert outcome.returned("open_run") == other
    assert (outcome.states["train"], outcome.tries["train"]) == ("failed", 1)
    with penstock.connect(store) as client:
        assert client.get_run(other).steps == ()


@pytest.mark.parametrize("key", ["päris/✈ 2026 'x\"; touch X #", "{{ var.value.secret }} ../../x", "1' OR '1'='1 %_\\"])
def test_what_a_dag_run_is_triggered_with_is_data_and_nothing_else(store: str, key: str) -> None:
    with DAG("conf", schedule=None, start_date=START) as dag:
        OpenRunOperator(
            task_id="open_run",
            experiment="tests/conf",
            key="{{ dag_run.conf['key'] }}",
            run_name="{{ dag_run.conf['key'] }}",
            run_params={"nested": "{{ dag_run.conf['nested'] }}"},
        )
    outcome = run_dag(dag, conf={"key": key, "nested": {"a": [1, {"b": key}]}})
    with penstock.connect(store) as client:
        found = client.get_run(outcome.returned("open_run"))
    assert (found.run.key.partition, found.run.name) == (key, key)
    assert found.params == {"nested": str({"a": [1, {"b": key}]})}


def test_a_megabyte_of_conf_is_refused_as_a_param_and_not_tried_again(store: str) -> None:
    with DAG("large_conf", schedule=None, start_date=START) as dag:
        OpenRunOperator(
            task_id="open_run",
            experiment="tests/conf",
            run_params={"large": "{{ dag_run.conf['large'] }}"},
            retries=3,
        )
    outcome = run_dag(dag, conf={"large": "x" * 1_000_000})
    assert (outcome.states["open_run"], outcome.tries["open_run"]) == ("failed", 1)


def test_many_mapped_tasks_log_and_open_each_for_itself(store: str) -> None:
    with DAG("many", schedule=None, start_date=START) as dag:
        opened = OpenRunOperator.partial(task_id="open_run", experiment="tests/many").expand(key=["eu", "us"])
        LogOperator.partial(task_id="log", run_params={"fixed": 1}).expand_kwargs(
            opened.output.map(lambda run: {"run": run, "metrics": {"partition_letters": len(run["partition"])}})
        )
    for _ in range(2):
        outcome = run_dag(dag)
        assert {name: state for name, state in outcome.states.items() if state != "success"} == {}
    with penstock.connect(store) as client:
        found = {run.key.partition: client.get_run(run).metrics for run in client.list_runs("tests/many")}
    assert found == {"eu": {"partition_letters": 2.0}, "us": {"partition_letters": 2.0}}


def test_maintenance_ends_what_died_and_checks_the_store(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from example_dags.maintenance_airflow import maintenance, reaping

    monkeypatch.setattr(maintenance.get_task("verify"), "retries", 0)
    with penstock.connect(store, lease_s=0.01) as client:
        run = client.open_run("tests/dead", "p")
        client.wiring.store.begin_attempt(
            new_attempt(client.wiring, StepId(run.run_id, "train"), {}, always=True, reopen=True)
        )
        assert (run_dag(reaping, START).returned("reap"), client.get_run(run).run.status.value) == (1, "KILLED")
        assert run_dag(maintenance, START).states == {"verify": "success", "collect": "success"}
    with closing(sqlite3.connect(store.removeprefix("sqlite:///"))) as database, database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{name}"')
        database.execute("UPDATE ledger SET why = 'tampered with'")
    states = run_dag(maintenance, START + timedelta(days=1)).states
    assert (states["verify"], states["collect"]) == ("failed", "upstream_failed")


def test_shards_measured_by_mapped_tasks_make_the_evaluation_of_one_pass(
    store: str, held_out: str, tmp_path: Path
) -> None:
    rows = pd.read_parquet(held_out)
    shards = [str(tmp_path / f"shard_{number}.parquet") for number in range(3)]
    for number, shard in enumerate(shards):
        rows.iloc[number::3].to_parquet(shard)

    with DAG("shards", schedule=None, start_date=START) as dag:
        opened = OpenRunOperator(task_id="open_run", experiment=tiny.EXPERIMENT, key="shards")
        run = opened.output
        model = penstock_task(train)(run, strength=1.0)
        asked: dict[str, Any] = {"run": run, "model": model, "label": tiny.LABEL, "baseline": tiny.CHAMPION}
        whole = EvaluateModelOperator(task_id="whole", held_out=held_out, **asked)
        parts = EvaluateModelOperator.partial(task_id="part", part=True, **asked).expand(held_out=shards)
        merged = MergeEvaluationsOperator(task_id="merge", run=run, parts=parts.output)
        GateOperator(task_id="gate", run=run, evaluation=merged.output, policy=tiny.POLICY, model=tiny.MODEL)
        whole >> merged
    outcome = run_dag(dag)
    assert {name: state for name, state in outcome.states.items() if state != "success"} == {}
    with penstock.connect(store) as client:
        one, three = (client.get_evaluation(outcome.returned(task)) for task in ("whole", "merge"))
    assert three.dataset.rows == one.dataset.rows == len(rows)
    for metric in ("roc_auc", "accuracy", "log_loss"):
        assert three.value(metric) == pytest.approx(one.value(metric))


def test_predictions_by_partition_are_there_once_however_often_the_dag_runs(
    store: str, held_out: str, tmp_path: Path
) -> None:
    run_dag(retraining("champion", held_out))
    warehouse = tmp_path / "warehouse.db"
    with closing(sqlite3.connect(warehouse)) as database, database:
        pd.read_parquet(held_out).reset_index(names="id").to_sql("cells", database, index=False)
        columns = "prediction INT, probability_0 FLOAT, probability_1 FLOAT, model_version INT"
        database.execute(f"CREATE TABLE scores (id INT, side TEXT, {columns})")
    with DAG("scoring", schedule=None, start_date=START, default_args={"retries": 1}) as dag:
        opened = OpenRunOperator(task_id="open_run", experiment="tests/scoring", key="{{ ds }}")
        to_files = BatchScoreOperator(
            task_id="to_files",
            run=opened.output,
            model=tiny.CHAMPION,
            rows=held_out,
            to=str(tmp_path / "scores"),
            partition="{{ ds }}",
            keep=["side"],
        )
        to_table = BatchScoreOperator.partial(
            task_id="to_table",
            run=opened.output,
            model=tiny.CHAMPION,
            sql="SELECT * FROM cells WHERE side = :side",
            rows_conn_id="warehouse",
            to_table="scores",
            to_conn_id="warehouse",
            partition_column="side",
            keep=["id"],
        ).expand_kwargs([{"partition": side, "sql_params": {"side": side}} for side in ("left", "right")])
        to_files >> to_table >> CloseRunOperator(task_id="close_run", run=opened.output).as_teardown(setups=opened)
    with airflow_home.connection("warehouse", conn_type="sqlite", host=str(warehouse)):
        outcomes = [run_dag(dag, START + timedelta(days=day)) for day in (0, 0, 1)]
    assert {state for outcome in outcomes for state in outcome.states.values()} == {"success"}
    assert sorted(p.name for p in (tmp_path / "scores").iterdir()) == ["2026-01-01.parquet", "2026-01-02.parquet"]
    rows = len(pd.read_parquet(held_out))
    assert len(pd.read_parquet(tmp_path / "scores" / "2026-01-02.parquet")) == rows
    with closing(sqlite3.connect(warehouse)) as database:
        counted = database.execute("SELECT count(*), count(DISTINCT id), count(DISTINCT side) FROM scores").fetchone()
    assert counted == (rows, rows, 2)
    assert outcomes[-1].returned("to_files")["version"] == 1


@pytest.mark.parametrize(
    "options",
    [
        {"to": "out"},
        {"rows": "in", "sql": "SELECT 1", "to": "out"},
        {"sql": "SELECT 1", "to": "out"},
        {"rows": "in"},
        {"rows": "in", "to": "out", "to_table": "t"},
        {"rows": "in", "to_table": "t"},
    ],
)
def test_rows_come_from_one_place_and_predictions_go_to_one(store: str, options: dict[str, Any]) -> None:
    with penstock.connect(store) as client:
        run = client.open_run("tests/scoring", "p").ref
    task = BatchScoreOperator(task_id="score", run=run, model="models:/m@a", partition="p", **options)
    with pytest.raises(AirflowFailException, match=r"expected (rows|to)= .*, or"):
        task.execute(context("score"))
