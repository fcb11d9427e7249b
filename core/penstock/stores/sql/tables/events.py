"""Who follows the ledger and how far: followers, webhooks and every try. The outbox itself is the ledger."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKeyConstraint, Index, Integer, PrimaryKeyConstraint, String, Table, Text

from penstock.stores.sql.tables.base import DIGEST, NAME, metadata, ms, workspace

event_cursors = Table(
    "event_cursors",
    metadata,
    workspace(),
    Column("name", NAME, nullable=False),
    Column("cursor", Text, nullable=False),
    ms("saved_ms"),
    PrimaryKeyConstraint("workspace", "name"),
)

webhooks = Table(
    "webhooks",
    metadata,
    workspace(),
    Column("name", NAME, nullable=False),
    Column("target", Text, nullable=False),
    Column("secret_variable", NAME, nullable=False),
    Column("kinds", Text, nullable=False),
    Column("chains", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    ms("created_ms"),
    Column("claim", String(32), nullable=False),
    ms("claimed_until_ms"),
    PrimaryKeyConstraint("workspace", "name"),
)

webhook_cursors = Table(
    "webhook_cursors",
    metadata,
    workspace(),
    Column("webhook", NAME, nullable=False),
    Column("chain_kind", String(20), nullable=False),
    Column("chain_name", NAME, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    ms("next_try_ms"),
    PrimaryKeyConstraint("workspace", "webhook", "chain_kind", "chain_name"),
    ForeignKeyConstraint(["workspace", "webhook"], ["webhooks.workspace", "webhooks.name"]),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    workspace(),
    Column("webhook", NAME, nullable=False),
    Column("event_id", DIGEST, nullable=False),
    Column("number", Integer, nullable=False),
    Column("chain_kind", String(20), nullable=False),
    Column("chain_name", NAME, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("status", Integer),
    Column("error", Text, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    ms("at_ms"),
    PrimaryKeyConstraint("workspace", "webhook", "event_id", "number"),
    ForeignKeyConstraint(["workspace", "webhook"], ["webhooks.workspace", "webhooks.name"]),
    Index(None, "workspace", "at_ms"),
)
