"""The first schema: runs, steps, attempts, models, evaluations, decisions, versions, aliases, ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# The same order of names everywhere: by code point, whatever the locale of a server's database.
_NAME = sa.String(length=250).with_variant(sa.String(length=250, collation="C"), "postgresql")
_PATH = sa.String(length=1000).with_variant(sa.String(length=1000, collation="C"), "postgresql")

# The database itself refuses what no code of ours does: changing the ledger, or moving an alias without a recorded
# and authorized move.
_APPEND_ONLY = {"ledger": "the ledger is append-only", "alias_moves": "alias moves are append-only"}
_ON_RECORD = "an alias moves only with a recorded, authorized move"
_RECORDED = """EXISTS (SELECT 1 FROM alias_moves m WHERE m.workspace = NEW.workspace AND m.model = NEW.model
    AND m.alias = NEW.alias AND m.generation = NEW.generation AND m.to_version = NEW.version
    AND m.authorization_id = NEW.authorization_id)"""


def _guard_sqlite() -> None:
    for table, refusal in _APPEND_ONLY.items():
        for change in ("UPDATE", "DELETE"):
            op.execute(f"""CREATE TRIGGER {table}_append_only_{change.lower()} BEFORE {change} ON {table}
                BEGIN SELECT RAISE(ABORT, '{refusal}'); END""")
    for change, wrong in (("INSERT", ""), ("UPDATE", "NEW.generation <> OLD.generation + 1 OR ")):
        op.execute(f"""CREATE TRIGGER aliases_move_on_record_{change.lower()} BEFORE {change} ON aliases
            WHEN {wrong}NOT {_RECORDED} BEGIN SELECT RAISE(ABORT, '{_ON_RECORD}'); END""")


def _guard_postgresql() -> None:
    refuse = "RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE ="
    op.execute(f"""CREATE FUNCTION penstock_append_only() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN {refuse} TG_ARGV[0]; END$$""")
    for table, refusal in _APPEND_ONLY.items():
        op.execute(f"""CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION penstock_append_only('{refusal}')""")
    op.execute(f"""CREATE FUNCTION penstock_alias_on_record() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
        IF TG_OP = 'UPDATE' THEN
            IF NEW.generation <> OLD.generation + 1 THEN {refuse} '{_ON_RECORD}'; END IF;
        END IF;
        IF NOT {_RECORDED} THEN {refuse} '{_ON_RECORD}'; END IF;
        RETURN NEW; END$$""")
    op.execute("""CREATE TRIGGER aliases_move_on_record BEFORE INSERT OR UPDATE ON aliases
        FOR EACH ROW EXECUTE FUNCTION penstock_alias_on_record()""")


def upgrade() -> None:
    """Create every table and trigger."""
    op.create_table(
        "experiments",
        sa.Column("experiment_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("workspace", _NAME, nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("lifecycle_stage", sa.String(length=20), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("experiment_id", name=op.f("pk_experiments")),
        sa.UniqueConstraint("workspace", "name", name=op.f("uq_experiments_workspace_name")),
    )
    op.create_table(
        "ledger",
        sa.Column("workspace", _NAME, nullable=False),
        sa.Column("chain_kind", sa.String(length=20), nullable=False),
        sa.Column("chain_name", _NAME, nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("time_ms", sa.BigInteger(), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "chain_kind", "chain_name", "sequence", name=op.f("pk_ledger")),
    )
    op.create_table(
        "ledger_heads",
        sa.Column("workspace", _NAME, nullable=False),
        sa.Column("chain_kind", sa.String(length=20), nullable=False),
        sa.Column("chain_name", _NAME, nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "chain_kind", "chain_name", name=op.f("pk_ledger_heads")),
    )
    op.create_table(
        "registered_models",
        sa.Column("workspace", _NAME, nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("last_version", sa.Integer(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "name", name=op.f("pk_registered_models")),
    )
    op.create_table(
        "runs",
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("workspace", _NAME, nullable=False),
        sa.Column("experiment_id", sa.Integer(), nullable=False),
        sa.Column("namespace", _NAME, nullable=False),
        sa.Column("pipeline", _NAME, nullable=False),
        sa.Column("partition", _NAME, nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("parent_run_id", sa.String(length=32), nullable=True),
        sa.Column("logical_date_ms", sa.BigInteger(), nullable=True),
        sa.Column("started_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=True),
        sa.Column("deadline_ms", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("lifecycle_stage", sa.String(length=20), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "(ended_ms IS NULL) = (status IN ('RUNNING', 'SCHEDULED'))", name=op.f("ck_runs_ended_with_status")
        ),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiments.experiment_id"], name=op.f("fk_runs_experiment_id")),
        sa.ForeignKeyConstraint(["parent_run_id"], ["runs.run_id"], name=op.f("fk_runs_parent_run_id")),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_runs")),
        sa.UniqueConstraint(
            "workspace",
            "namespace",
            "pipeline",
            "partition",
            name=op.f("uq_runs_workspace_namespace_pipeline_partition"),
        ),
    )
    op.create_index(op.f("ix_runs_experiment_id"), "runs", ["experiment_id"], unique=False)
    op.create_table(
        "steps",
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("step", _NAME, nullable=False),
        sa.Column("map_index", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("visible_from", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=op.f("fk_steps_run_id")),
        sa.PrimaryKeyConstraint("run_id", "step", "map_index", name=op.f("pk_steps")),
    )
    op.create_table(
        "tags",
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=op.f("fk_tags_run_id")),
        sa.PrimaryKeyConstraint("run_id", "name", name=op.f("pk_tags")),
    )
    op.create_table(
        "attempts",
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("step", _NAME, nullable=False),
        sa.Column("map_index", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("inputs_digest", sa.String(length=64), nullable=False),
        sa.Column("inputs", sa.Text(), nullable=False),
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("started_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=True),
        sa.Column("lease_expires_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["run_id", "step", "map_index"],
            ["steps.run_id", "steps.step", "steps.map_index"],
            name=op.f("fk_attempts_run_id_step_map_index"),
        ),
        sa.PrimaryKeyConstraint("run_id", "step", "map_index", "attempt", name=op.f("pk_attempts")),
    )
    op.create_table(
        "step_results",
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("step", _NAME, nullable=False),
        sa.Column("map_index", sa.Integer(), nullable=False),
        sa.Column("inputs_digest", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id", "step", "map_index"],
            ["steps.run_id", "steps.step", "steps.map_index"],
            name=op.f("fk_step_results_run_id_step_map_index"),
        ),
        sa.PrimaryKeyConstraint("run_id", "step", "map_index", "inputs_digest", name=op.f("pk_step_results")),
    )
    op.create_table(
        "inputs",
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("step", _NAME, nullable=False),
        sa.Column("map_index", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("digest", _NAME, nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("columns", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id", "step", "map_index", "attempt"],
            ["attempts.run_id", "attempts.step", "attempts.map_index", "attempts.attempt"],
            name=op.f("fk_inputs_run_id_step_map_index_attempt"),
        ),
        sa.PrimaryKeyConstraint(
            "run_id", "step", "map_index", "attempt", "role", "name", "digest", name=op.f("pk_inputs")
        ),
    )
    op.create_table(
        "logged_models",
        sa.Column("model_id", sa.String(length=34), nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("step", _NAME, nullable=False),
        sa.Column("map_index", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("payload_digest", sa.String(length=64), nullable=False),
        sa.Column("manifest_digest", sa.String(length=64), nullable=False),
        sa.Column("flavor", sa.String(length=40), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id", "step", "map_index", "attempt"],
            ["attempts.run_id", "attempts.step", "attempts.map_index", "attempts.attempt"],
            name=op.f("fk_logged_models_run_id_step_map_index_attempt"),
        ),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pk_logged_models")),
        sa.UniqueConstraint(
            "run_id", "name", "payload_digest", name=op.f("uq_logged_models_run_id_name_payload_digest")
        ),
    )
    op.create_table(
        "metrics",
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("step", _NAME, nullable=False),
        sa.Column("map_index", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("metric_step", sa.BigInteger(), nullable=False),
        sa.Column("time_ms", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=6), nullable=False),
        sa.Column("value", sa.Float(precision=53), nullable=False),
        sa.Column("model_id", sa.String(length=34), nullable=True),
        sa.Column("dataset_name", _NAME, nullable=True),
        sa.Column("dataset_digest", _NAME, nullable=True),
        sa.ForeignKeyConstraint(
            ["run_id", "step", "map_index", "attempt"],
            ["attempts.run_id", "attempts.step", "attempts.map_index", "attempts.attempt"],
            name=op.f("fk_metrics_run_id_step_map_index_attempt"),
        ),
        sa.PrimaryKeyConstraint(
            "run_id",
            "step",
            "map_index",
            "attempt",
            "name",
            "metric_step",
            "time_ms",
            "kind",
            "value",
            name=op.f("pk_metrics"),
        ),
    )
    op.create_table(
        "params",
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("step", _NAME, nullable=False),
        sa.Column("map_index", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id", "step", "map_index", "attempt"],
            ["attempts.run_id", "attempts.step", "attempts.map_index", "attempts.attempt"],
            name=op.f("fk_params_run_id_step_map_index_attempt"),
        ),
        sa.PrimaryKeyConstraint("run_id", "step", "map_index", "attempt", "name", name=op.f("pk_params")),
    )
    op.create_table(
        "run_artifacts",
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("step", _NAME, nullable=False),
        sa.Column("map_index", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("path", _PATH, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id", "step", "map_index", "attempt"],
            ["attempts.run_id", "attempts.step", "attempts.map_index", "attempts.attempt"],
            name=op.f("fk_run_artifacts_run_id_step_map_index_attempt"),
        ),
        sa.PrimaryKeyConstraint("run_id", "path", name=op.f("pk_run_artifacts")),
    )
    op.create_table(
        "evaluations",
        sa.Column("evaluation_id", sa.String(length=32), nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("model_id", sa.String(length=34), nullable=False),
        sa.Column("payload_digest", sa.String(length=64), nullable=False),
        sa.Column("dataset_digest", _NAME, nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["logged_models.model_id"], name=op.f("fk_evaluations_model_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=op.f("fk_evaluations_run_id")),
        sa.PrimaryKeyConstraint("evaluation_id", name=op.f("pk_evaluations")),
    )
    op.create_index(op.f("ix_evaluations_dataset_digest"), "evaluations", ["dataset_digest"], unique=False)
    op.create_index(op.f("ix_evaluations_run_id"), "evaluations", ["run_id"], unique=False)
    op.create_table(
        "model_files",
        sa.Column("model_id", sa.String(length=34), nullable=False),
        sa.Column("path", _PATH, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["logged_models.model_id"], name=op.f("fk_model_files_model_id")),
        sa.PrimaryKeyConstraint("model_id", "path", name=op.f("pk_model_files")),
    )
    op.create_table(
        "decisions",
        sa.Column("decision_id", sa.String(length=32), nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("evaluation_id", sa.String(length=32), nullable=False),
        sa.Column("workspace", _NAME, nullable=False),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("alias", _NAME, nullable=False),
        sa.Column("verdict", sa.String(length=20), nullable=False),
        sa.Column("payload_digest", sa.String(length=64), nullable=False),
        sa.Column("policy_digest", sa.String(length=64), nullable=False),
        sa.Column("data_digest", _NAME, nullable=False),
        sa.Column("baseline_version", sa.Integer(), nullable=True),
        sa.Column("alias_generation", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["evaluation_id"], ["evaluations.evaluation_id"], name=op.f("fk_decisions_evaluation_id")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=op.f("fk_decisions_run_id")),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_decisions")),
    )
    op.create_index(op.f("ix_decisions_run_id"), "decisions", ["run_id"], unique=False)
    op.create_table(
        "authorizations",
        sa.Column("authorization_id", sa.String(length=32), nullable=False),
        sa.Column("workspace", _NAME, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("decision_id", sa.String(length=32), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "(kind = 'decision') = (decision_id IS NOT NULL)", name=op.f("ck_authorizations_decision_named")
        ),
        sa.ForeignKeyConstraint(["decision_id"], ["decisions.decision_id"], name=op.f("fk_authorizations_decision_id")),
        sa.PrimaryKeyConstraint("authorization_id", name=op.f("pk_authorizations")),
        sa.UniqueConstraint("decision_id", name=op.f("uq_authorizations_decision_id")),
    )
    op.create_table(
        "model_versions",
        sa.Column("workspace", _NAME, nullable=False),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("model_id", sa.String(length=34), nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("payload_digest", sa.String(length=64), nullable=False),
        sa.Column("authorization_id", sa.String(length=32), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["authorization_id"], ["authorizations.authorization_id"], name=op.f("fk_model_versions_authorization_id")
        ),
        sa.ForeignKeyConstraint(["model_id"], ["logged_models.model_id"], name=op.f("fk_model_versions_model_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=op.f("fk_model_versions_run_id")),
        sa.ForeignKeyConstraint(
            ["workspace", "model"],
            ["registered_models.workspace", "registered_models.name"],
            name=op.f("fk_model_versions_workspace_model"),
        ),
        sa.PrimaryKeyConstraint("workspace", "model", "version", name=op.f("pk_model_versions")),
        sa.UniqueConstraint("authorization_id", name=op.f("uq_model_versions_authorization_id")),
    )
    op.create_index(op.f("ix_model_versions_run_id"), "model_versions", ["run_id"], unique=False)
    op.create_table(
        "alias_moves",
        sa.Column("workspace", _NAME, nullable=False),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("alias", _NAME, nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("from_version", sa.Integer(), nullable=True),
        sa.Column("to_version", sa.Integer(), nullable=False),
        sa.Column("authorization_id", sa.String(length=32), nullable=False),
        sa.Column("moved_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["authorization_id"], ["authorizations.authorization_id"], name=op.f("fk_alias_moves_authorization_id")
        ),
        sa.ForeignKeyConstraint(
            ["workspace", "model", "to_version"],
            ["model_versions.workspace", "model_versions.model", "model_versions.version"],
            name=op.f("fk_alias_moves_workspace_model_to_version"),
        ),
        sa.PrimaryKeyConstraint("workspace", "model", "alias", "generation", name=op.f("pk_alias_moves")),
        sa.UniqueConstraint("authorization_id", "alias", name=op.f("uq_alias_moves_authorization_id_alias")),
    )
    op.create_table(
        "aliases",
        sa.Column("workspace", _NAME, nullable=False),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("alias", _NAME, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("authorization_id", sa.String(length=32), nullable=False),
        sa.Column("moved_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["authorization_id"], ["authorizations.authorization_id"], name=op.f("fk_aliases_authorization_id")
        ),
        sa.ForeignKeyConstraint(
            ["workspace", "model", "version"],
            ["model_versions.workspace", "model_versions.model", "model_versions.version"],
            name=op.f("fk_aliases_workspace_model_version"),
        ),
        sa.PrimaryKeyConstraint("workspace", "model", "alias", name=op.f("pk_aliases")),
    )
    guard = {"sqlite": _guard_sqlite, "postgresql": _guard_postgresql}
    guard[op.get_bind().dialect.name]()
