"""Logging into a run from a DAG's own values."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock_airflow.context import map_index
from penstock_airflow.operators.base import RunOperator
from penstock_airflow.templates import is_expanded_over_a_task, is_said_by_a_task

if TYPE_CHECKING:
    from penstock import Client
    from penstock.services.active_run import ActiveRun

_NEEDS_FOLDER = "a path that comes from another task needs files_from=, the folder it must lie in"


class LogOperator(RunOperator):
    """Logs into a run what other tasks have found: params, metrics, tags, small artifacts and files.

    `artifacts` holds artifact path → text or plain JSON; `files` artifact path → local file. `metrics` are numbers; a
    template that renders to one (`"{{ ... }}"`) is read as it. A retry replaces what the try before it has logged. File
    paths are the DAG's own words; those that come from another task (by XCom, also in a template or by `expand`) must
    lie below `files_from`.
    """

    template_fields: Sequence[str] = ("run", "run_params", "metrics", "run_tags", "artifacts", "files")

    def __init__(
        self,
        *,
        run_params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
        run_tags: Mapping[str, Any] | None = None,
        artifacts: Mapping[str, Any] | None = None,
        files: Mapping[str, Any] | None = None,
        files_from: str | None = None,
        metric_step: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.run_params = run_params
        self.metrics = metrics
        self.run_tags = run_tags
        self.artifacts = artifacts
        self.files = files
        self.files_from = files_from
        self.metric_step = metric_step
        if files_from is None and is_said_by_a_task(files):
            raise ValueError(f"files: {_NEEDS_FOLDER}")

    def act(self, client: Client, context: Mapping[str, Any]) -> dict[str, Any]:
        """Log everything, as one attempt of one step."""
        from penstock.errors import InvalidValue

        if self.files and self.files_from is None and is_expanded_over_a_task(self, "files"):
            raise InvalidValue("files to log", self.files, "paths that the DAG's code names", _NEEDS_FOLDER)
        run_id = self.within(client, context)["run"]
        files = [(artifact, self._file(path)) for artifact, path in (self.files or {}).items()]
        with client.join_run(run_id, step=self.step or self.task_id, map_index=map_index(context)) as run:
            if self.run_params:
                run.log_params(self.run_params)
            if self.metrics:
                run.log_metrics({name: _number(value) for name, value in self.metrics.items()}, self.metric_step)
            if self.run_tags:
                run.set_tags(self.run_tags)
            for artifact, path in files:
                run.log_artifact(path, artifact)
            self._log_artifacts(run)
        counts = {
            "params": len(self.run_params or {}),
            "metrics": len(self.metrics or {}),
            "tags": len(self.run_tags or {}),
            "artifacts": len(self.artifacts or {}) + len(files),
        }
        self.log.info("Logged into run %s: %s", run_id, ", ".join(f"{n} {what}" for what, n in counts.items() if n))
        return {"run_id": run_id, **counts}

    def _log_artifacts(self, run: ActiveRun) -> None:
        with tempfile.TemporaryDirectory(prefix="penstock-") as scratch:
            for number, (artifact, content) in enumerate((self.artifacts or {}).items()):
                path = Path(scratch) / str(number)
                path.write_text(content if isinstance(content, str) else _json(artifact, content), encoding="utf-8")
                run.log_artifact(path, artifact)

    def _file(self, given: Any) -> Path:
        """Return a local file; one that another task named must lie below the folder that the DAG's code names."""
        from penstock.errors import InvalidValue

        if not isinstance(given, str) or not given or "\0" in given:
            raise InvalidValue("file to log", given, "the path of a local file")
        path = Path(given)
        if self.files_from is not None:
            folder = Path(self.files_from).resolve()
            path = (folder / path).resolve()
            if not path.is_relative_to(folder):
                raise InvalidValue("file to log", given, f"a file below {folder} (files_from)")
        if not path.is_file():
            raise InvalidValue("file to log", given, "a file that is there on this worker")
        return path


def _number(value: Any) -> Any:
    """Read what a template has rendered; anything else is judged by the core."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _json(artifact: str, content: Any) -> str:
    from penstock.errors import InvalidValue

    try:
        return json.dumps(content, allow_nan=False, indent=2, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise InvalidValue(
            f"artifact {artifact!r}", type(content).__name__, "text or plain JSON", str(error)
        ) from error
