"""Run artifacts (a path → blob index) and logged models (sealed manifests)."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from penstock.errors import NotFound
from penstock.model.canonical import canonical_json
from penstock.model.runs import Attempt
from penstock.model.versions import FileEntry, LoggedModel
from penstock.stores.sql import steps
from penstock.stores.sql.dialects import insert_or_ignore, insert_or_replace, now_ms
from penstock.stores.sql.rows import file_of, model_of
from penstock.stores.sql.tables import logged_models, model_files, run_artifacts


def put_artifacts(connection: sa.Connection, attempt: Attempt, files: Sequence[FileEntry]) -> None:
    """Enter files into the run's index, replacing those with the same path."""
    place = steps.place(attempt)
    # In order of paths, so that steps side by side lock rows in the same order; of the same path twice the last counts.
    by_path = {file.path: file for file in files}
    if by_path:
        connection.execute(
            insert_or_replace(connection, run_artifacts, ("run_id", "path")),
            [{**place, **by_path[path].__dict__} for path in sorted(by_path)],
        )


def artifacts(connection: sa.Connection, run_id: str) -> Sequence[FileEntry]:
    """Return a run's artifacts by path."""
    query = sa.select(run_artifacts).where(run_artifacts.c.run_id == run_id).order_by(run_artifacts.c.path)
    return [file_of(row) for row in connection.execute(query).mappings()]


def add(connection: sa.Connection, attempt: Attempt, model: LoggedModel) -> LoggedModel:
    """Seal a model with its files. The same model again keeps its files and belongs to the newer attempt."""
    place = steps.place(attempt)
    known = connection.execute(
        sa.update(logged_models).where(logged_models.c.model_id == model.model_id).values(**place)
    )
    if known.rowcount == 0:
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
                "created_ms": now_ms(connection),
            },
        )
        if model.files:
            connection.execute(
                insert_or_ignore(connection, model_files),
                [{"model_id": model.model_id, **file.__dict__} for file in model.files],
            )
    return get(connection, model.model_id)


def get(connection: sa.Connection, model_id: str) -> LoggedModel:
    """Return a logged model with its files; `NotFound` if there is none."""
    row = connection.execute(sa.select(logged_models).where(logged_models.c.model_id == model_id)).mappings().first()
    if row is None:
        raise NotFound("logged model", model_id)
    files = connection.execute(
        sa.select(model_files).where(model_files.c.model_id == model_id).order_by(model_files.c.path)
    )
    return model_of(row, [file_of(file) for file in files.mappings()])


def find(connection: sa.Connection, run_id: str, name: str) -> LoggedModel | None:
    """Return the model logged last under this name by a current attempt of the run."""
    query = steps.visible(logged_models, run_id).where(logged_models.c.name == name)
    newest = (logged_models.c.created_ms.desc(), logged_models.c.attempt.desc(), logged_models.c.model_id)
    row = connection.execute(query.order_by(*newest)).first()
    return None if row is None else get(connection, row.model_id)
