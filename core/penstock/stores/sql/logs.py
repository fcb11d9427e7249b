"""What attempts log: metrics, params, tags and inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from penstock.errors import Conflict
from penstock.failpoints import failpoint
from penstock.model.canonical import canonical_json
from penstock.model.data import Dataset
from penstock.model.runs import Attempt, AttemptState, LogBatch, Metric, RunDetails, StepSummary, split_value
from penstock.stores.sql import history, postgres, runs, steps
from penstock.stores.sql.dialects import add_rows, insert_or_ignore, insert_or_replace, now_ms
from penstock.stores.sql.rows import dataset_of, step_of
from penstock.stores.sql.tables import attempts, inputs, metrics, params, tags
from penstock.stores.sql.tables import steps as step_heads


def holds_points_only(batch: LogBatch) -> bool:
    """Whether there is nothing in a batch but metrics."""
    return bool(batch.metrics) and not (batch.params or batch.tags or batch.inputs)


def write_for(connection: sa.Connection, attempt: Attempt, batch: LogBatch) -> None:
    """Write a whole batch, or raise `Fenced`; renews the attempt's lease. Metrics alone are one statement."""
    if holds_points_only(batch) and connection.dialect.name == "postgresql":
        time_ms = now_ms(connection)
        lease_expires_ms = time_ms + int(attempt.lease_s * 1000)
        if not postgres.log_points(connection, attempt, lease_expires_ms, _columns(batch.metrics, time_ms)):
            raise steps.fenced(connection, attempt)
        return
    steps.check_may_write(connection, attempt)
    write(connection, attempt, batch)


def write(connection: sa.Connection, attempt: Attempt, batch: LogBatch) -> None:
    """Write a whole batch; the caller has checked that the attempt may write."""
    place = steps.place(attempt)
    time_ms = now_ms(connection)
    if batch.metrics:
        add_rows(connection, metrics, place, _columns(batch.metrics, time_ms))
        failpoint("log.metrics")
    if batch.params:
        _write_params(connection, attempt, batch)
        failpoint("log.params")
    if batch.tags:
        run_id = attempt.step.run_id
        connection.execute(
            insert_or_replace(connection, tags, ("run_id", "name")),
            [{"run_id": run_id, "name": name, "value": value} for name, value in sorted(batch.tags.items())],
        )
        failpoint("log.tags")
    if batch.inputs:
        connection.execute(
            insert_or_ignore(connection, inputs),
            [{**place, **_input_columns(dataset)} for dataset in batch.inputs],
        )


def _columns(points: Sequence[Metric], time_ms: int) -> dict[str, list[Any]]:
    split = [split_value(point.value) for point in points]
    return {
        "name": [point.name for point in points],
        "metric_step": [point.step for point in points],
        "time_ms": [time_ms if point.time is None else int(point.time.timestamp() * 1000) for point in points],
        "kind": [kind.value for kind, _ in split],
        "value": [0.0 if value is None else value for _, value in split],
    }


def _input_columns(dataset: Dataset) -> dict[str, object]:
    columns: dict[str, object] = {name: getattr(dataset, name) for name in ("role", "name", "digest", "rows", "source")}
    return {**columns, "columns": canonical_json(dict(dataset.schema)), "facts": canonical_json(dataset.facts)}


def _write_params(connection: sa.Connection, attempt: Attempt, batch: LogBatch) -> None:
    columns = {"name": list(batch.params), "value": list(batch.params.values())}
    if add_rows(connection, params, steps.place(attempt), columns) == len(batch.params):
        return
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


def _ordered(table: sa.Table, run_id: str) -> sa.Select[Any]:
    """What current attempts wrote, a later attempt after an earlier one: where both have a name, the later counts."""
    return steps.visible(table, run_id).order_by(table.c.step, table.c.map_index, table.c.attempt)


_ATTEMPTS = sa.select(attempts, step_heads.c.generation).join(
    step_heads,
    sa.and_(
        step_heads.c.run_id == attempts.c.run_id,
        step_heads.c.step == attempts.c.step,
        step_heads.c.map_index == attempts.c.map_index,
    ),
)


def done(connection: sa.Connection, run_id: str, inputs_digest: str) -> Sequence[StepSummary]:
    """Return the attempts in a run that are DONE with these inputs, as they ended."""
    here = (attempts.c.run_id == run_id, attempts.c.inputs_digest == inputs_digest)
    query = _ATTEMPTS.where(*here, attempts.c.state == AttemptState.DONE.value)
    rows = connection.execute(query.order_by(attempts.c.ended_ms, attempts.c.started_ms, attempts.c.step)).mappings()
    return [step_of(row) for row in rows]


def details(connection: sa.Connection, run_id: str) -> RunDetails:
    """Return a run with what its current attempts have logged; of each metric its last point."""
    run = runs.get(connection, run_id)
    newest = _ATTEMPTS.where(attempts.c.run_id == run_id, step_heads.c.attempt == attempts.c.attempt).order_by(
        attempts.c.started_ms, attempts.c.step, attempts.c.map_index
    )
    read = _ordered(inputs, run_id).order_by(inputs.c.role, inputs.c.name, inputs.c.digest)
    return RunDetails(
        run=run,
        params={row.name: row.value for row in connection.execute(_ordered(params, run_id))},
        metrics=history.last(connection, run_id),
        tags={row.name: row.value for row in connection.execute(sa.select(tags).where(tags.c.run_id == run_id))},
        inputs=tuple(dataset_of(row) for row in connection.execute(read).mappings()),
        steps=tuple(step_of(row) for row in connection.execute(newest).mappings()),
    )
