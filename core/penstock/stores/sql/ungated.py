"""Models let in without a gate: declarations, and the authorizations that follow from them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa

from penstock.errors import Conflict
from penstock.model.canonical import canonical_json
from penstock.model.ids import WORKSPACE
from penstock.model.ungated import GateDeclaration, check_ungated, declared
from penstock.model.versions import Authorization
from penstock.stores.sql import ledger
from penstock.stores.sql.dialects import insert_or_ignore, now_ms
from penstock.stores.sql.rows import Row, time_of
from penstock.stores.sql.tables import authorizations
from penstock.stores.sql.tables.retention import gate_declarations


def find(connection: sa.Connection, model: str) -> GateDeclaration | None:
    """Return the declaration that holds for a model; None for one that nobody has declared anything of."""
    query = sa.select(gate_declarations).filter_by(workspace=WORKSPACE, model=model)
    row = connection.execute(query.order_by(gate_declarations.c.number.desc()).limit(1)).mappings().first()
    return None if row is None else _declaration_of(row)


def every(connection: sa.Connection, model: str | None) -> Sequence[GateDeclaration]:
    """Return every declaration by model and number."""
    query = sa.select(gate_declarations).filter_by(workspace=WORKSPACE)
    if model is not None:
        query = query.filter_by(model=model)
    rows = connection.execute(query.order_by(gate_declarations.c.model, gate_declarations.c.number))
    return [_declaration_of(row) for row in rows.mappings()]


def declare(connection: sa.Connection, new: GateDeclaration) -> GateDeclaration:
    """Record a declaration as a model's next, with its authorization and its event."""
    held = find(connection, new.model)
    authorization = None if new.gated else new.authorization
    if new.number == (0 if held is None else held.number) + 1:
        if authorization is not None:
            _authorize(connection, authorization)
        added = connection.execute(
            insert_or_ignore(connection, gate_declarations),
            {
                "workspace": WORKSPACE,
                "model": new.model,
                "number": new.number,
                "gated": new.gated,
                "authorization_id": None if authorization is None else authorization.authorization_id,
                "reason": new.reason,
                "actor": canonical_json(new.actor),
                "declared_ms": now_ms(connection),
            },
        )
        held = find(connection, new.model)
        if added.rowcount == 1 and held is not None:
            ledger.append(connection, declared(new))
            return held
    there = "none" if held is None else f"number {held.number}, {'gated' if held.gated else 'ungated'}"
    raise Conflict("declaration on model", new.model, f"to make number {new.number}", there, "Look again, then declare")


def allow(connection: sa.Connection, authorization: Authorization, change: str, model: str) -> Authorization:
    """Put an authorization for one change on record and return it, in the name of who declared the model ungated."""
    held = check_ungated(find(connection, model), change)
    given = replace(authorization, model=model, decision_id=None, reason=held.reason, actor=held.actor)
    _authorize(connection, given)
    return given


def _authorize(connection: sa.Connection, authorization: Authorization) -> None:
    connection.execute(
        insert_or_ignore(connection, authorizations),
        {
            "authorization_id": authorization.authorization_id,
            "workspace": WORKSPACE,
            "kind": authorization.kind.value,
            "model": authorization.model,
            "decision_id": None,
            "reason": authorization.reason,
            "actor": canonical_json(authorization.actor),
            "created_ms": now_ms(connection),
        },
    )


def _declaration_of(row: Row) -> GateDeclaration:
    return GateDeclaration(
        model=row["model"],
        number=row["number"],
        gated=row["gated"],
        reason=row["reason"],
        actor=json.loads(row["actor"]),
        declared_at=time_of(row["declared_ms"]),
    )
