"""What stays and what goes: retention policies, bytes about to be deleted, ungated models, probations."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_NAME = sa.String(length=250).with_variant(sa.String(length=250, collation="C"), "postgresql")
_ALIAS_MOVE = ("workspace", "model", "alias", "generation")

_APPEND_ONLY = {
    "gate_declarations": "declarations of gating are append-only",
    "probation_judgements": "judgements of a probation are append-only",
}
# What is referred to keeps its bytes, whatever a collector believes.
_REFUSALS = (
    (
        "runs",
        "UPDATE",
        """NEW.lifecycle_stage = 'purged' AND OLD.lifecycle_stage <> 'purged'
        AND (EXISTS (SELECT 1 FROM model_versions v WHERE v.run_id = NEW.run_id)
            OR EXISTS (SELECT 1 FROM decisions d WHERE d.run_id = NEW.run_id))""",
        "a version or a decision refers to this run",
    ),
    (
        "runs",
        "UPDATE",
        "OLD.lifecycle_stage = 'purged' AND NEW.lifecycle_stage <> 'purged'",
        "what was purged does not come back",
    ),
    (
        "model_files",
        "DELETE",
        "EXISTS (SELECT 1 FROM model_versions v WHERE v.model_id = OLD.model_id)",
        "a version refers to these files",
    ),
)


def _guard_sqlite() -> None:
    for table, refusal in _APPEND_ONLY.items():
        for change in ("UPDATE", "DELETE"):
            op.execute(f"""CREATE TRIGGER {table}_append_only_{change.lower()} BEFORE {change} ON {table}
                BEGIN SELECT RAISE(ABORT, '{refusal}'); END""")
    for number, (table, change, wrong, refusal) in enumerate(_REFUSALS):
        op.execute(f"""CREATE TRIGGER {table}_kept_{number} BEFORE {change} ON {table}
            WHEN {wrong} BEGIN SELECT RAISE(ABORT, '{refusal}'); END""")


def _guard_postgresql() -> None:
    for table, refusal in _APPEND_ONLY.items():
        op.execute(f"""CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION penstock_append_only('{refusal}')""")
    for number, (table, change, wrong, refusal) in enumerate(_REFUSALS):
        row = "OLD" if change == "DELETE" else "NEW"
        op.execute(f"""CREATE FUNCTION penstock_kept_{number}() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
            IF {wrong} THEN
                RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = '{refusal}';
            END IF;
            RETURN {row}; END$$""")
        op.execute(f"""CREATE TRIGGER {table}_kept_{number} BEFORE {change} ON {table}
            FOR EACH ROW EXECUTE FUNCTION penstock_kept_{number}()""")


def _of_alias_move() -> list[sa.Column[object]]:
    return [
        sa.Column("workspace", _NAME, nullable=False),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("alias", _NAME, nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
    ]


def upgrade() -> None:
    """Create the tables and triggers."""
    op.create_table(
        "retention_policies",
        sa.Column("workspace", _NAME, nullable=False),
        sa.Column("experiment", _NAME, nullable=False),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("keep_last", sa.Integer(), nullable=True),
        sa.Column("keep_days", sa.Float(precision=53), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("set_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "experiment", "model", name=op.f("pk_retention_policies")),
    )
    op.create_table(
        "condemned_blobs",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("sweep", sa.String(length=32), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('condemned', 'sweeping', 'swept')", name=op.f("ck_condemned_blobs_known_state")),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_condemned_blobs")),
    )
    op.create_table(
        "collectors",
        sa.Column("name", _NAME, nullable=False),
        sa.Column("claim", sa.String(length=32), nullable=False),
        sa.Column("claimed_until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_collectors")),
    )
    op.create_table(
        "gate_declarations",
        sa.Column("workspace", _NAME, nullable=False),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("gated", sa.Boolean(), nullable=False),
        sa.Column("authorization_id", sa.String(length=32), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("declared_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["authorization_id"],
            ["authorizations.authorization_id"],
            name=op.f("fk_gate_declarations_authorization_id"),
        ),
        sa.CheckConstraint(
            "gated = (authorization_id IS NULL)", name=op.f("ck_gate_declarations_ungated_is_authorized")
        ),
        sa.PrimaryKeyConstraint("workspace", "model", "number", name=op.f("pk_gate_declarations")),
    )
    op.create_table(
        "probations",
        *_of_alias_move(),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("started_ms", sa.BigInteger(), nullable=False),
        sa.Column("ends_ms", sa.BigInteger(), nullable=True),
        sa.Column("ended_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["workspace", "model"],
            ["registered_models.workspace", "registered_models.name"],
            name=op.f("fk_probations_workspace_model"),
        ),
        sa.CheckConstraint(
            "state IN ('open', 'passed', 'failed', 'superseded')", name=op.f("ck_probations_known_state")
        ),
        sa.CheckConstraint("(state = 'open') = (ended_ms IS NULL)", name=op.f("ck_probations_ended_with_state")),
        sa.PrimaryKeyConstraint(*_ALIAS_MOVE, name=op.f("pk_probations")),
    )
    op.create_table(
        "probation_judgements",
        *_of_alias_move(),
        sa.Column("evaluation_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("judged_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["evaluation_id"], ["evaluations.evaluation_id"], name=op.f("fk_probation_judgements_evaluation_id")
        ),
        sa.ForeignKeyConstraint(
            list(_ALIAS_MOVE),
            [f"probations.{name}" for name in _ALIAS_MOVE],
            name=op.f("fk_probation_judgements_workspace_model_alias_generation"),
        ),
        sa.PrimaryKeyConstraint(*_ALIAS_MOVE, "evaluation_id", name=op.f("pk_probation_judgements")),
    )
    op.create_index(op.f("ix_probation_judgements_evaluation_id"), "probation_judgements", ["evaluation_id"])
    op.add_column("deleted_models", sa.Column("purged_ms", sa.BigInteger(), nullable=True))
    guard = {"sqlite": _guard_sqlite, "postgresql": _guard_postgresql}
    guard[op.get_bind().dialect.name]()
