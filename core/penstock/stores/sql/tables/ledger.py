"""The ledger and where its chains end."""

from __future__ import annotations

from sqlalchemy import Column, ColumnElement, Index, Integer, PrimaryKeyConstraint, String, Table, Text, func, text

from penstock.stores.sql.tables.base import DIGEST, NAME, metadata, ms, workspace

ledger = Table(
    "ledger",
    metadata,
    workspace(),
    Column("chain_kind", String(20), nullable=False),
    Column("chain_name", NAME, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("subject", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    ms("time_ms"),
    Column("previous_hash", DIGEST, nullable=False),
    Column("hash", DIGEST, nullable=False),
    PrimaryKeyConstraint("workspace", "chain_kind", "chain_name", "sequence"),
)


def run_of_entry() -> ColumnElement[str]:
    """Return the run that an entry is about: in canonical JSON `run_id` is the last name in the subjects of runs.

    Of another entry it is some other text of 32 characters, so that whoever looks here compares the whole as well.
    """
    return func.substr(ledger.c.subject, func.length(ledger.c.subject) - text("33"), text("32"))


Index("ix_ledger_of_run", run_of_entry())

ledger_heads = Table(
    "ledger_heads",
    metadata,
    workspace(),
    Column("chain_kind", String(20), nullable=False),
    Column("chain_name", NAME, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("hash", DIGEST, nullable=False),
    PrimaryKeyConstraint("workspace", "chain_kind", "chain_name"),
)
