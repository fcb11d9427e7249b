"""Aliases: moved by compare-and-swap, under an authorization on record, to versions that load (laws L2, L3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from penstock.errors import Conflict, NotAuthorized, NotFound
from penstock.failpoints import failpoint
from penstock.model.canonical import canonical_json
from penstock.model.ids import WORKSPACE
from penstock.model.load_checks import LoadCheck, check_may_be_pointed_to
from penstock.model.protection import AliasProtection
from penstock.model.versions import Alias, AliasMove, Authorization, AuthorizationKind, ModelVersion
from penstock.stores.sql import registry
from penstock.stores.sql.dialects import insert_or_ignore, now_ms, unasked
from penstock.stores.sql.rows import Row, alias_of, check_of, move_of, ms_of, protection_of, time_of, version_of
from penstock.stores.sql.tables import alias_moves, aliases, authorizations, model_versions
from penstock.stores.sql.tables.versions import alias_protections, load_checks

# Built once: building a statement costs as much as running it.
_ALIASED = (
    sa.select(
        *registry.VERSION_COLUMNS, aliases.c.generation.label("at_generation"), aliases.c.moved_ms.label("at_moved_ms")
    )
    .select_from(
        registry.VERSION_ROWS.join(
            aliases,
            sa.and_(
                aliases.c.workspace == model_versions.c.workspace,
                aliases.c.model == model_versions.c.model,
                aliases.c.version == model_versions.c.version,
            ),
        )
    )
    .where(
        aliases.c.workspace == WORKSPACE,
        aliases.c.model == sa.bindparam("of_model"),
        aliases.c.alias == sa.bindparam("of_alias"),
    )
)
_MOVES = sa.select(alias_moves, *registry.AUTHORIZATION).join(authorizations)
_POINTING = sa.select(aliases).where(
    aliases.c.workspace == WORKSPACE,
    aliases.c.model == sa.bindparam("of_model"),
    aliases.c.alias == sa.bindparam("of_alias"),
)
_SWAP = sa.update(aliases).where(
    aliases.c.workspace == WORKSPACE,
    aliases.c.model == sa.bindparam("of_model"),
    aliases.c.alias == sa.bindparam("of_alias"),
    aliases.c.generation == sa.bindparam("at_generation"),
)
_INSERT_MOVE, _INSERT_ALIAS = unasked(sa.insert(alias_moves)), unasked(sa.insert(aliases))


def _last(table: sa.Table, *of: str) -> sa.ColumnElement[bool]:
    """The last by number of the rows whose columns are as given, each as the parameter `of_...`."""
    numbered = table.alias()
    same = (numbered.c[name] == sa.bindparam(f"of_{name}") for name in of)
    number = sa.select(sa.func.max(numbered.c.number)).where(numbered.c.workspace == WORKSPACE, *same)
    here = (table.c[name] == sa.bindparam(f"of_{name}") for name in of)
    return sa.and_(table.c.workspace == WORKSPACE, *here, table.c.number == number.scalar_subquery())


_BEFORE_MOVING = (
    sa.select(
        *registry.VERSION_COLUMNS,
        *(aliases.c[name].label(f"at_{name}") for name in ("version", "generation", "moved_ms")),
        *(column.label(f"c_{column.name}") for column in load_checks.c),
        *(column.label(f"p_{column.name}") for column in alias_protections.c),
        *registry.COVERING,
        alias_moves.c.generation.label("done_generation"),
    )
    .select_from(registry.with_given(registry.VERSION_ROWS))
    .outerjoin(
        alias_moves,
        sa.and_(
            alias_moves.c.authorization_id == sa.bindparam("given"),
            alias_moves.c.model == sa.bindparam("of_model"),
            alias_moves.c.alias == sa.bindparam("of_alias"),
        ),
    )
    .outerjoin(
        aliases,
        sa.and_(
            aliases.c.workspace == WORKSPACE,
            aliases.c.model == sa.bindparam("of_model"),
            aliases.c.alias == sa.bindparam("of_alias"),
        ),
    )
    .outerjoin(load_checks, _last(load_checks, "model", "version"))
    .outerjoin(alias_protections, _last(alias_protections, "model", "alias"))
    .where(
        model_versions.c.workspace == WORKSPACE,
        model_versions.c.model == sa.bindparam("of_model"),
        model_versions.c.version == sa.bindparam("of_version"),
    )
)
"""A version, where an alias points before it is moved there, and what decides whether it may be: one row or none."""


def find_alias(connection: sa.Connection, model: str, alias: str) -> Alias | None:
    """Return where an alias points; None if it was never set."""
    row = connection.execute(_POINTING, {"of_model": model, "of_alias": alias}).mappings().first()
    return None if row is None else alias_of(row)


def move_alias(
    connection: sa.Connection,
    version: ModelVersion,
    alias: str,
    authorization: Authorization,
    expected_generation: int,
    actor: Mapping[str, Any],
) -> tuple[AliasMove, bool]:
    """Point an alias to a version by compare-and-swap; return the move and whether this call made it."""
    before = _before_moving(connection, version, alias, authorization)
    if before.done is not None:
        move = get_move(connection, version.model, alias, before.done)
        move.check_went_to(version)
        return move, False
    change, payload = f"moving {version.model}@{alias}", before.target.payload_digest
    covered = registry.check_covers(connection, before.given, authorization, change, version.model, payload, alias)
    return _swap(connection, before, alias, covered, expected_generation, actor), True


def roll_back(
    connection: sa.Connection,
    version: ModelVersion,
    alias: str,
    authorization: Authorization,
    expected_generation: int,
    actor: Mapping[str, Any],
    *,
    agreed: bool = False,
) -> tuple[AliasMove, bool]:
    """Point an alias back to a version that held it before; return the move and whether this call made it.

    `agreed`: whoever promoted has agreed to this beforehand (a probation), so that anybody may carry it out.
    """
    registry.lock(connection, version.model)
    of = (alias_moves.c.model == version.model, alias_moves.c.alias == alias)
    mine = _MOVES.where(alias_moves.c.authorization_id == authorization.authorization_id, *of)
    done = connection.execute(mine).mappings().first()
    if done is not None:
        return move_of(done), False
    held = connection.scalar(
        sa.select(sa.func.count()).where(
            alias_moves.c.workspace == WORKSPACE, alias_moves.c.to_version == version.version, *of
        )
    )
    change = f"moving {version.model}@{alias}"
    if not held:
        raise NotAuthorized(change, f"version {version.version} never held it")
    before = _before_moving(connection, version, alias, authorization)
    added = connection.execute(
        insert_or_ignore(connection, authorizations),
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
    if added.rowcount != 1:
        raise NotAuthorized(change, "its authorization is on record for another change")
    failpoint("rollback.authorized")
    if agreed:
        before = replace(before, protection=None)
    return _swap(connection, before, alias, authorization, expected_generation, actor, held_before=True), True


@dataclass(frozen=True)
class _Before:
    """A version, where an alias points before it is moved there, and what decides whether it may be.

    `given` is what `check_covers` looks at, and `done` the generation of the move that the authorization has made.
    """

    target: ModelVersion
    current: Alias | None
    protection: AliasProtection | None
    last_check: LoadCheck | None
    given: Row
    done: int | None


def _before_moving(
    connection: sa.Connection, version: ModelVersion, alias: str, authorization: Authorization
) -> _Before:
    """Return what there is before a move; `NotFound` without the version."""
    model, number = version.model, version.version
    asked = {"of_model": model, "of_version": number, "of_alias": alias, "given": authorization.authorization_id}
    row = connection.execute(_BEFORE_MOVING, asked).mappings().first()
    if row is None:
        raise NotFound("model version", version.uri)
    current = None
    if row["at_version"] is not None:
        current = Alias(model, alias, row["at_version"], row["at_generation"], time_of(row["at_moved_ms"]))
    protection = None if row["p_number"] is None else protection_of(row, "p_")
    last_check = None if row["c_number"] is None else check_of(row, "c_")
    return _Before(version_of(row), current, protection, last_check, row, row["done_generation"])


def _swap(
    connection: sa.Connection,
    before: _Before,
    alias: str,
    authorization: Authorization,
    expected_generation: int,
    actor: Mapping[str, Any],
    *,
    held_before: bool = False,
) -> AliasMove:
    """Record the move and make it, if the alias's generation is as expected; `Conflict` naming who won if not."""
    version, current = before.target, before.current
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
    change = f"moving {version.model}@{alias}"
    if before.protection is not None:
        before.protection.check_move(change, authorization.kind, actor)
    check_may_be_pointed_to(version, before.last_check, change, held_before=held_before)
    # Never before the move before it, whatever the clock did: as-of reads moves by their times.
    time_ms = now_ms(connection) if current is None else max(now_ms(connection), ms_of(current.moved_at))
    key = {"workspace": WORKSPACE, "model": version.model, "alias": alias}
    moved = {"authorization_id": authorization.authorization_id, "moved_ms": time_ms}
    connection.execute(
        _INSERT_MOVE,
        {
            **key,
            **moved,
            "generation": generation + 1,
            "from_version": None if current is None else current.version,
            "to_version": version.version,
            "actor": canonical_json(actor),
        },
    )
    failpoint("alias.recorded")
    pointing = {**moved, "version": version.version, "generation": generation + 1}
    if current is None:
        connection.execute(_INSERT_ALIAS, {**key, **pointing})
    else:
        here = {"of_model": version.model, "of_alias": alias, "at_generation": generation}
        swapped = connection.execute(_SWAP, {**here, **pointing})
        if swapped.rowcount != 1:
            raise Conflict("alias", f"{version.model}@{alias}", f"generation {generation}", "a newer one")
    failpoint("alias.moved")
    came, to, at = None if current is None else current.version, version.version, time_of(time_ms)
    return AliasMove(version.model, alias, came, to, generation + 1, authorization, at, dict(actor))


def find_aliased(connection: sa.Connection, model: str, alias: str) -> tuple[Alias, ModelVersion] | None:
    """Return where an alias points and the version there; None if it was never set."""
    row = connection.execute(_ALIASED, {"of_model": model, "of_alias": alias}).mappings().first()
    if row is None:
        return None
    pointing = Alias(model, alias, row["version"], row["at_generation"], time_of(row["at_moved_ms"]))
    return pointing, version_of(row)


def get_move(connection: sa.Connection, model: str, alias: str, generation: int) -> AliasMove:
    """Return the move that gave an alias this generation."""
    key = {"workspace": WORKSPACE, "model": model, "alias": alias, "generation": generation}
    here = (alias_moves.c[name] == value for name, value in key.items())
    return move_of(connection.execute(_MOVES.where(*here)).mappings().one())


def list_moves(
    connection: sa.Connection, model: str, alias: str | None = None, limit: int | None = None
) -> Sequence[AliasMove]:
    """Return a model's alias moves, or one alias's, oldest first; with `limit` the last ones only."""
    query = _MOVES.where(alias_moves.c.workspace == WORKSPACE, alias_moves.c.model == model)
    if alias is not None:
        query = query.where(alias_moves.c.alias == alias)
    by_time = (alias_moves.c.moved_ms.desc(), alias_moves.c.alias.desc(), alias_moves.c.generation.desc())
    rows = connection.execute(query.order_by(*by_time).limit(limit)).mappings()
    return [move_of(row) for row in rows][::-1]


def find_move_at(connection: sa.Connection, model: str, alias: str, time_ms: int) -> AliasMove | None:
    """Return the move that put an alias where it pointed at a time; None if it was not set yet."""
    here = (alias_moves.c.workspace == WORKSPACE, alias_moves.c.model == model, alias_moves.c.alias == alias)
    query = _MOVES.where(*here, alias_moves.c.moved_ms <= time_ms)
    newest = (alias_moves.c.moved_ms.desc(), alias_moves.c.generation.desc())
    row = connection.execute(query.order_by(*newest).limit(1)).mappings().first()
    return None if row is None else move_of(row)
