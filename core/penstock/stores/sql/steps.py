"""Steps and attempts: what makes a step that runs twice happen once (law L1)."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from penstock.errors import Fenced
from penstock.model.canonical import canonical_json
from penstock.model.runs import Attempt, AttemptState, RunStatus, StepId, StepResult
from penstock.ports import NewAttempt, StepEnd
from penstock.stores.sql import runs
from penstock.stores.sql.dialects import insert_or_replace, now_ms
from penstock.stores.sql.tables import attempts, step_results, steps


def at(table: sa.Table, step: StepId) -> sa.ColumnElement[bool]:
    """The rows of `table` that belong to `step`."""
    return sa.and_(table.c.run_id == step.run_id, table.c.step == step.name, table.c.map_index == step.map_index)


def place(attempt: Attempt) -> dict[str, Any]:
    """The columns that say which attempt wrote a row."""
    return {**_of(attempt.step), "attempt": attempt.number}


def _of(step: StepId) -> dict[str, Any]:
    return {"run_id": step.run_id, "step": step.name, "map_index": step.map_index}


def find_result(connection: sa.Connection, step: StepId, inputs_digest: str) -> StepResult | None:
    """Return what the step returned for these inputs, if it is done."""
    row = connection.execute(
        sa.select(step_results).where(at(step_results, step), step_results.c.inputs_digest == inputs_digest)
    ).first()
    return None if row is None else StepResult(step, inputs_digest, json.loads(row.result), row.generation)


def begin(connection: sa.Connection, new: NewAttempt) -> Attempt | StepResult:
    """Return the stored result, or begin a new attempt that fences every earlier one of the step."""
    run = runs.get(connection, new.step.run_id, lock=True)
    if run.status.ended and run.status is not RunStatus.FINISHED:
        run = runs.reopen(connection, run, new.actor)
    if not new.always:
        done = find_result(connection, new.step, new.inputs_digest)
        if done is not None:
            return done
    if run.status.ended and new.reopen:
        runs.reopen(connection, run, new.actor)
    time_ms = now_ms(connection)
    head = connection.execute(sa.select(steps).where(at(steps, new.step)).with_for_update()).first()
    number, visible_from, generation = 1, 1, 1
    if head is not None:
        number = head.attempt + 1
        visible_from = head.visible_from if new.resume else number
        before = connection.execute(
            sa.select(attempts.c.inputs_digest).where(at(attempts, new.step), attempts.c.attempt == head.attempt)
        ).scalar_one()
        generation = head.generation + (before != new.inputs_digest)
        connection.execute(
            sa.update(attempts)
            .where(at(attempts, new.step), attempts.c.state == AttemptState.RUNNING.value)
            .values(state=AttemptState.SUPERSEDED.value, ended_ms=time_ms)
        )
    connection.execute(
        insert_or_replace(connection, steps, ("run_id", "step", "map_index")),
        {**_of(new.step), "attempt": number, "visible_from": visible_from, "generation": generation},
    )
    connection.execute(
        sa.insert(attempts),
        {
            **_of(new.step),
            "attempt": number,
            "inputs_digest": new.inputs_digest,
            "inputs": canonical_json(new.inputs),
            "token": new.token,
            "state": AttemptState.RUNNING.value,
            "host": canonical_json(new.host),
            "error": "",
            "started_ms": time_ms,
            "ended_ms": None,
            "lease_expires_ms": time_ms + int(new.lease_s * 1000),
        },
    )
    return Attempt(new.step, number, new.inputs_digest, new.token, new.lease_s)


def check_may_write(connection: sa.Connection, attempt: Attempt) -> None:
    """`Fenced` unless `attempt` is the step's newest and still running; renews its lease."""
    renewed = connection.execute(
        sa.update(attempts)
        .where(
            at(attempts, attempt.step),
            attempts.c.attempt == attempt.number,
            attempts.c.token == attempt.token,
            attempts.c.state == AttemptState.RUNNING.value,
        )
        .values(lease_expires_ms=now_ms(connection) + int(attempt.lease_s * 1000))
    )
    if renewed.rowcount != 1:
        current = connection.scalar(sa.select(steps.c.attempt).where(at(steps, attempt.step)))
        raise Fenced(str(attempt.step), attempt.number, int(current or 0))


def end(connection: sa.Connection, ending: StepEnd) -> StepResult | None:
    """End an attempt for good; a DONE attempt leaves its result. Ending it again in the same way changes nothing."""
    attempt = ending.attempt
    runs.get(connection, attempt.step.run_id, lock=True)
    row = connection.execute(
        sa.select(attempts.c.state).where(
            at(attempts, attempt.step),
            attempts.c.attempt == attempt.number,
            attempts.c.token == attempt.token,
        )
    ).first()
    if row is not None and row.state == ending.state.value:
        return find_result(connection, attempt.step, attempt.inputs_digest)
    check_may_write(connection, attempt)
    time_ms = now_ms(connection)
    connection.execute(
        sa.update(attempts)
        .where(at(attempts, attempt.step), attempts.c.attempt == attempt.number)
        .values(state=ending.state.value, ended_ms=time_ms, error=ending.error, lease_expires_ms=None)
    )
    if ending.state is not AttemptState.DONE:
        return None
    generation = connection.scalar(sa.select(steps.c.generation).where(at(steps, attempt.step)))
    connection.execute(
        insert_or_replace(connection, step_results, ("run_id", "step", "map_index", "inputs_digest")),
        {
            **place(attempt),
            "inputs_digest": attempt.inputs_digest,
            "generation": generation,
            "result": canonical_json(ending.result),
            "ended_ms": time_ms,
        },
    )
    return find_result(connection, attempt.step, attempt.inputs_digest)


def visible(table: sa.Table, run_id: str) -> sa.Select[Any]:
    """Select the rows of `table` that a run's current attempts wrote, without superseded ones."""
    return (
        sa.select(table)
        .join(
            steps,
            sa.and_(
                steps.c.run_id == table.c.run_id,
                steps.c.step == table.c.step,
                steps.c.map_index == table.c.map_index,
                table.c.attempt >= steps.c.visible_from,
            ),
        )
        .where(table.c.run_id == run_id)
    )
