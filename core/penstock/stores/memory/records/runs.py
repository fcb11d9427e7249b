"""Runs, steps and what they log, in this process's memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock.model.history import MetricHistory
from penstock.model.runs import (
    Attempt,
    AttemptState,
    Lapsed,
    LogBatch,
    Run,
    RunDetails,
    RunStatus,
    StepResult,
    StepSummary,
)
from penstock.ports import NewAttempt, NewRun, StepEnd
from penstock.stores.memory import runs, steps
from penstock.stores.memory.records.base import InMemory


class MemoryRunRecords(InMemory):
    """Implements `penstock.ports.RunRecords`, where its methods are documented."""

    def open_run(self, new: NewRun) -> tuple[Run, bool]:
        with self._changing() as (state, now):
            run, created = runs.open(state, new, now)
            if new.first is not None:
                begun = steps.begin(state, new.first, now)
                if isinstance(begun, Attempt):
                    steps.log(state, begun, new.logged, now)
                    steps.end(state, StepEnd(begun, AttemptState.DONE, run.run_id), now)
            return run, created

    def get_run(self, run_id: str) -> Run:
        return self._state.run(run_id).run

    def get_run_details(self, run_id: str) -> RunDetails:
        return steps.details(self._state, run_id)

    def list_done(self, run_id: str, inputs_digest: str) -> Sequence[StepSummary]:
        return steps.done(self._state, run_id, inputs_digest)

    def list_runs(self, experiment: str | None, limit: int, deleted: bool = False) -> Sequence[Run]:
        found = [record.run for record in self._state.runs.values() if experiment in {None, record.run.experiment}]
        found = [run for run in found if deleted or not run.deleted]
        return sorted(found, key=lambda run: (run.started_at, run.run_id), reverse=True)[:limit]

    def read_run_states(self) -> Iterator[tuple[str, str, str]]:
        for record in list(self._state.runs.values()):
            yield record.run.run_id, record.run.status.value, record.run.lifecycle_stage

    def begin_attempt(self, new: NewAttempt) -> Attempt | StepResult:
        with self._changing() as (state, now):
            return steps.begin(state, new, now)

    def renew_lease(self, attempt: Attempt) -> None:
        with self._changing() as (state, now):
            steps.writing(state, attempt, now)

    def reap(self, actor: Mapping[str, Any], dead: Mapping[str, Any] | None = None) -> Sequence[Lapsed]:
        with self._changing() as (state, now):
            return runs.reap(state, actor, now, dead)

    def list_lapsed(self) -> Sequence[str]:
        return runs.lapsed(self._state, self._now_ms())

    def end_attempt(self, end: StepEnd) -> StepResult | None:
        with self._changing() as (state, now):
            return steps.end(state, end, now)

    def end_run(
        self, run_id: str, status: RunStatus, reason: str, actor: Mapping[str, Any], end: StepEnd | None = None
    ) -> Run:
        with self._changing() as (state, now):
            if end is not None:
                steps.end(state, end, now)
            return runs.end(state, run_id, status, reason, actor, now)

    def log(self, attempt: Attempt, batch: LogBatch) -> None:
        with self._changing() as (state, now):
            steps.log(state, attempt, batch, now)

    def list_metric_points(self, run_id: str, name: str) -> MetricHistory:
        return steps.metric_points(self._state, run_id, name)
