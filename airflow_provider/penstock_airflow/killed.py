"""A task that Airflow takes down: marked failed, its pod evicted, its worker shut down.

Airflow answers SIGTERM with `on_kill` and no exception: left alone, `execute` would go on until SIGKILL, about 5 s
later, and no `finally` would ever run. So `on_kill` raises in the middle of the work, which unwinds as from any failure
(transactions roll back, the attempt ends), and only then the run is ended, with connections nobody is in the middle of.
"""

from __future__ import annotations

import sys
from typing import Any

from penstock_airflow.compat import AirflowTaskTimeout

REASON = "task {} was killed by Airflow (SIGTERM: marked, evicted or shut down)"


class Killed(SystemExit):
    """Raised in the middle of a task's work by `on_kill`. Airflow retries it if the task has retries left."""


class EndsWhenKilled:
    """Mixed into operators: being killed interrupts the work, and ends the run that it works in as KILLED.

    `works_in` is the id of that run, once it is known.
    """

    task_id: str
    log: Any
    works_in: str | None = None
    _killed = False

    def on_kill(self) -> None:
        """Interrupt the work, once. A timeout has interrupted it already: its failure is an ordinary one."""
        if self._killed or isinstance(sys.exc_info()[1], AirflowTaskTimeout):
            return
        self._killed = True
        raise Killed(REASON.format(repr(self.task_id)))

    def end_killed(self, client: Any, killed: Killed) -> None:
        """End the run as KILLED. There are seconds: what cannot be done now is left to lease and reaper."""
        from penstock.errors import PenstockError

        if self.works_in is None:
            return
        try:
            run = client.close_run(self.works_in, "KILLED", str(killed))
            self.log.warning("Run %s ended %s: %s", run.run_id, run.status.value, killed)
        except PenstockError as error:
            self.log.warning("Run %s stays as it is: %s", self.works_in, error)
