"""Whole DAG runs through Airflow's own task runner."""

from __future__ import annotations

import base64
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, get_current_context, task

import penstock
from penstock_airflow.operators import CloseRunOperator, OpenRunOperator
from tests import airflow_home, tiny, tiny_pipeline
from tests.airflow_home import START, run_dag
from tests.airflow_provider.pipelines import retraining
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


def test_no_secret_leaves_the_connection(
    store: str, held_out: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # Made here: Airflow keeps the source of this very file in its database.
    canary = f"S3CR3T-{uuid.uuid4().hex}"
    with airflow_home.connection(host=store, login="me", password=canary):
        assert run_dag(retraining("canary", held_out)).state == "success"
    with airflow_home.connection(host=store, extra={"secret_key": canary}):
        assert run_dag(retraining("canary_extra", held_out)).state == "failed"
    with airflow_home.connection(host=f"postgresql://me:{canary}@db/x"):
        assert run_dag(retraining("canary_url", held_out)).state == "failed"
    out, err = capfd.readouterr()
    assert "unsupported connection option" in out + err
    shapes = (canary, base64.b64encode(canary.encode()).decode()[:-4])
    assert not [shape for shape in shapes if shape in out + err]
    files = [p for folder in (tmp_path, airflow_home.HOME) for p in folder.rglob("*") if p.is_file()]
    assert any(path.name == "airflow.db" for path in files)
    assert [str(p) for p in files for shape in shapes if shape.encode() in p.read_bytes()] == []
