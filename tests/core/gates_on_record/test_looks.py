"""Looks: every time numbers are seen, once per question; what a budget reserves, and what reused rows cost."""

from __future__ import annotations

import threading

import pytest

import penstock
from penstock.errors import Busy
from penstock.model.decisions import GateDecision, Verdict
from tests.core.gates_on_record.stage import AT_LEAST, MODEL, better, kinds, measured, released

BUDGET = {"alpha": 0.06, "looks": 3}


def test_a_decision_is_a_look_and_a_retry_or_replay_is_not(client: penstock.Client) -> None:
    evaluation = measured(client, "a")
    decision = client.decide(evaluation, AT_LEAST, model=MODEL)
    assert client.decide(evaluation, AT_LEAST, model=MODEL) == decision
    assert client.replay(decision).identical
    (look,) = client.list_looks(MODEL)
    assert (look.number, look.set_number, look.decision_id, look.alpha) == (1, 1, decision.decision_id, None)
    assert decision.sequence == 1


def test_a_dry_run_decides_nothing_but_is_a_look_on_record_once(client: penstock.Client) -> None:
    evaluation = measured(client, "a")
    for _ in range(2):
        said = client.dry_run(evaluation, AT_LEAST, model=MODEL)
        assert said.verdict is Verdict.PASS
    assert kinds(client) == ["look_taken"]
    with pytest.raises(penstock.errors.NotFound, match="decision"):
        client.register(MODEL, client.wiring.store.get_model(evaluation.model_id), said)
    client.decide(evaluation, AT_LEAST, model=MODEL)
    assert [(look.sequence, look.number) for look in client.list_looks(MODEL)] == [(1, 1), (2, 1)]
    assert client.get_run(evaluation.run_id).run.status.value == "FINISHED"


def test_another_policy_on_the_same_rows_is_another_look_and_another_model_counts_for_the_rows(
    client: penstock.Client,
) -> None:
    evaluation = measured(client, "a")
    client.decide(evaluation, AT_LEAST, model=MODEL)
    client.dry_run(evaluation, {**AT_LEAST, "name": "other"}, model=MODEL)
    client.dry_run(evaluation, {**AT_LEAST, "name": "third"}, model="other")
    assert [(look.number, look.set_number) for look in client.list_looks(MODEL)] == [(1, 1), (2, 2)]
    assert [(look.number, look.set_number) for look in client.list_looks("other")] == [(1, 3)]


def test_a_budget_reserves_its_share_at_each_look_and_then_nothing(client: penstock.Client) -> None:
    champion, policy = released(client, "a"), better(budget=BUDGET)
    decisions = [client.decide(measured(client, p, against=champion), policy, model=MODEL) for p in "bcde"]
    assert [decision.verdict for decision in decisions] == [Verdict.PASS] * 3 + [Verdict.INCONCLUSIVE]
    assert [look.alpha for look in client.list_looks(MODEL)] == [None, 0.02, 0.02, 0.02, None]
    assert decisions[0].outcomes[0].compared["confidence"] == pytest.approx(0.98)
    assert decisions[3].outcomes[0].cause == "budget_spent"
    assert "fresh rows: holds against a moving champion" in decisions[0].outcomes[1].reason
    # Another policy does not get a new budget: the looks are the family's.
    other = client.decide(measured(client, "f", against=champion), better(budget=BUDGET, confidence=0.9), model=MODEL)
    assert other.outcomes[0].cause == "budget_spent"


def test_rows_that_were_looked_at_before_promise_nothing(client: penstock.Client) -> None:
    champion, policy = released(client, "a"), better(budget=BUDGET)
    first, second = (
        client.decide(measured(client, p, against=champion, rows_of="march"), policy, model=MODEL) for p in "bc"
    )
    assert "fresh rows" in first.outcomes[1].reason
    assert second.outcomes[1].compared["guarantee"] == "reused, adaptive: no guarantee"
    assert client.replay(second).identical


def test_deciding_side_by_side_takes_different_looks(client: penstock.Client, url: str) -> None:
    champion, policy = released(client, "a"), better(budget={"alpha": 0.05, "looks": 4})
    evaluations = [measured(client, f"p{place}", against=champion) for place in range(6)]
    barrier, decided, failures = threading.Barrier(6), [], []

    def decide(place: int) -> None:
        try:
            with penstock.connect(url, actor="pipeline") as own:
                barrier.wait()
                decided.append(own.decide(evaluations[place], policy, model=MODEL))
        except Busy as error:
            failures.append(error)

    threads = [threading.Thread(target=decide, args=(place,)) for place in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    looks = client.list_looks(MODEL)[1:]
    assert [look.sequence for look in looks] == [2, 3, 4, 5, 6, 7]
    assert [look.alpha for look in looks] == [0.0125] * 4 + [None] * 2
    by_sequence: list[GateDecision] = sorted(decided, key=lambda decision: decision.sequence)
    assert [d.verdict for d in by_sequence] == [Verdict.PASS] * 4 + [Verdict.INCONCLUSIVE] * 2
    assert all(client.replay(decision).identical for decision in decided)
