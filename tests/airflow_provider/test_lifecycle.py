"""Tasks that are taken down, die, come back or are run again: nothing is left RUNNING, nothing happens twice."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG

import penstock
from penstock.model.runs import AttemptState
from penstock_airflow.decorators import PenstockDecoratedOperator
from penstock_airflow.operators import CloseRunOperator, LogOperator, OpenRunOperator
from tests import airflow_home, tiny
from tests.airflow_home import START, run_dag
from tests.airflow_provider.pipelines import context, retraining
from tests.benchmarks import airflow as benchmark

pytestmark = pytest.mark.airflow

EXPERIMENT = "tests/lifecycle"


@pytest.fixture(autouse=True)
def _own_signal_handler() -> Iterator[None]:
    """Airflow's task runner, which runs in this very process here, leaves its handler of SIGTERM behind."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def evicted_dag(dag_id: str, work: Callable[..., Any], retries: int = 0, **options: Any) -> DAG:
    with DAG(dag_id, schedule=None, start_date=START) as dag:
        opened = OpenRunOperator(task_id="open_run", experiment=EXPERIMENT, key="{{ ds }}")
        task = PenstockDecoratedOperator(
            task_id="train",
            python_callable=work,
            op_args=[opened.output],
            retries=retries,
            retry_delay=timedelta(0),
            **options,
        )
        task >> CloseRunOperator(task_id="close_run", run=opened.output).as_teardown(setups=opened)
    return dag


def history(client: penstock.Client, run_id: str) -> list[tuple[str, Any]]:
    return [(e.kind, e.after) for e in client.read_ledger(experiment=EXPERIMENT) if e.subject["run_id"] == run_id]


def test_a_task_that_is_evicted_stops_at_once_ends_its_run_killed_and_a_retry_carries_on(store: str) -> None:
    reached: list[str] = []

    def train(run: Any) -> str:
        run.log_metrics({f"try_{len(reached)}": 1})
        if not reached:
            try:
                # What a pod's eviction and "mark as failed" send: Airflow's own handler calls `on_kill`.
                os.kill(os.getpid(), signal.SIGTERM)
                reached.append("after the signal")
            finally:
                reached.append("finally")
        return "trained"

    outcome = run_dag(evicted_dag("evicted", train, retries=1))
    assert reached == ["finally"]
    assert (outcome.state, outcome.tries["train"]) == ("success", 2)
    assert outcome.returned("close_run")["status"] == "FINISHED"
    with penstock.connect(store) as client:
        run = client.get_run(outcome.returned("open_run"))
        assert [(kind, after) for kind, after in history(client, run.run.run_id) if kind != "run_opened"] == [
            ("run_ended", "KILLED"),
            ("run_reopened", "RUNNING"),
            ("run_ended", "FINISHED"),
        ]
        assert run.metrics == {"try_1": 1.0}
        assert list(client.verify()) == []


def test_a_task_that_is_killed_for_good_leaves_its_run_killed(store: str) -> None:
    def train(run: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    outcome = run_dag(evicted_dag("killed", train))
    assert (outcome.state, outcome.states["train"]) == ("failed", "failed")
    assert outcome.returned("close_run")["status"] == "KILLED"
    with penstock.connect(store) as client:
        run = client.get_run(outcome.returned("open_run"))
    assert run.run.reason == "task 'train' was killed by Airflow (SIGTERM: marked, evicted or shut down)"
    assert [s.state for s in run.steps] == [AttemptState.FAILED]


def test_a_task_that_is_killed_ends_the_run_it_has_for_itself(store: str) -> None:
    def train(run: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    with DAG("killed_alone", schedule=None, start_date=START) as dag:
        PenstockDecoratedOperator(task_id="train", python_callable=train, experiment=EXPERIMENT, key="{{ ds }}")
    run_dag(dag)
    with penstock.connect(store) as client:
        assert [run.status.value for run in client.list_runs(EXPERIMENT)] == ["KILLED"]


def test_a_timeout_is_a_failure_like_any_other(store: str) -> None:
    def train(run: Any) -> None:
        run.log_metrics({"before": 1})
        time.sleep(60)

    outcome = run_dag(evicted_dag("timeout", train, execution_timeout=timedelta(seconds=1)))
    assert (outcome.state, outcome.returned("close_run")["status"]) == ("failed", "FAILED")


def test_a_killed_task_that_somebody_marks_a_success_leaves_a_finished_run(store: str) -> None:
    with penstock.connect(store) as client:
        run = client.open_run(EXPERIMENT, "p")
        client.close_run(run, "KILLED", "a task was killed, and then marked a success")
        assert client.settle_run(run, "FAILED").status.value == "KILLED"
        assert client.settle_run(run, "FINISHED").status.value == "FINISHED"
        assert client.settle_run(run, "FAILED").status.value == "FINISHED"
        assert list(client.verify()) == []


def test_a_cleared_dag_run_with_a_corrected_policy_decides_anew_and_keeps_what_was_done(
    store: str, held_out: str
) -> None:
    impossible = {"name": "impossible", "rules": [{"at_least": {"metric": "roc_auc", "value": 1.0}}]}
    refused = run_dag(retraining("cleared", held_out, policy=impossible))
    assert refused.states["gate"] == "skipped"
    passed = run_dag(retraining("cleared", held_out))
    assert set(passed.states.values()) == {"success"}
    for task in ("open_run", "train", "evaluate"):
        assert passed.returned(task) == refused.returned(task)
    with penstock.connect(store) as client:
        assert [v.version for v in client.list_versions(tiny.MODEL)] == [1]
        (run,) = client.list_runs()
        steps = {str(s.step): (s.attempt, s.generation) for s in client.get_run(run).steps}
    assert (steps["train"][0], steps["evaluate"][0], steps["decide"][0]) == (1, 1, 2)


def test_set_up_that_fails_leaves_nothing_to_close_or_closes_what_it_opened(store: str) -> None:
    def dag(dag_id: str, experiment: str, lossy: bool) -> DAG:
        kind = type("Lossy", (OpenRunOperator,), {"act": _opens_and_dies}) if lossy else OpenRunOperator
        with DAG(dag_id, schedule=None, start_date=START) as found:
            opened = kind(task_id="open_run", experiment=experiment, key="{{ ds }}")
            opened >> CloseRunOperator(task_id="close_run", run=opened.output, trigger_rule="all_done")
        return found

    nothing = run_dag(dag("never_opened", "not a name!", False))
    assert nothing.states == {"open_run": "failed", "close_run": "success"}
    assert nothing.returned("close_run")["status"] is None
    outcome = run_dag(dag("half_opened", EXPERIMENT, True))
    assert outcome.returned("close_run")["status"] == "FAILED"
    with penstock.connect(store) as client:
        assert [(r.status.value, r.reason) for r in client.list_runs()] == [
            ("FAILED", "failed: open_run; not run: none")
        ]
    with airflow_home.connection(host="sqlite:////nowhere/p.db"):
        unreachable = run_dag(dag("unreachable", EXPERIMENT, False))
    assert unreachable.states == {"open_run": "failed", "close_run": "failed"}


def _opens_and_dies(self: Any, client: Any, context: Any) -> Any:
    OpenRunOperator.act(self, client, context)
    raise MemoryError("after the run was opened")


def test_two_attempts_alive_the_newer_carries_on_and_the_orphan_can_write_no_more(store: str) -> None:
    run = OpenRunOperator(task_id="open_run", experiment=EXPERIMENT, key="p").execute(context("open_run"))
    done, go = os.pipe(), os.pipe()

    def train(run: Any, who: str = "retry") -> str:
        run.log_metrics({"started_by_pid": os.getpid()})
        if os.getpid() != parent:
            os.write(done[1], b"x")
            os.read(go[0], 1)
        run.log_metrics({"finished_by_pid": os.getpid()})
        return "done"

    parent = os.getpid()

    def operator() -> Any:
        return PenstockDecoratedOperator(task_id="train", python_callable=train, op_args=[run])

    orphan = os.fork()
    if orphan == 0:
        code = 1
        try:
            operator().execute(context("train"))
        except Exception as error:
            code = 7 if "superseded by attempt 2" in str(error) else 2
        finally:
            os._exit(code)
    os.read(done[0], 1)
    assert operator().execute(context("train", try_number=2)) == "done"
    os.write(go[1], b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(orphan, 0)[1]) == 7
    with penstock.connect(store) as client:
        details = client.get_run(run)
        assert details.metrics == {"started_by_pid": float(parent), "finished_by_pid": float(parent)}
        assert [(s.state, s.attempt) for s in details.steps] == [(AttemptState.DONE, 2)]


@contextmanager
def killed_in_the_middle(run: Any, task_id: str = "train") -> Iterator[None]:
    """A task process that gets SIGKILL while its step is running."""
    begun = os.pipe()

    def train(run: Any) -> None:
        run.log_metrics({"before": 1})
        os.write(begun[1], b"x")
        time.sleep(60)

    child = os.fork()
    if child == 0:
        PenstockDecoratedOperator(task_id=task_id, python_callable=train, op_args=[run]).execute(context(task_id))
        os._exit(0)
    os.read(begun[0], 1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    yield


@pytest.mark.parametrize("event", ["task", "dag_run"])
def test_what_a_task_left_open_that_died_without_a_word_is_ended_as_airflow_learns_of_it(
    store: str, event: str
) -> None:
    from airflow.listeners.listener import get_listener_manager

    airflow_home.plug_in()
    hook = get_listener_manager().hook
    run = OpenRunOperator(task_id="open_run", experiment=EXPERIMENT, key="p").execute(context("open_run"))
    with killed_in_the_middle(run), penstock.connect(store) as client:
        assert client.get_run(run).run.status.value == "RUNNING"
        # Of another DAG run nothing is known to be dead.
        hook.on_dag_run_failed(dag_run=SimpleNamespace(dag_id="retraining", run_id="another"), msg="")
        if event == "task":
            # As the scheduler calls it: a row of its own, the error a text.
            row = context("train")["ti"]
            hook.on_task_instance_failed(previous_state=None, task_instance=row, error="Executor reported ...")
        else:
            dag_run = SimpleNamespace(dag_id="retraining", run_id="manual__1")
            hook.on_dag_run_failed(dag_run=dag_run, msg="")
        until = time.monotonic() + 10
        while client.get_run(run).run.status.value == "RUNNING" and time.monotonic() < until:
            time.sleep(0.02)
        details = client.get_run(run)
        assert (details.run.status.value, details.steps[0].state) == ("KILLED", AttemptState.LAPSED)
        assert details.run.reason == "step train: attempt 1 died with its task"


@pytest.mark.parametrize("event", ["success", "failed"])
def test_a_run_whose_opening_died_before_its_answer_is_ended_when_its_dag_run_is_over(store: str, event: str) -> None:
    from airflow.listeners.listener import get_listener_manager

    airflow_home.plug_in()

    def opening(task_id: str, key: str) -> OpenRunOperator:
        return OpenRunOperator(task_id=task_id, experiment=EXPERIMENT, key=key)

    with penstock.connect(store) as client:
        child = os.fork()
        if child == 0:
            opening("open_run", "half").execute(context("open_run"))
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(child, 0)
        other = context("open_run")
        other["ti"].run_id = "another"
        opening("open_run", "other").execute(other)
        dag_run = SimpleNamespace(dag_id="retraining", run_id="manual__1")
        getattr(get_listener_manager().hook, f"on_dag_run_{event}")(dag_run=dag_run, msg="")
        until = time.monotonic() + 10
        while all(run.status.value == "RUNNING" for run in client.list_runs(EXPERIMENT)) and time.monotonic() < until:
            time.sleep(0.02)
        ended = {run.key.partition: (run.status.value, run.reason) for run in client.list_runs(EXPERIMENT)}
    assert ended == {
        "half": ("KILLED", "left open by what had opened it, which is over"),
        "other": ("RUNNING", ""),
    }


def test_a_listener_that_cannot_reach_the_store_holds_up_and_breaks_nothing() -> None:
    from airflow.listeners.listener import get_listener_manager

    airflow_home.plug_in()
    hook = get_listener_manager().hook
    with airflow_home.connection(host="192.0.2.1", schema="x", extra={"artifacts": "/srv", "connect_timeout": "5"}):
        started = time.monotonic()
        for number in range(20):
            hook.on_dag_run_failed(dag_run=SimpleNamespace(dag_id="d", run_id=f"r{number}"), msg="")
        assert time.monotonic() - started < 2


def test_a_log_that_is_retried_replaces_what_the_try_before_it_has_logged(store: str) -> None:
    run = OpenRunOperator(task_id="open_run", experiment=EXPERIMENT, key="p").execute(context("open_run"))
    tries: list[dict[str, Any]] = [{"auc": 0.8, "old": 1}, {"auc": "0.9"}]
    for number, metrics in enumerate(tries, start=1):
        task = LogOperator(task_id="log", run=run, metrics=metrics, run_params={"depth": number})
        task.execute(context("log", try_number=number))
    with penstock.connect(store) as client:
        details = client.get_run(run)
    assert (details.metrics, details.params) == ({"auc": 0.9}, {"depth": "2"})


@pytest.mark.parametrize("count", [24, pytest.param(200, marks=pytest.mark.slow)])
def test_mapped_tasks_that_open_nested_runs_at_once_create_each_once(store: str, count: int) -> None:
    benchmark.prepare_run()
    for _ in range(2 if count < 100 else 1):
        _, failures, runs = benchmark.mapped(count, at_once=8)
        assert (failures, runs) == (0, count)
    with penstock.connect(store) as client:
        assert len(client.list_runs("bench/airflow", 10 * count)) == count + 1
