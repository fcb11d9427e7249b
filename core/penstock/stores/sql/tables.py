"""The schema as it stands today. Migrations lead to it; a test compares the two.

Held to from the first revision: run ids are 32 hexadecimal characters, experiment ids integers, logged-model ids `m-`
and 32 more; times are milliseconds since the epoch; every natural key carries its workspace; every version and alias
move refers to an authorization. JSON documents are canonical JSON in text columns.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.sql.schema import SchemaItem

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# The same order of names everywhere: by code point, whatever the locale of a server's database.
_NAME = String(250).with_variant(String(250, collation="C"), "postgresql")
_PATH = String(1000).with_variant(String(1000, collation="C"), "postgresql")
_DIGEST = String(64)


def _workspace() -> Column[str]:
    return Column("workspace", _NAME, nullable=False)


def _ms(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def _step_columns() -> list[SchemaItem]:
    return [
        Column("run_id", String(32), nullable=False),
        Column("step", _NAME, nullable=False),
        Column("map_index", Integer, nullable=False),
    ]


def _of_attempt() -> list[SchemaItem]:
    """Columns that say which attempt wrote a row, and the key that ties the row to it."""
    return [
        *_step_columns(),
        Column("attempt", Integer, nullable=False),
        ForeignKeyConstraint(
            ["run_id", "step", "map_index", "attempt"],
            ["attempts.run_id", "attempts.step", "attempts.map_index", "attempts.attempt"],
        ),
    ]


experiments = Table(
    "experiments",
    metadata,
    Column("experiment_id", Integer, primary_key=True, autoincrement=True),
    _workspace(),
    Column("name", _NAME, nullable=False),
    Column("lifecycle_stage", String(20), nullable=False),
    _ms("created_ms"),
    UniqueConstraint("workspace", "name"),
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", String(32), primary_key=True),
    _workspace(),
    Column("experiment_id", Integer, ForeignKey("experiments.experiment_id"), nullable=False, index=True),
    Column("namespace", _NAME, nullable=False),
    Column("pipeline", _NAME, nullable=False),
    Column("partition", _NAME, nullable=False),
    Column("name", _NAME, nullable=False),
    Column("status", String(20), nullable=False),
    Column("parent_run_id", String(32), ForeignKey("runs.run_id")),
    _ms("logical_date_ms", nullable=True),
    _ms("started_ms"),
    _ms("ended_ms", nullable=True),
    _ms("deadline_ms", nullable=True),
    Column("reason", Text, nullable=False),
    Column("lifecycle_stage", String(20), nullable=False),
    Column("source", Text, nullable=False),
    UniqueConstraint("workspace", "namespace", "pipeline", "partition"),
    CheckConstraint("(ended_ms IS NULL) = (status IN ('RUNNING', 'SCHEDULED'))", name="ended_with_status"),
)

# A step's head row: its newest attempt, the oldest attempt whose metrics still count, its generation of inputs.
steps = Table(
    "steps",
    metadata,
    *_step_columns(),
    Column("attempt", Integer, nullable=False),
    Column("visible_from", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    PrimaryKeyConstraint("run_id", "step", "map_index"),
    ForeignKeyConstraint(["run_id"], ["runs.run_id"]),
)

step_results = Table(
    "step_results",
    metadata,
    *_step_columns(),
    Column("inputs_digest", _DIGEST, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("result", Text, nullable=False),
    _ms("ended_ms"),
    PrimaryKeyConstraint("run_id", "step", "map_index", "inputs_digest"),
    ForeignKeyConstraint(["run_id", "step", "map_index"], ["steps.run_id", "steps.step", "steps.map_index"]),
)

attempts = Table(
    "attempts",
    metadata,
    *_step_columns(),
    Column("attempt", Integer, nullable=False),
    Column("inputs_digest", _DIGEST, nullable=False),
    Column("inputs", Text, nullable=False),
    Column("token", String(32), nullable=False),
    Column("state", String(20), nullable=False),
    Column("host", Text, nullable=False),
    Column("error", Text, nullable=False),
    _ms("started_ms"),
    _ms("ended_ms", nullable=True),
    # No lease: a writer without a token (an MLflow client, an import), whom the reaper leaves alone.
    _ms("lease_expires_ms", nullable=True),
    PrimaryKeyConstraint("run_id", "step", "map_index", "attempt"),
    ForeignKeyConstraint(["run_id", "step", "map_index"], ["steps.run_id", "steps.step", "steps.map_index"]),
)

params = Table(
    "params",
    metadata,
    *_of_attempt(),
    Column("name", _NAME, nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("run_id", "step", "map_index", "attempt", "name"),
)

# SQL databases store no NaN or infinity (SQLite turns NaN into NULL): such values are a kind with 0.0 beside it.
metrics = Table(
    "metrics",
    metadata,
    *_of_attempt(),
    Column("name", _NAME, nullable=False),
    Column("metric_step", BigInteger, nullable=False),
    _ms("time_ms"),
    Column("kind", String(6), nullable=False),
    Column("value", Float(53), nullable=False),
    Column("model_id", String(34)),
    Column("dataset_name", _NAME),
    Column("dataset_digest", _NAME),
    PrimaryKeyConstraint("run_id", "step", "map_index", "attempt", "name", "metric_step", "time_ms", "kind", "value"),
)

tags = Table(
    "tags",
    metadata,
    Column("run_id", String(32), ForeignKey("runs.run_id"), nullable=False),
    Column("name", _NAME, nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("run_id", "name"),
)

inputs = Table(
    "inputs",
    metadata,
    *_of_attempt(),
    Column("role", String(20), nullable=False),
    Column("name", _NAME, nullable=False),
    Column("digest", _NAME, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("columns", Text, nullable=False),
    PrimaryKeyConstraint("run_id", "step", "map_index", "attempt", "role", "name", "digest"),
)

run_artifacts = Table(
    "run_artifacts",
    metadata,
    *_of_attempt(),
    Column("path", _PATH, nullable=False),
    Column("sha256", _DIGEST, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    PrimaryKeyConstraint("run_id", "path"),
)

logged_models = Table(
    "logged_models",
    metadata,
    Column("model_id", String(34), primary_key=True),
    *_of_attempt(),
    Column("name", _NAME, nullable=False),
    Column("payload_digest", _DIGEST, nullable=False),
    Column("manifest_digest", _DIGEST, nullable=False),
    Column("flavor", String(40), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("facts", Text, nullable=False),
    _ms("created_ms"),
    UniqueConstraint("run_id", "name", "payload_digest"),
)

model_files = Table(
    "model_files",
    metadata,
    Column("model_id", String(34), ForeignKey("logged_models.model_id"), nullable=False),
    Column("path", _PATH, nullable=False),
    Column("sha256", _DIGEST, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    PrimaryKeyConstraint("model_id", "path"),
)

evaluations = Table(
    "evaluations",
    metadata,
    Column("evaluation_id", String(32), primary_key=True),
    Column("run_id", String(32), ForeignKey("runs.run_id"), nullable=False, index=True),
    Column("model_id", String(34), ForeignKey("logged_models.model_id"), nullable=False),
    Column("payload_digest", _DIGEST, nullable=False),
    Column("dataset_digest", _NAME, nullable=False, index=True),
    Column("document", Text, nullable=False),
    _ms("created_ms"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("decision_id", String(32), primary_key=True),
    Column("run_id", String(32), ForeignKey("runs.run_id"), nullable=False, index=True),
    Column("evaluation_id", String(32), ForeignKey("evaluations.evaluation_id"), nullable=False),
    _workspace(),
    Column("model", _NAME, nullable=False),
    Column("alias", _NAME, nullable=False),
    Column("verdict", String(20), nullable=False),
    Column("payload_digest", _DIGEST, nullable=False),
    Column("policy_digest", _DIGEST, nullable=False),
    Column("data_digest", _NAME, nullable=False),
    Column("baseline_version", Integer),
    Column("alias_generation", Integer, nullable=False),
    Column("document", Text, nullable=False),
    _ms("created_ms"),
)

registered_models = Table(
    "registered_models",
    metadata,
    _workspace(),
    Column("name", _NAME, nullable=False),
    Column("last_version", Integer, nullable=False),
    _ms("created_ms"),
    PrimaryKeyConstraint("workspace", "name"),
)

authorizations = Table(
    "authorizations",
    metadata,
    Column("authorization_id", String(32), primary_key=True),
    _workspace(),
    Column("kind", String(20), nullable=False),
    Column("model", _NAME, nullable=False),
    Column("decision_id", String(32), ForeignKey("decisions.decision_id"), unique=True),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    _ms("created_ms"),
    CheckConstraint("(kind = 'decision') = (decision_id IS NOT NULL)", name="decision_named"),
)

model_versions = Table(
    "model_versions",
    metadata,
    _workspace(),
    Column("model", _NAME, nullable=False),
    Column("version", Integer, nullable=False),
    Column("model_id", String(34), ForeignKey("logged_models.model_id"), nullable=False),
    Column("run_id", String(32), ForeignKey("runs.run_id"), nullable=False, index=True),
    Column("payload_digest", _DIGEST, nullable=False),
    Column(
        "authorization_id",
        String(32),
        ForeignKey("authorizations.authorization_id"),
        nullable=False,
        unique=True,
    ),
    _ms("created_ms"),
    PrimaryKeyConstraint("workspace", "model", "version"),
    ForeignKeyConstraint(["workspace", "model"], ["registered_models.workspace", "registered_models.name"]),
)

aliases = Table(
    "aliases",
    metadata,
    _workspace(),
    Column("model", _NAME, nullable=False),
    Column("alias", _NAME, nullable=False),
    Column("version", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("authorization_id", String(32), ForeignKey("authorizations.authorization_id"), nullable=False),
    _ms("moved_ms"),
    PrimaryKeyConstraint("workspace", "model", "alias"),
    ForeignKeyConstraint(
        ["workspace", "model", "version"],
        ["model_versions.workspace", "model_versions.model", "model_versions.version"],
    ),
)

alias_moves = Table(
    "alias_moves",
    metadata,
    _workspace(),
    Column("model", _NAME, nullable=False),
    Column("alias", _NAME, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("from_version", Integer),
    Column("to_version", Integer, nullable=False),
    Column("authorization_id", String(32), ForeignKey("authorizations.authorization_id"), nullable=False),
    _ms("moved_ms"),
    PrimaryKeyConstraint("workspace", "model", "alias", "generation"),
    UniqueConstraint("authorization_id", "alias"),
    ForeignKeyConstraint(
        ["workspace", "model", "to_version"],
        ["model_versions.workspace", "model_versions.model", "model_versions.version"],
    ),
)

ledger = Table(
    "ledger",
    metadata,
    _workspace(),
    Column("chain_kind", String(20), nullable=False),
    Column("chain_name", _NAME, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("subject", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    _ms("time_ms"),
    Column("previous_hash", _DIGEST, nullable=False),
    Column("hash", _DIGEST, nullable=False),
    PrimaryKeyConstraint("workspace", "chain_kind", "chain_name", "sequence"),
)

ledger_heads = Table(
    "ledger_heads",
    metadata,
    _workspace(),
    Column("chain_kind", String(20), nullable=False),
    Column("chain_name", _NAME, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("hash", _DIGEST, nullable=False),
    PrimaryKeyConstraint("workspace", "chain_kind", "chain_name"),
)
