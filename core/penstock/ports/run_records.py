"""What a store does for runs: their steps, attempts and what they log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from penstock.model.history import MetricHistory
from penstock.model.runs import Attempt, Lapsed, LogBatch, Run, RunDetails, RunStatus, StepResult, StepSummary
from penstock.ports.writes import NewAttempt, NewRun, StepEnd


class RunRecords(Protocol):
    """What a store does for runs: their steps, attempts and what they log."""

    def open_run(self, new: NewRun) -> tuple[Run, bool]:
        """Return the run with `new.key` and whether this call created it (with its `run_opened` event).

        Idempotent under retries and races; a run that FAILED or was KILLED is reopened. `Conflict` if the key belongs
        to a run of another experiment.
        """
        ...

    def get_run(self, run_id: str) -> Run:
        """Return the run; `NotFound` if there is none."""
        ...

    def get_run_details(self, run_id: str) -> RunDetails:
        """Return the run with the params, metrics, tags and steps of its current attempts."""
        ...

    def list_runs(self, experiment: str | None, limit: int, deleted: bool = False) -> Sequence[Run]:
        """Return runs, newest first; all experiments' when `experiment` is None; with `deleted` also deleted ones."""
        ...

    def read_run_states(self) -> Iterator[tuple[str, str, str]]:
        """Yield every run's id, status and lifecycle stage as they are stored, without holding them all."""
        ...

    def begin_attempt(self, new: NewAttempt) -> Attempt | StepResult:
        """Return the stored result if the step with these inputs is done; otherwise a new attempt.

        The new attempt gets the next number and fences every earlier attempt of the step; an ended run is reopened as
        `NewAttempt` says (with its `run_reopened` event). Metrics and params of earlier attempts are superseded unless
        `new.resume`.
        """
        ...

    def renew_lease(self, attempt: Attempt) -> None:
        """Say that an attempt is alive: its lease runs `attempt.lease_s` from now, by the database's clock.

        `Fenced` if a newer attempt has taken over or this one has ended. Every write renews the lease, too.
        """
        ...

    def reap(self, actor: Mapping[str, Any], dead: Mapping[str, Any] | None = None) -> Sequence[Lapsed]:
        """End every running attempt whose lease has run out, by the database's clock, and say which.

        With `dead` instead those, lease or not, whose `host` holds all these coordinates: an orchestrator has seen them
        die.
        A RUNNING run that is left without a live attempt, and lost one this way, is past its deadline or was opened by
        what is dead (its `source` holds these coordinates), ends KILLED with its `run_ended` event. Each run is one
        transaction. What comes back later finds itself fenced.
        """
        ...

    def list_lapsed(self) -> Sequence[str]:
        """Return the ids of RUNNING runs that `reap` would look at: a lease has run out, or a deadline has passed."""
        ...

    def end_attempt(self, end: StepEnd) -> StepResult | None:
        """End an attempt for good, storing its result. Ending it again in the same way changes nothing."""
        ...

    def end_run(
        self, run_id: str, status: RunStatus, reason: str, actor: Mapping[str, Any], end: StepEnd | None = None
    ) -> Run:
        """End a run, with its `run_ended` event. Ending it again with the same status changes nothing.

        `end` ends an attempt in the same transaction. `Conflict` when the run has already ended otherwise. A run with
        an attempt still running is ended all the same: its status is the caller's word.
        """
        ...

    def list_done(self, run_id: str, inputs_digest: str) -> Sequence[StepSummary]:
        """Return the attempts in a run that are DONE with these inputs, whatever their step, as they ended."""
        ...

    def log(self, attempt: Attempt, batch: LogBatch) -> None:
        """Write all of `batch` or nothing.

        Logging the same metric point twice keeps one; a param is write-once per attempt (`Conflict`); a tag is
        replaced.
        """
        ...

    def list_metric_points(self, run_id: str, name: str) -> MetricHistory:
        """Return a metric's current points, by step and time; none for a run or a name that is not there."""
        ...
