"""Steps and attempts, and what attempts log."""

from __future__ import annotations

from penstock.errors import Conflict, Fenced
from penstock.model import guarding
from penstock.model.history import MetricHistory
from penstock.model.runs import (
    Attempt,
    AttemptState,
    LogBatch,
    RunDetails,
    RunStatus,
    StepId,
    StepResult,
    StepSummary,
    join_value,
    split_value,
)
from penstock.ports import NewAttempt, StepEnd
from penstock.stores.memory import runs
from penstock.stores.memory.state import AttemptRecord, Point, RunRecord, State, StepRecord, plain, time_of


def begun(state: State, step: StepEnd | NewAttempt, now_ms: int) -> Attempt | StepResult:
    """Return the attempt that ends a step; a step that is to begin with this change begins now."""
    return begin(state, step, now_ms) if isinstance(step, NewAttempt) else step.attempt


def begin(state: State, new: NewAttempt, now_ms: int) -> Attempt | StepResult:
    """Return the stored result, or begin a new attempt that fences every earlier one of the step."""
    record = state.run(new.step.run_id)
    step = record.steps.get(new.step)
    if record.run.deleted:
        raise guarding.gone_run(record.run)
    if record.run.status in {RunStatus.FAILED, RunStatus.KILLED}:
        runs.reopen(state, record, new.actor, now_ms)
    if step is not None and new.inputs_digest in step.results and not new.always:
        return step.results[new.inputs_digest]
    if record.run.status is RunStatus.FINISHED and new.reopen:
        runs.reopen(state, record, new.actor, now_ms)
    plain(new.inputs)
    if step is None:
        step = record.steps[new.step] = StepRecord()
    else:
        if step.attempts[-1].attempt.inputs_digest != new.inputs_digest:
            step.generation += 1
        if not new.resume:
            step.visible_from = len(step.attempts) + 1
        for earlier in step.attempts:
            if earlier.state is AttemptState.RUNNING:
                earlier.state, earlier.ended_ms = AttemptState.SUPERSEDED, now_ms
    attempt = Attempt(new.step, len(step.attempts) + 1, new.inputs_digest, new.token, new.lease_s)
    step.attempts.append(AttemptRecord(attempt, plain(new.host), now_ms, now_ms + int(new.lease_s * 1000)))
    return attempt


def writing(state: State, attempt: Attempt, now_ms: int) -> AttemptRecord:
    """Return the record of an attempt that may write, its lease renewed; `Fenced` if it may not."""
    run = state.runs.get(attempt.step.run_id)
    step = None if run is None else run.steps.get(attempt.step)
    found = None if step is None else _own(step, attempt)
    if found is None or found.state is not AttemptState.RUNNING:
        raise Fenced(str(attempt.step), attempt.number, 0 if step is None else len(step.attempts))
    found.lease_expires_ms = now_ms + int(attempt.lease_s * 1000)
    return found


def _own(step: StepRecord, attempt: Attempt) -> AttemptRecord | None:
    """Return the record of an attempt, if the caller holds its token."""
    own = (attempt.number, attempt.token)
    return next((found for found in step.attempts if (found.attempt.number, found.attempt.token) == own), None)


def end(state: State, ending: StepEnd, now_ms: int) -> StepResult | None:
    """End an attempt for good; ending it again in the same way changes nothing."""
    attempt = ending.attempt
    run = state.run(attempt.step.run_id)
    if run.run.deleted and ending.state is AttemptState.DONE:
        raise guarding.deleted_run(attempt.step.run_id)
    step = run.steps.get(attempt.step, StepRecord())
    found = _own(step, attempt)
    if found is not None and found.state is ending.state:
        return step.results.get(attempt.inputs_digest)
    record = writing(state, attempt, now_ms)
    record.state, record.ended_ms, record.error = ending.state, now_ms, ending.error
    record.lease_expires_ms = None
    if ending.state is not AttemptState.DONE:
        return None
    result = StepResult(attempt.step, attempt.inputs_digest, plain(ending.result), step.generation)
    step.results[attempt.inputs_digest] = result
    return result


def log(state: State, attempt: Attempt, batch: LogBatch, now_ms: int) -> None:
    """Write a batch of params, metrics, tags and inputs."""
    record = writing(state, attempt, now_ms)
    for metric in batch.metrics:
        kind, value = split_value(metric.value)
        at_ms = now_ms if metric.time is None else int(metric.time.timestamp() * 1000)
        record.points.add((metric.name, metric.step, at_ms, kind.value, 0.0 if value is None else value))
    for name, text in batch.params.items():
        if record.params.setdefault(name, text) != text:
            raise Conflict("param", name, repr(text), repr(record.params[name]))
    state.run(attempt.step.run_id).tags.update(batch.tags)
    for dataset in batch.inputs:
        record.inputs.setdefault((dataset.role, dataset.name, dataset.digest), dataset)


def current(record: RunRecord) -> list[tuple[StepId, AttemptRecord]]:
    """The attempts of a run that still count, by step and number."""
    steps = sorted(record.steps.items(), key=lambda item: (item[0].name, item[0].map_index))
    return [(step, attempt) for step, found in steps for attempt in found.visible]


def points(record: RunRecord) -> list[Point]:
    """The current metric points of a run, by step and time."""
    keyed = [
        ((point[1], point[2], step.name, step.map_index, attempt.attempt.number, point[3], point[4]), point)
        for step, attempt in current(record)
        for point in attempt.points
    ]
    return [point for _, point in sorted(keyed)]


def metric_points(state: State, run_id: str, name: str) -> MetricHistory:
    """Return a metric's current points; none for a run that is not there."""
    record = state.runs.get(run_id)
    history = MetricHistory()
    for found, step, time_ms, kind, value in [] if record is None else points(record):
        if found == name:
            history.steps.append(step)
            history.times_ms.append(time_ms)
            history.values.append(join_value(kind, value))
    return history


def details(state: State, run_id: str) -> RunDetails:
    """Return a run with what its current attempts have logged."""
    record = state.run(run_id)
    params: dict[str, str] = {}
    for _, attempt in current(record):
        params |= attempt.params
    newest = [(step, found, found.attempts[-1]) for step, found in record.steps.items()]
    newest.sort(key=lambda item: (item[2].started_ms, item[0].name, item[0].map_index))
    return RunDetails(
        run=record.run,
        params=params,
        metrics={name: join_value(kind, value) for name, _, _, kind, value in points(record)},
        tags=dict(record.tags),
        inputs=tuple(attempt.inputs[key] for _, attempt in current(record) for key in sorted(attempt.inputs)),
        steps=tuple(_summary(step, found, last) for step, found, last in newest),
    )


def done(state: State, run_id: str, inputs_digest: str) -> list[StepSummary]:
    """Return the attempts in a run that are DONE with these inputs, as they ended."""
    record = state.runs.get(run_id)
    found = [
        (last.ended_ms, last.started_ms, step.name, _summary(step, of_step, last))
        for step, of_step in (record.steps.items() if record else ())
        for last in of_step.attempts
        if last.state is AttemptState.DONE and last.attempt.inputs_digest == inputs_digest
    ]
    return [summary for *_, summary in sorted(found, key=lambda item: item[:3])]


def _summary(step: StepId, found: StepRecord, last: AttemptRecord) -> StepSummary:
    return StepSummary(
        step=step,
        state=last.state,
        attempt=last.attempt.number,
        generation=found.generation,
        started_at=time_of(last.started_ms),
        ended_at=None if last.ended_ms is None else time_of(last.ended_ms),
        host=last.host,
        error=last.error,
    )
