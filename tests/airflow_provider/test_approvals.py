"""Asking a person: what is shown, what an answer comes to, and what can no longer be answered.

The operator is executed as Airflow executes it, but for the waiting itself: that, and the real answer through Airflow's
API, is in `test_real_lane.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

import penstock
from penstock.model.decisions import GateDecision
from penstock_airflow.approval_page import body_of
from penstock_airflow.compat import AirflowFailException, AirflowSkipException
from penstock_airflow.context import host_facts
from penstock_airflow.operators import ApproveModelOperator
from tests import tiny
from tests.airflow_provider.pipelines import context

POLICY: dict[str, Any] = {
    "name": "needs a person",
    "rules": [
        {"at_least": {"metric": "roc_auc", "value": 0.5}},
        {"approval": {"role": "release-manager", "expires_hours": 1}},
    ],
}
TWO = {**POLICY, "rules": [*POLICY["rules"], {"approval": {"role": "physician", "expires_hours": 1}}]}
NO = {"name": "impossible", "rules": [{"at_least": {"metric": "roc_auc", "value": 1.0}}, *POLICY["rules"]]}
EYES = {**POLICY, "rules": [{"approval": {"role": "release-manager", "four_eyes": True, "expires_hours": 1}}]}
HERE = {"orchestrator": "airflow", "dag_id": "retraining", "run_id": "manual__1"}

Asked = Callable[..., GateDecision]


@pytest.fixture
def asked(store: str, held_out: str) -> Iterator[Asked]:
    """Train, measure and decide under a policy: what the tasks before this one have done."""
    with penstock.connect(store, host=HERE, actor="trainer") as client:
        yield lambda policy=POLICY: decided(client, held_out, policy)


def decided(client: penstock.Client, held_out: str, policy: Any) -> GateDecision:
    run = client.open_run("tests/approvals", key="1")
    model = run.step("train", tiny.train)
    evaluation = client.evaluate(model, held_out, label=tiny.LABEL, run=run)
    return client.decide(evaluation, policy, model=tiny.MODEL, run=run)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What Airflow was asked to show."""
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "airflow.providers.standard.operators.hitl.upsert_hitl_detail", lambda **fields: seen.append(fields)
    )
    return seen


def approve(decision: GateDecision, **options: Any) -> ApproveModelOperator:
    run = {"run_id": decision.run_id}
    return ApproveModelOperator(task_id="approve", run=run, decision=decision.ref, **options)


def trained(decision: GateDecision) -> str:
    return f"runs:/{decision.run_id}/model"


def here() -> tuple[dict[str, Any], dict[str, Any]]:
    """A context, and what is pushed as XComs in it."""
    pushed: dict[str, Any] = {}
    found = context("approve")
    found["ti"].id = "0198"
    found["ti"].xcom_push = lambda key, value: pushed.update({key: value})
    return {**found, "task_instance": found["ti"]}, pushed


def parked(operator: ApproveModelOperator) -> dict[str, Any]:
    """Execute until it waits; return what it will be resumed with."""
    with pytest.raises(BaseException) as waiting:  # noqa: PT011 - whatever this Airflow waits by
        operator.execute(here()[0])
    assert getattr(waiting.value, "method_name", None) == "execute_complete", waiting.value
    kwargs: dict[str, Any] = waiting.value.kwargs  # type: ignore[attr-defined]
    return kwargs


def answer(option: str, reason: str = "I looked at it", name: str = "ada") -> dict[str, Any]:
    user = {"id": "7", "name": name}
    at = datetime.now(UTC)
    params = {"reason": reason}
    return {"chosen_options": [option], "params_input": params, "responded_at": at, "responded_by_user": user}


def test_a_yes_is_recorded_with_the_person_and_the_gate_then_passes(store: str, asked: Asked, shown: list[Any]) -> None:
    decision = asked()
    resumed = parked(approve(decision))
    (question,) = shown
    assert question["subject"] == "Approve benign for @champion, as release-manager?"
    for fact in ("roc\\_auc", decision.policy_digest, decision.data_digest, decision.payload_digest, "trainer"):
        assert fact in question["body"]
    again = approve(decision).execute_complete(here()[0], answer("Approve"), **resumed)
    assert again["verdict"] == "PASS"
    assert again["decision_id"] != decision.decision_id
    with penstock.connect(store) as client:
        found = client.find_approval(decision)
        assert found is not None
        assert found.answer is not None
        assert (found.answer.approve, found.answer.reason) == (True, "I looked at it")
        assert found.answer.actor == {"kind": "user", "subject": "ada", "issuer": "airflow#7", "authenticated": False}
        assert client.register(tiny.MODEL, trained(decision), again).version == 1
    # A retry whose answer was lost, and a clear, find it answered and ask nobody.
    assert approve(decision).execute(here()[0]) == again
    assert len(shown) == 1


def test_a_no_is_recorded_with_the_person_and_skips_what_follows(store: str, asked: Asked, shown: list[Any]) -> None:
    decision = asked()
    resumed = parked(approve(decision))
    now, pushed = here()
    with pytest.raises(AirflowSkipException, match=r"rejected by ada .*: not this week"):
        approve(decision).execute_complete(now, answer("Reject", "not this week"), **resumed)
    assert (pushed["answer"]["state"], pushed["answer"]["reason"]) == ("rejected", "not this week")
    with pytest.raises(AirflowFailException, match="not this week"):
        approve(decision, on_refused="fail").execute(here()[0])
    with penstock.connect(store) as client:
        told = [event for event in client.read_ledger(model=tiny.MODEL) if event.kind == "approval_answered"]
    assert [(event.actor["subject"], event.why) for event in told] == [("ada", "not this week")]


def test_no_answer_in_time_is_a_recorded_refusal(store: str, asked: Asked, shown: list[Any]) -> None:
    decision = asked()
    operator = approve(decision, response_timeout=timedelta(seconds=5))
    resumed = parked(operator)
    late = {"error": "The timeout has passed", "error_type": "timeout"}
    with pytest.raises(AirflowSkipException, match=r"rejected by airflow .*: nobody answered in time"):
        approve(decision).execute_complete(here()[0], late, **resumed)


def test_a_request_waits_no_longer_than_it_can_be_answered(asked: Asked, shown: list[Any]) -> None:
    operator = approve(asked(), response_timeout=timedelta(days=30))
    operator.params.validate()  # As Airflow does before it executes a task, when nobody has said anything yet.
    parked(operator)
    assert operator.response_timeout is not None
    assert timedelta(minutes=50) < operator.response_timeout <= timedelta(hours=1)


def test_what_was_answered_elsewhere_is_found(store: str, asked: Asked, shown: list[Any]) -> None:
    decision = asked()
    resumed = parked(approve(decision))
    with penstock.connect(store, actor="grace") as client:
        client.answer_approval(decision, True, "on the command line")
    assert approve(decision).execute(here()[0])["verdict"] == "PASS"
    with pytest.raises(AirflowFailException, match="approved by grace"):
        approve(decision).execute_complete(here()[0], answer("Reject"), **resumed)


def test_an_answer_belongs_to_the_request_that_was_shown(asked: Asked, shown: list[Any]) -> None:
    decision = asked()
    parked(approve(decision))
    for other in ("0" * 32, "", None):
        with pytest.raises(AirflowFailException):
            approve(decision).execute_complete(here()[0], answer("Approve"), request_id=other)  # type: ignore[arg-type]


def test_a_request_that_has_lapsed_is_refused_and_says_why(store: str, asked: Asked, shown: list[Any]) -> None:
    decision = asked()
    resumed = parked(approve(decision))
    with penstock.connect(store, actor="owner") as client:
        allowed = client.override(tiny.MODEL, trained(decision), reason="an emergency")
        version = client.register(tiny.MODEL, trained(decision), allowed)
        client.promote(tiny.MODEL, "champion", version, allowed)
    with pytest.raises(AirflowFailException, match=r"has moved since.*Clear the gate's task"):
        approve(decision).execute_complete(here()[0], answer("Approve"), **resumed)
    with pytest.raises(AirflowFailException, match="has moved since"):
        approve(decision).execute(here()[0])


def test_an_author_cannot_approve_where_four_eyes_are_wanted(asked: Asked, shown: list[Any]) -> None:
    decision = asked(EYES)
    resumed = parked(approve(decision))
    with pytest.raises(AirflowFailException, match="four eyes"):
        approve(decision).execute_complete(here()[0], answer("Approve", name="Trainer "), **resumed)
    assert approve(decision).execute_complete(here()[0], answer("Approve"), **resumed)["verdict"] == "PASS"


def test_who_triggered_the_dag_by_hand_is_an_author_and_who_decides_again_is_none(
    store: str, held_out: str, shown: list[Any]
) -> None:
    def by(name: str | None) -> dict[str, Any]:
        return {**host_facts({**context("train"), "dag_run": SimpleNamespace(triggering_user_name=name)}), **HERE}

    assert "triggered_by" not in by(None)
    with penstock.connect(store, host=by("ada"), actor="root") as client:
        decision = decided(client, held_out, EYES)
    resumed = parked(approve(decision))
    assert "root, ada" in shown[0]["body"]
    with pytest.raises(AirflowFailException, match=r"ada \(asserted\) made what is to be approved"):
        approve(decision).execute_complete(here()[0], answer("Approve"), **resumed)
    approve(decision).execute_complete(here()[0], answer("Approve", name="bob"), **resumed)
    with penstock.connect(store, host=by("bob"), actor="root") as client:
        assert client.decide_again(decision).passed


def test_a_second_approval_is_asked_by_the_next_task(asked: Asked, shown: list[Any]) -> None:
    decision = asked(TWO)
    resumed = parked(approve(decision))
    once = approve(decision).execute_complete(here()[0], answer("Approve"), **resumed)
    assert once["verdict"] == "INCONCLUSIVE"
    second = ApproveModelOperator(task_id="second", run={"run_id": decision.run_id}, decision=once)
    resumed = parked(second)
    assert [seen["subject"].split("as ")[1] for seen in shown] == ["release-manager?", "physician?"]
    assert second.execute_complete(here()[0], answer("Approve", name="bob"), **resumed)["verdict"] == "PASS"


def test_nothing_is_asked_where_a_yes_would_not_help(asked: Asked, shown: list[Any]) -> None:
    with pytest.raises(AirflowSkipException, match="gate FAIL"):
        approve(asked(NO)).execute(here()[0])
    passed = asked({"name": "lenient", "rules": [POLICY["rules"][0]]})
    assert approve(passed).execute(here()[0]) == passed.ref
    assert shown == []


def test_a_decision_of_another_run_is_not_approved_here(store: str, asked: Asked, shown: list[Any]) -> None:
    decision = asked()
    with penstock.connect(store, host=HERE) as client:
        other = client.open_run("tests/approvals", key="another").ref
    operator = ApproveModelOperator(task_id="approve", run=other, decision=decision.ref)
    with pytest.raises(AirflowFailException, match="decision"):
        operator.execute(here()[0])
    assert shown == []


@pytest.mark.parametrize("given", [{"body": "yes?"}, {"defaults": "Approve"}, {"on_refused": "pass"}])
def test_what_is_asked_is_not_the_dags_to_say(given: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        ApproveModelOperator(task_id="a", run={}, decision={}, **given)


def test_names_from_data_cannot_format_the_question(asked: Asked, store: str) -> None:
    decision = asked()
    with penstock.connect(store) as client:
        found = client.find_approval(decision)
    assert found is not None
    evil = "[click](https://evil) <img src=x> | `a` www.evil.example"
    binds = {**found.request.binds, "data": {**found.request.binds["data"], "name": evil}}
    body = body_of(SimpleNamespace(request=SimpleNamespace(**{**_fields(found.request), "binds": binds})))  # type: ignore[arg-type]
    assert "\\[click\\]\\(https\\://evil\\) \\<img src=x\\> \\| \\`a\\` www\\.evil.example" in body


def _fields(request: Any) -> dict[str, Any]:
    return dict(vars(request))
