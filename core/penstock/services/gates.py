"""Applying a written policy to an evaluation, on record: the decision binds exactly what it judged.

Every decision and every dry run that shows numbers takes a place among the model's looks, in the same transaction. Of
two that want the same place one judges again, as the later look it then is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from penstock._version import __version__
from penstock.errors import Busy, Conflict
from penstock.model.audit import NewEvent, model_chain
from penstock.model.decisions import GateDecision
from penstock.model.evaluations import Evaluation
from penstock.model.gate_context import GateContext
from penstock.model.ids import check_alias_name, check_model_name, check_step_name, derived_id
from penstock.model.looks import Look, LookKind, LookPlace, next_place, question_of
from penstock.model.policies import GatePolicy
from penstock.model.runs import Attempt, AttemptState, StepId
from penstock.ports import StepEnd
from penstock.services.approvals import requests_of
from penstock.services.deciding import decide, decision_inputs
from penstock.services.gate_context import Standing, mentions, requests_for, reserved_alpha, standing_of
from penstock.services.once import new_attempt, once
from penstock.services.references import check_belongs, id_in
from penstock.services.wiring import Wiring

STEP = "decide"
CODE_VERSION = f"penstock {__version__}"
_TRIES = 50

T = TypeVar("T")


@dataclass(frozen=True)
class _Question:
    """An evaluation under a policy, about a model and the alias that may move."""

    evaluation: Evaluation
    policy: GatePolicy
    model: str
    alias: str


def decide_on(
    wiring: Wiring,
    evaluation: object,
    policy: GatePolicy,
    *,
    model: str,
    alias: str,
    run: object = None,
    accept_from: Sequence[str] = (),
    step: str = STEP,
    map_index: int = -1,
) -> GateDecision:
    """Decide once: the same evaluation under the same policy returns the stored decision.

    The decision, its look, the authorization it gives when it passed, the approval it asks for when only that is
    missing, their ledger entries and the step's result are one transaction. What a person has answered is an input of
    the step: an answer makes a new decision, a retry finds the old one.
    """
    asked = _question(wiring, evaluation, policy, model, alias)
    measured = asked.evaluation
    check_belongs(wiring.store, "evaluation", measured.evaluation_id, measured.run_id, run, accept_from)
    declared: dict[str, Any] = {
        "evaluation": measured.evaluation_id,
        "policy": policy.digest,
        "model": model,
        "alias": alias,
    }
    if mentions(policy, "approval"):
        answers = [found.declared for found in requests_for(wiring.store, measured, policy, model, alias)]
        declared |= {"approvals": [answer for answer in answers if answer is not None]}
    if mentions(policy, "anchor"):
        declared |= {"anchor": [anchor.version for anchor in wiring.store.list_anchors(model)[-1:]]}
    place = StepId(measured.run_id, check_step_name(step), map_index)
    new = new_attempt(wiring, place, declared)

    def work(attempt: Attempt) -> GateDecision:
        def record(standing: Standing, look: LookPlace) -> GateDecision:
            context = standing.looking(policy, look)
            decision_id = derived_id("decision", measured.run_id, new.inputs_digest)
            decision = _judge(wiring, asked, standing, context, look, decision_id)
            requests = requests_of(decision, policy, measured, context, standing, attempt)
            end = StepEnd(attempt, AttemptState.DONE, decision.ref)
            taken = _look(decision, look, LookKind.DECISION, reserved_alpha(policy, context))
            return wiring.store.record_decision(decision, _made(decision), end, taken, requests)

        return _as_a_look(wiring, asked, record)

    def recall(stored: Any) -> GateDecision:
        return wiring.store.get_decision(id_in(stored, "decision_id"))

    return once(wiring, new, work, recall)


def dry_run(wiring: Wiring, evaluation: object, policy: GatePolicy, *, model: str, alias: str) -> GateDecision:
    """Say what the gate would say, deciding nothing: the answer authorizes nothing and is not a decision on record.

    It shows numbers, so it is a look on record; asking the same question again is not another one.
    """
    asked = _question(wiring, evaluation, policy, model, alias)

    def record(standing: Standing, look: LookPlace) -> GateDecision:
        context = standing.looking(policy, look)
        decision_id = derived_id("dry run", asked.evaluation.evaluation_id, policy.digest, model, alias)
        decision = _judge(wiring, asked, standing, context, look, decision_id)
        if not look.again:
            taken = _look(decision, look, LookKind.DRY_RUN, reserved_alpha(policy, context))
            wiring.store.record_look(taken, _looked(decision, taken))
        return decision

    return _as_a_look(wiring, asked, record)


def _question(wiring: Wiring, evaluation: object, policy: GatePolicy, model: str, alias: str) -> _Question:
    check_model_name(model)
    check_alias_name(alias)
    return _Question(wiring.store.get_evaluation(id_in(evaluation, "evaluation_id")), policy, model, alias)


def _as_a_look(wiring: Wiring, asked: _Question, record: Callable[[Standing, LookPlace], T]) -> T:
    """Judge and record at the next place among the model's looks; judge again where another was quicker."""
    measured, policy = asked.evaluation, asked.policy
    question = question_of(measured.evaluation_id, policy.digest)
    for _ in range(_TRIES):
        standing = standing_of(wiring.store, measured, policy, asked.model, asked.alias, wiring.actor)
        of_set = wiring.store.list_set_questions(measured.dataset.digest)
        look = next_place(wiring.store.list_looks(asked.model), of_set, question)
        try:
            return record(standing, look)
        except Conflict as error:
            if error.kind != "look":
                raise
    raise Busy(f"the gate of model {asked.model!r}", 0.0)


def _judge(
    wiring: Wiring, asked: _Question, standing: Standing, context: GateContext, look: LookPlace, decision_id: str
) -> GateDecision:
    evaluation, policy = asked.evaluation, asked.policy
    verdict, outcomes = decide(policy, evaluation, context)
    version, generation = standing.expected
    return GateDecision(
        decision_id=decision_id,
        run_id=evaluation.run_id,
        evaluation_id=evaluation.evaluation_id,
        model=asked.model,
        alias=asked.alias,
        verdict=verdict,
        outcomes=outcomes,
        policy_name=policy.name,
        policy_text=policy.text,
        policy_digest=policy.digest,
        payload_digest=evaluation.payload_digest,
        data_digest=evaluation.dataset.digest,
        baseline_version=version,
        alias_generation=generation,
        no_baseline=version is None,
        code_version=CODE_VERSION,
        inputs=decision_inputs(policy, evaluation, context),
        actor=wiring.actor.to_json(),
        sequence=look.sequence,
    )


def _look(decision: GateDecision, place: LookPlace, kind: LookKind, alpha: float | None) -> Look:
    return Look(
        model=decision.model,
        sequence=place.sequence,
        kind=kind,
        question=question_of(decision.evaluation_id, decision.policy_digest),
        number=place.number,
        set_number=place.set_number,
        evaluation_id=decision.evaluation_id,
        policy_digest=decision.policy_digest,
        data_digest=decision.data_digest,
        verdict=decision.verdict.value,
        alpha=None if place.again else alpha,
        decision_id=decision.decision_id if kind is LookKind.DECISION else None,
        actor=decision.actor,
    )


def _looked(decision: GateDecision, look: Look) -> NewEvent:
    return NewEvent(
        chain=model_chain(decision.model),
        kind="look_taken",
        subject={"model": look.model, "evaluation_id": look.evaluation_id, "run_id": decision.run_id},
        actor=decision.actor,
        why="a dry run showed the numbers",
        after={"verdict": look.verdict, "policy_digest": look.policy_digest, "number": look.number},
    )


def _made(decision: GateDecision) -> NewEvent:
    return NewEvent(
        chain=model_chain(decision.model),
        kind="decision_made",
        subject={
            "model": decision.model,
            "alias": decision.alias,
            "decision_id": decision.decision_id,
            "run_id": decision.run_id,
        },
        actor=decision.actor,
        why=decision.reasons,
        after=said_of_decision(decision),
    )


def said_of_decision(decision: GateDecision) -> dict[str, Any]:
    """Return what the ledger says of a decision, as plain JSON."""
    return {
        "verdict": decision.verdict.value,
        "policy": decision.policy_name,
        "policy_digest": decision.policy_digest,
        "payload_digest": decision.payload_digest,
        "data_digest": decision.data_digest,
        "baseline_version": decision.baseline_version,
        "alias_generation": decision.alias_generation,
    }
