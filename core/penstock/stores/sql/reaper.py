"""Ending what has lapsed: attempts whose lease ran out or that were seen to die, and the runs they leave alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from penstock.failpoints import failpoint
from penstock.model.ids import WORKSPACE
from penstock.model.runs import LEFT_OPEN, AttemptState, Lapsed, RunStatus, StepId
from penstock.stores.sql import runs as run_records
from penstock.stores.sql.dialects import now_ms
from penstock.stores.sql.tables import attempts, runs


def candidates(connection: sa.Connection, dead: Mapping[str, Any] | None = None) -> Sequence[str]:
    """Return the ids of running runs that have a lapsed attempt or are past their deadline.

    With `dead` those that were opened, or are worked in, at its coordinates.
    """
    open_runs = (runs.c.workspace == WORKSPACE, runs.c.status == RunStatus.RUNNING.value)
    if dead is not None:
        running = sa.select(attempts.c.run_id, attempts.c.host).where(attempts.c.state == AttemptState.RUNNING.value)
        opened = sa.select(runs.c.run_id, runs.c.source).where(*open_runs)
        found = (*connection.execute(running), *connection.execute(opened))
        return sorted({run_id for run_id, facts in found if _is_at(facts, dead)})
    now = now_ms(connection)
    lapsed = sa.exists().where(attempts.c.run_id == runs.c.run_id, *_lapsed(now))
    query = sa.select(runs.c.run_id).where(*open_runs)
    return list(connection.scalars(query.where(sa.or_(lapsed, runs.c.deadline_ms < now)).order_by(runs.c.run_id)))


def reap_run(
    connection: sa.Connection, run_id: str, actor: Mapping[str, Any], dead: Mapping[str, Any] | None = None
) -> Sequence[Lapsed]:
    """End the lapsed attempts of one run (with `dead` those at its coordinates), and the run if nobody is left."""
    # The run first, as everybody does who changes its steps: nobody begins an attempt while we look for live ones.
    run = connection.execute(sa.select(runs).where(runs.c.run_id == run_id).with_for_update(key_share=True)).one()
    now = now_ms(connection)
    here = attempts.c.run_id == run_id
    by_step = (attempts.c.step, attempts.c.map_index, attempts.c.attempt)
    which = _lapsed(now) if dead is None else (attempts.c.state == AttemptState.RUNNING.value,)
    rows = connection.execute(sa.select(attempts).where(here, *which).order_by(*by_step).with_for_update()).all()
    if dead is not None:
        rows = [row for row in rows if _is_at(row.host, dead)]
    why_lapsed = "was silent for longer than its lease" if dead is None else "died with its task"
    reasons = {}
    for row in rows:
        step = StepId(run_id, row.step, row.map_index)
        reason = f"step {step}: attempt {row.attempt} {why_lapsed}"
        reasons[step, row.attempt] = reason
        connection.execute(
            sa.update(attempts)
            .where(here, attempts.c.step == row.step, attempts.c.map_index == row.map_index)
            .where(attempts.c.attempt == row.attempt)
            .values(state=AttemptState.LAPSED.value, ended_ms=now, lease_expires_ms=None, error=reason)
        )
        failpoint("reap.lapsed")
    alive = connection.scalar(sa.select(sa.func.count()).where(here, attempts.c.state == AttemptState.RUNNING.value))
    left = dead is not None and _is_at(run.source, dead)
    late = run.deadline_ms is not None and run.deadline_ms < now
    ends = run.status == RunStatus.RUNNING.value and not alive and (late or left or bool(rows))
    if ends:
        why = "; ".join(reasons.values()) or (LEFT_OPEN if left else "the run is past its deadline")
        run_records.end(connection, run_id, RunStatus.KILLED, why, actor)
        if not rows:
            return [Lapsed(StepId(run_id, ""), 0, why, True)]
    return [Lapsed(step, number, reason, ends) for (step, number), reason in reasons.items()]


def _lapsed(now: int) -> tuple[sa.ColumnElement[bool], ...]:
    return attempts.c.state == AttemptState.RUNNING.value, attempts.c.lease_expires_ms < now


def _is_at(facts: str, coordinates: Mapping[str, Any]) -> bool:
    found: dict[str, Any] = json.loads(facts)
    return coordinates.items() <= found.items()
