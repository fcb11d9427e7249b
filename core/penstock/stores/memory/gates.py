"""Looks, approvals, overrides and anchors: appended to, never changed."""

from __future__ import annotations

from dataclasses import replace

from penstock.errors import Conflict, NotFound
from penstock.model.approvals import Approval, ApprovalAnswer, ApprovalRequest, check_answer, why_lapsed
from penstock.model.looks import Look
from penstock.model.overrides import Anchor, Override
from penstock.model.runs import AttemptState
from penstock.model.versions import Authorization, AuthorizationKind
from penstock.stores.memory.state import State, plain, time_of


def take_look(state: State, look: Look, now_ms: int) -> Look:
    """Record a look; `Conflict` of kind `look` if another has taken its sequence number."""
    taken = state.looks.setdefault(look.model, [])
    if any(other.sequence == look.sequence for other in taken):
        raise Conflict("look", look.model, f"number {look.sequence} to be free", "taken by another decision")
    on_set = state.set_questions.setdefault(look.data_digest, [])
    if look.question not in on_set and look.set_number == len(on_set) + 1:
        on_set.append(look.question)
    if on_set[look.set_number - 1 : look.set_number] != [look.question]:
        wanted = f"number {look.set_number} on these rows to be free"
        raise Conflict("look", look.model, wanted, "taken by another decision")
    if look.evaluation_id not in state.evaluations:
        raise NotFound("record", "that this one refers to")
    made = replace(look, actor=plain(look.actor), at=time_of(now_ms))
    taken.append(made)
    taken.sort(key=lambda other: other.sequence)
    return made


def ask(state: State, request: ApprovalRequest, now_ms: int) -> bool:
    """Record a request and say whether it is new; its time begins now."""
    if request.request_id in state.requests:
        return False
    expires_at = time_of(now_ms + int(request.expires_s * 1000))
    state.requests[request.request_id] = ApprovalRequest.from_json(
        plain(request.to_json()), time_of(now_ms), expires_at
    )
    return True


def approval(state: State, request_id: str, now_ms: int) -> Approval:
    """Return a request with what became of it; `NotFound` if there is none."""
    if request_id not in state.requests:
        raise NotFound("approval request", request_id)
    request = state.requests[request_id]
    alias = state.aliases.get((request.model, request.alias))
    lapsed = why_lapsed(request, now_ms, 0 if alias is None else alias.generation, _asked_again(state, request))
    return Approval(request, state.answers.get(request_id), lapsed)


def answer(state: State, given: ApprovalAnswer, now_ms: int) -> tuple[Approval, bool]:
    """Record an answer and say whether it is new; refusals are `check_answer`'s."""
    found = approval(state, given.request_id, now_ms)
    if not check_answer(found, given):
        return found, False
    state.answers[given.request_id] = replace(given, actor=plain(given.actor), answered_at=time_of(now_ms))
    return approval(state, given.request_id, now_ms), True


def add_override(state: State, override: Override, now_ms: int) -> bool:
    """Record an override and the authorization it is; say whether it is new."""
    if override.override_id in state.authorizations:
        return False
    expires_at = time_of(now_ms + int(override.expires_s * 1000))
    state.overrides[override.override_id] = Override.from_json(
        plain(override.to_json()), None, (), time_of(now_ms), expires_at
    )
    state.authorizations[override.override_id] = Authorization(
        override.override_id, AuthorizationKind.OVERRIDE, override.model, None, override.reason, plain(override.actor)
    )
    return True


def override(state: State, override_id: str) -> Override | None:
    """Return an override with what was done under it; None if there is none."""
    found = state.overrides.get(override_id)
    if found is None:
        return None
    versions = (v for versions in state.versions.values() for v in versions)
    version = next((v.version for v in versions if v.authorization.authorization_id == override_id), None)
    moved = sorted(m.alias for m in state.moves if m.authorization.authorization_id == override_id)
    return replace(found, version=version, moved=tuple(moved))


def get_override(state: State, override_id: str) -> Override:
    """Return an override; `NotFound` if there is none."""
    found = override(state, override_id)
    if found is None:
        raise NotFound("override", override_id)
    return found


def set_anchor(state: State, anchor: Anchor, now_ms: int) -> tuple[Anchor, bool]:
    """Set a model's anchor as the number it names; say whether it is new. `Conflict` if the number is taken."""
    there = state.anchors.setdefault(anchor.model, [])
    last = there[-1] if there else None
    if last is not None and last.version == anchor.version:
        return last, False
    if all(version.version != anchor.version for version in state.versions.get(anchor.model, [])):
        raise NotFound("model version", f"models:/{anchor.model}/{anchor.version}")
    if anchor.sequence != len(there) + 1:
        found = "none" if last is None else f"version {last.version} as number {last.sequence}"
        raise Conflict("anchor", anchor.model, f"to set number {anchor.sequence}", found)
    there.append(replace(anchor, actor=plain(anchor.actor), set_at=time_of(now_ms)))
    return there[-1], True


def _asked_again(state: State, request: ApprovalRequest) -> bool:
    """Whether the step that asked has decided on another question since."""
    step = state.run(request.step.run_id).steps[request.step]
    done = [a for a in step.attempts if a.state is AttemptState.DONE and a.attempt.number > request.attempt]
    if not done:
        return False
    result = step.results[done[-1].attempt.inputs_digest].value
    decision = state.decisions.get(result.get("decision_id", "")) if isinstance(result, dict) else None
    if decision is None:
        return False
    return (decision.evaluation_id, decision.policy_digest, decision.model, decision.alias) != request.question
