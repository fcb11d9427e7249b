"""Registered models: versions and aliases, changed only under an authorization on record (laws L2, L3)."""

from __future__ import annotations

from penstock.errors import Conflict, NotAuthorized, NotFound
from penstock.model.ids import derived_id
from penstock.model.versions import Alias, AliasMove, Authorization, AuthorizationKind, LoggedModel, ModelVersion
from penstock.stores.memory.state import State, time_of


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
    covering = _covering(state, authorization, change, model, stored.payload_digest, None)
    versions = state.versions.setdefault(model, [])
    state.registered.setdefault(model, time_of(now_ms))
    number, digest = len(versions) + 1, stored.payload_digest
    made = ModelVersion(model, number, stored.model_id, stored.run_id, digest, covering, time_of(now_ms))
    versions.append(made)
    return made, True


def move_alias(
    state: State, version: ModelVersion, alias: str, authorization: Authorization, expected_generation: int, now_ms: int
) -> tuple[AliasMove, bool]:
    """Point an alias to a version by compare-and-swap; return the move and whether this call made it."""
    name = f"{version.model}@{alias}"
    for move in state.moves:
        if (move.authorization.authorization_id, move.alias) == (authorization.authorization_id, alias):
            return move, False
    target = next((v for v in state.versions.get(version.model, []) if v.version == version.version), None)
    if target is None:
        raise NotFound("model version", version.uri)
    covering = _covering(state, authorization, f"moving {name}", target.model, target.payload_digest, alias)
    return _swap(state, target, alias, covering, expected_generation, now_ms), True


def roll_back(
    state: State, version: ModelVersion, alias: str, authorization: Authorization, expected_generation: int, now_ms: int
) -> tuple[AliasMove, bool]:
    """Point an alias back to a version that held it before; return the move and whether this call made it."""
    moves = [move for move in state.moves if (move.model, move.alias) == (version.model, alias)]
    for move in moves:
        if move.authorization.authorization_id == authorization.authorization_id:
            return move, False
    if version.version not in {move.to_version for move in moves}:
        raise NotAuthorized(f"moving {version.model}@{alias}", f"version {version.version} never held it")
    state.authorizations[authorization.authorization_id] = authorization
    return _swap(state, version, alias, authorization, expected_generation, now_ms), True


def _swap(
    state: State, target: ModelVersion, alias: str, covering: Authorization, expected_generation: int, now_ms: int
) -> AliasMove:
    name = f"{target.model}@{alias}"
    current = state.aliases.get((target.model, alias))
    generation = 0 if current is None else current.generation
    if generation != expected_generation:
        won = "unset" if current is None else f"version {current.version}, generation {current.generation}"
        raise Conflict("alias", name, f"generation {expected_generation}, as when the decision was made", won)
    moved_at = time_of(now_ms)
    state.aliases[target.model, alias] = Alias(target.model, alias, target.version, generation + 1, moved_at)
    before = None if current is None else current.version
    move = AliasMove(target.model, alias, before, target.version, generation + 1, covering, moved_at)
    state.moves.append(move)
    return move


def _covering(
    state: State, authorization: Authorization, change: str, model: str, payload: str, alias: str | None
) -> Authorization:
    """Return the authorization on record, judged by the decision that gave it and not by what the caller says."""
    stored = state.authorizations.get(authorization.authorization_id)
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
