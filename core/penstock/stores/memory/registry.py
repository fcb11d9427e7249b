"""Registered models: versions and aliases, changed only under an authorization on record (laws L2, L3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock.errors import Conflict, NotAuthorized, NotFound
from penstock.model import guarding
from penstock.model.ids import derived_id
from penstock.model.load_checks import LoadCheck, check_may_be_pointed_to
from penstock.model.names import check_new_model_name
from penstock.model.versions import Alias, AliasMove, Authorization, AuthorizationKind, LoggedModel, ModelVersion
from penstock.stores.memory import ungated
from penstock.stores.memory.state import State, plain, time_of


def authorize(state: State, decision_id: str) -> None:
    """Leave the authorization that a passed decision gives."""
    decision = state.decisions[decision_id]
    if decision.passed:
        given = Authorization(
            authorization_id=derived_id("authorization", decision_id),
            kind=AuthorizationKind.DECISION,
            model=decision.model,
            decision_id=decision_id,
            reason=decision.reasons,
            actor=decision.actor,
        )
        state.authorizations[given.authorization_id] = given


def add_version(
    state: State, model: str, logged: LoggedModel, authorization: Authorization, now_ms: int
) -> tuple[ModelVersion, bool]:
    """Register under the next number; return the version and whether this call made it."""
    change = f"registering {model!r}"
    if logged.model_id not in state.models:
        raise NotFound("logged model", logged.model_id)
    stored = state.models[logged.model_id].model
    for version in [version for versions in state.versions.values() for version in versions]:
        if version.authorization.authorization_id == authorization.authorization_id:
            if (version.model, version.payload_digest) != (model, stored.payload_digest):
                raise NotAuthorized(change, f"its decision has registered {version.uri}")
            return version, False
    covering = _covering(state, authorization, change, model, stored.payload_digest, None, now_ms)
    if stored.deleted or state.run(stored.run_id).run.deleted:
        raise guarding.deleted_model(stored.uri)
    if model not in state.registered:
        check_new_model_name(model, state.registered)
    versions = state.versions.setdefault(model, [])
    state.registered.setdefault(model, time_of(now_ms))
    number, digest = len(versions) + 1, stored.payload_digest
    made = ModelVersion(model, number, stored.model_id, stored.run_id, digest, covering, time_of(now_ms))
    versions.append(made)
    return made, True


def move_alias(
    state: State,
    version: ModelVersion,
    alias: str,
    authorization: Authorization,
    expected_generation: int,
    actor: Mapping[str, Any],
    now_ms: int,
) -> tuple[AliasMove, bool]:
    """Point an alias to a version by compare-and-swap; return the move and whether this call made it."""
    name = f"{version.model}@{alias}"
    made = (authorization.authorization_id, version.model, alias)
    for move in state.moves:
        if (move.authorization.authorization_id, move.model, move.alias) == made:
            move.check_went_to(version)
            return move, False
    target = find_version(state, version.model, version.version)
    change = f"moving {name}"
    covering = _covering(state, authorization, change, target.model, target.payload_digest, alias, now_ms)
    return _swap(state, target, alias, covering, expected_generation, actor, now_ms), True


def roll_back(
    state: State,
    version: ModelVersion,
    alias: str,
    authorization: Authorization,
    expected_generation: int,
    actor: Mapping[str, Any],
    now_ms: int,
    *,
    agreed: bool = False,
) -> tuple[AliasMove, bool]:
    """Point an alias back to a version that held it before; return the move and whether this call made it."""
    moves = [move for move in state.moves if (move.model, move.alias) == (version.model, alias)]
    for move in moves:
        if move.authorization.authorization_id == authorization.authorization_id:
            return move, False
    change = f"moving {version.model}@{alias}"
    if version.version not in {move.to_version for move in moves}:
        raise NotAuthorized(change, f"version {version.version} never held it")
    target = find_version(state, version.model, version.version)
    if authorization.authorization_id in state.authorizations:
        raise NotAuthorized(change, "its authorization is on record for another change")
    state.authorizations[authorization.authorization_id] = authorization
    moving = (target, alias, authorization, expected_generation, actor, now_ms)
    return _swap(state, *moving, held_before=True, agreed=agreed), True


def find_version(state: State, model: str, number: int) -> ModelVersion:
    """Return a version, whatever its state; `NotFound` if there is none."""
    versions = state.versions.get(model, [])
    if not 0 < number <= len(versions):
        raise NotFound("model version", f"models:/{model}/{number}")
    return versions[number - 1]


def last_check(state: State, version: ModelVersion) -> LoadCheck | None:
    """Return the load check of a version that counts; None if it was never checked."""
    checks = state.checks.get((version.model, version.version), [])
    return checks[-1] if checks else None


def _check_protection(state: State, covering: Authorization, alias: str, change: str, actor: Mapping[str, Any]) -> None:
    changes = state.protections.get((covering.model, alias), [])
    if changes:
        changes[-1].check_move(change, covering.kind, actor)


def _swap(
    state: State,
    target: ModelVersion,
    alias: str,
    covering: Authorization,
    expected_generation: int,
    actor: Mapping[str, Any],
    now_ms: int,
    *,
    held_before: bool = False,
    agreed: bool = False,
) -> AliasMove:
    name = f"{target.model}@{alias}"
    current = state.aliases.get((target.model, alias))
    generation = 0 if current is None else current.generation
    if generation != expected_generation:
        won = "unset" if current is None else f"version {current.version}, generation {current.generation}"
        raise Conflict("alias", name, f"generation {expected_generation}, as when the decision was made", won)
    change = f"moving {name}"
    if not agreed:
        _check_protection(state, covering, alias, change, actor)
    check_may_be_pointed_to(target, last_check(state, target), change, held_before=held_before)
    moved_at = time_of(now_ms)
    if current is not None and current.moved_at is not None:
        moved_at = max(moved_at, current.moved_at)
    state.aliases[target.model, alias] = Alias(target.model, alias, target.version, generation + 1, moved_at)
    before = None if current is None else current.version
    move = AliasMove(target.model, alias, before, target.version, generation + 1, covering, moved_at, plain(actor))
    state.moves.append(move)
    return move


def _covering(
    state: State, authorization: Authorization, change: str, model: str, payload: str, alias: str | None, now_ms: int
) -> Authorization:
    """Return the authorization on record, judged by what gave it and not by what the caller says."""
    stored = state.authorizations.get(authorization.authorization_id)
    if stored is not None and stored.kind is AuthorizationKind.OVERRIDE:
        state.overrides[stored.authorization_id].check_covers(change, model, payload, alias, now_ms)
        return stored
    if stored is None and authorization.kind is AuthorizationKind.UNGATED:
        return ungated.allow(state, authorization, change, model)
    if stored is not None and stored.kind is AuthorizationKind.UNGATED:
        raise NotAuthorized(change, "an ungated model's authorization is for one change, and this one has been used")
    if stored is None or stored.decision_id is None:
        raise NotAuthorized(change, "there is no such authorization on record")
    decision = state.decisions[stored.decision_id]
    if decision.model != model:
        raise NotAuthorized(change, f"the decision was made for model {decision.model!r}")
    if decision.payload_digest != payload:
        raise NotAuthorized(change, "the decision judged another artifact")
    if alias is not None and decision.alias != alias:
        raise NotAuthorized(change, f"the decision was made for alias {decision.alias!r}")
    return stored
