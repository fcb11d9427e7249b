"""The anchor: set by a person, or moved by a decision that shows, with confidence, that a version is better than it."""

from __future__ import annotations

import dataclasses

import pytest

import penstock
from penstock.errors import GateBlocked, InvalidValue, NotAuthorized, NotFound
from penstock.model.decisions import GateDecision, Verdict
from penstock.model.evaluations import ANCHOR, Evaluation
from penstock.model.versions import ModelVersion
from tests.core.gates_on_record.stage import ALIAS, AT_LEAST, MODEL, better, kinds, loads, measured, released

ANCHORED = {
    "name": "anchored",
    "rules": [{"no_worse_than": {"baseline": ALIAS, "metric": "accuracy", "margin": 0.01, "anchor": True}}],
}


def challenger(client: penstock.Client, champion: ModelVersion, policy: object) -> tuple[ModelVersion, GateDecision]:
    evaluation = measured(client, "b", 0.9, against=champion)
    decision = client.decide(evaluation, policy, model=MODEL)
    model = client.wiring.store.get_model(evaluation.model_id)
    return loads(client, client.register(MODEL, model, decision)), decision


def test_a_person_sets_the_anchor_and_its_history_is_kept(client: penstock.Client, vera: penstock.Client) -> None:
    released(client, "a")
    assert client.find_anchor(MODEL) is None
    for _ in range(2):
        vera.set_anchor(MODEL, 1, reason="the first one people trusted")
    anchor = client.find_anchor(MODEL)
    assert anchor is not None
    assert (anchor.version, anchor.sequence, anchor.actor["subject"]) == (1, 1, "vera")
    assert kinds(client).count("anchor_set") == 1
    with pytest.raises(NotFound, match="models:/on-time/7"):
        vera.set_anchor(MODEL, 7, reason="because")
    with pytest.raises(InvalidValue, match="why this version"):
        vera.set_anchor(MODEL, 1, reason="")


def test_a_decision_moves_the_anchor_only_where_it_shows_the_version_to_be_better(client: penstock.Client) -> None:
    champion = released(client, "a")
    version, shown = challenger(client, champion, better())
    with pytest.raises(NotAuthorized, match="no anchor yet to be better than"):
        client.set_anchor(MODEL, version.version, reason="better", decision=shown)
    client.set_anchor(MODEL, 1, reason="trusted")
    with pytest.raises(NotAuthorized, match="another model or artifact"):
        client.set_anchor(MODEL, 1, reason="better", decision=shown)
    moved = client.set_anchor(MODEL, version.version, reason="better", decision=shown)
    assert (moved.version, moved.decision_id) == (2, shown.decision_id)
    assert [anchor.version for anchor in client.anchor_history(MODEL)] == [1, 2]


@pytest.mark.parametrize("confidence", [0.95, None])
def test_the_confidence_that_shows_it_may_be_the_whole_policys(
    client: penstock.Client, confidence: float | None
) -> None:
    rule = {"better_than": {"baseline": ALIAS, "metric": "accuracy", "by": 0}}
    policy = {"name": "better", "rules": [rule], **({} if confidence is None else {"confidence": confidence})}
    champion = released(client, "a")
    client.set_anchor(MODEL, 1, reason="trusted")
    version, decision = challenger(client, champion, policy)
    if confidence is None:
        with pytest.raises(NotAuthorized, match="with confidence"):
            client.set_anchor(MODEL, version.version, reason="better", decision=decision)
    else:
        assert client.set_anchor(MODEL, version.version, reason="better", decision=decision).version == 2


def test_a_higher_point_estimate_does_not_move_the_anchor(client: penstock.Client) -> None:
    champion = released(client, "a")
    client.set_anchor(MODEL, 1, reason="trusted")
    version, higher = challenger(client, champion, AT_LEAST)
    with pytest.raises(NotAuthorized, match="does not show it to be better than version 1, the anchor"):
        client.set_anchor(MODEL, version.version, reason="it has the best number", decision=higher)
    worse = client.decide(measured(client, "c", 0.7), AT_LEAST, model=MODEL)
    with pytest.raises(GateBlocked):
        client.set_anchor(MODEL, version.version, reason="better", decision=worse)


def test_one_of_several_ways_to_pass_does_not_move_the_anchor(client: penstock.Client) -> None:
    champion = released(client, "a")
    client.set_anchor(MODEL, 1, reason="trusted")
    either = {"name": "either", "rules": [{"any_of": [*better()["rules"], *AT_LEAST["rules"]]}]}
    version, decision = challenger(client, champion, either)
    with pytest.raises(NotAuthorized, match="does not show"):
        client.set_anchor(MODEL, version.version, reason="better", decision=decision)


def test_a_policy_with_an_anchor_is_decided_again_when_the_anchor_is_set(client: penstock.Client) -> None:
    champion = released(client, "a")
    evaluation = measured(client, "b", 0.9, against=champion)
    first = client.decide(evaluation, ANCHORED, model=MODEL)
    assert (first.verdict, first.outcomes[0].cause) == (Verdict.INCONCLUSIVE, "no_anchor")
    client.set_anchor(MODEL, 1, reason="trusted")
    second = client.decide(evaluation, ANCHORED, model=MODEL)
    assert second.verdict is Verdict.PASS
    assert client.decide(evaluation, ANCHORED, model=MODEL) == second
    assert client.replay(second).identical


def test_a_candidate_within_the_margin_of_the_champion_but_not_of_the_anchor_is_refused(
    client: penstock.Client,
) -> None:
    released(client, "a", 0.92)
    client.set_anchor(MODEL, 1, reason="trusted")
    champion = released(client, "b", 0.9)
    evaluation = measured(client, "c", 0.895, against=champion, baseline_accuracy=0.9)
    (candidate,) = [m for m in evaluation.measurements if m.of == "candidate"]
    anchored = dataclasses.replace(
        evaluation,
        evaluation_id="a" * 32,
        measurements=(*evaluation.measurements, dataclasses.replace(candidate, of=ANCHOR, value=0.92)),
        anchor=dataclasses.replace(evaluation.baseline, version=1, alias=""),  # type: ignore[type-var]
    )
    assert client.decide(_stored(client, anchored), ANCHORED, model=MODEL).verdict is Verdict.FAIL


def _stored(client: penstock.Client, evaluation: Evaluation) -> Evaluation:
    from tests.contracts import samples

    store = client.wiring.store
    attempt = samples.begun(store, evaluation.run_id, "evaluate", evaluation.evaluation_id)
    return store.record_evaluation(
        evaluation, samples.event("evaluation_recorded"), samples.done(attempt, evaluation.ref)
    )
