"""Opening, joining, closing and reading runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from penstock.client.base import OnWiring
from penstock.model.history import MetricHistory
from penstock.model.ids import RunKey
from penstock.model.runs import Lapsed, Run, RunDetails, RunStatus
from penstock.model.stories import RunStory
from penstock.services import tracking
from penstock.services.active_run import ActiveRun
from penstock.services.references import id_in


class Runs(OnWiring):
    """Opening, joining, closing and reading runs."""

    def open_run(
        self,
        experiment: str,
        key: RunKey | str,
        *,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        name: str = "",
        logical_date: datetime | None = None,
        parent: object = None,
        deadline_s: float | None = None,
    ) -> ActiveRun:
        """Return the run with this key, creating it if it is not there: a retry finds the same run.

        `key` is a `RunKey`, or a string: the partition (a month, a data interval, a CI commit). As a context manager
        the run is closed at the end of the block. `deadline_s` bounds how long it may stay open while nobody works on
        it.
        """
        return tracking.open_run(
            self.wiring,
            experiment,
            key,
            params=params,
            tags=tags,
            name=name,
            logical_date=logical_date,
            parent=parent,
            deadline_s=deadline_s,
        )

    def join_run(self, run: object = None, *, step: str | None = None, map_index: int | None = None) -> ActiveRun:
        """Return a handle on an open run, by reference, id or `PENSTOCK_RUN_ID`; what it logs belongs to `step`."""
        return tracking.join_run(self.wiring, run, step=step, map_index=map_index)

    def close_run(self, run: object, status: RunStatus | str = RunStatus.FINISHED, reason: str = "") -> Run:
        """End a run; ending it again with the same status changes nothing."""
        return tracking.close_run(self.wiring, run, status, reason)

    def settle_run(self, run: object, status: RunStatus | str, reason: str = "") -> Run:
        """End a run with what its orchestrator found when all work was over.

        Unlike `close_run` it accepts that the run has ended before: it stays as it is, unless it was KILLED or FAILED
        and all went well after all (`status` FINISHED).
        """
        return tracking.settle_run(self.wiring, run, status, reason)

    def reap(self, dead: Mapping[str, Any] | None = None) -> Sequence[Lapsed]:
        """End attempts that were silent for longer than their lease, and the runs they leave without anybody.

        A run past its `deadline_s` with nobody working on it is ended too. What was reaped ends KILLED, on record, and
        can be carried on with. Run it from time to time: `penstock runs reap`. With `dead`, coordinates as `connect`'s
        `host` had them, instead the attempts made there are ended, and the runs opened there in which nobody works: an
        orchestrator has seen them die.
        """
        return tracking.reap(self.wiring, dead)

    def get_run(self, run: object) -> RunDetails:
        """Return a run with its params, metrics, tags, inputs and steps; `NotFound` if there is none."""
        return self.wiring.store.get_run_details(id_in(run, "run_id"))

    def metric_history(self, run: object, name: str) -> MetricHistory:
        """Return every current point of one of a run's metrics, by training step and time, in columns.

        `pandas.DataFrame(history.columns)` or `numpy.asarray(history.values)` read them without a loop.
        """
        return self.wiring.store.list_metric_points(id_in(run, "run_id"), name)

    def list_runs(self, experiment: str | None = None, limit: int = 100, *, deleted: bool = False) -> Sequence[Run]:
        """Return runs, newest first; with `deleted` also those that were deleted."""
        return self.wiring.store.list_runs(experiment, limit, deleted)

    def delete_run(self, run: object, *, reason: str) -> Run:
        """Hide a run until it is restored, on record; `Conflict` names the version or decision that refers to it."""
        from penstock.services import deletion

        return deletion.change_run(self.wiring, run, True, reason)

    def restore_run(self, run: object, *, reason: str) -> Run:
        """Bring back a run that was deleted."""
        from penstock.services import deletion

        return deletion.change_run(self.wiring, run, False, reason)

    def run_stories(self, experiment: str) -> Sequence[RunStory]:
        """Return what became of each run of an experiment, by partition."""
        from penstock.services.stories import run_stories

        return run_stories(self.wiring.store, experiment)
