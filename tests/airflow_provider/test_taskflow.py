"""Functions as tasks: with a run of their own, nested in the DAG's, or joining it from anywhere."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__ as airflow_version
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, task
from packaging.version import Version

import penstock
from penstock_airflow.compat import AirflowSkipException
from penstock_airflow.environment import run_environment
from penstock_airflow.operators import CloseRunOperator, OpenRunOperator
from tests import airflow_home
from tests.airflow_home import START, run_dag

pytestmark = pytest.mark.airflow


def test_a_task_opens_a_run_of_its_own_and_closes_it_with_its_outcome(store: str) -> None:
    tries = []

    @task.penstock(experiment="tests/{{ dag.dag_id }}", key="{{ ds }}", retries=1, retry_delay=timedelta(0))  # type: ignore[untyped-decorator]
    def keyed(run: Any, depth: int) -> int:
        run.log_metrics({"depth": depth})
        tries.append(run.run_id)
        if len(tries) == 1:
            raise OSError("a bad node")
        return depth

    @task.penstock  # type: ignore[untyped-decorator]
    def plain(run: Any) -> Any:
        return run.ref

    @task.penstock(experiment="tests/own")  # type: ignore[untyped-decorator]
    def fails(run: Any) -> None:
        raise ValueError("no data")

    @task.penstock(experiment="tests/skipped")  # type: ignore[untyped-decorator]
    def skips(run: Any) -> None:
        raise AirflowSkipException("nothing to do")

    with DAG("own", schedule=None, start_date=START) as dag:
        keyed(depth=3)
        plain()
        fails()
        skips()
    outcome = run_dag(dag)
    assert outcome.states == {"keyed": "success", "plain": "success", "fails": "failed", "skips": "skipped"}
    with penstock.connect(store) as client:
        by_key = {str(run.key): run for run in client.list_runs()}
        mine = by_key["tests/own[2026-01-01]"]
        assert (mine.status.value, client.get_run(mine).metrics, len(set(tries))) == ("FINISHED", {"depth": 3.0}, 1)
        assert {run.status.value for run in client.list_runs("tests/skipped")} == {"FINISHED"}
        (failed,) = [run for key, run in by_key.items() if key.startswith("own.fails[manual__")]
        assert (failed.status.value, failed.reason) == ("FAILED", "ValueError: no data")
        assert (
            outcome.returned("plain")["run_id"] == by_key[next(k for k in by_key if k.startswith("own.plain["))].run_id
        )


def test_a_function_takes_what_it_names_of_the_context_and_the_dates_and_texts_of_it_are_inputs(store: str) -> None:
    @task.penstock  # type: ignore[untyped-decorator]
    def named(
        run: Any, depth: int, logical_date: Any = None, params: Any = None, ti: Any = None, ds: Any = None
    ) -> Any:
        return [depth, logical_date.isoformat(), dict(params), ti.task_id, ds]

    @task.penstock  # type: ignore[untyped-decorator]
    def everything(run: Any, depth: int, **context: Any) -> Any:
        return [depth, context["ti"].task_id, context["ds"], context["shape"], "depth" in context]

    @task.penstock  # type: ignore[untyped-decorator]
    def wrong(run: Any, password: str, when: Any) -> None:
        raise AssertionError("never called")

    with DAG("contexts", schedule=None, start_date=START, params={"size": 3}) as dag:
        named(depth=1)
        everything(depth=2, shape="square")
        wrong(password="S3CR3T", when=START)
    first, again = run_dag(dag), run_dag(dag)
    assert first.states == again.states == {"named": "success", "everything": "success", "wrong": "failed"}
    expected = [1, START.isoformat(), {"size": 3}, "named", "2026-01-01"]
    assert first.returned("named") == again.returned("named") == expected
    assert first.returned("everything") == [2, "everything", "2026-01-01", "square", False]
    assert ("named", "_link_RunLink") in first.xcoms
    with penstock.connect(store) as client:
        by_key = {run.key.pipeline: client.get_run(run) for run in client.list_runs()}
        attempts = [(s.step.name, s.attempt) for found in by_key.values() for s in found.steps]
        assert sorted(attempts) == [("everything", 1), ("named", 1)]
        reason = by_key["contexts.wrong"].run.reason
    assert reason.startswith("input 'when' of a step: expected plain JSON")
    assert "S3CR3T" not in reason


def test_mapped_tasks_nest_under_the_dags_run_by_key_and_what_they_make_belongs_to_it(store: str) -> None:
    @task.penstock(nested=True)  # type: ignore[untyped-decorator]
    def trial(run: Any, depth: int) -> dict[str, Any]:
        if depth == 3:
            raise ValueError("too deep")
        run.log_metrics({"depth": depth})
        return dict(run.ref)

    with DAG("sweep", schedule=None, start_date=START) as dag:
        opened = OpenRunOperator(task_id="open_run", experiment="tests/sweep", key="{{ ds }}")
        trials = trial.partial(run=opened.output).expand(depth=[1, 2, 3])
        trials >> CloseRunOperator(task_id="close_run", run=opened.output).as_teardown(setups=opened)
    first = run_dag(dag)
    assert [first.states[f"trial[{i}]"] for i in range(3)] == ["success", "success", "failed"]
    assert run_dag(dag).returned("open_run") == first.returned("open_run")
    with penstock.connect(store) as client:
        runs = {run.key.partition: run for run in client.list_runs("tests/sweep")}
        parent = runs.pop("2026-01-01")
        assert {name: run.status.value for name, run in runs.items()} == {
            "2026-01-01/trial[0]": "FINISHED",
            "2026-01-01/trial[1]": "FINISHED",
            "2026-01-01/trial[2]": "FAILED",
        }
        assert {run.parent_run_id for run in runs.values()} == {parent.run_id}
        assert parent.reason == "failed: trial_2; not run: none"
        assert client.get_run(runs["2026-01-01/trial[1]"]).metrics == {"depth": 2.0}


def test_a_plain_task_joins_the_dags_run_without_a_word_of_configuration(
    store: str, joining: None, tmp_path: Path
) -> None:
    @task
    def with_block() -> None:
        with penstock.join_run() as run:
            run.log_metrics({"inside": 1})

    @task
    def without_block(number: int) -> None:
        penstock.join_run().log_metrics({f"m{number}": number})

    @task
    def fails() -> None:
        penstock.join_run().log_metrics({"before": 1})
        raise ValueError("too late")

    with DAG("plain", schedule=None, start_date=START) as dag:
        opened = OpenRunOperator(task_id="open_run", experiment="tests/plain", key="{{ ds }}")
        close = CloseRunOperator(task_id="close_run", run=opened.output).as_teardown(setups=opened)
        opened >> [with_block(), without_block.expand(number=[0, 1]), fails()] >> close
    outcome = run_dag(dag)
    assert outcome.returned("close_run")["status"] == "FAILED"
    with penstock.connect(store) as client:
        details = client.get_run(outcome.returned("open_run"))
    assert details.metrics == {"inside": 1.0, "m0": 0.0, "m1": 1.0, "before": 1.0}
    assert {str(s.step): s.state.value for s in details.steps} == {
        "with_block": "DONE",
        "without_block[0]": "DONE",
        "without_block[1]": "DONE",
        "fails": "FAILED",
    }
    assert {s.host["dag_id"] for s in details.steps} == {"plain"}


@pytest.mark.skipif(Version(airflow_version) < Version("3.3"), reason="earlier ones tell no listener of a skip")
def test_what_a_task_has_joined_that_then_skips_is_done(store: str, joining: None) -> None:
    @task
    def skips() -> None:
        penstock.join_run().log_metrics({"before": 1})
        raise AirflowSkipException("nothing to do")

    with DAG("joined_and_skipped", schedule=None, start_date=START) as dag:
        opened = OpenRunOperator(task_id="open_run", experiment="tests/skips", key="{{ ds }}")
        opened >> skips()
    outcome = run_dag(dag)
    assert outcome.states["skips"] == "skipped"
    with penstock.connect(store) as client:
        assert [s.state.value for s in client.get_run(outcome.returned("open_run")).steps] == ["DONE"]


def test_a_plain_task_of_a_dag_with_two_runs_says_which_it_means(store: str, joining: None) -> None:
    @task(retries=3)  # type: ignore[untyped-decorator]
    def vague() -> None:
        penstock.join_run()

    @task
    def clear(run: Any) -> Any:
        with penstock.join_run(run) as joined:
            return joined.ref

    with DAG("two_runs", schedule=None, start_date=START) as dag:
        left, right = (OpenRunOperator(task_id=t, experiment=f"tests/{t}", key="k") for t in ("left", "right"))
        [left, right] >> vague()
        clear(right.output)
    outcome = run_dag(dag)
    assert (outcome.states["vague"], outcome.tries["vague"]) == ("failed", 1)
    assert outcome.returned("clear") == outcome.returned("right")


def test_a_bash_task_joins_from_its_environment_which_holds_no_secret(store: str) -> None:
    script = "import penstock; run = penstock.join_run(); run.log_metric('from_bash', 7); run.leave()"
    with DAG("bash", schedule=None, start_date=START) as dag:
        opened = OpenRunOperator(task_id="open_run", experiment="tests/bash", key="{{ ds }}")
        opened >> BashOperator(
            task_id="measure",
            bash_command=f'{sys.executable} -c "{script}"; env | grep PENSTOCK | sort',
            env=run_environment(opened),
            append_env=True,
        )
    with airflow_home.connection(host=store, login="me", password="S3CR3T"):
        outcome = run_dag(dag)
    assert outcome.state == "success"
    with penstock.connect(store) as client:
        details = client.get_run(outcome.returned("open_run"))
    assert (details.metrics, [str(s.step) for s in details.steps]) == ({"from_bash": 7.0}, ["measure"])


def test_the_environment_of_a_run_on_servers_holds_neither_password_nor_keys() -> None:
    opened = OpenRunOperator(task_id="open_run", experiment="tests/servers", key="one")
    keys = {"s3_access_key_id": "S3CR3T-id", "s3_secret_access_key": "S3CR3T-key", "s3_endpoint": "http://minio:9000"}
    with airflow_home.connection(
        host="db", schema="x", login="me", password="S3CR3T", extra={"artifacts": "s3://bucket", **keys}
    ):
        found = opened.environment(_Rendering())
    assert found == {
        "PENSTOCK_RUN_ID": found["PENSTOCK_RUN_ID"],
        "PENSTOCK_URL": "postgresql+psycopg://me@db/x",
        "PENSTOCK_ARTIFACTS": "s3://bucket",
        "PENSTOCK_S3_ENDPOINT": "http://minio:9000",
    }


class _Rendering:
    """A task instance of which only the context for templates is asked."""

    def get_template_context(self) -> dict[str, Any]:
        return {"ti": self}
