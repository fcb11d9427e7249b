"""Asking a person where a policy wants one, and taking the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from penstock.errors import InvalidValue, NotFound
from penstock.model.approvals import Approval, ApprovalAnswer, ApprovalRequest, ApprovalState, check_reason
from penstock.model.audit import Actor, NewEvent, model_chain
from penstock.model.decisions import GateDecision, Outcome, RuleOutcome, Verdict
from penstock.model.evaluations import Evaluation
from penstock.model.gate_context import APPROVED, ApprovalGiven, GateContext
from penstock.model.ids import derived_id
from penstock.model.policies import GatePolicy
from penstock.model.runs import Attempt
from penstock.ports import MetadataStore
from penstock.services.deciding import decide
from penstock.services.gate_context import Standing
from penstock.services.references import id_in
from penstock.services.wiring import Wiring

Asked = tuple[ApprovalRequest, NewEvent]
_HOUR_S = 3600.0


def requests_of(
    decision: GateDecision,
    policy: GatePolicy,
    evaluation: Evaluation,
    context: GateContext,
    standing: Standing,
    attempt: Attempt,
) -> Sequence[Asked]:
    """Return the requests a decision makes: those whose approval is all that is missing, each with its ledger entry.

    Nobody is asked where a yes would not open the gate, and nobody is asked twice for the same.
    """
    if decision.verdict is not Verdict.INCONCLUSIVE:
        return []
    unanswered = (o.rule["approval"] for o in _approvals(decision.outcomes) if o.outcome is Outcome.UNDECIDABLE)
    missing = {rule["role"]: rule for rule in unanswered}
    if not missing or not _would_open(policy, evaluation, context, tuple(missing)):
        return []
    open_roles = {found.request.role for found in standing.approvals if found.state is ApprovalState.PENDING}
    asked = []
    for role, rule in missing.items():
        if role in open_roles:
            continue
        request = ApprovalRequest(
            request_id=derived_id("approval", decision.decision_id, role),
            decision_id=decision.decision_id,
            evaluation_id=decision.evaluation_id,
            policy_digest=decision.policy_digest,
            step=attempt.step,
            attempt=attempt.number,
            model=decision.model,
            alias=decision.alias,
            generation=context.champion_generation or 0,
            role=role,
            four_eyes=bool(rule.get("four_eyes", False)),
            authors=standing.authors,
            binds=standing.binds,
            digest=context.binding,
            summary=_summary(decision),
            expires_s=float(rule["expires_hours"]) * _HOUR_S,
        )
        event = NewEvent(
            chain=model_chain(decision.model),
            kind="approval_requested",
            subject={**_subject(request), "role": role},
            actor=decision.actor,
            why=f"the policy wants the approval of: {role}",
            after={"binding": request.digest, "four_eyes": request.four_eyes, "expires_s": request.expires_s},
        )
        asked.append((request, event))
    return asked


def answer(wiring: Wiring, request: object, approve: bool, reason: str, actor: Actor | None = None) -> Approval:
    """Approve or reject, once; the same answer again changes nothing.

    `Conflict` if it was answered otherwise or has lapsed, `NotAuthorized` where four eyes are wanted and an author
    approves.
    """
    if not isinstance(approve, bool):
        raise InvalidValue("approve", approve, "True or False")
    said = check_reason(reason, "why you approve or reject, in words")
    found = find(wiring.store, request)
    if found is None:
        raise NotFound("approval request of", _named(request), "This decision asked for no approval")
    who = (actor or wiring.actor).to_json()
    given = ApprovalAnswer(found.request.request_id, approve, said, who)
    event = NewEvent(
        chain=model_chain(found.request.model),
        kind="approval_answered",
        subject={**_subject(found.request), "role": found.request.role},
        actor=who,
        why=said,
        after={"answer": given.word, "binding": found.request.digest},
    )
    return wiring.store.answer_approval(given, event)


def find(store: MetadataStore, given: object) -> Approval | None:
    """Return an approval by its request's id or reference, or the one a decision asked for; None if there is none.

    A decision that asked for several, which is at one moment, names the first in its policy's order that is still open,
    else the last.
    """
    if isinstance(given, Approval):
        return store.get_approval(given.request.request_id)
    fields = given if isinstance(given, dict) else getattr(given, "__dict__", {})
    if isinstance(given, str):
        return store.get_approval(id_in(given, "request_id"))
    if "request_id" in fields:
        return store.get_approval(id_in(given, "request_id"))
    decision = store.get_decision(id_in(given, "decision_id"))
    question = (decision.evaluation_id, decision.policy_digest, decision.model, decision.alias)
    places = {o.rule["approval"]["role"]: place for place, o in enumerate(_approvals(decision.outcomes))}
    asked = sorted(
        (found for found in store.list_approvals(decision.run_id) if found.request.question == question),
        key=lambda found: (found.request.asked_at, places.get(found.request.role, len(places))),
    )
    pending = [found for found in asked if found.state is ApprovalState.PENDING]
    return next(iter(pending or asked[-1:]), None)


def _would_open(policy: GatePolicy, evaluation: Evaluation, context: GateContext, roles: tuple[str, ...]) -> bool:
    now_ms = context.now_ms or 0
    yes = [
        ApprovalGiven(f"if {role} says yes", "somebody", APPROVED, context.binding, now_ms, (role,)) for role in roles
    ]
    verdict, _ = decide(policy, evaluation, replace(context, approvals=(*context.approvals, *yes)))
    return verdict is Verdict.PASS


def _approvals(outcomes: Sequence[RuleOutcome]) -> Iterator[RuleOutcome]:
    """Yield what became of every rule that wants an approval, in the policy's order."""
    for outcome in outcomes:
        if "approval" in outcome.rule:
            yield outcome
        yield from _approvals(outcome.parts)


def _summary(decision: GateDecision) -> str:
    held = [outcome for outcome in decision.outcomes if outcome.outcome is Outcome.PASSED]
    return "; ".join(outcome.reason for outcome in held)


def _subject(request: ApprovalRequest) -> dict[str, Any]:
    return {
        "model": request.model,
        "alias": request.alias,
        "request_id": request.request_id,
        "decision_id": request.decision_id,
        "run_id": request.step.run_id,
    }


def _named(given: object) -> str:
    return (
        str(given.get("decision_id", given)) if isinstance(given, dict) else str(getattr(given, "decision_id", given))
    )
