"""What attempts log: metrics, params, tags and inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from penstock.errors import Conflict
from penstock.model.canonical import canonical_json
from penstock.model.data import Dataset
from penstock.model.runs import Attempt, LogBatch, RunDetails, join_value, split_value
from penstock.stores.sql import runs, steps
from penstock.stores.sql.dialects import insert_or_ignore, insert_or_replace, now_ms
from penstock.stores.sql.rows import dataset_of, step_of
from penstock.stores.sql.tables import attempts, inputs, metrics, params, tags
from penstock.stores.sql.tables import steps as step_heads

# By training step and time; what comes after only makes the order the same on every database.
_POINTS = (
    *(metrics.c.metric_step, metrics.c.time_ms),
    *(metrics.c.step, metrics.c.map_index, metrics.c.attempt, metrics.c.kind, metrics.c.value),
)


def write(connection: sa.Connection, attempt: Attempt, batch: LogBatch) -> None:
    """Write a whole batch; the caller has checked that the attempt may write."""
    place = steps.place(attempt)
    time_ms = now_ms(connection)
    if batch.metrics:
        points = []
        for metric in batch.metrics:
            kind, value = split_value(metric.value)
            at_ms = time_ms if metric.time is None else int(metric.time.timestamp() * 1000)
            point = {"name": metric.name, "metric_step": metric.step, "time_ms": at_ms}
            points.append({**place, **point, "kind": kind.value, "value": 0.0 if value is None else value})
        connection.execute(insert_or_ignore(connection, metrics), points)
    if batch.params:
        _write_params(connection, attempt, batch)
    if batch.tags:
        run_id = attempt.step.run_id
        connection.execute(
            insert_or_replace(connection, tags, ("run_id", "name")),
            [{"run_id": run_id, "name": name, "value": value} for name, value in sorted(batch.tags.items())],
        )
    if batch.inputs:
        connection.execute(
            insert_or_ignore(connection, inputs),
            [{**place, **_input_columns(dataset)} for dataset in batch.inputs],
        )


def _input_columns(dataset: Dataset) -> dict[str, object]:
    columns: dict[str, object] = dict(dataset.__dict__)
    columns["columns"] = canonical_json(columns.pop("schema"))
    return columns


def _write_params(connection: sa.Connection, attempt: Attempt, batch: LogBatch) -> None:
    place = steps.place(attempt)
    connection.execute(
        insert_or_ignore(connection, params),
        [{**place, "name": name, "value": value} for name, value in batch.params.items()],
    )
    stored = connection.execute(
        sa.select(params.c.name, params.c.value).where(
            steps.at(params, attempt.step),
            params.c.attempt == attempt.number,
            params.c.name.in_(list(batch.params)),
        )
    )
    for name, value in stored:
        if value != batch.params[name]:
            hint = "A param is written once per attempt; log another name"
            raise Conflict("param", name, repr(batch.params[name]), repr(value), hint)


def points(connection: sa.Connection, run_id: str, name: str) -> Sequence[tuple[int, int, float]]:
    """Return (step, time in ms, value) of a metric's current points, by step and time."""
    query = steps.visible(metrics, run_id).where(metrics.c.name == name).order_by(*_POINTS)
    # A history may have a million points: only the columns that are asked for, and no work on a finite value.
    columns = (metrics.c.metric_step, metrics.c.time_ms, metrics.c.kind, metrics.c.value)
    rows = connection.execute(query.with_only_columns(*columns))
    return [(step, at, value if kind == "finite" else join_value(kind, value)) for step, at, kind, value in rows]


def _ordered(table: sa.Table, run_id: str) -> sa.Select[Any]:
    """What current attempts wrote, a later attempt after an earlier one: where both have a name, the later counts."""
    return steps.visible(table, run_id).order_by(table.c.step, table.c.map_index, table.c.attempt)


def details(connection: sa.Connection, run_id: str) -> RunDetails:
    """Return a run with what its current attempts have logged; of each metric its last point."""
    run = runs.get(connection, run_id)
    last: dict[str, float] = {}
    for row in connection.execute(steps.visible(metrics, run_id).order_by(*_POINTS)):
        last[row.name] = join_value(row.kind, row.value)
    newest = (
        sa.select(attempts, step_heads.c.generation)
        .join(
            step_heads,
            sa.and_(
                step_heads.c.run_id == attempts.c.run_id,
                step_heads.c.step == attempts.c.step,
                step_heads.c.map_index == attempts.c.map_index,
                step_heads.c.attempt == attempts.c.attempt,
            ),
        )
        .where(attempts.c.run_id == run_id)
        .order_by(attempts.c.started_ms, attempts.c.step, attempts.c.map_index)
    )
    read = _ordered(inputs, run_id).order_by(inputs.c.role, inputs.c.name, inputs.c.digest)
    return RunDetails(
        run=run,
        params={row.name: row.value for row in connection.execute(_ordered(params, run_id))},
        metrics=last,
        tags={row.name: row.value for row in connection.execute(sa.select(tags).where(tags.c.run_id == run_id))},
        inputs=tuple(dataset_of(row) for row in connection.execute(read).mappings()),
        steps=tuple(step_of(row) for row in connection.execute(newest).mappings()),
    )
