"""Deleting and restoring runs, logged models and versions, unless something refers to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from penstock.model import guarding, registry_events
from penstock.model.canonical import canonical_json
from penstock.model.ids import WORKSPACE
from penstock.model.runs import Run
from penstock.model.uris import VersionUri
from penstock.model.versions import LoggedModel, ModelVersion, VersionState
from penstock.stores.sql import ledger, models, runs
from penstock.stores.sql.dialects import now_ms
from penstock.stores.sql.tables import aliases, decisions, evaluations, model_versions
from penstock.stores.sql.tables import runs as run_rows
from penstock.stores.sql.tables.versions import deleted_models


def check_version_is_free(connection: sa.Connection, version: ModelVersion, state: VersionState) -> None:
    """`Conflict` if an alias points to a version that is to be archived or deleted, or a decision compares with it."""
    if state is VersionState.ACTIVE:
        return
    here = (aliases.c.workspace == WORKSPACE, aliases.c.model == version.model, aliases.c.version == version.version)
    alias = connection.scalar(sa.select(aliases.c.alias).where(*here).order_by(aliases.c.alias).limit(1))
    if alias is not None:
        raise guarding.in_use_by_alias(version.uri, alias)
    if state is VersionState.DELETED:
        compared = (
            decisions.c.workspace == WORKSPACE,
            decisions.c.model == version.model,
            decisions.c.baseline_version == version.version,
        )
        decision = connection.scalar(_first(decisions).where(*compared))
        if decision is not None:
            raise guarding.compared_with(version.uri, decision)


def change_model(
    connection: sa.Connection, model_id: str, deleted: bool, reason: str, actor: Mapping[str, Any]
) -> LoggedModel:
    """Delete or restore a logged model, with its event, unless a version or a decision refers to it."""
    run = runs.get(connection, models.get(connection, model_id).run_id, lock=True)
    model = models.get(connection, model_id)
    if not deleted and models.is_purged(connection, model_id):
        raise guarding.purged_model(model.uri)
    if model.deleted is deleted:
        return model
    if deleted:
        _check_no_version(connection, "logged model", model.uri, model.run_id, model_id)
        judged = _first(decisions).join(evaluations).where(evaluations.c.model_id == model_id)
        decision = connection.scalar(judged.where(decisions.c.run_id == evaluations.c.run_id))
        if decision is not None:
            raise guarding.judged_by("logged model", model.uri, decision)
        values = {"model_id": model_id, "reason": reason, "actor": canonical_json(actor)}
        connection.execute(sa.insert(deleted_models), {**values, "deleted_ms": now_ms(connection)})
    else:
        connection.execute(sa.delete(deleted_models).where(deleted_models.c.model_id == model_id))
    ledger.append(connection, registry_events.model_deleted(model, run.experiment, deleted, reason, actor))
    return models.get(connection, model_id)


def change_run(connection: sa.Connection, run_id: str, deleted: bool, reason: str, actor: Mapping[str, Any]) -> Run:
    """Delete or restore a run, with its event, unless it is running or a version or decision refers to it."""
    run = runs.get(connection, run_id, lock=True)
    if not deleted and run.purged:
        raise guarding.purged_run(run_id)
    if run.deleted is deleted:
        return run
    if deleted:
        if not run.status.ended:
            raise guarding.still_running(run_id)
        _check_no_version(connection, "run", run_id, run_id)
        decision = connection.scalar(_first(decisions).where(decisions.c.run_id == run_id))
        if decision is not None:
            raise guarding.judged_by("run", run_id, decision)
    stage = "deleted" if deleted else "active"
    connection.execute(sa.update(run_rows).where(run_rows.c.run_id == run_id).values(lifecycle_stage=stage))
    ledger.append(connection, registry_events.run_deleted(run, deleted, reason, actor))
    return runs.get(connection, run_id)


def _first(table: sa.Table) -> sa.Select[Any]:
    return sa.select(table.c.decision_id).order_by(table.c.created_ms, table.c.decision_id).limit(1)


def _check_no_version(
    connection: sa.Connection, kind: str, name: str, run_id: str, model_id: str | None = None
) -> None:
    query = sa.select(model_versions.c.model, model_versions.c.version).where(model_versions.c.run_id == run_id)
    if model_id is not None:
        query = query.where(model_versions.c.model_id == model_id)
    row = connection.execute(query.order_by(model_versions.c.model, model_versions.c.version).limit(1)).first()
    if row is not None:
        raise guarding.registered_as(kind, name, str(VersionUri(row.model, row.version)))
