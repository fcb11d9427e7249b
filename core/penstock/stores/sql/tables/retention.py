"""What stays and what goes: retention policies, bytes about to be deleted, ungated models, probations."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

from penstock.stores.sql.tables.base import DIGEST, NAME, metadata, ms, workspace

# A policy for an experiment's runs stands under the empty model name.
retention_policies = Table(
    "retention_policies",
    metadata,
    workspace(),
    Column("experiment", NAME, nullable=False),
    Column("model", NAME, nullable=False),
    Column("keep_last", Integer),
    Column("keep_days", Float(53)),
    Column("actor", Text, nullable=False),
    ms("set_ms"),
    PrimaryKeyConstraint("workspace", "experiment", "model"),
)

# Bytes belong to nobody in particular: the same blob may serve every workspace, so this key carries none.
condemned_blobs = Table(
    "condemned_blobs",
    metadata,
    Column("sha256", DIGEST, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("state", String(20), nullable=False),
    Column("sweep", String(32), nullable=False),
    ms("at_ms"),
    CheckConstraint("state IN ('condemned', 'sweeping', 'swept')", name="known_state"),
)

# One row at most: who collects now.
collectors = Table(
    "collectors",
    metadata,
    Column("name", NAME, primary_key=True),
    Column("claim", String(32), nullable=False),
    ms("claimed_until_ms"),
)

gate_declarations = Table(
    "gate_declarations",
    metadata,
    workspace(),
    Column("model", NAME, nullable=False),
    Column("number", Integer, nullable=False),
    Column("gated", Boolean, nullable=False),
    Column("authorization_id", String(32), ForeignKey("authorizations.authorization_id")),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    ms("declared_ms"),
    PrimaryKeyConstraint("workspace", "model", "number"),
    CheckConstraint("gated = (authorization_id IS NULL)", name="ungated_is_authorized"),
)

probations = Table(
    "probations",
    metadata,
    workspace(),
    Column("model", NAME, nullable=False),
    Column("alias", NAME, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("document", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("why", Text, nullable=False),
    ms("started_ms"),
    ms("ends_ms", nullable=True),
    ms("ended_ms", nullable=True),
    PrimaryKeyConstraint("workspace", "model", "alias", "generation"),
    ForeignKeyConstraint(
        ["workspace", "model"],
        ["registered_models.workspace", "registered_models.name"],
    ),
    CheckConstraint("state IN ('open', 'passed', 'failed', 'superseded')", name="known_state"),
    CheckConstraint("(state = 'open') = (ended_ms IS NULL)", name="ended_with_state"),
)

probation_judgements = Table(
    "probation_judgements",
    metadata,
    workspace(),
    Column("model", NAME, nullable=False),
    Column("alias", NAME, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("evaluation_id", String(32), ForeignKey("evaluations.evaluation_id"), nullable=False, index=True),
    Column("number", Integer, nullable=False),
    Column("document", Text, nullable=False),
    ms("judged_ms"),
    PrimaryKeyConstraint("workspace", "model", "alias", "generation", "evaluation_id"),
    ForeignKeyConstraint(
        ["workspace", "model", "alias", "generation"],
        ["probations.workspace", "probations.model", "probations.alias", "probations.generation"],
    ),
)
