"""Webhooks in SQL: claims, cursors, the log of tries."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from penstock.errors import Conflict, NotFound
from penstock.model.audit import AuditEvent, ChainId
from penstock.model.canonical import canonical_json
from penstock.model.ids import WORKSPACE
from penstock.model.webhooks import Answer, Delivery, DeliveryState, Due, Webhook, state_after, wait_s
from penstock.stores.sql.dialects import insert_or_ignore, insert_or_replace, now_ms
from penstock.stores.sql.rows import event_of, time_of
from penstock.stores.sql.tables import (
    event_cursors,
    ledger,
    ledger_heads,
    webhook_cursors,
    webhook_deliveries,
    webhooks,
)

_CURSOR_KEYS = ("workspace", "webhook", "chain_kind", "chain_name")


def entries(connection: sa.Connection, chain: ChainId, after: int, limit: int) -> Sequence[AuditEvent]:
    """Return a chain's entries after a sequence number."""
    query = (
        sa.select(ledger)
        .where(ledger.c.workspace == WORKSPACE, ledger.c.chain_kind == chain.kind, ledger.c.chain_name == chain.name)
        .where(ledger.c.sequence > after)
        .order_by(ledger.c.sequence)
        .limit(limit)
    )
    return [event_of(row) for row in connection.execute(query).mappings()]


def load_cursor(connection: sa.Connection, name: str) -> Mapping[str, int] | None:
    """Return where a follower had come."""
    here = (event_cursors.c.workspace == WORKSPACE, event_cursors.c.name == name)
    found = connection.scalar(sa.select(event_cursors.c.cursor).where(*here))
    return None if found is None else dict(json.loads(found))


def save_cursor(connection: sa.Connection, name: str, cursor: Mapping[str, int]) -> None:
    """Remember where a follower has come."""
    row = {"workspace": WORKSPACE, "name": name, "cursor": canonical_json(cursor), "saved_ms": now_ms(connection)}
    connection.execute(insert_or_replace(connection, event_cursors, ("workspace", "name")), row)


def add(connection: sa.Connection, webhook: Webhook) -> Webhook:
    """Add a webhook with its cursors at the end of every chain there is."""
    row = {
        "workspace": WORKSPACE,
        "name": webhook.name,
        "target": webhook.target,
        "secret_variable": webhook.secret_variable,
        "kinds": canonical_json(list(webhook.kinds)),
        "chains": canonical_json(list(webhook.chains)),
        "created_by": canonical_json(webhook.created_by),
        "created_ms": now_ms(connection),
        "claim": "",
        "claimed_until_ms": 0,
    }
    if connection.execute(insert_or_ignore(connection, webhooks), row).rowcount:
        heads = sa.select(
            ledger_heads.c.workspace,
            sa.literal(webhook.name),
            ledger_heads.c.chain_kind,
            ledger_heads.c.chain_name,
            ledger_heads.c.sequence,
            sa.literal(0),
            sa.literal(0),
        ).where(ledger_heads.c.workspace == WORKSPACE)
        columns = [*_CURSOR_KEYS, "sequence", "failures", "next_try_ms"]
        connection.execute(sa.insert(webhook_cursors).from_select(columns, heads))
    stored = get(connection, webhook.name)
    if _meaning(stored) != _meaning(webhook):
        hint = "Remove it first, or give the new one another name"
        raise Conflict("webhook", webhook.name, "the same webhook", f"one that goes to {stored.target}", hint)
    return stored


def get(connection: sa.Connection, name: str) -> Webhook:
    """Return a webhook; `NotFound` if there is none."""
    row = connection.execute(sa.select(webhooks).where(*_here(name))).mappings().first()
    if row is None:
        raise NotFound("webhook", name, "penstock events webhooks list shows those there are")
    return _webhook_of(row)


def remove(connection: sa.Connection, name: str) -> None:
    """Remove a webhook with its cursors and its log."""
    get(connection, name)
    for table in (webhook_deliveries, webhook_cursors):
        connection.execute(sa.delete(table).where(table.c.workspace == WORKSPACE, table.c.webhook == name))
    connection.execute(sa.delete(webhooks).where(*_here(name)))


def every(connection: sa.Connection) -> Sequence[Webhook]:
    """Return the webhooks by name."""
    query = sa.select(webhooks).where(webhooks.c.workspace == WORKSPACE).order_by(webhooks.c.name)
    return [_webhook_of(row) for row in connection.execute(query).mappings()]


def claim(connection: sa.Connection, name: str, token: str, lease_s: float) -> bool:
    """Take or extend the right to deliver."""
    now = now_ms(connection)
    free = sa.or_(webhooks.c.claim == token, webhooks.c.claimed_until_ms < now)
    values = {"claim": token, "claimed_until_ms": now + round(lease_s * 1000)}
    return bool(connection.execute(sa.update(webhooks).where(*_here(name), free).values(values)).rowcount)


def release(connection: sa.Connection, name: str, token: str) -> None:
    """Give the right to deliver back."""
    mine = sa.update(webhooks).where(*_here(name), webhooks.c.claim == token)
    connection.execute(mine.values(claim="", claimed_until_ms=0))


def due(connection: sa.Connection, name: str, limit: int) -> Sequence[Due]:
    """Return chains that have grown past the webhook's cursor and need not wait."""
    here = sa.and_(
        webhook_cursors.c.workspace == ledger_heads.c.workspace,
        webhook_cursors.c.webhook == name,
        webhook_cursors.c.chain_kind == ledger_heads.c.chain_kind,
        webhook_cursors.c.chain_name == ledger_heads.c.chain_name,
    )
    told = sa.func.coalesce(webhook_cursors.c.sequence, 0)
    waits_until = sa.func.coalesce(webhook_cursors.c.next_try_ms, 0)
    query = (
        sa.select(
            ledger_heads.c.chain_kind,
            ledger_heads.c.chain_name,
            told.label("told"),
            sa.func.coalesce(webhook_cursors.c.failures, 0).label("failures"),
        )
        .select_from(ledger_heads.outerjoin(webhook_cursors, here))
        .where(ledger_heads.c.workspace == WORKSPACE, ledger_heads.c.sequence > told)
        .where(waits_until <= now_ms(connection))
        .order_by(waits_until, ledger_heads.c.chain_kind, ledger_heads.c.chain_name)
        .limit(limit)
    )
    return [Due(ChainId(r.chain_kind, r.chain_name), r.told, r.failures) for r in connection.execute(query)]


def skip(connection: sa.Connection, name: str, token: str, chain: ChainId, sequence: int) -> bool:
    """Move a cursor over entries nobody wants."""
    if not _holds(connection, name, token):
        return False
    _move_cursor(connection, name, chain, sequence, 0, 0)
    return True


def record(
    connection: sa.Connection, name: str, token: str, entry: AuditEvent, answer: Answer, duration_ms: int
) -> Delivery | None:
    """Log a try and move the cursor, or make the chain wait."""
    if not _holds(connection, name, token):
        return None
    now = now_ms(connection)
    of_event = (
        webhook_deliveries.c.workspace == WORKSPACE,
        webhook_deliveries.c.webhook == name,
        webhook_deliveries.c.event_id == entry.hash,
    )
    number = 1 + (connection.scalar(sa.select(sa.func.max(webhook_deliveries.c.number)).where(*of_event)) or 0)
    state = state_after(answer, number)
    delivery = Delivery(
        name, entry.hash, entry.chain, entry.sequence, number, state, answer.status, answer.error, duration_ms
    )
    connection.execute(
        sa.insert(webhook_deliveries),
        {
            "workspace": WORKSPACE,
            "webhook": name,
            "event_id": entry.hash,
            "number": number,
            "chain_kind": entry.chain.kind,
            "chain_name": entry.chain.name,
            "sequence": entry.sequence,
            "state": state.value,
            "status": answer.status,
            "error": answer.error,
            "duration_ms": duration_ms,
            "at_ms": now,
        },
    )
    if state is DeliveryState.FAILED:
        _move_cursor(connection, name, entry.chain, entry.sequence - 1, number, now + round(wait_s(number) * 1000))
    else:
        _move_cursor(connection, name, entry.chain, entry.sequence, 0, 0)
    return Delivery(**{**delivery.__dict__, "at": time_of(now)})


def deliveries(connection: sa.Connection, name: str | None, limit: int) -> Sequence[Delivery]:
    """Return tries, newest first."""
    table = webhook_deliveries
    query = sa.select(table).where(table.c.workspace == WORKSPACE)
    if name is not None:
        query = query.where(table.c.webhook == name)
    order = (table.c.at_ms.desc(), table.c.webhook, table.c.chain_kind, table.c.chain_name, table.c.sequence.desc())
    rows = connection.execute(query.order_by(*order, table.c.number.desc()).limit(limit))
    return [
        Delivery(
            row.webhook,
            row.event_id,
            ChainId(row.chain_kind, row.chain_name),
            row.sequence,
            row.number,
            DeliveryState(row.state),
            row.status,
            row.error,
            row.duration_ms,
            time_of(row.at_ms),
        )
        for row in rows
    ]


def _here(name: str) -> tuple[sa.ColumnElement[bool], ...]:
    return webhooks.c.workspace == WORKSPACE, webhooks.c.name == name


def _holds(connection: sa.Connection, name: str, token: str) -> bool:
    """Whether the claim is still this token's; the row stays locked, so that it remains so until the commit."""
    held = sa.select(webhooks.c.claim).where(*_here(name)).with_for_update()
    return connection.scalar(held) == token


def _move_cursor(
    connection: sa.Connection, name: str, chain: ChainId, sequence: int, failures: int, next_try_ms: int
) -> None:
    row = {
        "workspace": WORKSPACE,
        "webhook": name,
        "chain_kind": chain.kind,
        "chain_name": chain.name,
        "sequence": sequence,
        "failures": failures,
        "next_try_ms": next_try_ms,
    }
    connection.execute(insert_or_replace(connection, webhook_cursors, _CURSOR_KEYS), row)


def _meaning(webhook: Webhook) -> tuple[Any, ...]:
    return webhook.target, webhook.secret_variable, webhook.kinds, webhook.chains


def _webhook_of(row: Mapping[Any, Any]) -> Webhook:
    return Webhook(
        row["name"],
        row["target"],
        row["secret_variable"],
        tuple(json.loads(row["kinds"])),
        tuple(json.loads(row["chains"])),
        json.loads(row["created_by"]),
        time_of(row["created_ms"]),
    )
