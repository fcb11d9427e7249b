"""Runs, their steps and attempts, and what these log."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from penstock.stores.sql.tables.base import DIGEST, NAME, metadata, ms, of_attempt, step_columns, workspace

experiments = Table(
    "experiments",
    metadata,
    Column("experiment_id", Integer, primary_key=True, autoincrement=True),
    workspace(),
    Column("name", NAME, nullable=False),
    Column("lifecycle_stage", String(20), nullable=False),
    ms("created_ms"),
    UniqueConstraint("workspace", "name"),
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", String(32), primary_key=True),
    workspace(),
    Column("experiment_id", Integer, ForeignKey("experiments.experiment_id"), nullable=False),
    Column("namespace", NAME, nullable=False),
    Column("pipeline", NAME, nullable=False),
    Column("partition", NAME, nullable=False),
    Column("name", NAME, nullable=False),
    Column("status", String(20), nullable=False),
    Column("parent_run_id", String(32), ForeignKey("runs.run_id")),
    ms("logical_date_ms", nullable=True),
    ms("started_ms"),
    ms("ended_ms", nullable=True),
    ms("deadline_ms", nullable=True),
    Column("reason", Text, nullable=False),
    Column("lifecycle_stage", String(20), nullable=False),
    Column("source", Text, nullable=False),
    UniqueConstraint("workspace", "namespace", "pipeline", "partition"),
    CheckConstraint("(ended_ms IS NULL) = (status IN ('RUNNING', 'SCHEDULED'))", name="ended_with_status"),
    Index(None, "experiment_id", "started_ms", "run_id"),
    Index(None, "workspace", "started_ms", "run_id"),
    Index(None, "workspace", "status"),
)

# A step's head row: its newest attempt, the oldest attempt whose metrics still count, its generation of inputs.
steps = Table(
    "steps",
    metadata,
    *step_columns(),
    Column("attempt", Integer, nullable=False),
    Column("visible_from", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    PrimaryKeyConstraint("run_id", "step", "map_index"),
    ForeignKeyConstraint(["run_id"], ["runs.run_id"]),
)

step_results = Table(
    "step_results",
    metadata,
    *step_columns(),
    Column("inputs_digest", DIGEST, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("result", Text, nullable=False),
    ms("ended_ms"),
    PrimaryKeyConstraint("run_id", "step", "map_index", "inputs_digest"),
    ForeignKeyConstraint(["run_id", "step", "map_index"], ["steps.run_id", "steps.step", "steps.map_index"]),
)

attempts = Table(
    "attempts",
    metadata,
    *step_columns(),
    Column("attempt", Integer, nullable=False),
    Column("inputs_digest", DIGEST, nullable=False),
    Column("inputs", Text, nullable=False),
    Column("token", String(32), nullable=False),
    Column("state", String(20), nullable=False),
    Column("host", Text, nullable=False),
    Column("error", Text, nullable=False),
    ms("started_ms"),
    ms("ended_ms", nullable=True),
    # No lease: a writer without a token (an MLflow client, an import), whom the reaper leaves alone.
    ms("lease_expires_ms", nullable=True),
    PrimaryKeyConstraint("run_id", "step", "map_index", "attempt"),
    ForeignKeyConstraint(["run_id", "step", "map_index"], ["steps.run_id", "steps.step", "steps.map_index"]),
)

params = Table(
    "params",
    metadata,
    *of_attempt(),
    Column("name", NAME, nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("run_id", "step", "map_index", "attempt", "name"),
)

# SQL databases store no NaN or infinity (SQLite turns NaN into NULL): such values are a kind with 0.0 beside it.
metrics = Table(
    "metrics",
    metadata,
    *of_attempt(),
    Column("name", NAME, nullable=False),
    Column("metric_step", BigInteger, nullable=False),
    ms("time_ms"),
    Column("kind", String(6), nullable=False),
    Column("value", Float(53), nullable=False),
    Column("model_id", String(34)),
    Column("dataset_name", NAME),
    Column("dataset_digest", NAME),
    PrimaryKeyConstraint("run_id", "step", "map_index", "attempt", "name", "metric_step", "time_ms", "kind", "value"),
)

tags = Table(
    "tags",
    metadata,
    Column("run_id", String(32), ForeignKey("runs.run_id"), nullable=False),
    Column("name", NAME, nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("run_id", "name"),
)

inputs = Table(
    "inputs",
    metadata,
    *of_attempt(),
    Column("role", String(20), nullable=False),
    Column("name", NAME, nullable=False),
    Column("digest", NAME, nullable=False, index=True),
    Column("rows", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("columns", Text, nullable=False),
    Column("facts", Text),  # profile, time range, hashes of rows; an earlier version knew none
    PrimaryKeyConstraint("run_id", "step", "map_index", "attempt", "role", "name", "digest"),
)
