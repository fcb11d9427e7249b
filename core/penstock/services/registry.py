"""Registering and promoting models: nothing without a passed decision on record (law L2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.errors import GateBlocked, InvalidValue, NotAuthorized, NotFound
from penstock.model.audit import NewEvent, model_chain
from penstock.model.decisions import GateDecision
from penstock.model.ids import check_alias_name, check_model_name, check_step_name
from penstock.model.runs import Attempt, AttemptState, StepId
from penstock.model.versions import AliasMove, Authorization, ModelVersion
from penstock.ports import StepEnd
from penstock.services import model_access
from penstock.services.once import new_attempt, once
from penstock.services.references import check_belongs, id_in, model_uri_in
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
) -> ModelVersion:
    """Register a logged model under the next version number, under a passed decision that judged exactly it.

    Idempotent: the same decision again returns the version it registered. `GateBlocked` if the gate did not open,
    `NotAuthorized` if the decision was made for another model or artifact.
    """
    check_model_name(name)
    judged, authorization = _authorized(wiring, decision, f"registering {name!r}", run, accept_from)
    uri = model_uri_in(model)
    logged = model_access.find(wiring.store, uri).logged
    if judged.model != name:
        raise NotAuthorized(f"registering {name!r}", f"the decision was made for model {judged.model!r}")
    if judged.payload_digest != logged.payload_digest:
        raise NotAuthorized(
            f"registering {uri}", "the decision judged another artifact", "Evaluate and decide on this one"
        )
    place = StepId(judged.run_id, check_step_name(step), map_index)
    new = new_attempt(wiring, place, {"decision": judged.decision_id, "model": name})

    def work(attempt: Attempt) -> ModelVersion:
        event = NewEvent(
            chain=model_chain(name),
            kind="version_registered",
            subject={"model": name, "run_id": logged.run_id, "decision_id": judged.decision_id},
            actor=wiring.actor.to_json(),
            why=judged.reasons,
        )
        end = StepEnd(attempt, AttemptState.DONE)
        return wiring.store.record_version(name, logged, authorization, event, end)

    return once(wiring, new, work, lambda stored: get_version(wiring, stored))


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
) -> AliasMove:
    """Point an alias to a version by compare-and-swap on the generation that the decision saw (law L3).

    Idempotent: the same decision again returns the move it made. `Conflict` naming who won if the alias has moved.
    """
    check_alias_name(alias)
    change = f"moving {name}@{alias}"
    judged, authorization = _authorized(wiring, decision, change, run, accept_from)
    target = version if isinstance(version, ModelVersion) else get_version(wiring, version, name)
    if target.model != name:
        raise InvalidValue("version", target.uri, f"a version of {name!r}")
    place = StepId(judged.run_id, check_step_name(step), map_index)
    declared = {"decision": judged.decision_id, "model": name, "alias": alias, "version": target.version}
    new = new_attempt(wiring, place, declared)

    def work(attempt: Attempt) -> AliasMove:
        event = NewEvent(
            chain=model_chain(name),
            kind="alias_moved",
            subject={"model": name, "alias": alias, "decision_id": judged.decision_id},
            actor=wiring.actor.to_json(),
            why=judged.reasons,
        )
        end = StepEnd(attempt, AttemptState.DONE)
        return wiring.store.move_alias(target, alias, authorization, judged.alias_generation, event, end)

    def recall(stored: Any) -> AliasMove:
        moves = wiring.store.list_alias_moves(name)
        return next(m for m in moves if m.alias == alias and m.generation == stored["generation"])

    return once(wiring, new, work, recall)


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
    authorization = wiring.store.find_authorization(judged.decision_id)
    if not judged.passed:
        raise GateBlocked(judged.decision_id, judged.verdict.value, judged.reasons)
    if authorization is None:
        raise NotAuthorized(change, f"decision {judged.decision_id} left no authorization on record")
    return judged, authorization
