"""Evaluations and decisions."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, String, Table, Text

from penstock.stores.sql.tables.base import DIGEST, NAME, metadata, ms, workspace

evaluations = Table(
    "evaluations",
    metadata,
    Column("evaluation_id", String(32), primary_key=True),
    Column("run_id", String(32), ForeignKey("runs.run_id"), nullable=False, index=True),
    Column("model_id", String(34), ForeignKey("logged_models.model_id"), nullable=False, index=True),
    Column("payload_digest", DIGEST, nullable=False),
    Column("dataset_digest", NAME, nullable=False, index=True),
    Column("document", Text, nullable=False),
    ms("created_ms"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("decision_id", String(32), primary_key=True),
    Column("run_id", String(32), ForeignKey("runs.run_id"), nullable=False, index=True),
    Column("evaluation_id", String(32), ForeignKey("evaluations.evaluation_id"), nullable=False),
    workspace(),
    Column("model", NAME, nullable=False),
    Column("alias", NAME, nullable=False),
    Column("verdict", String(20), nullable=False),
    Column("payload_digest", DIGEST, nullable=False),
    Column("policy_digest", DIGEST, nullable=False),
    Column("data_digest", NAME, nullable=False),
    Column("baseline_version", Integer),
    Column("alias_generation", Integer, nullable=False),
    Column("document", Text, nullable=False),
    ms("created_ms"),
)
