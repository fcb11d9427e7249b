"""What stands beside versions: load checks, states, notes; which data they were trained on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from penstock.errors import NotFound
from penstock.model import registry_events
from penstock.model.canonical import canonical_json
from penstock.model.ids import WORKSPACE
from penstock.model.load_checks import LoadCheck
from penstock.model.notes import Note
from penstock.model.versions import ModelVersion, VersionState
from penstock.stores.sql import ledger, references, registry, steps
from penstock.stores.sql.dialects import insert_or_ignore, insert_or_replace, now_ms
from penstock.stores.sql.rows import check_of, time_of, version_of
from penstock.stores.sql.tables import inputs, model_versions, registered_models
from penstock.stores.sql.tables import steps as step_heads
from penstock.stores.sql.tables.versions import load_checks, registry_notes, version_states


def get(connection: sa.Connection, model: str, version: int) -> ModelVersion:
    """Return a version, whatever its state; `NotFound` if there is none."""
    found = registry.find_version(connection, model, version)
    if found is None:
        raise NotFound("model version", f"models:/{model}/{version}")
    return found


def add_check(connection: sa.Connection, check: LoadCheck) -> LoadCheck:
    """Record a check under its number, with its event; return the one that stands there."""
    registry.lock(connection, check.model)
    version = get(connection, check.model, check.version)
    key = {"workspace": WORKSPACE, "model": check.model, "version": check.version, "number": check.number}
    added = connection.execute(
        insert_or_ignore(connection, load_checks),
        {
            **key,
            "passed": check.passed,
            "error": check.error,
            "facts": canonical_json(check.facts),
            "actor": canonical_json(check.actor),
            "checked_ms": now_ms(connection),
        },
    )
    if added.rowcount == 1:
        ledger.append(connection, registry_events.checked(version, check))
    return next(found for found in checks(connection, check.model, check.version) if found.number == check.number)


def checks(connection: sa.Connection, model: str, version: int) -> Sequence[LoadCheck]:
    """Return a version's load checks, oldest first."""
    rows = connection.execute(sa.select(load_checks).where(*_at(load_checks, model, version)).order_by("number"))
    return [check_of(row) for row in rows.mappings()]


def last_checks(connection: sa.Connection, model: str, since: int) -> Sequence[LoadCheck]:
    """Return the last check of each version from a number on."""
    later = load_checks.alias()
    same = (later.c[name] == load_checks.c[name] for name in ("workspace", "model", "version"))
    query = (
        sa.select(load_checks)
        .where(load_checks.c.workspace == WORKSPACE, load_checks.c.model == model, load_checks.c.version >= since)
        .where(~sa.exists().where(*same, later.c.number > load_checks.c.number))
    )
    return [check_of(row) for row in connection.execute(query.order_by(load_checks.c.version)).mappings()]


def change_state(
    connection: sa.Connection, model: str, version: int, state: VersionState, reason: str, actor: Mapping[str, Any]
) -> ModelVersion:
    """Archive, delete or restore a version, with its event, unless something refers to it."""
    registry.lock(connection, model)
    found = get(connection, model, version)
    if found.state is state:
        return found
    references.check_version_is_free(connection, found, state)
    connection.execute(
        insert_or_replace(connection, version_states, ("workspace", "model", "version")),
        {
            "workspace": WORKSPACE,
            "model": model,
            "version": version,
            "state": state.value,
            "reason": reason,
            "actor": canonical_json(actor),
            "changed_ms": now_ms(connection),
        },
    )
    ledger.append(connection, registry_events.state_changed(found, state, reason, actor))
    return get(connection, model, version)


def write_note(connection: sa.Connection, note: Note) -> None:
    """Write or remove a note; `NotFound` without the model or version it is about."""
    here = (registered_models.c.workspace == WORKSPACE, registered_models.c.name == note.model)
    if connection.scalar(sa.select(registered_models.c.name).where(*here)) is None:
        raise NotFound("registered model", note.model)
    if note.version is not None:
        get(connection, note.model, note.version)
    key = {"workspace": WORKSPACE, "model": note.model, "version": note.version or 0, "name": note.name}
    if note.text is None:
        connection.execute(sa.delete(registry_notes).filter_by(**key))
        return
    connection.execute(
        insert_or_replace(connection, registry_notes, tuple(key)),
        {**key, "text": note.text, "actor": canonical_json(note.actor), "written_ms": now_ms(connection)},
    )


def notes(connection: sa.Connection, model: str, version: int | None) -> Sequence[Note]:
    """Return the notes on a model or on one of its versions, by name."""
    rows = connection.execute(
        sa.select(registry_notes).where(*_at(registry_notes, model, version or 0)).order_by("name")
    )
    return [
        Note(row.model, row.version or None, row.name, row.text, json.loads(row.actor), time_of(row.written_ms))
        for row in rows
    ]


def trained_on(connection: sa.Connection, digest: str) -> Sequence[ModelVersion]:
    """Return the versions whose run has read data of this digest for training, in attempts that still count."""
    read = (
        sa.select(inputs.c.run_id)
        .join(step_heads, steps.still_counts(inputs))
        .where(inputs.c.digest == digest, inputs.c.role == "train")
    )
    query = registry.VERSIONS.where(model_versions.c.workspace == WORKSPACE, model_versions.c.run_id.in_(read))
    rows = connection.execute(query.order_by(model_versions.c.model, model_versions.c.version))
    return [version_of(row) for row in rows.mappings()]


def _at(table: sa.Table, model: str, version: int) -> tuple[sa.ColumnElement[bool], ...]:
    return table.c.workspace == WORKSPACE, table.c.model == model, table.c.version == version
