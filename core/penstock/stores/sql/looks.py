"""Looks: one row for each decision and each dry run of a model family."""

from __future__ import annotations

import json
from collections.abc import Sequence

import sqlalchemy as sa

from penstock.errors import Conflict
from penstock.model.canonical import canonical_json
from penstock.model.ids import WORKSPACE
from penstock.model.looks import Look, LookKind
from penstock.stores.sql.dialects import insert_or_ignore, now_ms
from penstock.stores.sql.rows import Row, time_of
from penstock.stores.sql.tables.gates import looks, set_looks


def add(connection: sa.Connection, look: Look) -> Look:
    """Record a look; `Conflict` of kind `look` if another has taken its sequence number."""
    added = connection.execute(
        insert_or_ignore(connection, looks),
        {
            "workspace": WORKSPACE,
            "model": look.model,
            "sequence": look.sequence,
            "kind": look.kind.value,
            "question": look.question,
            "number": look.number,
            "set_number": look.set_number,
            "evaluation_id": look.evaluation_id,
            "policy_digest": look.policy_digest,
            "data_digest": look.data_digest,
            "verdict": look.verdict,
            "alpha": look.alpha,
            "decision_id": look.decision_id,
            "actor": canonical_json(look.actor),
            "at_ms": now_ms(connection),
        },
    )
    if added.rowcount != 1:
        raise Conflict("look", look.model, f"number {look.sequence} to be free", "taken by another decision")
    _count_on_set(connection, look)
    here = (looks.c.workspace == WORKSPACE, looks.c.model == look.model, looks.c.sequence == look.sequence)
    return _look_of(connection.execute(sa.select(looks).where(*here)).mappings().one())


def of_family(connection: sa.Connection, model: str) -> Sequence[Look]:
    """Return a model's looks in order."""
    query = sa.select(looks).where(looks.c.workspace == WORKSPACE, looks.c.model == model)
    return [_look_of(row) for row in connection.execute(query.order_by(looks.c.sequence)).mappings()]


def asked_of_set(connection: sa.Connection, data_digest: str) -> Sequence[str]:
    """Return the questions asked of the same rows by any family, in order."""
    query = sa.select(set_looks.c.question).where(
        set_looks.c.workspace == WORKSPACE, set_looks.c.data_digest == data_digest
    )
    return connection.scalars(query.order_by(set_looks.c.number)).all()


def _count_on_set(connection: sa.Connection, look: Look) -> None:
    key = {"workspace": WORKSPACE, "data_digest": look.data_digest}
    asked = {**key, "number": look.set_number, "question": look.question}
    added = connection.execute(insert_or_ignore(connection, set_looks), asked)
    # Ignored is right where this very question was asked before, and wrong where its number belongs to another.
    if added.rowcount != 1 and connection.execute(sa.select(set_looks).filter_by(**asked)).first() is None:
        taken = "taken by another decision"
        raise Conflict("look", look.model, f"number {look.set_number} on these rows to be free", taken)


def _look_of(row: Row) -> Look:
    return Look(
        model=row["model"],
        sequence=row["sequence"],
        kind=LookKind(row["kind"]),
        question=row["question"],
        number=row["number"],
        set_number=row["set_number"],
        evaluation_id=row["evaluation_id"],
        policy_digest=row["policy_digest"],
        data_digest=row["data_digest"],
        verdict=row["verdict"],
        alpha=row["alpha"],
        decision_id=row["decision_id"],
        actor=json.loads(row["actor"]),
        at=time_of(row["at_ms"]),
    )
