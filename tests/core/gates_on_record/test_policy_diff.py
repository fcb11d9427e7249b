"""What another policy would have said of past decisions, and how fast a thousand of them are told."""

from __future__ import annotations

import time

import pytest

import penstock
from penstock.model.decisions import Verdict
from penstock.model.policies import GatePolicy
from penstock.services.policy_diff import policy_diff, replay_of
from tests.core.gate_samples import candidate, champion, evaluation_with, recorded
from tests.core.gates_on_record.stage import ASKING, AT_LEAST, MODEL, kinds, measured

STRICT = {"name": "p", "rules": [{"at_least": {"metric": "accuracy", "value": 0.95}}]}


def test_a_stricter_policy_flips_those_that_it_would_have_refused(client: penstock.Client) -> None:
    decisions = [client.decide(measured(client, p, a), AT_LEAST, model=MODEL) for p, a in (("a", 0.9), ("b", 0.97))]
    before = kinds(client)
    found = client.diff_policies(AT_LEAST, STRICT)
    assert (found.decisions, [flip.decision_id for flip in found.flips]) == (2, [decisions[0].decision_id])
    flip = found.flips[0]
    assert (flip.before, flip.after) == (Verdict.PASS, Verdict.FAIL)
    assert flip.why == "accuracy is 0.9 but must be at least 0.95: misses by 0.05"
    assert client.diff_policies(AT_LEAST, AT_LEAST).flips == ()
    assert (kinds(client), len(client.list_looks(MODEL))) == (before, 2)


def test_only_decisions_under_a_policy_of_that_name_unless_all_are_asked_for(client: penstock.Client) -> None:
    client.decide(measured(client, "a"), {**AT_LEAST, "name": "other"}, model=MODEL)
    assert client.diff_policies(AT_LEAST, STRICT).decisions == 0
    assert client.diff_policies(AT_LEAST, STRICT, of_any_policy=True).decisions == 1
    assert client.diff_policies(AT_LEAST, STRICT, of_any_policy=True, model="late").decisions == 0


def test_what_people_answered_is_carried_over(client: penstock.Client, vera: penstock.Client) -> None:
    evaluation = measured(client, "a")
    vera.answer_approval(client.decide(evaluation, ASKING, model=MODEL), True, "good")
    client.decide(evaluation, ASKING, model=MODEL)
    looser = {**ASKING, "rules": [{"at_least": {"metric": "accuracy", "value": 0.5}}, ASKING["rules"][1]]}
    assert client.diff_policies(ASKING, looser).counts == {
        (Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE): 1,
        (Verdict.PASS, Verdict.PASS): 1,
    }


def test_a_decision_that_cannot_be_read_is_named_and_the_others_are_told() -> None:
    good = recorded(GatePolicy.from_data(AT_LEAST), evaluation_with(candidate("accuracy", 0.9)))
    broken = recorded(GatePolicy.from_data(AT_LEAST), evaluation_with(candidate("accuracy", 0.9)))
    broken.inputs["evaluation"].pop("dataset")
    found = policy_diff([broken, good], *map(GatePolicy.from_data, (AT_LEAST, STRICT)))
    assert (found.decisions, list(found.unreadable)) == (1, [broken.decision_id])


def test_a_thousand_decisions_are_replayed_and_diffed_in_two_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    slices = [
        make("accuracy", 0.9, slice={"origin": f"A{place}"}) for place in range(10) for make in (candidate, champion)
    ]
    evaluation = evaluation_with(candidate("accuracy", 0.9), champion("accuracy", 0.9), *slices)
    rules = [
        *AT_LEAST["rules"],
        {"no_worse_than": {"baseline": "champion", "metric": "accuracy", "margin": 0.01}},
        {"every_slice": {"by": "origin", "min_rows": 100, "rule": AT_LEAST["rules"][0]}},
    ]
    policy = GatePolicy.from_data({"name": "p", "rules": rules})
    decisions = [recorded(policy, evaluation)] * 1000
    start = time.process_time()
    assert all(replay_of(decision).identical for decision in decisions)
    replayed = time.process_time() - start
    start = time.process_time()
    assert len(policy_diff(decisions, policy, GatePolicy.from_data(STRICT)).flips) == 1000
    diffed = time.process_time() - start
    with capsys.disabled():
        print(f"\n1,000 decisions of 22 measurements: replayed in {replayed:.2f} s, diffed in {diffed:.2f} s of CPU")
    assert max(replayed, diffed) < 4  # a second each; slack for a slow machine
