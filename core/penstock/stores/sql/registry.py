"""Registered models: versions and aliases, changed only under an authorization on record (laws L2, L3)."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from penstock.errors import Conflict, NotAuthorized, NotFound
from penstock.model.canonical import canonical_json
from penstock.model.ids import WORKSPACE
from penstock.model.versions import (
    Alias,
    AliasMove,
    Authorization,
    AuthorizationKind,
    LoggedModel,
    ModelVersion,
    RegisteredModel,
)
from penstock.stores.sql import models
from penstock.stores.sql.dialects import insert_or_ignore, now_ms
from penstock.stores.sql.rows import alias_of, move_of, time_of, version_of
from penstock.stores.sql.tables import (
    alias_moves,
    aliases,
    authorizations,
    decisions,
    model_versions,
    registered_models,
)

_AUTHORIZATION = (
    authorizations.c.kind.label("a_kind"),
    authorizations.c.model.label("a_model"),
    authorizations.c.decision_id.label("a_decision_id"),
    authorizations.c.reason.label("a_reason"),
    authorizations.c.actor.label("a_actor"),
)
_VERSIONS = sa.select(model_versions, *_AUTHORIZATION).join(authorizations)
_MOVES = sa.select(alias_moves, *_AUTHORIZATION).join(authorizations)


def _check_covers(
    connection: sa.Connection, authorization: Authorization, change: str, model: str, payload: str, alias: str | None
) -> None:
    """The store's own judgement: an authorization covers only what its passed decision named."""
    row = connection.execute(
        sa.select(authorizations.c.kind, authorizations.c.model, decisions)
        .join(decisions, isouter=True)
        .where(
            authorizations.c.authorization_id == authorization.authorization_id,
            authorizations.c.workspace == WORKSPACE,
        )
    ).first()
    if row is None:
        raise NotAuthorized(change, "there is no such authorization on record")
    if row.verdict != "PASS":
        raise NotAuthorized(change, f"the gate said {row.verdict}", "Only a passed decision authorizes a change")
    if row.model != model:
        raise NotAuthorized(change, f"the decision was made for model {row.model!r}")
    if row.payload_digest != payload:
        raise NotAuthorized(change, "the decision judged another artifact", "Evaluate and decide on this one")
    if alias is not None and row.alias != alias:
        raise NotAuthorized(change, f"the decision was made for alias {row.alias!r}")


def _lock(connection: sa.Connection, model: str) -> None:
    """Make everybody else who registers or promotes under this name wait until this transaction has ended."""
    here = (registered_models.c.workspace == WORKSPACE, registered_models.c.name == model)
    connection.execute(sa.select(registered_models.c.name).where(*here).with_for_update(key_share=True))


def add_version(
    connection: sa.Connection, model: str, logged: LoggedModel, authorization: Authorization
) -> tuple[ModelVersion, bool]:
    """Register under the next number; return the version and whether this call made it.

    What is registered is the logged model as the store has it, whatever else `logged` may say.
    """
    time_ms = now_ms(connection)
    connection.execute(
        insert_or_ignore(connection, registered_models),
        {"workspace": WORKSPACE, "name": model, "last_version": 0, "created_ms": time_ms},
    )
    _lock(connection, model)
    stored = models.get(connection, logged.model_id)
    known = _VERSIONS.where(model_versions.c.authorization_id == authorization.authorization_id)
    row = connection.execute(known).mappings().first()
    if row is not None:
        version = version_of(row)
        if (version.model, version.payload_digest) != (model, stored.payload_digest):
            raise NotAuthorized(f"registering {model!r}", f"its decision has registered {version.uri}")
        return version, False
    _check_covers(connection, authorization, f"registering {model!r}", model, stored.payload_digest, None)
    here = sa.and_(registered_models.c.workspace == WORKSPACE, registered_models.c.name == model)
    connection.execute(
        sa.update(registered_models).where(here).values(last_version=registered_models.c.last_version + 1)
    )
    number = connection.execute(sa.select(registered_models.c.last_version).where(here)).scalar_one()
    connection.execute(
        sa.insert(model_versions),
        {
            "workspace": WORKSPACE,
            "model": model,
            "version": number,
            "model_id": stored.model_id,
            "run_id": stored.run_id,
            "payload_digest": stored.payload_digest,
            "authorization_id": authorization.authorization_id,
            "created_ms": time_ms,
        },
    )
    return version_of(connection.execute(known).mappings().one()), True


def find_version(connection: sa.Connection, model: str, version: int | None) -> ModelVersion | None:
    """Return a version, the highest when `version` is None; None if there is none."""
    query = _VERSIONS.where(model_versions.c.workspace == WORKSPACE, model_versions.c.model == model)
    if version is not None:
        query = query.where(model_versions.c.version == version)
    row = connection.execute(query.order_by(model_versions.c.version.desc()).limit(1)).mappings().first()
    return None if row is None else version_of(row)


def list_versions(connection: sa.Connection, model: str) -> Sequence[ModelVersion]:
    """Return a model's versions, newest first."""
    query = _VERSIONS.where(model_versions.c.workspace == WORKSPACE, model_versions.c.model == model)
    rows = connection.execute(query.order_by(model_versions.c.version.desc())).mappings()
    return [version_of(row) for row in rows]


def list_models(connection: sa.Connection) -> Sequence[RegisteredModel]:
    """Return the registered models by name, with their aliases."""
    pointing: dict[str, dict[str, int]] = {}
    for row in connection.execute(sa.select(aliases).where(aliases.c.workspace == WORKSPACE)):
        pointing.setdefault(row.model, {})[row.alias] = row.version
    query = sa.select(registered_models).where(registered_models.c.workspace == WORKSPACE)
    return [
        RegisteredModel(row.name, row.last_version, pointing.get(row.name, {}), time_of(row.created_ms))
        for row in connection.execute(query.order_by(registered_models.c.name))
    ]


def find_alias(connection: sa.Connection, model: str, alias: str) -> Alias | None:
    """Return where an alias points; None if it was never set."""
    query = sa.select(aliases).where(
        aliases.c.workspace == WORKSPACE, aliases.c.model == model, aliases.c.alias == alias
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else alias_of(row)


def move_alias(
    connection: sa.Connection,
    version: ModelVersion,
    alias: str,
    authorization: Authorization,
    expected_generation: int,
) -> tuple[AliasMove, bool]:
    """Point an alias to a version by compare-and-swap; return the move and whether this call made it."""
    _lock(connection, version.model)
    known = _MOVES.where(alias_moves.c.authorization_id == authorization.authorization_id, alias_moves.c.alias == alias)
    row = connection.execute(known).mappings().first()
    if row is not None:
        return move_of(row), False
    change = f"moving {version.model}@{alias}"
    target = find_version(connection, version.model, version.version)
    if target is None:
        raise NotFound("model version", version.uri)
    _check_covers(connection, authorization, change, target.model, target.payload_digest, alias)
    return _swap(connection, target, alias, authorization, expected_generation), True


def roll_back(
    connection: sa.Connection,
    version: ModelVersion,
    alias: str,
    authorization: Authorization,
    expected_generation: int,
) -> tuple[AliasMove, bool]:
    """Point an alias back to a version that held it before; return the move and whether this call made it."""
    _lock(connection, version.model)
    known = _MOVES.where(alias_moves.c.authorization_id == authorization.authorization_id, alias_moves.c.alias == alias)
    row = connection.execute(known).mappings().first()
    if row is not None:
        return move_of(row), False
    held = connection.scalar(
        sa.select(sa.func.count()).where(
            alias_moves.c.workspace == WORKSPACE,
            alias_moves.c.model == version.model,
            alias_moves.c.alias == alias,
            alias_moves.c.to_version == version.version,
        )
    )
    if not held:
        raise NotAuthorized(f"moving {version.model}@{alias}", f"version {version.version} never held it")
    connection.execute(
        sa.insert(authorizations),
        {
            "authorization_id": authorization.authorization_id,
            "workspace": WORKSPACE,
            "kind": AuthorizationKind.ROLLBACK.value,
            "model": version.model,
            "decision_id": None,
            "reason": authorization.reason,
            "actor": canonical_json(authorization.actor),
            "created_ms": now_ms(connection),
        },
    )
    return _swap(connection, version, alias, authorization, expected_generation), True


def _swap(
    connection: sa.Connection,
    version: ModelVersion,
    alias: str,
    authorization: Authorization,
    expected_generation: int,
) -> AliasMove:
    """Record the move and make it, if the alias's generation is as expected; `Conflict` naming who won if not."""
    current = find_alias(connection, version.model, alias)
    generation = 0 if current is None else current.generation
    if generation != expected_generation:
        won = "unset" if current is None else f"version {current.version}, generation {current.generation}"
        raise Conflict(
            "alias",
            f"{version.model}@{alias}",
            f"generation {expected_generation}, as when the decision was made",
            won,
            "Another promotion won; evaluate and decide again, against what is live now",
        )
    time_ms = now_ms(connection)
    key = {"workspace": WORKSPACE, "model": version.model, "alias": alias}
    moved = {"authorization_id": authorization.authorization_id, "moved_ms": time_ms}
    connection.execute(
        sa.insert(alias_moves),
        {
            **key,
            **moved,
            "generation": generation + 1,
            "from_version": None if current is None else current.version,
            "to_version": version.version,
        },
    )
    pointing = {**moved, "version": version.version, "generation": generation + 1}
    if current is None:
        connection.execute(sa.insert(aliases), {**key, **pointing})
    else:
        swapped = connection.execute(
            sa.update(aliases)
            .where(*(aliases.c[name] == value for name, value in key.items()), aliases.c.generation == generation)
            .values(**pointing)
        )
        if swapped.rowcount != 1:
            raise Conflict("alias", f"{version.model}@{alias}", f"generation {generation}", "a newer one")
    made = _MOVES.where(alias_moves.c.authorization_id == authorization.authorization_id, alias_moves.c.alias == alias)
    return move_of(connection.execute(made).mappings().one())


def list_moves(connection: sa.Connection, model: str) -> Sequence[AliasMove]:
    """Return a model's alias moves, oldest first."""
    query = _MOVES.where(alias_moves.c.workspace == WORKSPACE, alias_moves.c.model == model)
    by_time = (alias_moves.c.moved_ms, alias_moves.c.alias, alias_moves.c.generation)
    return [move_of(row) for row in connection.execute(query.order_by(*by_time)).mappings()]
