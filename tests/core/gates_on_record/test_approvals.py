"""Asking a person: once, about exactly what is shown, for a time, never the author; and what a yes or no changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

import penstock
from penstock.errors import Conflict, GateBlocked, InvalidValue, NotAuthorized, NotFound
from penstock.model.approvals import ApprovalState
from penstock.model.audit import Actor
from penstock.model.decisions import Verdict
from penstock.stores.memory.store import MemoryStore
from tests.core.gates_on_record.stage import ALIAS, ASKING, AT_LEAST, MODEL, kinds, loads, measured, released


def test_a_yes_opens_the_gate_in_a_new_decision_and_a_retry_of_either_finds_its_own(
    client: penstock.Client, vera: penstock.Client
) -> None:
    evaluation = measured(client, "a")
    first = client.decide(evaluation, ASKING, model=MODEL)
    assert first.verdict is Verdict.INCONCLUSIVE
    assert "nobody in the role 'owner' has approved it yet" in first.reasons
    assert client.decide(evaluation, ASKING, model=MODEL) == first

    asked = client.find_approval(first)
    assert asked is not None
    assert (asked.state, asked.request.role) == (ApprovalState.PENDING, "owner")
    assert asked.request.binds["measured"] == {"candidate": {"accuracy": 0.9}, "baseline": {}}
    assert asked.request.binds["policy"] == {"name": "asking", "digest": first.policy_digest}
    assert vera.answer_approval(asked.ref, True, "the numbers are good").state is ApprovalState.APPROVED

    second = client.decide(evaluation, ASKING, model=MODEL)
    assert (second.verdict, second.decision_id != first.decision_id) == (Verdict.PASS, True)
    assert second.outcomes[1].reason == "vera (asserted) approved it as owner: the numbers are good"
    assert client.decide(evaluation, ASKING, model=MODEL) == second
    assert kinds(client) == ["decision_made", "approval_requested", "approval_answered", "decision_made"]
    assert [look.number for look in client.list_looks(MODEL)] == [1, 1]
    steps = {step.step.name: (step.attempt, step.generation) for step in client.get_run(evaluation.run_id).steps}
    assert steps["decide"] == (2, 2)


def test_a_no_fails_and_nobody_is_asked_again(client: penstock.Client, vera: penstock.Client) -> None:
    evaluation = measured(client, "a")
    vera.answer_approval(client.decide(evaluation, ASKING, model=MODEL), False, "not before the holidays")
    refused = client.decide(evaluation, ASKING, model=MODEL)
    assert refused.verdict is Verdict.FAIL
    assert refused.reasons == "vera (asserted) rejected it as owner: not before the holidays"
    assert len(client.list_approvals(model=MODEL)) == 1
    with pytest.raises(GateBlocked, match="not before the holidays"):
        client.register(MODEL, client.wiring.store.get_model(evaluation.model_id), refused)


def test_nobody_is_asked_where_a_yes_would_not_open_the_gate(client: penstock.Client) -> None:
    decision = client.decide(measured(client, "a", 0.7), ASKING, model=MODEL)
    assert decision.verdict is Verdict.FAIL
    assert client.find_approval(decision) is None
    undecided = {**ASKING, "rules": [*ASKING["rules"], {"at_most": {"metric": "log_loss", "value": 0.5}}]}
    assert client.decide(measured(client, "b"), undecided, model=MODEL).verdict is Verdict.INCONCLUSIVE
    assert client.list_approvals() == []


def test_the_author_cannot_approve_and_the_message_says_that_names_are_asserted(
    client: penstock.Client, vera: penstock.Client
) -> None:
    decision = client.decide(measured(client, "a"), ASKING, model=MODEL)
    with pytest.raises(
        NotAuthorized, match=r"pipeline \(asserted\) made what is to be approved.*nobody has checked it"
    ):
        client.answer_approval(decision, True, "I made it, it is good")
    assert client.answer_approval(decision, True, "fine", actor="vera").state is ApprovalState.APPROVED


def test_whoever_asked_is_an_author_and_whoever_decides_after_the_answer_is_not(
    client: penstock.Client, vera: penstock.Client, url: str
) -> None:
    evaluation = measured(client, "a")
    with penstock.connect(url, actor="otto") as otto:
        decision = otto.decide(evaluation, ASKING, model=MODEL)
        with pytest.raises(NotAuthorized, match="four eyes"):
            otto.answer_approval(decision, True, "I asked, so I may answer")
    vera.answer_approval(decision, True, "good")
    assert vera.decide(evaluation, ASKING, model=MODEL).verdict is Verdict.PASS


def test_a_yes_is_worth_nothing_once_the_champion_has_moved_and_a_new_one_is_asked_for(
    client: penstock.Client, vera: penstock.Client
) -> None:
    evaluation = measured(client, "a")
    first = client.decide(evaluation, ASKING, model=MODEL)
    vera.answer_approval(first, True, "good")
    released(client, "b")
    second = client.decide(evaluation, ASKING, model=MODEL)
    assert (second.verdict, second.outcomes[1].cause) == (Verdict.INCONCLUSIVE, "approval_lapsed")
    asked = client.find_approval(second)
    assert asked is not None
    assert asked.request.binds["champion"] == {"version": 1, "generation": 1}
    vera.answer_approval(asked, True, "still good")
    assert client.decide(evaluation, ASKING, model=MODEL).verdict is Verdict.PASS


def test_a_request_that_has_lapsed_is_not_answered_and_deciding_again_asks_again(
    client: penstock.Client, vera: penstock.Client
) -> None:
    evaluation = measured(client, "a")
    lapsed = client.decide(evaluation, ASKING, model=MODEL)
    released(client, "b")
    with pytest.raises(Conflict, match=r"has moved since: it was at generation 0 and is at 1 now.*Decide again"):
        vera.answer_approval(lapsed, True, "good")
    again = client.decide(evaluation, ASKING, model=MODEL)
    assert again.decision_id != lapsed.decision_id
    states = [found.state for found in client.list_approvals(model=MODEL)]
    assert states == [ApprovalState.LAPSED, ApprovalState.PENDING]
    assert [found.state for found in client.list_approvals(state="pending")] == [ApprovalState.PENDING]


def test_two_roles_are_asked_at_once_and_the_gate_opens_with_the_second_yes(
    client: penstock.Client, vera: penstock.Client
) -> None:
    rules = [*AT_LEAST["rules"], *({"approval": {"role": r, "expires_hours": 1}} for r in ("owner", "risk"))]
    evaluation, policy = measured(client, "a"), {"name": "two", "rules": rules}
    decision = client.decide(evaluation, policy, model=MODEL)
    owner, risk = sorted(client.list_approvals(run=evaluation.ref), key=lambda found: found.request.role)
    vera.answer_approval(owner.ref, True, "as owner")
    assert client.decide(evaluation, policy, model=MODEL).verdict is Verdict.INCONCLUSIVE
    assert len(client.list_approvals(model=MODEL)) == 2
    assert client.find_approval(decision) == client.find_approval(risk)
    vera.answer_approval(risk.ref, True, "as risk")
    assert client.decide(evaluation, policy, model=MODEL).verdict is Verdict.PASS


def test_roles_asked_in_one_moment_are_taken_in_the_policys_order(
    client: penstock.Client, vera: penstock.Client
) -> None:
    roles = ["owner", "physician", "lawyer", "statistician", "ethicist", "operator"]
    rules = [*AT_LEAST["rules"], *({"approval": {"role": role, "expires_hours": 1}} for role in roles)]
    decision = client.decide(measured(client, "a"), {"name": "all of them", "rules": rules}, model=MODEL)
    taken = []
    while (found := client.find_approval(decision)) is not None and found.state is ApprovalState.PENDING:
        taken.append(found.request.role)
        vera.answer_approval(decision, True, "fine")

    assert taken == roles


def test_an_approved_model_is_registered_and_promoted_like_any_other(
    client: penstock.Client, vera: penstock.Client
) -> None:
    evaluation = measured(client, "a")
    vera.answer_approval(client.decide(evaluation, ASKING, model=MODEL), True, "good")
    decision = client.decide(evaluation, ASKING, model=MODEL)
    version = loads(client, client.register(MODEL, client.wiring.store.get_model(evaluation.model_id), decision))
    assert client.promote(MODEL, ALIAS, version, decision).to_version == 1


def test_an_answer_needs_a_request_a_yes_or_no_and_a_reason(client: penstock.Client) -> None:
    decision = client.decide(measured(client, "a"), ASKING, model=MODEL)
    with pytest.raises(InvalidValue, match="why you approve or reject"):
        client.answer_approval(decision, True, "  ")
    with pytest.raises(InvalidValue, match="True or False"):
        client.answer_approval(decision, "no", "because")  # type: ignore[arg-type]
    with pytest.raises(NotFound, match="asked for no approval"):
        client.answer_approval(client.decide(measured(client, "b"), AT_LEAST, model=MODEL), True, "because")
    with pytest.raises(NotFound, match="approval request"):
        client.answer_approval("f" * 32, True, "because")


def test_a_passed_decision_expires_with_the_approval_it_rests_on(client: penstock.Client) -> None:
    moment = [1_700_000_000_000]
    store = MemoryStore(lambda: moment[0])
    pipeline, vera = (
        penstock.Client(replace(client.wiring, store=store, actor=Actor("user", name))) for name in ("pipeline", "vera")
    )
    evaluation = measured(pipeline, "a")
    vera.answer_approval(pipeline.decide(evaluation, ASKING, model=MODEL), True, "good")
    decision = pipeline.decide(evaluation, ASKING, model=MODEL)
    model = store.get_model(evaluation.model_id)
    version = loads(pipeline, pipeline.register(MODEL, model, decision))

    moment[0] += 24 * 3_600_000 + 1
    assert pipeline.register(MODEL, model, decision) == version  # it was done in time
    with pytest.raises(NotAuthorized, match=r"the decision has expired: the approval by vera.*has run out"):
        pipeline.promote(MODEL, ALIAS, version, decision)
    assert pipeline.alias_history(MODEL) == []
