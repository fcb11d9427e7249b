"""Experiments and runs: opened by key, ended, listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from penstock.errors import Conflict, NotFound
from penstock.failpoints import failpoint
from penstock.model import guarding
from penstock.model.audit import NewEvent, experiment_chain
from penstock.model.canonical import canonical_json
from penstock.model.ids import WORKSPACE
from penstock.model.runs import Run, RunStatus
from penstock.ports import NewRun
from penstock.stores.sql import ledger
from penstock.stores.sql.dialects import insert_or_ignore, now_ms
from penstock.stores.sql.rows import run_of, time_of
from penstock.stores.sql.tables import experiments, runs

_WITH_EXPERIMENT = sa.select(runs, experiments.c.name.label("experiment")).join(experiments)
# Who changes a run or its steps waits here for whoever does already (ADR 0008); what only logs does not wait.
_LOCKED = _WITH_EXPERIMENT.with_for_update(of=runs, key_share=True)
# Statements that run in every transaction are built once: building one costs as much as running it.
_ITSELF = runs.c.run_id == sa.bindparam("itself")
_GET = {False: _WITH_EXPERIMENT.where(_ITSELF), True: _LOCKED.where(_ITSELF)}
_STATES = (
    sa.select(runs.c.run_id, runs.c.status, runs.c.lifecycle_stage)
    .where(runs.c.run_id > sa.bindparam("after"))
    .order_by(runs.c.run_id)
    .limit(sa.bindparam("most"))
)
_LOCK = sa.select(runs.c.status, runs.c.lifecycle_stage).where(_ITSELF).with_for_update(key_share=True)
_INSERT = sa.insert(runs)
_END = sa.update(runs).where(_ITSELF)
_NAMED = sa.select(experiments.c.experiment_id).where(
    experiments.c.workspace == WORKSPACE, experiments.c.name == sa.bindparam("experiment")
)


def get(connection: sa.Connection, run_id: str, *, lock: bool = False) -> Run:
    """Return a run, with `lock` to change it or its steps; `NotFound` if there is none."""
    row = connection.execute(_GET[lock], {"itself": run_id}).mappings().first()
    if row is None:
        raise _no_run(run_id)
    return run_of(row)


def _no_run(run_id: str) -> NotFound:
    return NotFound("run", run_id, "penstock runs list shows the runs there are")


def lock(connection: sa.Connection, run_id: str) -> tuple[RunStatus, bool]:
    """Lock a run to change its steps; return its status, and whether it was deleted. `NotFound` if there is none."""
    row = connection.execute(_LOCK, {"itself": run_id}).first()
    if row is None:
        raise _no_run(run_id)
    return RunStatus(row.status), row.lifecycle_stage != "active"


def open(connection: sa.Connection, new: NewRun) -> tuple[Run, bool]:
    """Return the run with this key, creating it and its experiment where they are not there yet."""
    found = connection.execute(_GET[True], {"itself": new.run_id}).mappings().first()
    if found is not None:
        run = run_of(found)
        if run.deleted:
            raise guarding.gone_run(run)
        if run.experiment != new.experiment:
            raise Conflict(
                "run key",
                new.key,
                f"experiment {new.experiment!r}",
                f"a run of experiment {run.experiment!r}",
                "Use another key, or name the pipeline in it: RunKey(pipeline, partition)",
            )
        if run.status in {RunStatus.FAILED, RunStatus.KILLED}:
            run = reopen(connection, run, new.actor, new.deadline_s)
        return run, False
    time_ms = now_ms(connection)
    experiment_id = connection.scalar(_NAMED, {"experiment": new.experiment})
    if experiment_id is None:
        connection.execute(
            insert_or_ignore(connection, experiments),
            {"workspace": WORKSPACE, "name": new.experiment, "lifecycle_stage": "active", "created_ms": time_ms},
        )
        experiment_id = connection.scalar(_NAMED, {"experiment": new.experiment})
        failpoint("run.experiment")
    row: dict[str, Any] = {
        "run_id": new.run_id,
        "workspace": WORKSPACE,
        "experiment_id": experiment_id,
        "namespace": new.key.namespace,
        "pipeline": new.key.pipeline,
        "partition": new.key.partition,
        "name": new.name,
        "status": RunStatus.RUNNING.value,
        "parent_run_id": new.parent_run_id,
        "logical_date_ms": new.logical_date_ms,
        "started_ms": time_ms,
        "ended_ms": None,
        "deadline_ms": _deadline_ms(time_ms, new.deadline_s),
        "reason": "",
        "lifecycle_stage": "active",
        "source": canonical_json(new.source),
    }
    connection.execute(_INSERT, row)
    failpoint("run.inserted")
    run = run_of({**row, "experiment": new.experiment})
    ledger.append(connection, _event(run, "run_opened", new.actor, after={"key": str(new.key)}))
    return run, True


def _deadline_ms(time_ms: int, deadline_s: float | None) -> int | None:
    return None if deadline_s is None else time_ms + int(deadline_s * 1000)


def reopen(connection: sa.Connection, run: Run, actor: Mapping[str, Any], deadline_s: float | None = None) -> Run:
    """Set an ended run RUNNING again, because somebody carries on with it; `deadline_s` counts from now."""
    deadline_ms = None if deadline_s is None else _deadline_ms(now_ms(connection), deadline_s)
    connection.execute(
        sa.update(runs)
        .where(runs.c.run_id == run.run_id)
        .values(status=RunStatus.RUNNING.value, ended_ms=None, deadline_ms=deadline_ms, reason="")
    )
    failpoint("run.reopened")
    ledger.append(
        connection,
        _event(run, "run_reopened", actor, before=run.status.value, after=RunStatus.RUNNING.value),
    )
    return get(connection, run.run_id)


def end(connection: sa.Connection, run_id: str, status: RunStatus, reason: str, actor: Mapping[str, Any]) -> Run:
    """End a run; ending it again with the same status changes nothing."""
    run = get(connection, run_id, lock=True)
    if run.status is status:
        return run
    if run.status.ended:
        raise Conflict(
            "run",
            run_id,
            f"a running run, to end it {status.value}",
            f"it ended {run.status.value}",
            "An ended run stays as it ended; a new attempt of a step reopens it",
        )
    ended_ms = now_ms(connection)
    values = {"itself": run_id, "status": status.value, "ended_ms": ended_ms, "reason": reason}
    connection.execute(_END, values)
    failpoint("run.ended")
    ledger.append(connection, _event(run, "run_ended", actor, why=reason, before=run.status.value, after=status.value))
    return replace(run, status=status, ended_at=time_of(ended_ms), reason=reason)


def newest(connection: sa.Connection, experiment: str | None, limit: int, deleted: bool = False) -> Sequence[Run]:
    """Return runs, newest first; with `deleted` also those that were deleted."""
    query = _WITH_EXPERIMENT.where(runs.c.workspace == WORKSPACE)
    if not deleted:
        query = query.where(runs.c.lifecycle_stage == "active")
    query = query.order_by(runs.c.started_ms.desc(), runs.c.run_id.desc())
    if experiment is not None:
        named = sa.select(experiments.c.experiment_id).filter_by(workspace=WORKSPACE, name=experiment)
        query = query.where(runs.c.experiment_id == named.scalar_subquery())
    return [run_of(row) for row in connection.execute(query.limit(limit)).mappings()]


def states(connection: sa.Connection, after: str, limit: int) -> Sequence[tuple[str, str, str]]:
    """Return (id, status, lifecycle stage) of the first runs after an id, in the order of their ids."""
    return [tuple(row) for row in connection.execute(_STATES, {"after": after, "most": limit})]


def _event(
    run: Run, kind: str, actor: Mapping[str, Any], why: str = "", before: Any = None, after: Any = None
) -> NewEvent:
    return NewEvent(experiment_chain(run.experiment), kind, {"run_id": run.run_id}, actor, why, before, after)
