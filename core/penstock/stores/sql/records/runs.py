"""Runs, steps and what they log, in a SQL database, each method one transaction."""

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
from penstock.stores.sql import history, logs, reaper, runs, steps
from penstock.stores.sql.database import retried
from penstock.stores.sql.records.base import OnDatabase

_PAGE = 1000


class SqlRunRecords(OnDatabase):
    """Implements `penstock.ports.RunRecords`, where its methods are documented."""

    @retried
    def open_run(self, new: NewRun) -> tuple[Run, bool]:
        with self._database.writing() as connection:
            run, created = runs.open(connection, new)
            if new.first is not None and created:
                opening = steps.done_with_its_run(connection, new.first, run.run_id)
                logs.write(connection, opening, new.logged)
            elif new.first is not None:
                begun = steps.begin(connection, new.first)
                if isinstance(begun, Attempt):
                    logs.write(connection, begun, new.logged)
                    steps.end(connection, StepEnd(begun, AttemptState.DONE, run.run_id))
            return run, created

    def get_run(self, run_id: str) -> Run:
        with self._database.reading(one_statement=True) as connection:
            return runs.get(connection, run_id)

    def get_run_details(self, run_id: str) -> RunDetails:
        with self._database.reading() as connection:
            return logs.details(connection, run_id)

    def list_done(self, run_id: str, inputs_digest: str) -> Sequence[StepSummary]:
        with self._database.reading() as connection:
            return logs.done(connection, run_id, inputs_digest)

    def list_runs(self, experiment: str | None, limit: int, deleted: bool = False) -> Sequence[Run]:
        with self._database.reading() as connection:
            return runs.newest(connection, experiment, limit, deleted)

    def read_run_states(self) -> Iterator[tuple[str, str, str]]:
        # A page at a time, each its own transaction: a reader may take its time without holding one open.
        after = ""
        while True:
            with self._database.reading() as connection:
                rows = runs.states(connection, after, _PAGE)
            yield from rows
            if len(rows) < _PAGE:
                return
            after = rows[-1][0]

    @retried
    def begin_attempt(self, new: NewAttempt) -> Attempt | StepResult:
        with self._database.writing() as connection:
            return steps.begin(connection, new)

    @retried
    def renew_lease(self, attempt: Attempt) -> None:
        with self._database.writing() as connection:
            steps.check_may_write(connection, attempt)

    def reap(self, actor: Mapping[str, Any], dead: Mapping[str, Any] | None = None) -> Sequence[Lapsed]:
        with self._database.reading() as connection:
            run_ids = reaper.candidates(connection, dead)
        lapsed: list[Lapsed] = []
        for run_id in run_ids:
            lapsed.extend(self._reap_run(run_id, actor, dead))
        return lapsed

    def list_lapsed(self) -> Sequence[str]:
        with self._database.reading() as connection:
            return reaper.candidates(connection)

    @retried
    def _reap_run(self, run_id: str, actor: Mapping[str, Any], dead: Mapping[str, Any] | None) -> Sequence[Lapsed]:
        with self._database.writing() as connection:
            return reaper.reap_run(connection, run_id, actor, dead)

    @retried
    def end_attempt(self, end: StepEnd) -> StepResult | None:
        with self._database.writing() as connection:
            return steps.end(connection, end)

    @retried
    def end_run(
        self, run_id: str, status: RunStatus, reason: str, actor: Mapping[str, Any], end: StepEnd | None = None
    ) -> Run:
        with self._database.writing() as connection:
            if end is not None:
                steps.end(connection, end)
            return runs.end(connection, run_id, status, reason, actor)

    @retried
    def log(self, attempt: Attempt, batch: LogBatch) -> None:
        with self._database.writing(one_statement=logs.holds_points_only(batch)) as connection:
            logs.write_for(connection, attempt, batch)

    def list_metric_points(self, run_id: str, name: str) -> MetricHistory:
        with self._database.reading() as connection:
            return history.points(connection, run_id, name)
