"""Overrides, which are authorizations by a person for a time, and anchors."""

from __future__ import annotations

import json
from collections.abc import Sequence

import sqlalchemy as sa

from penstock.errors import Conflict, NotFound
from penstock.model.canonical import canonical_json
from penstock.model.ids import WORKSPACE
from penstock.model.overrides import Anchor, Override
from penstock.model.versions import AuthorizationKind
from penstock.stores.sql.dialects import insert_or_ignore, now_ms
from penstock.stores.sql.rows import Row, time_of
from penstock.stores.sql.tables import alias_moves, authorizations, model_versions
from penstock.stores.sql.tables.gates import anchors, overrides


def add(connection: sa.Connection, override: Override, time_ms: int) -> bool:
    """Record an override, whose time begins at `time_ms`, and the authorization it is; say whether it is new."""
    added = connection.execute(
        insert_or_ignore(connection, authorizations),
        {
            "authorization_id": override.override_id,
            "workspace": WORKSPACE,
            "kind": AuthorizationKind.OVERRIDE.value,
            "model": override.model,
            "decision_id": None,
            "reason": override.reason,
            "actor": canonical_json(override.actor),
            "created_ms": time_ms,
        },
    )
    if added.rowcount == 1:
        connection.execute(
            sa.insert(overrides),
            {
                "authorization_id": override.override_id,
                "workspace": WORKSPACE,
                "model": override.model,
                "payload_digest": override.payload_digest,
                "document": canonical_json(override.to_json()),
                "created_ms": time_ms,
                "expires_ms": time_ms + int(override.expires_s * 1000),
            },
        )
    return added.rowcount == 1


def find(connection: sa.Connection, override_id: str) -> Override | None:
    """Return an override with what was done under it; None if there is none."""
    row = connection.execute(sa.select(overrides).where(overrides.c.authorization_id == override_id)).mappings().first()
    return None if row is None else _override_of(connection, row)


def get(connection: sa.Connection, override_id: str) -> Override:
    """Return an override; `NotFound` if there is none."""
    found = find(connection, override_id)
    if found is None:
        raise NotFound("override", override_id, "penstock gate overrides shows those there are")
    return found


def of_model(connection: sa.Connection, model: str | None) -> Sequence[Override]:
    """Return overrides, oldest first: of one model or all."""
    query = sa.select(overrides).where(overrides.c.workspace == WORKSPACE)
    if model is not None:
        query = query.where(overrides.c.model == model)
    rows = connection.execute(query.order_by(overrides.c.created_ms, overrides.c.authorization_id)).mappings().all()
    return [_override_of(connection, row) for row in rows]


def _override_of(connection: sa.Connection, row: Row) -> Override:
    under = row["authorization_id"]
    version = connection.scalar(sa.select(model_versions.c.version).where(model_versions.c.authorization_id == under))
    moved = connection.scalars(
        sa.select(alias_moves.c.alias).where(alias_moves.c.authorization_id == under).order_by(alias_moves.c.alias)
    ).all()
    return Override.from_json(
        json.loads(row["document"]), version, tuple(moved), time_of(row["created_ms"]), time_of(row["expires_ms"])
    )


def set_anchor(connection: sa.Connection, anchor: Anchor) -> tuple[Anchor, bool]:
    """Set a model's anchor as the number it names; say whether it is new. `Conflict` if the number is taken."""
    last = _last(connection, anchor.model)
    if last is not None and last.version == anchor.version:
        return last, False
    known = sa.select(model_versions.c.version).where(
        model_versions.c.workspace == WORKSPACE,
        model_versions.c.model == anchor.model,
        model_versions.c.version == anchor.version,
    )
    if connection.scalar(known) is None:
        raise NotFound("model version", f"models:/{anchor.model}/{anchor.version}")
    if anchor.sequence == (0 if last is None else last.sequence) + 1:
        added = connection.execute(
            insert_or_ignore(connection, anchors),
            {
                "workspace": WORKSPACE,
                "model": anchor.model,
                "sequence": anchor.sequence,
                "version": anchor.version,
                "payload_digest": anchor.payload_digest,
                "decision_id": anchor.decision_id,
                "reason": anchor.reason,
                "actor": canonical_json(anchor.actor),
                "set_ms": now_ms(connection),
            },
        )
        last = _last(connection, anchor.model)
        if added.rowcount == 1 and last is not None:
            return last, True
    there = "none" if last is None else f"version {last.version} as number {last.sequence}"
    raise Conflict("anchor", anchor.model, f"to set number {anchor.sequence}", there, "Look again, then set it")


def anchors_of(connection: sa.Connection, model: str) -> Sequence[Anchor]:
    """Return a model's anchors, oldest first."""
    query = sa.select(anchors).where(anchors.c.workspace == WORKSPACE, anchors.c.model == model)
    return [_anchor_of(row) for row in connection.execute(query.order_by(anchors.c.sequence)).mappings()]


def _last(connection: sa.Connection, model: str) -> Anchor | None:
    query = sa.select(anchors).where(anchors.c.workspace == WORKSPACE, anchors.c.model == model)
    row = connection.execute(query.order_by(anchors.c.sequence.desc()).limit(1)).mappings().first()
    return None if row is None else _anchor_of(row)


def _anchor_of(row: Row) -> Anchor:
    return Anchor(
        model=row["model"],
        sequence=row["sequence"],
        version=row["version"],
        payload_digest=row["payload_digest"],
        reason=row["reason"],
        actor=json.loads(row["actor"]),
        decision_id=row["decision_id"],
        set_at=time_of(row["set_ms"]),
    )
