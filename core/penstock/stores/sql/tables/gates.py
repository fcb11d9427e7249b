"""What gates keep beside decisions: looks, approvals, overrides, anchors. Append-only, all of them."""

from __future__ import annotations

from sqlalchemy import (
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
    UniqueConstraint,
)

from penstock.stores.sql.tables.base import DIGEST, NAME, metadata, ms, step_columns, workspace

# One row for each decision and each dry run: two of them cannot have the same sequence number, so not the same look.
looks = Table(
    "looks",
    metadata,
    workspace(),
    Column("model", NAME, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("question", String(32), nullable=False),
    Column("number", Integer, nullable=False),
    Column("set_number", Integer, nullable=False),
    Column("evaluation_id", String(32), ForeignKey("evaluations.evaluation_id"), nullable=False),
    Column("policy_digest", DIGEST, nullable=False),
    Column("data_digest", NAME, nullable=False),
    Column("verdict", String(20), nullable=False),
    Column("alpha", Float(53)),
    Column("decision_id", String(32), ForeignKey("decisions.decision_id"), unique=True),
    Column("actor", Text, nullable=False),
    ms("at_ms"),
    PrimaryKeyConstraint("workspace", "model", "sequence"),
    CheckConstraint("(kind = 'decision') = (decision_id IS NOT NULL)", name="decision_named"),
)

# The questions that any family has asked of the same rows, numbered without gaps.
set_looks = Table(
    "set_looks",
    metadata,
    workspace(),
    Column("data_digest", NAME, nullable=False),
    Column("number", Integer, nullable=False),
    Column("question", String(32), nullable=False),
    PrimaryKeyConstraint("workspace", "data_digest", "number"),
    UniqueConstraint("workspace", "data_digest", "question"),
)

approval_requests = Table(
    "approval_requests",
    metadata,
    Column("request_id", String(32), primary_key=True),
    workspace(),
    Column("decision_id", String(32), ForeignKey("decisions.decision_id"), nullable=False),
    *step_columns(),
    Column("model", NAME, nullable=False, index=True),
    Column("alias", NAME, nullable=False),
    Column("digest", DIGEST, nullable=False),
    Column("document", Text, nullable=False),
    ms("asked_ms"),
    ms("expires_ms"),
    ForeignKeyConstraint(["run_id"], ["runs.run_id"]),
)

# At most one answer to a request: a second yes counts once, a yes after a no is refused.
approval_answers = Table(
    "approval_answers",
    metadata,
    Column("request_id", String(32), ForeignKey("approval_requests.request_id"), primary_key=True),
    Column("answer", String(10), nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    ms("answered_ms"),
    CheckConstraint("answer IN ('approve', 'reject')", name="answer_known"),
)

overrides = Table(
    "overrides",
    metadata,
    Column("authorization_id", String(32), ForeignKey("authorizations.authorization_id"), primary_key=True),
    workspace(),
    Column("model", NAME, nullable=False, index=True),
    Column("payload_digest", DIGEST, nullable=False),
    Column("document", Text, nullable=False),
    ms("created_ms"),
    ms("expires_ms"),
)

anchors = Table(
    "anchors",
    metadata,
    workspace(),
    Column("model", NAME, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("payload_digest", DIGEST, nullable=False),
    Column("decision_id", String(32), ForeignKey("decisions.decision_id")),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    ms("set_ms"),
    PrimaryKeyConstraint("workspace", "model", "sequence"),
    ForeignKeyConstraint(
        ["workspace", "model", "version"],
        ["model_versions.workspace", "model_versions.model", "model_versions.version"],
    ),
)
