"""What a named person allows past the gate: for one payload, for a time, with a reason, on record for ever."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.errors import InvalidValue, NotFound
from penstock.model.approvals import check_reason
from penstock.model.audit import NewEvent, model_chain
from penstock.model.ids import check_alias_name, check_model_name, check_step_name, derived_id
from penstock.model.overrides import Override
from penstock.model.probation import ProbationTerms
from penstock.model.runs import Attempt, AttemptState, StepId
from penstock.model.versions import AliasMove, Authorization, AuthorizationKind, ModelVersion
from penstock.ports import StepEnd
from penstock.services import model_access
from penstock.services.load_check import ensure_loads
from penstock.services.once import new_attempt, once
from penstock.services.references import check_belongs, id_in, model_uri_in
from penstock.services.stand_ins import check_registrable
from penstock.services.wiring import Wiring

LONGEST_HOURS = 24.0 * 31


def give(
    wiring: Wiring, name: str, model: object, *, aliases: Sequence[str], reason: str, expires_hours: float
) -> Override:
    """Allow one registration of exactly this model, and one move of each alias named, for so many hours.

    Idempotent while it holds: the same person allowing the same with the same reason again finds the same override.
    """
    check_model_name(name)
    said = check_reason(reason, "why the gate is overridden, in words")
    if isinstance(expires_hours, bool) or not isinstance(expires_hours, int | float):
        raise InvalidValue("expires_hours", expires_hours, "a number of hours")
    if not 0 < expires_hours <= LONGEST_HOURS:
        expected = f"more than 0 and at most {LONGEST_HOURS:g} hours"
        raise InvalidValue("expires_hours", expires_hours, expected, "An override is for once, not for ever")
    if isinstance(aliases, str):
        raise InvalidValue("aliases", aliases, "a list of alias names")
    named = sorted({check_alias_name(alias) for alias in aliases})
    logged = model_access.find(wiring.store, model_uri_in(model)).logged
    now_ms = wiring.store.now_ms()
    live = {alias: wiring.store.find_alias(name, alias) for alias in named}
    generations = {alias: 0 if at is None else at.generation for alias, at in live.items()}
    actor = wiring.actor.to_json()
    same = (name, logged.payload_digest, generations, said, actor)
    before = [
        found
        for found in wiring.store.list_overrides(name)
        if (found.model, found.payload_digest, dict(found.aliases), found.reason, dict(found.actor)) == same
    ]
    if before and not before[-1].expired(now_ms):
        return before[-1]
    override = Override(
        override_id=derived_id("override", *same, len(before)),
        model=name,
        payload_digest=logged.payload_digest,
        aliases=generations,
        reason=said,
        actor=actor,
        expires_s=expires_hours * 3600,
        run_id=logged.run_id,
    )
    event = NewEvent(
        chain=model_chain(name),
        kind="override_given",
        subject={"model": name, "override_id": override.override_id, "run_id": logged.run_id},
        actor=actor,
        why=said,
        after={"payload_digest": logged.payload_digest, "aliases": generations, "hours": expires_hours},
    )
    return wiring.store.record_override(override, event)


def named_in(wiring: Wiring, given: object) -> Override | None:
    """Return the override that a reference names; None where it is not a reference to one."""
    fields = given if isinstance(given, dict) else getattr(given, "__dict__", {})
    if "override_id" not in fields:
        return None
    override_id = id_in(given, "override_id")
    found = wiring.store.find_override(override_id)
    if found is None:
        raise NotFound("override", override_id, "penstock gate overrides shows those there are")
    return found


def register(
    wiring: Wiring,
    name: str,
    model: object,
    override: Override,
    *,
    run: object = None,
    accept_from: Sequence[str] = (),
    step: str,
    map_index: int = -1,
) -> ModelVersion:
    """Register a logged model under an override; the same override again returns the version it registered."""
    check_model_name(name)
    logged = model_access.find(wiring.store, model_uri_in(model)).logged
    check_registrable(logged, logged.uri)
    change = f"registering {name!r}"
    if override.version is None:
        override.check_covers(change, name, logged.payload_digest, None, wiring.store.now_ms())
    check_belongs(wiring.store, "model", logged.uri, logged.run_id, run, accept_from)
    place = StepId(logged.run_id, check_step_name(step), map_index)
    new = new_attempt(
        wiring, place, {"override": override.override_id, "model": name, "payload": logged.payload_digest}
    )

    def work(attempt: Attempt) -> ModelVersion:
        subject = {"model": name, "run_id": logged.run_id, "override_id": override.override_id}
        event = NewEvent(model_chain(name), "version_registered", subject, wiring.actor.to_json(), override.reason)
        end = StepEnd(attempt, AttemptState.DONE)
        return wiring.store.record_version(name, logged, _authorization(override), event, end)

    def recall(stored: Any) -> ModelVersion:
        found = wiring.store.find_version(name, stored["version"])
        if found is None:
            raise NotFound("model version", f"models:/{name}/{stored['version']}")
        return found

    return once(wiring, new, work, recall)


def promote(
    wiring: Wiring,
    version: ModelVersion,
    alias: str,
    override: Override,
    *,
    step: str,
    map_index: int = -1,
    probation: ProbationTerms | None = None,
) -> AliasMove:
    """Point an alias to a version under an override, expecting the generation it had when the override was given.

    The same override again returns the move it made; for another version it is used up.
    """
    name = version.model
    check_alias_name(alias)
    change = f"moving {name}@{alias}"
    moves = wiring.store.list_alias_moves(name) if alias in override.moved else ()
    made = [move for move in moves if move.authorization.authorization_id == override.override_id]
    done = next((move for move in made if move.alias == alias), None)
    if done is None:
        override.check_covers(change, name, version.payload_digest, alias, wiring.store.now_ms())
    place = StepId(version.run_id, check_step_name(step), map_index)
    declared = {"override": override.override_id, "model": name, "alias": alias, "version": version.version}
    new = new_attempt(wiring, place, declared)

    def work(attempt: Attempt) -> AliasMove:
        subject = {"model": name, "alias": alias, "override_id": override.override_id}
        event = NewEvent(model_chain(name), "alias_moved", subject, wiring.actor.to_json(), override.reason)
        end = StepEnd(attempt, AttemptState.DONE)
        expected = override.aliases.get(alias, 0)
        if done is None:
            ensure_loads(wiring, version)
        return wiring.store.move_alias(version, alias, _authorization(override), expected, event, end, probation)

    def recall(stored: Any) -> AliasMove:
        moves = wiring.store.list_alias_moves(name)
        return next(m for m in moves if m.alias == alias and m.generation == stored["generation"])

    return once(wiring, new, work, recall)


def _authorization(override: Override) -> Authorization:
    kind = AuthorizationKind.OVERRIDE
    return Authorization(override.override_id, kind, override.model, None, override.reason, override.actor)
