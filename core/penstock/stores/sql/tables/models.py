"""A run's artifacts and logged models."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, PrimaryKeyConstraint, String, Table, Text, UniqueConstraint

from penstock.stores.sql.tables.base import DIGEST, NAME, PATH, metadata, ms, of_attempt

run_artifacts = Table(
    "run_artifacts",
    metadata,
    *of_attempt(),
    Column("path", PATH, nullable=False),
    Column("sha256", DIGEST, nullable=False, index=True),
    Column("size_bytes", BigInteger, nullable=False),
    PrimaryKeyConstraint("run_id", "path"),
)

logged_models = Table(
    "logged_models",
    metadata,
    Column("model_id", String(34), primary_key=True),
    *of_attempt(),
    Column("name", NAME, nullable=False),
    Column("payload_digest", DIGEST, nullable=False),
    Column("manifest_digest", DIGEST, nullable=False),
    Column("flavor", String(40), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("facts", Text, nullable=False),
    ms("created_ms"),
    # When it was logged last: the same model again comes after what was logged in between.
    Column("logged_ms", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("run_id", "name", "payload_digest"),
)

model_files = Table(
    "model_files",
    metadata,
    Column("model_id", String(34), ForeignKey("logged_models.model_id"), nullable=False),
    Column("path", PATH, nullable=False),
    Column("sha256", DIGEST, nullable=False, index=True),
    Column("size_bytes", BigInteger, nullable=False),
    PrimaryKeyConstraint("model_id", "path"),
)
