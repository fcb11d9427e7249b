"""Run artifacts (a path → blob index) and logged models (sealed manifests)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from penstock.errors import NotFound
from penstock.failpoints import failpoint
from penstock.model import guarding
from penstock.model.canonical import canonical_json
from penstock.model.runs import Attempt
from penstock.model.uris import RunModelUri
from penstock.model.versions import FileEntry, LoggedModel
from penstock.stores.sql import blobs, steps
from penstock.stores.sql.dialects import insert_or_ignore, insert_or_replace, now_ms
from penstock.stores.sql.rows import Row, file_of, model_of
from penstock.stores.sql.tables import logged_models, model_files, run_artifacts, runs
from penstock.stores.sql.tables import steps as step_heads
from penstock.stores.sql.tables.versions import deleted_models

# Statements that answer most questions are built once: building one costs as much as running it.
_ROW = sa.select(logged_models, deleted_models.c.deleted_ms).outerjoin(deleted_models)
_FILE = ("path", "sha256", "size_bytes")


def _with_files(models: sa.Select[Any]) -> sa.Select[Any]:
    """Select a model with each of its files, by path; its facts, which may be long, come with the first alone."""
    found = models.subquery("found")
    first = sa.func.row_number().over(order_by=model_files.c.path) == 1
    return (
        sa.select(
            *(column for column in found.c if column.name != "facts"),
            sa.case((first, found.c.facts)).label("facts"),
            *(model_files.c[name].label(f"f_{name}") for name in _FILE),
        )
        .outerjoin(model_files, model_files.c.model_id == found.c.model_id)
        .order_by(model_files.c.path)
    )


_BY_ID = _with_files(_ROW.where(logged_models.c.model_id == sa.bindparam("its_id")))
_NEWEST = _with_files(
    _ROW.join(step_heads, steps.still_counts(logged_models))
    .where(
        logged_models.c.run_id == sa.bindparam("of_run"),
        logged_models.c.name == sa.bindparam("of_name"),
        deleted_models.c.model_id.is_(None),
    )
    .order_by(logged_models.c.logged_ms.desc(), logged_models.c.attempt.desc(), logged_models.c.model_id)
    .limit(1)
)
_STAGES = (
    sa.select(
        logged_models.c.model_id,
        sa.case(
            (deleted_models.c.purged_ms.is_not(None), "purged"),
            (deleted_models.c.model_id.is_not(None), "deleted"),
            else_="active",
        ),
        runs.c.lifecycle_stage,
    )
    .join(runs, runs.c.run_id == logged_models.c.run_id)
    .outerjoin(deleted_models, deleted_models.c.model_id == logged_models.c.model_id)
    .where(logged_models.c.model_id > sa.bindparam("after"))
    .order_by(logged_models.c.model_id)
    .limit(sa.bindparam("most"))
)


def put_artifacts(
    connection: sa.Connection, attempt: Attempt, files: Sequence[FileEntry], seen: Collection[str]
) -> None:
    """Enter files into the run's index, replacing those with the same path."""
    place = steps.place(attempt)
    # In order of paths, so that steps side by side lock rows in the same order; of the same path twice the last counts.
    by_path = {file.path: file for file in files}
    if by_path:
        blobs.reprieve(connection, [file.sha256 for file in files], seen)
        connection.execute(
            insert_or_replace(connection, run_artifacts, ("run_id", "path")),
            [{**place, **by_path[path].__dict__} for path in sorted(by_path)],
        )
        failpoint("artifacts.indexed")


def artifacts(connection: sa.Connection, run_id: str) -> Sequence[FileEntry]:
    """Return a run's artifacts by path."""
    query = sa.select(run_artifacts).where(run_artifacts.c.run_id == run_id).order_by(run_artifacts.c.path)
    return [file_of(row) for row in connection.execute(query).mappings()]


def stages(connection: sa.Connection, after: str, limit: int) -> Sequence[tuple[str, str, str]]:
    """Return (id, stage, its run's stage) of the first logged models after an id, in the order of their ids."""
    return [tuple(row) for row in connection.execute(_STAGES, {"after": after, "most": limit})]


def referred(connection: sa.Connection, after: str, limit: int) -> Sequence[str]:
    """Return blobs that a run's artifacts or a model's files refer to, each once and in order."""
    named = [sa.select(table.c.sha256).where(table.c.sha256 > after) for table in (run_artifacts, model_files)]
    # Each side stops by itself: neither index is read to its end.
    sides = [each.distinct().order_by("sha256").limit(limit).subquery() for each in named]
    both = sa.union(*(sa.select(side.c.sha256) for side in sides)).order_by("sha256").limit(limit)
    return list(connection.scalars(both))


def referrer(connection: sa.Connection, sha256: str) -> str:
    """Return the first file of a model, else of a run, that a blob is the bytes of; empty if there is none."""
    of_model = (
        sa.select(logged_models.c.run_id, logged_models.c.name, model_files.c.path)
        .join(logged_models, logged_models.c.model_id == model_files.c.model_id)
        .where(model_files.c.sha256 == sha256)
        .order_by(logged_models.c.run_id, logged_models.c.name, model_files.c.path)
        .limit(1)
    )
    of_run = (
        sa.select(run_artifacts.c.run_id, run_artifacts.c.path)
        .where(run_artifacts.c.sha256 == sha256)
        .order_by(run_artifacts.c.run_id, run_artifacts.c.path)
        .limit(1)
    )
    for run_id, name, path in connection.execute(of_model):
        return f"{RunModelUri(run_id, name)} {path}"
    for run_id, path in connection.execute(of_run):
        return f"runs:/{run_id} {path}"
    return ""


def add(connection: sa.Connection, attempt: Attempt, model: LoggedModel, seen: Collection[str]) -> LoggedModel:
    """Seal a model with its files. The same model again keeps its files, and is now the one logged last."""
    time_ms = now_ms(connection)
    beside = (logged_models.c.run_id == attempt.step.run_id, logged_models.c.name == model.name)
    last_ms = connection.scalar(sa.select(sa.func.max(logged_models.c.logged_ms)).where(*beside))
    # Of two within a millisecond, the order counts.
    place = {**steps.place(attempt), "logged_ms": max(time_ms, (last_ms or 0) + 1)}
    known = connection.execute(
        sa.update(logged_models).where(logged_models.c.model_id == model.model_id).values(**place)
    )
    if known.rowcount == 0:
        blobs.reprieve(connection, [file.sha256 for file in model.files], seen)
        connection.execute(
            sa.insert(logged_models),
            {
                **place,
                "model_id": model.model_id,
                "name": model.name,
                "payload_digest": model.payload_digest,
                "manifest_digest": model.manifest_digest,
                "flavor": model.flavor,
                "size_bytes": model.size_bytes,
                "facts": canonical_json(model.facts),
                "created_ms": time_ms,
            },
        )
        failpoint("model.inserted")
        if model.files:
            connection.execute(
                insert_or_ignore(connection, model_files),
                [{"model_id": model.model_id, **file.__dict__} for file in model.files],
            )
            failpoint("model.files")
    elif is_purged(connection, model.model_id):
        raise guarding.purged_model(model.uri)
    return get(connection, model.model_id)


def is_purged(connection: sa.Connection, model_id: str) -> bool:
    """Whether a logged model's files have been collected."""
    query = sa.select(deleted_models.c.purged_ms).where(deleted_models.c.model_id == model_id)
    return connection.scalar(query) is not None


def get(connection: sa.Connection, model_id: str) -> LoggedModel:
    """Return a logged model with its files; `NotFound` if there is none."""
    found = _model_in(connection.execute(_BY_ID, {"its_id": model_id}).mappings().all())
    if found is None:
        raise NotFound("logged model", model_id)
    return found


def find(connection: sa.Connection, run_id: str, name: str) -> LoggedModel | None:
    """Return the model logged last under this name by a current attempt of the run, and not deleted."""
    return _model_in(connection.execute(_NEWEST, {"of_run": run_id, "of_name": name}).mappings().all())


def _model_in(rows: Sequence[Row]) -> LoggedModel | None:
    files = [FileEntry(*(row[f"f_{name}"] for name in _FILE)) for row in rows if row["f_path"] is not None]
    return model_of(rows[0], files) if rows else None
