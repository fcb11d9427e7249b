"""Runs: opened by key, reopened, ended, reaped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from penstock.errors import Conflict, NotFound
from penstock.model import guarding
from penstock.model.audit import NewEvent, experiment_chain
from penstock.model.runs import LEFT_OPEN, AttemptState, Lapsed, Run, RunStatus, StepId
from penstock.ports import NewRun
from penstock.stores.memory.state import AttemptRecord, RunRecord, State, plain, time_of


def open(state: State, new: NewRun, now_ms: int) -> tuple[Run, bool]:
    """Return the run with this id, creating it where it is not there yet."""
    if new.run_id in state.runs:
        record = state.runs[new.run_id]
        if record.run.deleted:
            raise guarding.gone_run(record.run)
        if record.run.experiment != new.experiment:
            raise Conflict(
                "run key", new.key, f"experiment {new.experiment!r}", f"a run of experiment {record.run.experiment!r}"
            )
        if record.run.status in {RunStatus.FAILED, RunStatus.KILLED}:
            reopen(state, record, new.actor, now_ms, new.deadline_s)
        return record.run, False
    if new.parent_run_id is not None and new.parent_run_id not in state.runs:
        raise NotFound("record", "that this one refers to")
    experiment_id = state.experiments.setdefault(new.experiment, str(len(state.experiments) + 1))
    run = Run(
        run_id=new.run_id,
        experiment_id=experiment_id,
        experiment=new.experiment,
        key=new.key,
        status=RunStatus.RUNNING,
        started_at=time_of(now_ms),
        name=new.name,
        parent_run_id=new.parent_run_id,
        logical_date=None if new.logical_date_ms is None else time_of(new.logical_date_ms),
        source=plain(new.source),
    )
    state.runs[run.run_id] = RunRecord(run, _deadline_ms(now_ms, new.deadline_s))
    _record(state, run, "run_opened", new.actor, now_ms, after={"key": str(new.key)})
    return run, True


def _deadline_ms(now_ms: int, deadline_s: float | None) -> int | None:
    return None if deadline_s is None else now_ms + int(deadline_s * 1000)


def reopen(
    state: State, record: RunRecord, actor: Mapping[str, Any], now_ms: int, deadline_s: float | None = None
) -> None:
    """Set an ended run RUNNING again."""
    before = record.run.status.value
    record.run = replace(record.run, status=RunStatus.RUNNING, ended_at=None, reason="")
    record.deadline_ms = _deadline_ms(now_ms, deadline_s)
    _record(state, record.run, "run_reopened", actor, now_ms, before=before, after=RunStatus.RUNNING.value)


def end(state: State, run_id: str, status: RunStatus, reason: str, actor: Mapping[str, Any], now_ms: int) -> Run:
    """End a run; ending it again with the same status changes nothing."""
    record = state.run(run_id)
    before = record.run.status
    if before is status:
        return record.run
    if before.ended:
        raise Conflict("run", run_id, f"a running run, to end it {status.value}", f"it ended {before.value}")
    record.run = replace(record.run, status=status, ended_at=time_of(now_ms), reason=reason)
    _record(state, record.run, "run_ended", actor, now_ms, why=reason, before=before.value, after=status.value)
    return record.run


def lapsed(state: State, now_ms: int) -> list[str]:
    """The ids of running runs that have a lapsed attempt or are past their deadline."""

    def is_lapsed(record: RunRecord) -> bool:
        attempts = [attempt for found in record.steps.values() for attempt in found.attempts]
        silent = any(a.state is AttemptState.RUNNING and (a.lease_expires_ms or now_ms) < now_ms for a in attempts)
        return silent or (record.deadline_ms is not None and record.deadline_ms < now_ms)

    found = state.runs.items()
    return sorted(run_id for run_id, r in found if r.run.status is RunStatus.RUNNING and is_lapsed(r))


def reap(state: State, actor: Mapping[str, Any], now_ms: int, dead: Mapping[str, Any] | None = None) -> list[Lapsed]:
    """End the attempts whose lease has run out (or that are in `dead`), and the runs that are left without anybody."""
    lapsed: list[Lapsed] = []
    for run_id, record in sorted(state.runs.items()):
        if record.run.status is RunStatus.RUNNING:
            lapsed += _reap_run(state, run_id, record, actor, now_ms, dead)
    return lapsed


def _reap_run(
    state: State,
    run_id: str,
    record: RunRecord,
    actor: Mapping[str, Any],
    now_ms: int,
    dead: Mapping[str, Any] | None,
) -> list[Lapsed]:
    running = [
        (step, attempt)
        for step, found in sorted(record.steps.items(), key=lambda item: (item[0].name, item[0].map_index))
        for attempt in found.attempts
        if attempt.state is AttemptState.RUNNING
    ]
    if dead is None:
        silent = [(step, attempt) for step, attempt in running if (attempt.lease_expires_ms or now_ms) < now_ms]
        why_lapsed = "was silent for longer than its lease"
    else:
        silent = [(step, attempt) for step, attempt in running if dead.items() <= attempt.host.items()]
        why_lapsed = "died with its task"
    reasons = [_lapse(step, attempt, why_lapsed, now_ms) for step, attempt in silent]
    left = dead is not None and dead.items() <= record.run.source.items()
    late = record.deadline_ms is not None and record.deadline_ms < now_ms
    if dead is not None and not silent and not left:
        return []
    ends = len(silent) == len(running) and (late or left or bool(silent))
    if ends:
        why = "; ".join(reasons) or (LEFT_OPEN if left else "the run is past its deadline")
        end(state, run_id, RunStatus.KILLED, why, actor, now_ms)
        if not silent:
            return [Lapsed(StepId(run_id, ""), 0, why, True)]
    return [
        Lapsed(step, attempt.attempt.number, reason, ends)
        for (step, attempt), reason in zip(silent, reasons, strict=True)
    ]


def _lapse(step: StepId, attempt: AttemptRecord, why: str, now_ms: int) -> str:
    reason = f"step {step}: attempt {attempt.attempt.number} {why}"
    attempt.state, attempt.ended_ms, attempt.lease_expires_ms = AttemptState.LAPSED, now_ms, None
    attempt.error = reason
    return reason


def _record(
    state: State,
    run: Run,
    kind: str,
    actor: Mapping[str, Any],
    now_ms: int,
    why: str = "",
    before: Any = None,
    after: Any = None,
) -> None:
    event = NewEvent(experiment_chain(run.experiment), kind, {"run_id": run.run_id}, actor, why, before, after)
    state.append(event, now_ms)
