"""What a store must do for gates beside decisions: looks, approvals, overrides, anchors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from penstock.errors import Conflict, NotAuthorized, NotFound
from penstock.model.approvals import ApprovalAnswer, ApprovalRequest, ApprovalState
from penstock.model.canonical import digest
from penstock.model.decisions import GateDecision, Verdict
from penstock.model.ids import derived_id
from penstock.model.looks import Look, LookKind, next_place, question_of
from penstock.model.overrides import Anchor, Override
from penstock.model.runs import Attempt
from penstock.model.versions import Authorization, AuthorizationKind
from penstock.ports import MetadataStore
from tests.contracts import samples
from tests.contracts.samples import ACTOR, ALIAS, MODEL, begun, done, event

VERA = {**ACTOR, "subject": "vera"}


def look_of(decision: GateDecision, sequence: int = 1, **more: Any) -> Look:
    values: dict[str, Any] = {
        "kind": LookKind.DECISION,
        "question": question_of(decision.evaluation_id, decision.policy_digest),
        "number": sequence,
        "set_number": sequence,
        "decision_id": decision.decision_id,
    }
    return Look(
        model=decision.model,
        sequence=sequence,
        evaluation_id=decision.evaluation_id,
        policy_digest=decision.policy_digest,
        data_digest=decision.data_digest,
        verdict=decision.verdict.value,
        actor=ACTOR,
        **{**values, **more},
    )


def request_of(decision: GateDecision, attempt: Attempt, **more: Any) -> ApprovalRequest:
    shown = {"policy": decision.policy_digest, "candidate": decision.payload_digest}
    values: dict[str, Any] = {"role": "owner", "four_eyes": True, "expires_s": 3600.0}
    return ApprovalRequest(
        request_id=derived_id("approval", decision.decision_id),
        decision_id=decision.decision_id,
        evaluation_id=decision.evaluation_id,
        policy_digest=decision.policy_digest,
        step=attempt.step,
        attempt=attempt.number,
        model=decision.model,
        alias=decision.alias,
        generation=decision.alias_generation,
        authors=(ACTOR,),
        binds=shown,
        digest=digest(shown),
        summary="roc_auc is 0.9",
        **{**values, **more},
    )


def measured(store: MetadataStore, partition: str, **more: Any) -> GateDecision:
    """Train and evaluate; return an INCONCLUSIVE decision on it that is not on record yet."""
    model = samples.trained(store, partition)
    evaluation = samples.evaluation_of(model)
    attempt = begun(store, model.run_id, "evaluate", evaluation.evaluation_id)
    recorded = event("evaluation_recorded", run_id=model.run_id, evaluation_id=evaluation.evaluation_id)
    store.record_evaluation(evaluation, replace(recorded, chain=samples.experiment()), done(attempt, evaluation.ref))
    return samples.decision_on(evaluation, Verdict.INCONCLUSIVE, **more)


def asked(store: MetadataStore, partition: str = "a", sequence: int = 1, **more: Any) -> ApprovalRequest:
    """Train, evaluate and decide; the decision asks a person."""
    decision = measured(store, partition)
    attempt = begun(store, decision.run_id, "decide", decision.decision_id)
    request = request_of(decision, attempt, **more)
    asking = [(request, event("approval_requested", request_id=request.request_id))]
    store.record_decision(
        decision, event("decision_made"), done(attempt, decision.ref), look_of(decision, sequence), asking
    )
    return request


def say(store: MetadataStore, request: ApprovalRequest, approve: bool = True, actor: Any = None) -> Any:
    answer = ApprovalAnswer(request.request_id, approve, "I looked", actor or VERA)
    return store.answer_approval(answer, event("approval_answered", request_id=request.request_id))


def override_for(payload_digest: str, **more: Any) -> Override:
    values: dict[str, Any] = {"aliases": {ALIAS: 0}, "expires_s": 3600.0, "reason": "the gate's data is broken"}
    override_id = derived_id("override", payload_digest, sorted(more.items(), key=str))
    return Override(override_id, MODEL, payload_digest, actor=VERA, run_id="0" * 32, **{**values, **more})


def given(store: MetadataStore, override: Override) -> Authorization:
    store.record_override(override, event("override_given", override_id=override.override_id))
    return Authorization(override.override_id, AuthorizationKind.OVERRIDE, MODEL)


def refused(store: MetadataStore, call: Callable[[], Any], error: type[Exception], message: str) -> None:
    """The call raises, and nothing that gates or the registry keep has changed, nor the ledger."""

    def seen() -> Any:
        registry = [store.list_models(), store.list_versions(MODEL), store.list_alias_moves(MODEL)]
        gates = [store.list_looks(MODEL), store.list_overrides(), store.list_anchors(MODEL), store.list_approvals()]
        return registry, gates, [entry.kind for entry in store.read_ledger()]

    before = seen()
    with pytest.raises(error, match=message):
        call()
    assert seen() == before


class GateRecordsContract:
    """Give it a fixture `store` with nothing in it."""

    # --------------------------------------------------------------------------------------------------- looks

    def test_a_decision_takes_its_look_in_its_own_transaction(self, store: MetadataStore) -> None:
        first, second = measured(store, "a"), measured(store, "b")
        attempt = begun(store, first.run_id, "decide")
        store.record_decision(first, event("decision_made"), done(attempt, first.ref), look_of(first, alpha=0.01))
        (look,) = store.list_looks(MODEL)
        assert (look.decision_id, look.sequence, look.alpha, look.verdict) == (
            first.decision_id,
            1,
            0.01,
            "INCONCLUSIVE",
        )
        assert look.at is not None
        late = begun(store, second.run_id, "decide")
        taken = look_of(second)
        refused(
            store,
            lambda: store.record_decision(second, event("decision_made"), done(late, second.ref), taken),
            Conflict,
            "taken by another decision",
        )
        with pytest.raises(NotFound):
            store.get_decision(second.decision_id)
        store.record_decision(second, event("decision_made"), done(late, second.ref), look_of(second, 2))
        assert [look.sequence for look in store.list_looks(MODEL)] == [1, 2]
        assert store.list_set_questions(first.data_digest) == [look.question for look in store.list_looks(MODEL)]

    def test_of_two_families_only_one_takes_a_number_on_the_same_rows(self, store: MetadataStore) -> None:
        first, second = measured(store, "a"), measured(store, "b", model="other")
        attempt = begun(store, first.run_id, "decide")
        store.record_decision(first, event("decision_made"), done(attempt, first.ref), look_of(first))
        late = begun(store, second.run_id, "decide")
        clash = look_of(second, set_number=1)
        refused(
            store,
            lambda: store.record_decision(second, event("decision_made"), done(late, second.ref), clash),
            Conflict,
            "on these rows to be free",
        )
        store.record_decision(second, event("decision_made"), done(late, second.ref), replace(clash, set_number=2))
        assert len(store.list_set_questions(first.data_digest)) == 2

    def test_a_dry_run_is_a_look_and_the_same_question_is_not_another(self, store: MetadataStore) -> None:
        decision = measured(store, "a")
        question = question_of(decision.evaluation_id, decision.policy_digest)
        dry = look_of(decision, kind=LookKind.DRY_RUN, decision_id=None)
        made = store.record_look(dry, event("look_taken"))
        assert (made.kind, made.decision_id) == (LookKind.DRY_RUN, None)
        refused(store, lambda: store.record_look(dry, event("look_taken")), Conflict, "taken")
        place = next_place(store.list_looks(MODEL), store.list_set_questions(decision.data_digest), question)
        assert (place.sequence, place.number, place.set_number, place.again) == (2, 1, 1, True)

    # ----------------------------------------------------------------------------------------------- approvals

    def test_a_request_is_asked_with_its_decision_and_answered_once(self, store: MetadataStore) -> None:
        request = asked(store)
        pending = store.get_approval(request.request_id)
        assert (pending.state, pending.request.binds, pending.lapsed) == (ApprovalState.PENDING, request.binds, "")
        approved = say(store, request)
        assert approved.state is ApprovalState.APPROVED
        assert (approved.answer.reason, approved.answer.actor) == ("I looked", VERA)
        assert say(store, request, actor={**ACTOR, "subject": "otto"}) == store.get_approval(request.request_id)
        assert [entry.kind for entry in store.read_ledger()].count("approval_answered") == 1
        refused(store, lambda: say(store, request, approve=False), Conflict, "approved by vera")
        assert store.list_approvals(run_id=request.step.run_id) == store.list_approvals(model=MODEL) == [approved]
        assert store.list_approvals(model="other") == store.list_approvals(run_id="f" * 32) == []

    def test_an_author_cannot_approve_where_four_eyes_are_wanted_but_can_withdraw(self, store: MetadataStore) -> None:
        request = asked(store)
        for name in ("tester", " Tester"):
            author = {**ACTOR, "subject": name, "kind": "service"}
            refused(store, partial(say, store, request, actor=author), NotAuthorized, "four eyes")
        assert say(store, request, approve=False, actor=ACTOR).state is ApprovalState.REJECTED
        alone = asked(store, "b", 2, four_eyes=False)
        assert say(store, alone, actor=ACTOR).state is ApprovalState.APPROVED

    def test_a_request_lapses_when_its_time_runs_out(self, store: MetadataStore) -> None:
        request = asked(store, expires_s=-1.0)
        lapsed = store.get_approval(request.request_id)
        assert (lapsed.state, lapsed.declared) == (ApprovalState.LAPSED, [request.request_id, "lapsed"])
        refused(store, lambda: say(store, request), Conflict, "its time ran out")

    def test_a_request_lapses_when_the_alias_moves(self, store: MetadataStore) -> None:
        request = asked(store)
        samples.released(store, "b")
        refused(store, lambda: say(store, request), Conflict, "has moved since: it was at generation 0")

    def test_a_request_lapses_when_its_step_decides_on_something_else(self, store: MetadataStore) -> None:
        request = asked(store)
        again = replace(store.get_decision(request.decision_id), decision_id="e" * 32)
        attempt = begun(store, again.run_id, "decide", "again")
        store.record_decision(
            again, event("decision_made"), done(attempt, again.ref), look_of(again, 2, number=1, set_number=1)
        )
        assert store.get_approval(request.request_id).state is ApprovalState.PENDING
        other = replace(again, decision_id="d" * 32, policy_digest=digest("another policy"))
        attempt = begun(store, other.run_id, "decide", "another policy")
        store.record_decision(other, event("decision_made"), done(attempt, other.ref), look_of(other, 3, set_number=2))
        refused(store, lambda: say(store, request), Conflict, "decided on something else")

    def test_who_opened_the_run_and_who_evaluated_are_its_authors(self, store: MetadataStore) -> None:
        decision = measured(store, "a")
        measured(store, "b")
        assert store.list_authors(decision.run_id) == [ACTOR]
        assert store.list_authors("f" * 32) == []

    def test_an_approval_that_is_not_there_is_not_found(self, store: MetadataStore) -> None:
        with pytest.raises(NotFound, match="approval request"):
            store.get_approval("f" * 32)
        with pytest.raises(NotFound, match="approval request"):
            store.answer_approval(ApprovalAnswer("f" * 32, True, "yes", VERA), event("approval_answered"))

    # ----------------------------------------------------------------------------------------------- overrides

    def test_an_override_registers_and_moves_once_each_and_says_so(self, store: MetadataStore) -> None:
        model = samples.trained(store, "a")
        override = override_for(model.payload_digest)
        by = given(store, override)
        assert store.record_override(override, event("override_given")) == store.find_override(override.override_id)
        assert [entry.kind for entry in store.read_ledger()].count("override_given") == 1
        for index in range(2):
            attempt = begun(store, model.run_id, "register", map_index=index)
            version = store.record_version(MODEL, model, by, event("version_registered"), done(attempt))
            store.record_load_check(samples.passed_check(version))
            attempt = begun(store, model.run_id, "promote", map_index=index)
            move = store.move_alias(version, ALIAS, by, 0, event("alias_moved"), done(attempt))
            assert (version.version, move.generation) == (1, 1)
        assert version.authorization.kind is AuthorizationKind.OVERRIDE
        assert (version.authorization.reason, version.authorization.actor) == (override.reason, VERA)
        (found,) = store.list_overrides(MODEL)
        assert (found.version, found.moved, found.aliases) == (1, (ALIAS,), {ALIAS: 0})

    @pytest.mark.parametrize(
        ("more", "message"),
        [
            ({"expires_s": -1.0}, "the override expired"),
            ({"payload_digest": "0" * 64}, "for another artifact"),
            ({"model": "other"}, "for model 'other'"),
        ],
    )
    def test_an_override_covers_nothing_but_what_it_names(
        self, store: MetadataStore, more: dict[str, Any], message: str
    ) -> None:
        model = samples.trained(store, "a")
        by = given(store, replace(override_for(model.payload_digest), **more))
        attempt = begun(store, model.run_id, "register")
        refused(
            store,
            lambda: store.record_version(MODEL, model, by, event("version_registered"), done(attempt)),
            NotAuthorized,
            message,
        )

    def test_an_override_moves_only_the_aliases_it_names(self, store: MetadataStore) -> None:
        model = samples.trained(store, "a")
        by = given(store, override_for(model.payload_digest))
        attempt = begun(store, model.run_id, "register")
        version = store.record_version(MODEL, model, by, event("version_registered"), done(attempt))
        attempt = begun(store, model.run_id, "promote")
        refused(
            store,
            lambda: store.move_alias(version, "staging", by, 0, event("alias_moved"), done(attempt)),
            NotAuthorized,
            "does not name alias 'staging'",
        )

    # ------------------------------------------------------------------------------------------------- anchors

    def test_an_anchor_is_set_by_number_and_keeps_its_history(self, store: MetadataStore) -> None:
        samples.released(store, "a")
        _, version, _ = samples.released(store, "b", generation=1)

        def anchor(sequence: int, to: int) -> Anchor:
            return Anchor(MODEL, sequence, to, version.payload_digest, "because", VERA)

        assert store.list_anchors(MODEL) == []
        first = store.record_anchor(anchor(1, 1), event("anchor_set"))
        assert store.record_anchor(anchor(2, 1), event("anchor_set")) == first
        refused(
            store, lambda: store.record_anchor(anchor(1, 2), event("anchor_set")), Conflict, "version 1 as number 1"
        )
        refused(store, lambda: store.record_anchor(anchor(2, 9), event("anchor_set")), NotFound, "models:/benign/9")
        store.record_anchor(anchor(2, 2), event("anchor_set"))
        assert [(found.sequence, found.version) for found in store.list_anchors(MODEL)] == [(1, 1), (2, 2)]
        assert [entry.kind for entry in store.read_ledger()].count("anchor_set") == 2

    # ------------------------------------------------------------------------------------------------- history

    def test_decisions_are_read_oldest_first_and_by_model(self, store: MetadataStore) -> None:
        first = samples.judged(store, "a").decision
        second = samples.judged(store, "b", model="other").decision
        found = list(store.read_decisions())
        assert {decision.decision_id for decision in found} == {first.decision_id, second.decision_id}
        assert [decision.created_at for decision in found] == sorted(decision.created_at for decision in found)  # type: ignore[type-var]
        assert [decision.model for decision in store.read_decisions("other")] == ["other"]
        assert store.now_ms() >= round(found[-1].created_at.timestamp() * 1000)  # type: ignore[union-attr]
