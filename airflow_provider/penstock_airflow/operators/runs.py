"""Opening and closing a run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock_airflow.context import default_key
from penstock_airflow.operators.base import PenstockOperator, RunOperator

if TYPE_CHECKING:
    from penstock import Client, RunKey

WEEK_S = 7 * 24 * 3600.0


class OpenRunOperator(PenstockOperator):
    """Opens the run of this DAG run, or finds it again: a retry, a clear or a second DAG run with its key reopens it.

    `key` says which run it is: usually the partition, templated (`"{{ ds }}"`), in the pipeline named by `experiment`.
    Without a key it is this DAG run's own. `deadline_s` bounds how long the run may stay open while nobody works on it,
    should everything that closes it be lost; the reaper ends it then. Returns the run's reference, for the other tasks.
    """

    template_fields: Sequence[str] = ("experiment", "key", "run_params", "run_tags", "run_name")

    ENVIRONMENT = ("PENSTOCK_RUN_ID", "PENSTOCK_URL", "PENSTOCK_ARTIFACTS", "PENSTOCK_S3_ENDPOINT")
    """The variables by which another process joins the run."""

    def __init__(
        self,
        *,
        experiment: str,
        key: RunKey | str | None = None,
        run_params: Mapping[str, Any] | None = None,
        run_tags: Mapping[str, Any] | None = None,
        run_name: str = "",
        deadline_s: float | None = WEEK_S,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.experiment = experiment
        self.key = key
        self.run_params = run_params
        self.run_tags = run_tags
        self.run_name = run_name
        self.deadline_s = deadline_s

    def act(self, client: Client, context: Mapping[str, Any]) -> dict[str, Any]:
        """Open the run."""
        run = client.open_run(
            self.experiment,
            default_key(context) if self.key is None else self.key,
            params=self.run_params,
            tags=self.run_tags,
            name=self.run_name,
            logical_date=context.get("logical_date"),
            deadline_s=self.deadline_s,
        )
        self.work_in(context, run.run_id)
        found = "opened" if run.created else "found again"
        self.log.info("Run %s %s in %s, key %s", run.run_id, found, self.experiment, run.record.key)
        return run.ref

    def opens(self, context: Mapping[str, Any]) -> str:
        """Return the id of the run that this task opens in this DAG run: it follows from the DAG's code alone."""
        from penstock.model.ids import WORKSPACE, RunKey, run_id_of

        experiment, key = (self.render_template(value, context) for value in (self.experiment, self.key))
        return run_id_of(WORKSPACE, RunKey.of(default_key(context) if key is None else key, experiment))

    def environment(self, ti: Any) -> dict[str, str]:
        """Return the variables' values, without a secret: what `run_environment` renders."""
        from penstock_airflow.hooks import PenstockHook

        fields = PenstockHook(self.conn_id).store_fields()
        endpoint = "" if fields.s3 is None else fields.s3.endpoint
        values = (self.opens(ti.get_template_context()), fields.public_url, fields.artifacts or "", endpoint or "")
        return dict(zip(self.ENVIRONMENT, values, strict=True))


class CloseRunOperator(RunOperator):
    """Ends the run with what became of the tasks before it. Use it `.as_teardown(setups=open_run)`.

    FAILED, naming the tasks, if one failed or could not run; else FINISHED. A refused gate skips what follows it, and
    skipped is not failed: the gate did its work. A run that was killed stays KILLED. Where opening the run has failed,
    Airflow runs no teardown; with `trigger_rule="all_done"` instead, this closes what was opened, if anything was.
    """

    def act(self, client: Client, context: Mapping[str, Any]) -> dict[str, Any]:
        """Close the run."""
        from penstock.errors import NotFound

        run_id = self._which(client, context)
        states = self._states_before(context)
        failed, prevented = (sorted(t for t in states if states[t] == s) for s in ("failed", "upstream_failed"))
        try:
            if failed or prevented:
                reason = f"failed: {', '.join(failed) or 'none'}; not run: {', '.join(prevented) or 'none'}"
                run = client.settle_run(run_id, "FAILED", reason)
            else:
                reason = f"none of {len(states)} tasks failed"
                run = client.settle_run(run_id, "FINISHED")
        except NotFound:
            self.log.info("Run %s was never opened: nothing to close (%s)", run_id, reason)
            return {"run_id": run_id, "status": None}
        self.log.info("Run %s closed %s: %s", run_id, run.status.value, run.reason or reason)
        return {"run_id": run_id, "status": run.status.value}

    def _which(self, client: Client, context: Mapping[str, Any]) -> str:
        """Return the run to close; where `open_run` has left no answer, the one that it was to open."""
        opener = self.opened_run.opener(self)
        if self.run is None and opener is not None:
            return str(opener.opens(context))
        return self.opened_run.check(self, context, client, self.run, self.accept_from)

    def _states_before(self, context: Mapping[str, Any]) -> dict[str, str]:
        """Return the states of the tasks before this one; a mapped task appears as `train_0`, `train_1` and so on."""
        ti = context["ti"]
        found = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id]).get(ti.run_id, {})
        before = self.get_flat_relative_ids(upstream=True)
        return {task: str(state) for task, state in found.items() if _task_id(task, self.dag.task_ids) in before}


def _task_id(shown: str, task_ids: Sequence[str]) -> str:
    return shown if shown in task_ids else re.sub(r"_\d+$", "", shown)
