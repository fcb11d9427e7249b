"""Indexes that keep lists cheap as a store grows, and the order in which a model was logged last."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add them. The runs' index by experiment alone is the beginning of the new one."""
    op.drop_index(op.f("ix_runs_experiment_id"), "runs")
    op.create_index(
        op.f("ix_runs_experiment_id_started_ms_run_id"), "runs", ["experiment_id", "started_ms", "run_id"], unique=False
    )
    op.create_index(
        op.f("ix_runs_workspace_started_ms_run_id"), "runs", ["workspace", "started_ms", "run_id"], unique=False
    )
    op.create_index(op.f("ix_runs_workspace_status"), "runs", ["workspace", "status"], unique=False)
    for table in ("model_files", "run_artifacts"):
        op.create_index(op.f(f"ix_{table}_sha256"), table, ["sha256"], unique=False)
    op.add_column("logged_models", sa.Column("logged_ms", sa.BigInteger(), server_default="0", nullable=False))
    op.execute("UPDATE logged_models SET logged_ms = created_ms")
