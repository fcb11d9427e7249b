"""Random operations on what gates keep beside decisions, for the state machine of two stores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from penstock.model.approvals import ApprovalAnswer, ApprovalRequest
from penstock.model.decisions import GateDecision, Verdict
from penstock.model.evaluations import Evaluation
from penstock.model.looks import LookKind, next_place, question_of
from penstock.model.overrides import Anchor, Override
from penstock.model.runs import Attempt
from penstock.model.versions import Authorization, AuthorizationKind, LoggedModel, ModelVersion
from penstock.ports import MetadataStore
from tests.contracts import gates, samples

PICK = st.integers(0, 20)


class GateRules(RuleBasedStateMachine):
    """Looks, approvals, overrides and anchors, as rules. The machine they belong to makes calls on both its stores."""

    memory: MetadataStore
    models: list[LoggedModel]
    evaluations: list[Evaluation]
    decisions: list[GateDecision]
    versions: list[ModelVersion]
    both: Callable[[Callable[[MetadataStore], Any]], Any]
    attempt: Callable[..., Attempt]

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[ApprovalRequest] = []
        self.overrides: list[Override] = []
        self.versions_under_override: list[tuple[ModelVersion, Authorization]] = []

    @precondition(lambda self: self.evaluations)
    @rule(
        which=PICK, taken=st.booleans(), expires_s=st.sampled_from((600.0, 600.0, -1.0)), generation=st.integers(0, 2)
    )
    def ask(self, which: int, taken: bool, expires_s: float, generation: int) -> None:
        """Decide with a look, perhaps one that is taken, and ask a person."""
        evaluation = self.evaluations[which % len(self.evaluations)]
        decision = samples.decision_on(evaluation, Verdict.INCONCLUSIVE, generation)
        question = question_of(decision.evaluation_id, decision.policy_digest)
        asked_of_set = self.memory.list_set_questions(decision.data_digest)
        place = next_place(self.memory.list_looks(samples.MODEL), asked_of_set, question)
        sequence = max(1, place.sequence - taken)
        look = gates.look_of(decision, sequence, number=place.number, set_number=place.set_number)
        attempt = self.attempt(None, decision.run_id)
        request = gates.request_of(decision, attempt, expires_s=expires_s)
        made, end = samples.event("decision_made"), samples.done(attempt, decision.ref)
        asking = [(request, samples.event("approval_requested"))]
        if self.both(lambda store: store.record_decision(decision, made, end, look, asking)) is not None:
            self.requests.append(request)
            self.decisions.append(decision)

    @precondition(lambda self: self.evaluations)
    @rule(which=PICK, taken=st.booleans())
    def dry_run(self, which: int, taken: bool) -> None:
        evaluation = self.evaluations[which % len(self.evaluations)]
        decision = samples.decision_on(evaluation)
        question = question_of(decision.evaluation_id, decision.policy_digest)
        asked_of_set = self.memory.list_set_questions(decision.data_digest)
        place = next_place(self.memory.list_looks(samples.MODEL), asked_of_set, question)
        numbers = {"number": place.number, "set_number": place.set_number}
        look = gates.look_of(decision, max(1, place.sequence - taken), **numbers)
        dry = replace(look, kind=LookKind.DRY_RUN, decision_id=None)
        self.both(lambda store: store.record_look(dry, samples.event("look_taken")))

    @precondition(lambda self: self.requests)
    @rule(which=PICK, approve=st.booleans(), name=st.sampled_from(("tester", "vera", "otto")))
    def answer(self, which: int, approve: bool, name: str) -> None:
        request = self.requests[which % len(self.requests)]
        given = ApprovalAnswer(request.request_id, approve, "so I say", {**samples.ACTOR, "subject": name})
        self.both(lambda store: store.answer_approval(given, samples.event("approval_answered")))

    @rule(which=PICK, expires_s=st.sampled_from((600.0, 600.0, -1.0)), alias=st.sampled_from((samples.ALIAS, "other")))
    def give_override(self, which: int, expires_s: float, alias: str) -> None:
        model = self.models[which % len(self.models)]
        override = gates.override_for(model.payload_digest, expires_s=expires_s, aliases={alias: 0})
        if self.both(lambda store: store.record_override(override, samples.event("override_given"))) is not None:
            self.overrides.append(override)

    @precondition(lambda self: self.overrides)
    @rule(which=PICK, model=PICK)
    def register_under_override(self, which: int, model: int) -> None:
        override, given = self.overrides[which % len(self.overrides)], self.models[model % len(self.models)]
        by = Authorization(override.override_id, AuthorizationKind.OVERRIDE, samples.MODEL)
        end, event = samples.done(self.attempt(None, given.run_id)), samples.event("version_registered")
        made = self.both(lambda store: store.record_version(samples.MODEL, given, by, event, end))
        if made is not None:
            self.both(lambda store: store.record_load_check(samples.passed_check(made)))
            self.versions_under_override.append((made, by))

    @precondition(lambda self: self.versions_under_override)
    @rule(which=PICK, expected=st.integers(0, 2))
    def move_under_override(self, which: int, expected: int) -> None:
        under = self.versions_under_override
        version, by = under[which % len(under)]
        end, event = samples.done(self.attempt(None, version.run_id)), samples.event("alias_moved")
        self.both(lambda store: store.move_alias(version, samples.ALIAS, by, expected, event, end))

    @precondition(lambda self: self.versions)
    @rule(which=PICK, sequence=st.integers(1, 3))
    def set_anchor(self, which: int, sequence: int) -> None:
        version = self.versions[which % len(self.versions)]
        anchor = Anchor(samples.MODEL, sequence, version.version, version.payload_digest, "because", samples.ACTOR)
        self.both(lambda store: store.record_anchor(anchor, samples.event("anchor_set")))
