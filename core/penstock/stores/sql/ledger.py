"""The hash-chained ledger: appended to inside the transaction of the change it records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from penstock.model.audit import GENESIS, AuditEvent, ChainHead, ChainId, NewEvent, event_hash
from penstock.model.canonical import canonical_json
from penstock.model.ids import WORKSPACE
from penstock.stores.sql.dialects import insert_or_ignore, now_ms
from penstock.stores.sql.rows import event_of
from penstock.stores.sql.tables import ledger, ledger_heads


def append(connection: sa.Connection, event: NewEvent) -> None:
    """Append an entry to its chain. The chain's head row is locked, so that a chain never forks."""
    chain = {"workspace": WORKSPACE, "chain_kind": event.chain.kind, "chain_name": event.chain.name}
    here = sa.and_(*(ledger_heads.c[name] == value for name, value in chain.items()))
    locked = sa.select(ledger_heads.c.sequence, ledger_heads.c.hash).where(here).with_for_update()
    head = connection.execute(locked).first()
    if head is None:
        # Of two writers of a chain's first entry one makes this head of nothing, and the other waits for it here.
        connection.execute(insert_or_ignore(connection, ledger_heads), {**chain, "sequence": 0, "hash": GENESIS})
        head = connection.execute(locked).one()
    sequence, previous = head.sequence + 1, head.hash
    time_ms = now_ms(connection)
    hashed = event_hash(event, sequence, time_ms, previous)
    connection.execute(
        sa.insert(ledger),
        {
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
        },
    )
    connection.execute(sa.update(ledger_heads).where(here).values(sequence=sequence, hash=hashed))


def read(connection: sa.Connection, chain: ChainId | None) -> Iterator[AuditEvent]:
    """Yield entries in the order of their chains, without holding them all."""
    query = (
        sa.select(ledger)
        .where(ledger.c.workspace == WORKSPACE)
        .order_by(ledger.c.chain_kind, ledger.c.chain_name, ledger.c.sequence)
    )
    if chain is not None:
        query = query.where(ledger.c.chain_kind == chain.kind, ledger.c.chain_name == chain.name)
    for row in connection.execution_options(yield_per=1000).execute(query).mappings():
        yield event_of(row)


def heads(connection: sa.Connection) -> Sequence[ChainHead]:
    """Return where each chain ends."""
    query = sa.select(ledger_heads).where(ledger_heads.c.workspace == WORKSPACE)
    rows = connection.execute(query.order_by(ledger_heads.c.chain_kind, ledger_heads.c.chain_name))
    return [ChainHead(ChainId(row.chain_kind, row.chain_name), row.sequence, row.hash) for row in rows]
