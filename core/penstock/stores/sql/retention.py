"""Retention policies; what may go, what refers to it, and its purge."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from penstock.errors import NotFound
from penstock.failpoints import failpoint
from penstock.model.canonical import canonical_json
from penstock.model.ids import WORKSPACE
from penstock.model.retention import Candidate, Contents, RetentionPolicy, purged, retention_changed
from penstock.model.runs import AttemptState
from penstock.stores.sql import ledger, runs
from penstock.stores.sql.dialects import insert_or_ignore, insert_or_replace, now_ms
from penstock.stores.sql.rows import Row, time_of
from penstock.stores.sql.tables import (
    attempts,
    decisions,
    evaluations,
    experiments,
    inputs,
    logged_models,
    metrics,
    model_files,
    model_versions,
    params,
    run_artifacts,
    tags,
)
from penstock.stores.sql.tables import runs as run_rows
from penstock.stores.sql.tables.gates import overrides
from penstock.stores.sql.tables.retention import probation_judgements, retention_policies
from penstock.stores.sql.tables.versions import deleted_models

_KEY = ("workspace", "experiment", "model")
_OF_MODELS = logged_models.join(run_rows, logged_models.c.run_id == run_rows.c.run_id).join(experiments)


def set_policy(connection: sa.Connection, policy: RetentionPolicy) -> RetentionPolicy:
    """Set a policy, with its event, unless it says the same already."""
    known = _find(connection, policy.experiment, policy.model)
    if known is not None and known.terms == policy.terms:
        return known
    connection.execute(
        insert_or_replace(connection, retention_policies, _KEY),
        {
            **_key(policy.experiment, policy.model),
            **policy.terms,
            "actor": canonical_json(policy.actor),
            "set_ms": now_ms(connection),
        },
    )
    ledger.append(connection, retention_changed(policy, policy.actor))
    return _get(connection, policy.experiment, policy.model)


def remove_policy(connection: sa.Connection, experiment: str, model: str, actor: Mapping[str, Any]) -> None:
    """Remove a policy, with its event."""
    policy = _get(connection, experiment, model)
    connection.execute(sa.delete(retention_policies).filter_by(**_key(experiment, model)))
    ledger.append(connection, retention_changed(policy, actor, removed=True))


def policies(connection: sa.Connection) -> Sequence[RetentionPolicy]:
    """Return the policies by experiment and model."""
    query = sa.select(retention_policies).where(retention_policies.c.workspace == WORKSPACE)
    rows = connection.execute(query.order_by(retention_policies.c.experiment, retention_policies.c.model))
    return [_policy_of(row) for row in rows.mappings()]


def candidates(connection: sa.Connection, experiment: str | None, model: str | None) -> Sequence[Candidate]:
    """Return ended runs or, with `model`, logged models of this name (empty: any), with what refers to each."""
    here = [run_rows.c.workspace == WORKSPACE, run_rows.c.lifecycle_stage != "purged"]
    if experiment is not None:
        here.append(experiments.c.name == experiment)
    if model is None:
        here.append(run_rows.c.ended_ms.is_not(None))
        named = sa.select(run_rows.c.run_id).select_from(run_rows.join(experiments)).where(*here)
        query = sa.select(run_rows, experiments.c.name.label("experiment")).join(experiments).where(*here)
        held = _holders(connection, _run_holders(named))
        return [_run_of(row, held) for row in connection.execute(query).mappings()]
    here.append(sa.func.coalesce(deleted_models.c.purged_ms, 0) == 0)
    if model:
        here.append(logged_models.c.name == model)
    source = _OF_MODELS.outerjoin(deleted_models, deleted_models.c.model_id == logged_models.c.model_id)
    named = sa.select(logged_models.c.model_id).select_from(source).where(*here)
    query = (
        sa.select(logged_models, experiments.c.name.label("experiment"), deleted_models.c.deleted_ms)
        .select_from(source)
        .where(*here)
    )
    held = _holders(connection, _model_holders(named))
    return [_model_of(row, held) for row in connection.execute(query).mappings()]


def contents(connection: sa.Connection, candidate: Candidate) -> Contents:
    """Return what a run or a logged model holds."""
    files = [size for _, size in files_of(connection, candidate)]
    if candidate.model_id:
        return Contents(models=1, size_bytes=sum(files))

    def count(table: sa.Table) -> int:
        here = table.c.run_id == candidate.run_id
        return int(connection.scalar(sa.select(sa.func.count()).select_from(table).where(here)) or 0)

    return Contents(count(logged_models), count(run_artifacts), count(metrics), sum(files))


def files_of(connection: sa.Connection, candidate: Candidate) -> Sequence[tuple[str, int]]:
    """Return (SHA-256, size in bytes) of each file of a run or a logged model."""
    of_model = sa.select(model_files.c.sha256, model_files.c.size_bytes)
    if candidate.model_id:
        queries = [of_model.where(model_files.c.model_id == candidate.model_id)]
    else:
        of_run = sa.select(run_artifacts.c.sha256, run_artifacts.c.size_bytes)
        queries = [
            of_run.where(run_artifacts.c.run_id == candidate.run_id),
            of_model.join(logged_models).where(logged_models.c.run_id == candidate.run_id),
        ]
    return [(row.sha256, row.size_bytes) for query in queries for row in connection.execute(query)]


def purge(connection: sa.Connection, candidate: Candidate, why: str, actor: Mapping[str, Any]) -> Contents | None:
    """Remove what a run or a logged model holds, with its event; None where something refers to it, or it is done."""
    run = runs.get(connection, candidate.run_id, lock=True)
    if run.purged or not run.status.ended:
        return None
    if candidate.model_id:
        here = sa.select(sa.literal(candidate.model_id).label("model_id"))
        purged_ms = sa.select(deleted_models.c.purged_ms).where(deleted_models.c.model_id == candidate.model_id)
        if connection.scalar(purged_ms) is not None or _holders(connection, _model_holders(here)):
            return None
        ids = [candidate.model_id]
    else:
        if _holders(connection, _run_holders(sa.select(sa.literal(candidate.run_id).label("run_id")))):
            return None
        ids = list(connection.scalars(sa.select(logged_models.c.model_id).filter_by(run_id=candidate.run_id)))
    gone = contents(connection, candidate)
    _purge_models(connection, ids, why, actor)
    failpoint("purge.models")
    if not candidate.model_id:
        for table in (run_artifacts, metrics, params, inputs, tags):
            connection.execute(sa.delete(table).where(table.c.run_id == candidate.run_id))
        failpoint("purge.rows")
        itself = run_rows.c.run_id == candidate.run_id
        connection.execute(sa.update(run_rows).where(itself).values(lifecycle_stage="purged"))
    ledger.append(connection, purged(candidate, gone, why, actor))
    return gone


def _purge_models(connection: sa.Connection, ids: Sequence[str], why: str, actor: Mapping[str, Any]) -> None:
    if not ids:
        return
    connection.execute(sa.delete(model_files).where(model_files.c.model_id.in_(ids)))
    deleted = {"reason": why, "actor": canonical_json(actor), "deleted_ms": now_ms(connection)}
    connection.execute(insert_or_ignore(connection, deleted_models), [{"model_id": each, **deleted} for each in ids])
    connection.execute(
        sa.update(deleted_models).where(deleted_models.c.model_id.in_(ids)).values(purged_ms=deleted["deleted_ms"])
    )


Holders = Sequence[tuple[str, sa.Select[Any]]]


def _run_holders(named: sa.Select[Any]) -> Holders:
    """What refers to the runs of a query: each in words, with a query for the runs it refers to."""
    child = run_rows.alias("child")
    judged = logged_models.join(evaluations, evaluations.c.model_id == logged_models.c.model_id)
    return (
        ("a version", sa.select(model_versions.c.run_id).where(model_versions.c.run_id.in_(named))),
        ("a decision", sa.select(decisions.c.run_id).where(decisions.c.run_id.in_(named))),
        (
            "a decision",
            sa.select(logged_models.c.run_id)
            .select_from(judged.join(decisions, decisions.c.evaluation_id == evaluations.c.evaluation_id))
            .where(logged_models.c.run_id.in_(named)),
        ),
        (
            "an override",
            sa.select(logged_models.c.run_id)
            .join(overrides, overrides.c.payload_digest == logged_models.c.payload_digest)
            .where(logged_models.c.run_id.in_(named)),
        ),
        (
            "a probation",
            sa.select(evaluations.c.run_id).join(probation_judgements).where(evaluations.c.run_id.in_(named)),
        ),
        (
            "a running attempt",
            sa.select(attempts.c.run_id).where(
                attempts.c.run_id.in_(named), attempts.c.state == AttemptState.RUNNING.value
            ),
        ),
        (
            "an unfinished run",
            sa.select(child.c.parent_run_id).where(child.c.parent_run_id.in_(named), child.c.ended_ms.is_(None)),
        ),
    )


def _model_holders(named: sa.Select[Any]) -> Holders:
    """What refers to the logged models of a query, as for runs."""
    mine = logged_models.c.model_id
    return (
        ("a version", sa.select(model_versions.c.model_id).where(model_versions.c.model_id.in_(named))),
        (
            "a decision",
            sa.select(evaluations.c.model_id)
            .join(decisions, decisions.c.evaluation_id == evaluations.c.evaluation_id)
            .where(evaluations.c.model_id.in_(named)),
        ),
        (
            "an override",
            sa.select(mine)
            .join(overrides, overrides.c.payload_digest == logged_models.c.payload_digest)
            .where(mine.in_(named)),
        ),
        (
            "a probation",
            sa.select(evaluations.c.model_id).join(probation_judgements).where(evaluations.c.model_id.in_(named)),
        ),
        (
            "a running attempt",
            sa.select(mine)
            .join(attempts, attempts.c.run_id == logged_models.c.run_id)
            .where(mine.in_(named), attempts.c.state == AttemptState.RUNNING.value),
        ),
        (
            "an unfinished run",
            sa.select(mine)
            .join(run_rows, run_rows.c.run_id == logged_models.c.run_id)
            .where(mine.in_(named), run_rows.c.ended_ms.is_(None)),
        ),
    )


def _holders(connection: sa.Connection, holders: Holders) -> dict[str, str]:
    """Return the id of each that something refers to, and what does first."""
    held: dict[str, str] = {}
    for words, query in holders:
        for found in connection.scalars(query.distinct()):
            held.setdefault(found, words)
    return held


def _run_of(row: Row, held: Mapping[str, str]) -> Candidate:
    return Candidate(
        experiment=row["experiment"],
        run_id=row["run_id"],
        ended_at=time_of(row["ended_ms"]),
        name=row["name"],
        deleted=row["lifecycle_stage"] == "deleted",
        held_by=held.get(row["run_id"], ""),
    )


def _model_of(row: Row, held: Mapping[str, str]) -> Candidate:
    return Candidate(
        experiment=row["experiment"],
        run_id=row["run_id"],
        ended_at=time_of(row["logged_ms"] or row["created_ms"]),
        model_id=row["model_id"],
        name=row["name"],
        deleted=row["deleted_ms"] is not None,
        held_by=held.get(row["model_id"], ""),
    )


def _key(experiment: str, model: str) -> dict[str, str]:
    return {"workspace": WORKSPACE, "experiment": experiment, "model": model}


def _find(connection: sa.Connection, experiment: str, model: str) -> RetentionPolicy | None:
    row = connection.execute(sa.select(retention_policies).filter_by(**_key(experiment, model))).mappings().first()
    return None if row is None else _policy_of(row)


def _get(connection: sa.Connection, experiment: str, model: str) -> RetentionPolicy:
    found = _find(connection, experiment, model)
    if found is None:
        name = f"{experiment} {model}".strip()
        raise NotFound("retention policy", name, "penstock gc policy list shows those there are")
    return found


def _policy_of(row: Row) -> RetentionPolicy:
    return RetentionPolicy(
        experiment=row["experiment"],
        model=row["model"],
        keep_last=row["keep_last"],
        keep_days=row["keep_days"],
        actor=json.loads(row["actor"]),
        set_at=time_of(row["set_ms"]),
    )
