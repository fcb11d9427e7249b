"""The hash-chained ledger: appended to inside the transaction of the change it records."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from penstock.failpoints import failpoint
from penstock.model.audit import GENESIS, ChainHead, ChainId, NewEvent, event_hash
from penstock.model.canonical import canonical_json
from penstock.model.ids import WORKSPACE
from penstock.stores.sql.dialects import insert_or_ignore, now_ms, unasked
from penstock.stores.sql.rows import Row
from penstock.stores.sql.tables import ledger, ledger_heads
from penstock.stores.sql.tables.ledger import run_of_entry

# Statements that run in every transaction are built once: building one costs as much as running it.
_CHAIN = ("workspace", "chain_kind", "chain_name")
_HERE = sa.and_(*(ledger_heads.c[name] == sa.bindparam(f"its_{name}") for name in _CHAIN))
_HEAD = sa.select(ledger_heads.c.sequence, ledger_heads.c.hash).where(_HERE).with_for_update()
_MOVE_HEAD = unasked(sa.update(ledger_heads).where(_HERE))
_APPEND = unasked(sa.insert(ledger))


def append(connection: sa.Connection, event: NewEvent, time_ms: int | None = None) -> None:
    """Append an entry to its chain, of this time or of now. Its head row is locked, so that a chain never forks."""
    chain = dict(zip(_CHAIN, (WORKSPACE, event.chain.kind, event.chain.name), strict=True))
    here = {f"its_{name}": value for name, value in chain.items()}
    head = connection.execute(_HEAD, here).first()
    if head is None:
        # Of two writers of a chain's first entry one makes this head of nothing, and the other waits for it here.
        connection.execute(insert_or_ignore(connection, ledger_heads), {**chain, "sequence": 0, "hash": GENESIS})
        head = connection.execute(_HEAD, here).one()
    sequence, previous = head.sequence + 1, head.hash
    time_ms = now_ms(connection) if time_ms is None else time_ms
    hashed = event_hash(event, sequence, time_ms, previous)
    row = {
        **chain,
        "sequence": sequence,
        "hash": hashed,
        "kind": event.kind,
        "subject": canonical_json(event.subject),
        "actor": canonical_json(event.actor),
        "why": event.why,
        "before": canonical_json(event.before),
        "after": canonical_json(event.after),
        "time_ms": time_ms,
        "previous_hash": previous,
    }
    connection.execute(_APPEND, row)
    failpoint("ledger.entry")
    connection.execute(_MOVE_HEAD, {**here, "sequence": sequence, "hash": hashed})
    failpoint("ledger.head")


def page(connection: sa.Connection, chain: ChainId | None, after: Row | None, limit: int) -> Sequence[Row]:
    """Return the rows of at most `limit` entries after the given one, in the order of their chains."""
    key = (ledger.c.chain_kind, ledger.c.chain_name, ledger.c.sequence)
    query = sa.select(ledger).where(ledger.c.workspace == WORKSPACE).order_by(*key)
    if chain is not None:
        query = query.where(ledger.c.chain_kind == chain.kind, ledger.c.chain_name == chain.name)
    if after is not None:
        query = query.where(sa.tuple_(*key) > tuple(after[column.name] for column in key))
    return connection.execute(query.limit(limit)).mappings().all()


def authors(connection: sa.Connection, run_id: str) -> Sequence[Mapping[str, Any]]:
    """Return who opened or reopened a run or evaluated in it, each actor once, in the order of the ledger.

    They are found by the index on the run that an entry is about, however long the chain of its experiment is.
    """
    made = ("run_opened", "run_reopened", "evaluation_recorded")
    query = (
        sa.select(ledger.c.actor)
        .where(run_of_entry() == run_id, ledger.c.subject.endswith(f'"run_id":"{run_id}"}}', autoescape=True))
        .where(ledger.c.kind.in_(made))
        .order_by(ledger.c.sequence)
    )
    return [json.loads(actor) for actor in dict.fromkeys(connection.scalars(query))]


def heads(connection: sa.Connection) -> Sequence[ChainHead]:
    """Return where each chain ends."""
    query = sa.select(ledger_heads).where(ledger_heads.c.workspace == WORKSPACE)
    rows = connection.execute(query.order_by(ledger_heads.c.chain_kind, ledger_heads.c.chain_name))
    return [ChainHead(ChainId(row.chain_kind, row.chain_name), row.sequence, row.hash) for row in rows]
