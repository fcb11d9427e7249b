"""What is known of a run's inputs beyond their columns' types: profile, time range, hashes of rows, overlap."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add it; nothing is known of inputs logged before."""
    op.add_column("inputs", sa.Column("facts", sa.Text()))
