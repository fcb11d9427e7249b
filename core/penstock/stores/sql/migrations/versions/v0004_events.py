"""What goes out and what is cleared away: webhooks, their cursors and deliveries, probation, retention."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_NAME = sa.String(length=250).with_variant(sa.String(length=250, collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables and triggers."""
    op.create_table(
        "event_cursors",
        sa.Column("workspace", _NAME, nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.Column("saved_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "name", name=op.f("pk_event_cursors")),
    )
    op.create_table(
        "webhooks",
        sa.Column("workspace", _NAME, nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("secret_variable", _NAME, nullable=False),
        sa.Column("kinds", sa.Text(), nullable=False),
        sa.Column("chains", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("claim", sa.String(length=32), nullable=False),
        sa.Column("claimed_until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "name", name=op.f("pk_webhooks")),
    )
    op.create_table(
        "webhook_cursors",
        sa.Column("workspace", _NAME, nullable=False),
        sa.Column("webhook", _NAME, nullable=False),
        sa.Column("chain_kind", sa.String(length=20), nullable=False),
        sa.Column("chain_name", _NAME, nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("next_try_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "webhook", "chain_kind", "chain_name", name=op.f("pk_webhook_cursors")),
        sa.ForeignKeyConstraint(
            ["workspace", "webhook"],
            ["webhooks.workspace", "webhooks.name"],
            name=op.f("fk_webhook_cursors_workspace_webhook"),
        ),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("workspace", _NAME, nullable=False),
        sa.Column("webhook", _NAME, nullable=False),
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("chain_kind", sa.String(length=20), nullable=False),
        sa.Column("chain_name", _NAME, nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "webhook", "event_id", "number", name=op.f("pk_webhook_deliveries")),
        sa.ForeignKeyConstraint(
            ["workspace", "webhook"],
            ["webhooks.workspace", "webhooks.name"],
            name=op.f("fk_webhook_deliveries_workspace_webhook"),
        ),
    )
    op.create_index(op.f("ix_webhook_deliveries_workspace_at_ms"), "webhook_deliveries", ["workspace", "at_ms"])
