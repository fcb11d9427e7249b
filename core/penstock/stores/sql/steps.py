"""Steps and attempts: what makes a step that runs twice happen once (law L1)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from penstock.errors import Fenced
from penstock.failpoints import failpoint
from penstock.model import guarding
from penstock.model.canonical import canonical_json
from penstock.model.runs import Attempt, AttemptState, RunStatus, StepId, StepResult
from penstock.ports import NewAttempt, StepEnd
from penstock.stores.sql import runs
from penstock.stores.sql.dialects import insert_or_replace, now_ms, unasked
from penstock.stores.sql.tables import attempts, step_results, steps


def at(table: sa.Table, step: StepId) -> sa.ColumnElement[bool]:
    """The rows of `table` that belong to `step`."""
    return sa.and_(table.c.run_id == step.run_id, table.c.step == step.name, table.c.map_index == step.map_index)


def place(attempt: Attempt) -> dict[str, Any]:
    """The columns that say which attempt wrote a row."""
    return {**_of(attempt.step), "attempt": attempt.number}


def _bound(table: sa.Table) -> sa.ColumnElement[bool]:
    """The rows of `table` that belong to a step given by `_its`."""
    columns = ("run_id", "step", "map_index")
    return sa.and_(*(table.c[name] == sa.bindparam(f"its_{name}") for name in columns))


def _its(step: StepId) -> dict[str, Any]:
    return {"its_run_id": step.run_id, "its_step": step.name, "its_map_index": step.map_index}


# Statements that run in every transaction are built once: building one costs as much as running it.
_SAME_STEP = sa.and_(*(step_results.c[name] == steps.c[name] for name in ("run_id", "step", "map_index")))
_FOR_THESE = sa.and_(_SAME_STEP, step_results.c.inputs_digest == sa.bindparam("its_inputs_digest"))
_HEAD = (
    sa.select(
        *(steps.c[name] for name in ("attempt", "visible_from", "generation")),
        step_results.c.result,
        step_results.c.generation.label("done_generation"),
    )
    .select_from(steps.outerjoin(step_results, _FOR_THESE))
    .where(_bound(steps))
    .with_for_update(of=steps)
)
_GENERATION = sa.select(steps.c.generation).where(_bound(steps))
_RESULT = sa.select(step_results).where(
    _bound(step_results), step_results.c.inputs_digest == sa.bindparam("its_inputs_digest")
)
_INSERT_STEP, _INSERT_ATTEMPT, _INSERT_RESULT = (unasked(sa.insert(table)) for table in (steps, attempts, step_results))
_OWN = sa.update(attempts).where(
    _bound(attempts),
    attempts.c.attempt == sa.bindparam("its_number"),
    attempts.c.token == sa.bindparam("its_token"),
    attempts.c.state == AttemptState.RUNNING.value,
)


def _of(step: StepId) -> dict[str, Any]:
    return {"run_id": step.run_id, "step": step.name, "map_index": step.map_index}


def find_result(connection: sa.Connection, step: StepId, inputs_digest: str) -> StepResult | None:
    """Return what the step returned for these inputs, if it is done."""
    row = connection.execute(_RESULT, {**_its(step), "its_inputs_digest": inputs_digest}).first()
    return None if row is None else StepResult(step, inputs_digest, json.loads(row.result), row.generation)


def done_with_its_run(connection: sa.Connection, new: NewAttempt, result: Any) -> Attempt:
    """Write the only attempt of a step of a run made in this transaction, DONE already: nobody else can know of it."""
    attempt = AtOnce(new.step, 1, new.inputs_digest, new.token, new.lease_s, new=new, visible_from=1, generation=1)
    finish(connection, attempt, result)
    return Attempt(new.step, 1, new.inputs_digest, new.token, new.lease_s)


@dataclass(frozen=True, kw_only=True)
class AtOnce(Attempt):
    """An attempt that began in this transaction and is written once, as done: nobody sees it before it is."""

    new: NewAttempt
    visible_from: int
    generation: int


def begun(connection: sa.Connection, step: StepEnd | NewAttempt) -> Attempt | StepResult:
    """Return the attempt that ends a step, begun now if it is to begin in this transaction; `finish` ends it."""
    return begin(connection, step, at_once=True) if isinstance(step, NewAttempt) else step.attempt


def finish(connection: sa.Connection, attempt: Attempt, result: Any) -> None:
    """Leave the result of the step whose attempt `begun` returned."""
    if isinstance(attempt, AtOnce):
        time_ms = now_ms(connection)
        _write(connection, attempt.new, attempt.number, attempt.visible_from, attempt.generation, time_ms, done=True)
        _leave_result(connection, attempt, result, attempt.generation, time_ms)
    else:
        end(connection, StepEnd(attempt, AttemptState.DONE, result))


def begin(connection: sa.Connection, new: NewAttempt, *, at_once: bool = False) -> Attempt | StepResult:
    """Return the stored result, or begin a new attempt that fences every earlier one of the step.

    One that is to end in this transaction, `at_once`, is written by `finish`.
    """
    status, deleted = runs.lock(connection, new.step.run_id)
    if deleted:
        raise guarding.gone_run(runs.get(connection, new.step.run_id))
    if status.ended and status is not RunStatus.FINISHED:
        status = runs.reopen(connection, runs.get(connection, new.step.run_id), new.actor).status
    head = connection.execute(_HEAD, {**_its(new.step), "its_inputs_digest": new.inputs_digest}).first()
    if head is not None and head.result is not None and not new.always:
        return StepResult(new.step, new.inputs_digest, json.loads(head.result), head.done_generation)
    if status.ended and new.reopen:
        runs.reopen(connection, runs.get(connection, new.step.run_id), new.actor)
    time_ms = now_ms(connection)
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
        failpoint("step.superseded")
    made = (new.step, number, new.inputs_digest, new.token, new.lease_s)
    if at_once:
        return AtOnce(*made, new=new, visible_from=visible_from, generation=generation)
    _write(connection, new, number, visible_from, generation, time_ms)
    return Attempt(*made)


def _write(
    connection: sa.Connection,
    new: NewAttempt,
    number: int,
    visible_from: int,
    generation: int,
    time_ms: int,
    *,
    done: bool = False,
) -> None:
    """Write an attempt, RUNNING or `done` already, and make it its step's newest."""
    connection.execute(
        insert_or_replace(connection, steps, ("run_id", "step", "map_index")),
        {**_of(new.step), "attempt": number, "visible_from": visible_from, "generation": generation},
    )
    failpoint("step.head")
    connection.execute(
        _INSERT_ATTEMPT,
        {
            **_of(new.step),
            "attempt": number,
            "inputs_digest": new.inputs_digest,
            "inputs": canonical_json(new.inputs),
            "token": new.token,
            "state": (AttemptState.DONE if done else AttemptState.RUNNING).value,
            "host": canonical_json(new.host),
            "error": "",
            "started_ms": time_ms,
            "ended_ms": time_ms if done else None,
            "lease_expires_ms": None if done else time_ms + int(new.lease_s * 1000),
        },
    )
    failpoint("step.begun")


def check_may_write(connection: sa.Connection, attempt: Attempt) -> None:
    """`Fenced` unless `attempt` is the step's newest and still running; renews its lease."""
    lease_expires_ms = now_ms(connection) + int(attempt.lease_s * 1000)
    if not _update_own(connection, attempt, lease_expires_ms=lease_expires_ms):
        raise fenced(connection, attempt)


def _update_own(connection: sa.Connection, attempt: Attempt, **values: object) -> bool:
    """Change a running attempt by its token; False if it is not running any more, or somebody else's."""
    own = {**_its(attempt.step), "its_number": attempt.number, "its_token": attempt.token}
    return connection.execute(_OWN, {**own, **values}).rowcount == 1


def fenced(connection: sa.Connection, attempt: Attempt) -> Fenced:
    """Return the error for an attempt that may not write, with the one that may."""
    current = connection.scalar(sa.select(steps.c.attempt).where(at(steps, attempt.step)))
    return Fenced(str(attempt.step), attempt.number, int(current or 0))


def end(connection: sa.Connection, ending: StepEnd) -> StepResult | None:
    """End an attempt for good; a DONE attempt leaves its result. Ending it again in the same way changes nothing."""
    attempt = ending.attempt
    _, deleted = runs.lock(connection, attempt.step.run_id)
    if deleted and ending.state is AttemptState.DONE:
        raise guarding.deleted_run(attempt.step.run_id)
    time_ms = now_ms(connection)
    ended = {"state": ending.state.value, "ended_ms": time_ms, "error": ending.error, "lease_expires_ms": None}
    if not _update_own(connection, attempt, **ended):
        if _state(connection, attempt) == ending.state.value:
            return find_result(connection, attempt.step, attempt.inputs_digest)
        raise fenced(connection, attempt)
    failpoint("step.ended")
    if ending.state is not AttemptState.DONE:
        return None
    generation = connection.execute(_GENERATION, _its(attempt.step)).scalar_one()
    return _leave_result(connection, attempt, ending.result, generation, time_ms)


def _leave_result(connection: sa.Connection, attempt: Attempt, given: Any, generation: int, time_ms: int) -> StepResult:
    """Keep what a step that is done returned, for every later attempt with the same inputs."""
    result = canonical_json(given)
    connection.execute(
        insert_or_replace(connection, step_results, ("run_id", "step", "map_index", "inputs_digest")),
        {
            **place(attempt),
            "inputs_digest": attempt.inputs_digest,
            "generation": generation,
            "result": result,
            "ended_ms": time_ms,
        },
    )
    failpoint("step.result")
    return StepResult(attempt.step, attempt.inputs_digest, json.loads(result), generation)


def _state(connection: sa.Connection, attempt: Attempt) -> str | None:
    own = (attempts.c.attempt == attempt.number, attempts.c.token == attempt.token)
    return connection.scalar(sa.select(attempts.c.state).where(at(attempts, attempt.step), *own))


def still_counts(table: sa.Table) -> sa.ColumnElement[bool]:
    """The rows of `table` that a step's current attempts wrote, joined with the steps' heads."""
    return sa.and_(
        steps.c.run_id == table.c.run_id,
        steps.c.step == table.c.step,
        steps.c.map_index == table.c.map_index,
        table.c.attempt >= steps.c.visible_from,
    )


def visible(table: sa.Table, run_id: str) -> sa.Select[Any]:
    """Select the rows of `table` that a run's current attempts wrote, without superseded ones."""
    return sa.select(table).join(steps, still_counts(table)).where(table.c.run_id == run_id)
