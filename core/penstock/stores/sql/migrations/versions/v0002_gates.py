"""What gates keep beside decisions: looks, approvals, overrides, anchors."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_NAME = sa.String(length=250).with_variant(sa.String(length=250, collation="C"), "postgresql")

_APPEND_ONLY = {
    "looks": "looks are append-only",
    "set_looks": "looks are append-only",
    "approval_requests": "approval requests are append-only",
    "approval_answers": "approval answers are append-only",
    "overrides": "overrides are append-only",
    "anchors": "anchors are append-only",
}


def _guard_sqlite() -> None:
    for table, refusal in _APPEND_ONLY.items():
        for change in ("UPDATE", "DELETE"):
            op.execute(f"""CREATE TRIGGER {table}_append_only_{change.lower()} BEFORE {change} ON {table}
                BEGIN SELECT RAISE(ABORT, '{refusal}'); END""")


def _guard_postgresql() -> None:
    # penstock_append_only() is there since revision 0001.
    for table, refusal in _APPEND_ONLY.items():
        op.execute(f"""CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION penstock_append_only('{refusal}')""")


def upgrade() -> None:
    """Create the tables and triggers."""
    op.create_table(
        "looks",
        sa.Column("workspace", _NAME, nullable=False),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("question", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("set_number", sa.Integer(), nullable=False),
        sa.Column("evaluation_id", sa.String(length=32), nullable=False),
        sa.Column("policy_digest", sa.String(length=64), nullable=False),
        sa.Column("data_digest", _NAME, nullable=False),
        sa.Column("verdict", sa.String(length=20), nullable=False),
        sa.Column("alpha", sa.Float(precision=53), nullable=True),
        sa.Column("decision_id", sa.String(length=32), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("(kind = 'decision') = (decision_id IS NOT NULL)", name=op.f("ck_looks_decision_named")),
        sa.ForeignKeyConstraint(["evaluation_id"], ["evaluations.evaluation_id"], name=op.f("fk_looks_evaluation_id")),
        sa.ForeignKeyConstraint(["decision_id"], ["decisions.decision_id"], name=op.f("fk_looks_decision_id")),
        sa.PrimaryKeyConstraint("workspace", "model", "sequence", name=op.f("pk_looks")),
        sa.UniqueConstraint("decision_id", name=op.f("uq_looks_decision_id")),
    )
    op.create_table(
        "set_looks",
        sa.Column("workspace", _NAME, nullable=False),
        sa.Column("data_digest", _NAME, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("question", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "data_digest", "number", name=op.f("pk_set_looks")),
        sa.UniqueConstraint(
            "workspace", "data_digest", "question", name=op.f("uq_set_looks_workspace_data_digest_question")
        ),
    )
    op.create_table(
        "approval_requests",
        sa.Column("request_id", sa.String(length=32), nullable=False),
        sa.Column("workspace", _NAME, nullable=False),
        sa.Column("decision_id", sa.String(length=32), nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("step", _NAME, nullable=False),
        sa.Column("map_index", sa.Integer(), nullable=False),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("alias", _NAME, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("asked_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.decision_id"], name=op.f("fk_approval_requests_decision_id")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=op.f("fk_approval_requests_run_id")),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_approval_requests")),
    )
    op.create_index(op.f("ix_approval_requests_model"), "approval_requests", ["model"])
    op.create_table(
        "approval_answers",
        sa.Column("request_id", sa.String(length=32), nullable=False),
        sa.Column("answer", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("answered_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("answer IN ('approve', 'reject')", name=op.f("ck_approval_answers_answer_known")),
        sa.ForeignKeyConstraint(
            ["request_id"], ["approval_requests.request_id"], name=op.f("fk_approval_answers_request_id")
        ),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_approval_answers")),
    )
    op.create_table(
        "overrides",
        sa.Column("authorization_id", sa.String(length=32), nullable=False),
        sa.Column("workspace", _NAME, nullable=False),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("payload_digest", sa.String(length=64), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["authorization_id"], ["authorizations.authorization_id"], name=op.f("fk_overrides_authorization_id")
        ),
        sa.PrimaryKeyConstraint("authorization_id", name=op.f("pk_overrides")),
    )
    op.create_index(op.f("ix_overrides_model"), "overrides", ["model"])
    op.create_table(
        "anchors",
        sa.Column("workspace", _NAME, nullable=False),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("payload_digest", sa.String(length=64), nullable=False),
        sa.Column("decision_id", sa.String(length=32), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("set_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["decision_id"], ["decisions.decision_id"], name=op.f("fk_anchors_decision_id")),
        sa.ForeignKeyConstraint(
            ["workspace", "model", "version"],
            ["model_versions.workspace", "model_versions.model", "model_versions.version"],
            name=op.f("fk_anchors_workspace_model_version"),
        ),
        sa.PrimaryKeyConstraint("workspace", "model", "sequence", name=op.f("pk_anchors")),
    )
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgresql()
    else:
        _guard_sqlite()
