"""A run's entries in the ledger are found by an index, however long the chain of its experiment is."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add it: an entry about a run ends its subject with the run's id, 32 characters before the closing quote."""
    op.create_index(op.f("ix_ledger_of_run"), "ledger", [sa.text("substr(subject, length(subject) - 33, 32)")])
