"""What stands beside versions and aliases: load checks, states, protection, notes; and deleted logged models."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)
from sqlalchemy.sql.schema import SchemaItem

from penstock.stores.sql.tables.base import NAME, metadata, ms, workspace


def _of_version() -> list[SchemaItem]:
    """Columns that name a version, and the key that ties the row to it."""
    return [
        workspace(),
        Column("model", NAME, nullable=False),
        Column("version", Integer, nullable=False),
        ForeignKeyConstraint(
            ["workspace", "model", "version"],
            ["model_versions.workspace", "model_versions.model", "model_versions.version"],
        ),
    ]


load_checks = Table(
    "load_checks",
    metadata,
    *_of_version(),
    Column("number", Integer, nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("error", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("actor", Text, nullable=False),
    ms("checked_ms"),
    PrimaryKeyConstraint("workspace", "model", "version", "number"),
)

version_states = Table(
    "version_states",
    metadata,
    *_of_version(),
    Column("state", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    ms("changed_ms"),
    PrimaryKeyConstraint("workspace", "model", "version"),
    CheckConstraint("state IN ('active', 'archived', 'deleted')", name="known_state"),
)

alias_protections = Table(
    "alias_protections",
    metadata,
    workspace(),
    Column("model", NAME, nullable=False),
    Column("alias", NAME, nullable=False),
    Column("number", Integer, nullable=False),
    Column("actors", Text, nullable=False),
    Column("lifted", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    ms("set_ms"),
    PrimaryKeyConstraint("workspace", "model", "alias", "number"),
)

# A model's own notes stand under version 0, a description under the empty name.
registry_notes = Table(
    "registry_notes",
    metadata,
    workspace(),
    Column("model", NAME, nullable=False),
    Column("version", Integer, nullable=False),
    Column("name", NAME, nullable=False),
    Column("text", Text, nullable=False),
    Column("actor", Text, nullable=False),
    ms("written_ms"),
    PrimaryKeyConstraint("workspace", "model", "version", "name"),
    ForeignKeyConstraint(["workspace", "model"], ["registered_models.workspace", "registered_models.name"]),
)

deleted_models = Table(
    "deleted_models",
    metadata,
    Column("model_id", String(34), ForeignKey("logged_models.model_id"), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    ms("deleted_ms"),
    ms("purged_ms", nullable=True),  # since when its files are gone, and it cannot be restored
)
