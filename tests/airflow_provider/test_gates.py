"""What becomes of a DAG at a gate: skip, fail, branch, ask, and never a pass that was not decided."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, task

import penstock
from penstock import Probation
from penstock_airflow.compat import AirflowSkipException
from penstock_airflow.decorators import penstock_task
from penstock_airflow.operators import (
    CloseRunOperator,
    EvaluateModelOperator,
    GateOperator,
    JudgeProbationOperator,
    OpenRunOperator,
    RegisterModelOperator,
    RollbackModelOperator,
)
from tests import tiny
from tests.airflow_home import START, DagOutcome, run_dag
from tests.airflow_provider.pipelines import retraining, train

pytestmark = pytest.mark.airflow

PASSES: dict[str, Any] = {"name": "lenient", "rules": [{"at_least": {"metric": "roc_auc", "value": 0.5}}]}
FAILS: dict[str, Any] = {"name": "impossible", "rules": [{"at_least": {"metric": "roc_auc", "value": 1.0}}]}
CANNOT_SAY: dict[str, Any] = {
    "name": "no champion yet",
    "rules": [{"no_worse_than": {"baseline": "champion", "metric": "f1", "margin": 0}}],
}
BRANCHES = {"FAIL": "report", "INCONCLUSIVE": "approve"}


def gated(dag_id: str, held_out: str, policy: Any, after: tuple[str, ...], **options: Any) -> DagOutcome:
    """Train, evaluate, decide; after the gate one empty task for each name in `after`."""
    with DAG(dag_id, schedule=None, start_date=START, default_args={"retries": 0}) as dag:
        opened = OpenRunOperator(task_id="open_run", experiment=tiny.EXPERIMENT, key=dag_id)
        run = opened.output
        model = penstock_task(train)(run, strength=1.0)
        evaluate = EvaluateModelOperator(
            task_id="evaluate", run=run, model=model, held_out=held_out, label=tiny.LABEL, baseline=tiny.CHAMPION
        )
        gate = GateOperator(
            task_id="gate", run=run, evaluation=evaluate.output, policy=policy, model=tiny.MODEL, **options
        )
        close = CloseRunOperator(task_id="close_run", run=run).as_teardown(setups=opened)
        gate >> [EmptyOperator(task_id=name) for name in after] >> close
    return run_dag(dag)


@pytest.mark.parametrize(
    ("policy", "followed", "verdict"),
    [(PASSES, "register", "PASS"), (FAILS, "report", "FAIL"), (CANNOT_SAY, "approve", "INCONCLUSIVE")],
)
def test_a_gate_branches_by_its_verdict(store: str, held_out: str, policy: Any, followed: str, verdict: str) -> None:
    after = ("register", "report", "approve")
    outcome = gated(f"branch_{followed}", held_out, policy, after, on_refused="branch", branches=BRANCHES)
    assert outcome.states["gate"] == "success"
    assert {name: outcome.states[name] for name in after} == {
        n: "success" if n == followed else "skipped" for n in after
    }
    assert outcome.returned("gate")["verdict"] == verdict
    assert outcome.returned("close_run")["status"] == "FINISHED"


def test_a_gate_that_cannot_say_asks_and_one_that_says_no_skips(store: str, held_out: str) -> None:
    options: dict[str, Any] = {"on_inconclusive": "ask", "branches": {"INCONCLUSIVE": "approve"}}
    after = ("register", "approve")
    asked = gated("asks", held_out, CANNOT_SAY, after, **options)
    assert [asked.states[name] for name in after] == ["skipped", "success"]
    refused = gated("asks_not", held_out, FAILS, after, **options)
    assert [refused.states[name] for name in ("gate", *after)] == ["skipped"] * 3


def test_a_gate_that_cannot_say_may_fail_where_one_that_says_no_skips(store: str, held_out: str) -> None:
    outcome = gated("fails_unsure", held_out, CANNOT_SAY, ("register",), on_inconclusive="fail")
    assert [outcome.states[name] for name in ("gate", "register")] == ["failed", "upstream_failed"]
    assert outcome.tries["gate"] == 1


def test_what_follows_a_refusal_on_a_branch_can_register_nothing(store: str, held_out: str) -> None:
    with DAG("sneaks", schedule=None, start_date=START, default_args={"retries": 2}) as dag:
        opened = OpenRunOperator(task_id="open_run", experiment=tiny.EXPERIMENT, key="sneaks")
        run = opened.output
        model = penstock_task(train)(run, strength=1.0)
        evaluate = EvaluateModelOperator(task_id="evaluate", run=run, model=model, held_out=held_out, label=tiny.LABEL)
        gate = GateOperator(
            task_id="gate",
            run=run,
            evaluation=evaluate.output,
            policy=FAILS,
            model=tiny.MODEL,
            on_refused="branch",
            branches={"FAIL": "register", "INCONCLUSIVE": "register"},
        )
        RegisterModelOperator(task_id="register", run=run, name=tiny.MODEL, model=model, decision=gate.output)
    outcome = run_dag(dag)
    assert (outcome.states["gate"], outcome.states["register"], outcome.tries["register"]) == ("success", "failed", 1)
    with penstock.connect(store) as client:
        assert client.list_models() == []


@pytest.mark.parametrize("upstream", ["skipped", "failed"])
def test_a_gate_without_an_evaluation_refuses_whatever_its_trigger_rule(store: str, upstream: str) -> None:
    @task
    def evaluation() -> Any:
        raise (ValueError("no data") if upstream == "failed" else AirflowSkipException("no rows today"))

    with DAG(f"no_evaluation_{upstream}", schedule=None, start_date=START) as dag:
        opened = OpenRunOperator(task_id="open_run", experiment=tiny.EXPERIMENT, key=upstream)
        GateOperator(
            task_id="gate",
            run=opened.output,
            evaluation=evaluation(),
            policy=PASSES,
            model=tiny.MODEL,
            trigger_rule="all_done",
            retries=2,
        )
    outcome = run_dag(dag)
    assert (outcome.states["evaluation"], outcome.states["gate"], outcome.tries["gate"]) == (upstream, "failed", 1)


def test_no_shards_are_no_evaluation_and_no_evaluation_is_no_pass(store: str) -> None:
    with DAG("no_shards", schedule=None, start_date=START) as dag:
        opened = OpenRunOperator(task_id="open_run", experiment=tiny.EXPERIMENT, key="none")
        evaluated = EvaluateModelOperator.partial(
            task_id="evaluate", run=opened.output, model="models:/benign@champion", label=tiny.LABEL
        ).expand(held_out=[])
        GateOperator.partial(task_id="gate", run=opened.output, policy=PASSES, model=tiny.MODEL).expand(
            evaluation=evaluated.output
        )
    outcome = run_dag(dag)
    assert (outcome.states["evaluate"], outcome.states["gate"]) == ("skipped", "skipped")


def test_an_alias_is_taken_back_once_for_each_dag_run(store: str, held_out: str) -> None:
    for number, strength in enumerate((1.0, 2.0), start=1):
        run_dag(retraining(f"version_{number}", held_out, strength=strength, key=str(number), policy=PASSES))
    with DAG("roll_back", schedule=None, start_date=START) as dag:
        RollbackModelOperator(
            task_id="roll_back", name=tiny.MODEL, alias="champion", reason="alert {{ dag_run.conf['alert'] }}"
        )
    first = run_dag(dag, conf={"alert": "{{ 1 + 1 }} 'ünï' \"; DROP TABLE runs"})
    assert first.returned("roll_back")["version"] == 1
    with penstock.connect(store) as client:
        moves = client.alias_history(tiny.MODEL)
        assert [(m.from_version, m.to_version) for m in moves] == [(None, 1), (1, 2), (2, 1)]
        assert moves[-1].authorization.reason == "alert {{ 1 + 1 }} 'ünï' \"; DROP TABLE runs"


def test_a_version_that_fails_its_probation_goes_back_once_and_what_follows_is_skipped(
    store: str, held_out: str
) -> None:
    for number, probation in enumerate((None, Probation(FAILS, days=14)), start=1):
        named = f"on_probation_{number}"
        strength, key = float(number), str(number)
        dag = retraining(named, held_out, strength=strength, policy=PASSES, key=key, probation=probation)
        run_dag(dag)
    with DAG("later_labels", schedule=None, start_date=START, default_args={"retries": 0}) as dag:
        opened = OpenRunOperator(task_id="open_run", experiment="tests/later", key="{{ ds }}")
        run = opened.output
        evaluate = EvaluateModelOperator(
            task_id="evaluate",
            run=run,
            model=tiny.CHAMPION,
            accept_from=[tiny.EXPERIMENT],
            held_out=held_out,
            label=tiny.LABEL,
        )
        judge = JudgeProbationOperator(task_id="judge", run=run, model=tiny.MODEL, evaluation=evaluate.output)
        close = CloseRunOperator(task_id="close_run", run=run).as_teardown(setups=opened)
        judge >> EmptyOperator(task_id="go_on")
        judge >> close  # directly downstream, and not skipped: it is for whatever happens
    outcome = run_dag(dag)
    assert outcome.returned("judge") == {"verdict": "FAIL", "state": "failed", "rolled_back_to": 1}
    assert (outcome.states["go_on"], outcome.returned("close_run")["status"]) == ("skipped", "FINISHED")
    with penstock.connect(store) as client:  # as a retry asks, whose answer was lost
        again = client.judge_any_probation(tiny.MODEL, "champion", outcome.returned("evaluate"))
        assert again is not None
        assert again.rolled_back_to == 1
        assert [move.to_version for move in client.alias_history(tiny.MODEL)] == [1, 2, 1]
    outcome = run_dag(dag, START.replace(day=2))  # what is live now has never been on probation
    assert (outcome.returned("judge")["verdict"], outcome.states["go_on"]) == (None, "success")
