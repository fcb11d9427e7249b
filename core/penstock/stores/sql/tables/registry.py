"""Registered models, versions, aliases and what authorizes their changes."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
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

from penstock.stores.sql.tables.base import DIGEST, NAME, metadata, ms, workspace

registered_models = Table(
    "registered_models",
    metadata,
    workspace(),
    Column("name", NAME, nullable=False),
    Column("last_version", Integer, nullable=False),
    ms("created_ms"),
    PrimaryKeyConstraint("workspace", "name"),
)

authorizations = Table(
    "authorizations",
    metadata,
    Column("authorization_id", String(32), primary_key=True),
    workspace(),
    Column("kind", String(20), nullable=False),
    Column("model", NAME, nullable=False),
    Column("decision_id", String(32), ForeignKey("decisions.decision_id"), unique=True),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    ms("created_ms"),
    CheckConstraint("(kind = 'decision') = (decision_id IS NOT NULL)", name="decision_named"),
)

model_versions = Table(
    "model_versions",
    metadata,
    workspace(),
    Column("model", NAME, nullable=False),
    Column("version", Integer, nullable=False),
    Column("model_id", String(34), ForeignKey("logged_models.model_id"), nullable=False),
    Column("run_id", String(32), ForeignKey("runs.run_id"), nullable=False, index=True),
    Column("payload_digest", DIGEST, nullable=False),
    Column(
        "authorization_id",
        String(32),
        ForeignKey("authorizations.authorization_id"),
        nullable=False,
        unique=True,
    ),
    ms("created_ms"),
    PrimaryKeyConstraint("workspace", "model", "version"),
    ForeignKeyConstraint(["workspace", "model"], ["registered_models.workspace", "registered_models.name"]),
)

aliases = Table(
    "aliases",
    metadata,
    workspace(),
    Column("model", NAME, nullable=False),
    Column("alias", NAME, nullable=False),
    Column("version", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("authorization_id", String(32), ForeignKey("authorizations.authorization_id"), nullable=False),
    ms("moved_ms"),
    PrimaryKeyConstraint("workspace", "model", "alias"),
    ForeignKeyConstraint(
        ["workspace", "model", "version"],
        ["model_versions.workspace", "model_versions.model", "model_versions.version"],
    ),
)

alias_moves = Table(
    "alias_moves",
    metadata,
    workspace(),
    Column("model", NAME, nullable=False),
    Column("alias", NAME, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("from_version", Integer),
    Column("to_version", Integer, nullable=False),
    Column("authorization_id", String(32), ForeignKey("authorizations.authorization_id"), nullable=False),
    Column("actor", Text),
    ms("moved_ms"),
    PrimaryKeyConstraint("workspace", "model", "alias", "generation"),
    Index(None, "workspace", "model", "alias", "moved_ms"),
    UniqueConstraint("authorization_id", "alias"),
    ForeignKeyConstraint(
        ["workspace", "model", "to_version"],
        ["model_versions.workspace", "model_versions.model", "model_versions.version"],
    ),
)
