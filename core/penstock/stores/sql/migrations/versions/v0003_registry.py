"""What the registry keeps beside versions and aliases: load checks, states, protection, notes, who moved an alias."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_NAME = sa.String(length=250).with_variant(sa.String(length=250, collation="C"), "postgresql")
_VERSION = ("workspace", "model", "version")

# The database itself refuses what no code of ours does: changing versions or checks, pointing an alias to what was
# deleted or does not load, deleting what is referred to.
_APPEND_ONLY = {
    "model_versions": "versions are immutable",
    "load_checks": "load checks are append-only",
    "alias_protections": "changes of protection are append-only",
}
# Table and change, what is wrong with the row, and what is said.
_POINTED_TO = """NEW.state <> 'active' AND EXISTS (SELECT 1 FROM aliases a
    WHERE a.workspace = NEW.workspace AND a.model = NEW.model AND a.version = NEW.version)"""
_REFUSALS = (
    (
        "alias_moves",
        "INSERT",
        """EXISTS (SELECT 1 FROM version_states s WHERE s.state <> 'active'
            AND s.workspace = NEW.workspace AND s.model = NEW.model AND s.version = NEW.to_version)""",
        "an archived or deleted version gets no alias",
    ),
    (
        "alias_moves",
        "INSERT",
        """NOT EXISTS (SELECT 1 FROM load_checks c WHERE c.passed
            AND c.workspace = NEW.workspace AND c.model = NEW.model AND c.version = NEW.to_version)
        AND NOT EXISTS (SELECT 1 FROM alias_moves m WHERE m.workspace = NEW.workspace AND m.model = NEW.model
            AND m.alias = NEW.alias AND m.to_version = NEW.to_version)""",
        "an alias is given only to a version that was seen to load",
    ),
    ("version_states", "INSERT", _POINTED_TO, "an alias points to this version"),
    ("version_states", "UPDATE", _POINTED_TO, "an alias points to this version"),
    (
        "deleted_models",
        "INSERT",
        """EXISTS (SELECT 1 FROM model_versions v
            JOIN logged_models l ON l.run_id = v.run_id AND l.model_id = v.model_id WHERE l.model_id = NEW.model_id)
        OR EXISTS (SELECT 1 FROM evaluations e JOIN decisions d ON d.run_id = e.run_id
            AND d.evaluation_id = e.evaluation_id WHERE e.model_id = NEW.model_id)""",
        "a version or a decision refers to this model",
    ),
    (
        "runs",
        "UPDATE",
        """NEW.lifecycle_stage = 'deleted' AND OLD.lifecycle_stage <> 'deleted'
        AND (EXISTS (SELECT 1 FROM model_versions v WHERE v.run_id = NEW.run_id)
            OR EXISTS (SELECT 1 FROM decisions d WHERE d.run_id = NEW.run_id))""",
        "a version or a decision refers to this run",
    ),
)


def _guard_sqlite() -> None:
    for table, refusal in _APPEND_ONLY.items():
        for change in ("UPDATE", "DELETE"):
            op.execute(f"""CREATE TRIGGER {table}_append_only_{change.lower()} BEFORE {change} ON {table}
                BEGIN SELECT RAISE(ABORT, '{refusal}'); END""")
    for number, (table, change, wrong, refusal) in enumerate(_REFUSALS):
        op.execute(f"""CREATE TRIGGER {table}_referred_to_{number} BEFORE {change} ON {table}
            WHEN {wrong} BEGIN SELECT RAISE(ABORT, '{refusal}'); END""")


def _guard_postgresql() -> None:
    for table, refusal in _APPEND_ONLY.items():
        op.execute(f"""CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION penstock_append_only('{refusal}')""")
    for number, (table, change, wrong, refusal) in enumerate(_REFUSALS):
        op.execute(f"""CREATE FUNCTION penstock_referred_to_{number}() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
            IF {wrong} THEN
                RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = '{refusal}';
            END IF;
            RETURN NEW; END$$""")
        op.execute(f"""CREATE TRIGGER {table}_referred_to_{number} BEFORE {change} ON {table}
            FOR EACH ROW EXECUTE FUNCTION penstock_referred_to_{number}()""")


def _of_version(table: str) -> list[sa.Column[object] | sa.ForeignKeyConstraint]:
    return [
        sa.Column("workspace", _NAME, nullable=False),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            list(_VERSION),
            [f"model_versions.{name}" for name in _VERSION],
            name=op.f(f"fk_{table}_workspace_model_version"),
        ),
    ]


def upgrade() -> None:
    """Create the tables and triggers."""
    op.create_table(
        "load_checks",
        *_of_version("load_checks"),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("checked_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "model", "version", "number", name=op.f("pk_load_checks")),
    )
    op.create_table(
        "version_states",
        *_of_version("version_states"),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('active', 'archived', 'deleted')", name=op.f("ck_version_states_known_state")),
        sa.PrimaryKeyConstraint("workspace", "model", "version", name=op.f("pk_version_states")),
    )
    op.create_table(
        "alias_protections",
        sa.Column("workspace", _NAME, nullable=False),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("alias", _NAME, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("actors", sa.Text(), nullable=False),
        sa.Column("lifted", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("set_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "model", "alias", "number", name=op.f("pk_alias_protections")),
    )
    op.create_table(
        "registry_notes",
        sa.Column("workspace", _NAME, nullable=False),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("written_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace", "model"],
            ["registered_models.workspace", "registered_models.name"],
            name=op.f("fk_registry_notes_workspace_model"),
        ),
        sa.PrimaryKeyConstraint("workspace", "model", "version", "name", name=op.f("pk_registry_notes")),
    )
    op.create_table(
        "deleted_models",
        sa.Column("model_id", sa.String(length=34), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("deleted_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["logged_models.model_id"], name=op.f("fk_deleted_models_model_id")),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pk_deleted_models")),
    )
    op.add_column("alias_moves", sa.Column("actor", sa.Text(), nullable=True))
    op.create_index(
        op.f("ix_alias_moves_workspace_model_alias_moved_ms"),
        "alias_moves",
        ["workspace", "model", "alias", "moved_ms"],
        unique=False,
    )
    op.create_index(op.f("ix_inputs_digest"), "inputs", ["digest"], unique=False)
    op.create_index(op.f("ix_evaluations_model_id"), "evaluations", ["model_id"], unique=False)
    guard = {"sqlite": _guard_sqlite, "postgresql": _guard_postgresql}
    guard[op.get_bind().dialect.name]()
