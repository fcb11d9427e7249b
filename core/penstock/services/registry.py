"""Registering and promoting models: nothing without a passed decision on record (law L2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from penstock.errors import GateBlocked, InvalidValue, NotAuthorized, NotFound, NotSeenToLoad
from penstock.model.audit import NewEvent, model_chain
from penstock.model.decisions import GateDecision, Verdict, reasons_of
from penstock.model.ids import check_alias_name, check_model_name, check_step_name, derived_id
from penstock.model.policies import GatePolicy
from penstock.model.probation import ProbationTerms
from penstock.model.runs import StepId
from penstock.model.versions import AliasMove, Authorization, AuthorizationKind, ModelVersion
from penstock.ports import NewAttempt
from penstock.services import model_access, overrides, ungated
from penstock.services.deciding import replay
from penstock.services.load_check import ensure_loads
from penstock.services.once import in_one, new_attempt
from penstock.services.policy_in_force import check_in_force
from penstock.services.references import check_belongs, id_in, model_uri_in
from penstock.services.stand_ins import check_registrable
from penstock.services.wiring import Wiring

REGISTER, PROMOTE = "register", "promote"


def register(
    wiring: Wiring,
    name: str,
    model: object,
    decision: object,
    *,
    run: object = None,
    accept_from: Sequence[str] = (),
    step: str = REGISTER,
    map_index: int = -1,
    policy: GatePolicy | None = None,
) -> ModelVersion:
    """Register a logged model under the next version number, under a passed decision that judged exactly it.

    Idempotent: the same decision again returns the version it registered. `GateBlocked` if the gate did not open,
    `NotAuthorized` if the decision was made for another model or artifact, or under another policy than the `policy`
    in force, where that is given. With no decision (None) the model must have been declared ungated.
    """
    check_model_name(name)
    check_in_force(wiring, f"registering {name!r}", decision, policy)
    if decision is None:
        return ungated.register(wiring, name, model, run=run, accept_from=accept_from, step=step, map_index=map_index)
    allowed = overrides.named_in(wiring, decision)
    if allowed is not None:
        return overrides.register(
            wiring, name, model, allowed, run=run, accept_from=accept_from, step=step, map_index=map_index
        )
    change = f"registering {name!r}"
    judged, authorization = _authorized(wiring, decision, change, run, accept_from)
    _check_in_time(wiring, judged, change, lambda: wiring.store.list_versions(name))
    uri = model_uri_in(model)
    logged = model_access.find(wiring.store, uri).logged
    check_registrable(logged, uri)
    if judged.model != name:
        raise NotAuthorized(change, f"the decision was made for model {judged.model!r}")
    if judged.payload_digest != logged.payload_digest:
        raise NotAuthorized(
            f"registering {uri}", "the decision judged another artifact", "Evaluate and decide on this one"
        )
    place = StepId(judged.run_id, check_step_name(step), map_index)
    new = new_attempt(wiring, place, {"decision": judged.decision_id, "model": name})

    event = NewEvent(
        chain=model_chain(name),
        kind="version_registered",
        subject={"model": name, "run_id": logged.run_id, "decision_id": judged.decision_id},
        actor=wiring.actor.to_json(),
        why=judged.reasons,
    )
    return in_one(wiring, new, lambda step: wiring.store.record_version(name, logged, authorization, event, step))


def promote(
    wiring: Wiring,
    name: str,
    alias: str,
    version: object,
    decision: object,
    *,
    run: object = None,
    accept_from: Sequence[str] = (),
    step: str = PROMOTE,
    map_index: int = -1,
    probation: ProbationTerms | None = None,
    policy: GatePolicy | None = None,
) -> AliasMove:
    """Point an alias to a version by compare-and-swap on the generation that the decision saw (law L3).

    Idempotent: the same decision again returns the move it made. `Conflict` naming who won if the alias has moved,
    `NotAuthorized` if the decision was made under another policy than the one in force, where that is given.
    """
    check_alias_name(alias)
    change = f"moving {name}@{alias}"
    check_in_force(wiring, change, decision, policy)
    allowed = None if decision is None else overrides.named_in(wiring, decision)
    target = version if isinstance(version, ModelVersion) else get_version(wiring, version, name)
    if target.model != name:
        raise InvalidValue("version", target.uri, f"a version of {name!r}")
    how: dict[str, Any] = {"step": step, "map_index": map_index, "probation": probation}
    if decision is None:
        return ungated.promote(wiring, target, alias, **how)
    if allowed is not None:
        return overrides.promote(wiring, target, alias, allowed, **how)
    judged, authorization = _authorized(wiring, decision, change, run, accept_from)
    _check_in_time(wiring, judged, change, lambda: wiring.store.list_alias_moves(name, alias))
    place = StepId(judged.run_id, check_step_name(step), map_index)
    declared = {"decision": judged.decision_id, "model": name, "alias": alias, "version": target.version}
    new = new_attempt(wiring, place, declared)

    event = NewEvent(
        chain=model_chain(name),
        kind="alias_moved",
        subject={"model": name, "alias": alias, "decision_id": judged.decision_id},
        actor=wiring.actor.to_json(),
        why=judged.reasons,
    )

    def move(step: NewAttempt) -> AliasMove:
        call = (target, alias, authorization, judged.alias_generation, event, step, probation)
        try:
            return wiring.store.move_alias(*call)
        except NotSeenToLoad:  # the last thing a store looks at: all else is in order
            ensure_loads(wiring, target)
            return wiring.store.move_alias(*call)

    return in_one(wiring, new, move)


def get_version(wiring: Wiring, given: Any, name: str | None = None) -> ModelVersion:
    """Return a version by its reference or, with `name`, by its number; `NotFound` if there is none."""
    model, number = (given.get("model"), given.get("version")) if isinstance(given, dict) else (name, given)
    if isinstance(number, bool) or not isinstance(number, int) or model is None:
        raise InvalidValue("version", given, "a version number or what the register step returned")
    found = wiring.store.find_version(check_model_name(model), number)
    if found is None:
        raise NotFound("model version", f"models:/{model}/{number}")
    return found


def _authorized(
    wiring: Wiring, decision: object, change: str, run: object, accept_from: Sequence[str]
) -> tuple[GateDecision, Authorization]:
    """Re-read a decision from the store and return it with its authorization; `GateBlocked` if it gave none."""
    judged = wiring.store.get_decision(id_in(decision, "decision_id"))
    check_belongs(wiring.store, "decision", judged.decision_id, judged.run_id, run, accept_from)
    if not judged.passed:
        raise GateBlocked(judged.decision_id, judged.verdict.value, judged.reasons)
    # What a passed decision leaves on record; the store looks for it there, and judges by what it finds.
    given, kind = derived_id("authorization", judged.decision_id), AuthorizationKind.DECISION
    return judged, Authorization(given, kind, judged.model, judged.decision_id, judged.reasons, judged.actor)


def _check_in_time(
    wiring: Wiring, judged: GateDecision, change: str, made: Callable[[], Sequence[ModelVersion | AliasMove]]
) -> None:
    """`NotAuthorized` if an approval that the decision rests on has run out, unless the change was `made` in time."""
    if not judged.inputs.get("context", {}).get("approvals"):
        return
    verdict, outcomes = replay(judged, wiring.store.now_ms())
    if verdict is not Verdict.PASS and all(one.authorization.decision_id != judged.decision_id for one in made()):
        raise NotAuthorized(change, f"the decision has expired: {reasons_of(outcomes)}", "Decide again, and ask again")
