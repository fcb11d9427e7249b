"""Experiments and runs: opened by key, ended, listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from penstock.errors import Conflict, NotFound
from penstock.model.audit import NewEvent, experiment_chain
from penstock.model.canonical import canonical_json
from penstock.model.ids import WORKSPACE
from penstock.model.runs import Run, RunStatus
from penstock.ports import NewRun
from penstock.stores.sql import ledger
from penstock.stores.sql.dialects import insert_or_ignore, now_ms
from penstock.stores.sql.rows import run_of
from penstock.stores.sql.tables import experiments, runs

_WITH_EXPERIMENT = sa.select(runs, experiments.c.name.label("experiment")).join(experiments)
# Who changes a run or its steps waits here for whoever does already (ADR 0008); what only logs does not wait.
_LOCKED = _WITH_EXPERIMENT.with_for_update(of=runs, key_share=True)


def get(connection: sa.Connection, run_id: str, *, lock: bool = False) -> Run:
    """Return a run, with `lock` to change it or its steps; `NotFound` if there is none."""
    row = connection.execute((_LOCKED if lock else _WITH_EXPERIMENT).where(runs.c.run_id == run_id)).mappings().first()
    if row is None:
        raise NotFound("run", run_id, "penstock runs list shows the runs there are")
    return run_of(row)


def open(connection: sa.Connection, new: NewRun) -> tuple[Run, bool]:
    """Return the run with this key, creating it and its experiment where they are not there yet."""
    row = connection.execute(_LOCKED.where(runs.c.run_id == new.run_id)).mappings().first()
    if row is not None:
        run = run_of(row)
        if run.experiment != new.experiment:
            raise Conflict(
                "run key",
                new.key,
                f"experiment {new.experiment!r}",
                f"a run of experiment {run.experiment!r}",
                "Use another key, or name the pipeline in it: RunKey(pipeline, partition)",
            )
        if run.status in {RunStatus.FAILED, RunStatus.KILLED}:
            run = reopen(connection, run, new.actor)
        return run, False
    time_ms = now_ms(connection)
    named = {"workspace": WORKSPACE, "name": new.experiment}
    known = sa.select(experiments.c.experiment_id).filter_by(**named)
    experiment_id = connection.scalar(known)
    if experiment_id is None:
        connection.execute(
            insert_or_ignore(connection, experiments),
            {**named, "lifecycle_stage": "active", "created_ms": time_ms},
        )
        experiment_id = connection.scalar(known)
    connection.execute(
        sa.insert(runs),
        {
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
            "deadline_ms": None if new.deadline_s is None else time_ms + int(new.deadline_s * 1000),
            "reason": "",
            "lifecycle_stage": "active",
            "source": canonical_json(new.source),
        },
    )
    run = get(connection, new.run_id)
    ledger.append(connection, _event(run, "run_opened", new.actor, after={"key": str(new.key)}))
    return run, True


def reopen(connection: sa.Connection, run: Run, actor: Mapping[str, Any]) -> Run:
    """Set an ended run RUNNING again, because somebody carries on with it."""
    connection.execute(
        sa.update(runs)
        .where(runs.c.run_id == run.run_id)
        .values(status=RunStatus.RUNNING.value, ended_ms=None, deadline_ms=None, reason="")
    )
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
    connection.execute(
        sa.update(runs)
        .where(runs.c.run_id == run_id)
        .values(status=status.value, ended_ms=now_ms(connection), reason=reason)
    )
    ledger.append(connection, _event(run, "run_ended", actor, why=reason, before=run.status.value, after=status.value))
    return get(connection, run_id)


def newest(connection: sa.Connection, experiment: str | None, limit: int) -> Sequence[Run]:
    """Return runs, newest first."""
    query = _WITH_EXPERIMENT.where(runs.c.workspace == WORKSPACE).order_by(runs.c.started_ms.desc(), runs.c.run_id)
    if experiment is not None:
        query = query.where(experiments.c.name == experiment)
    return [run_of(row) for row in connection.execute(query.limit(limit)).mappings()]


def _event(
    run: Run, kind: str, actor: Mapping[str, Any], why: str = "", before: Any = None, after: Any = None
) -> NewEvent:
    return NewEvent(experiment_chain(run.experiment), kind, {"run_id": run.run_id}, actor, why, before, after)
