"""A handle on a run: log into it, do steps in it, close it."""

from __future__ import annotations

import ast
import atexit
import hashlib
import inspect
import tempfile
import textwrap
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from penstock.errors import InvalidValue, PenstockError
from penstock.model.canonical import canonical_json
from penstock.model.data import Dataset, DataSource
from penstock.model.ids import check_artifact_path, check_metric_name, check_step_name
from penstock.model.runs import (
    Attempt,
    AttemptState,
    LogBatch,
    Metric,
    Run,
    RunStatus,
    StepId,
    StepResult,
    as_number,
    as_texts,
)
from penstock.model.versions import FileEntry, LoggedModel, manifest_digest
from penstock.ports import Progress, StepEnd
from penstock.services import datasets
from penstock.services.heartbeat import Heartbeat
from penstock.services.once import error_text, new_attempt, once
from penstock.services.storing import referred_to
from penstock.services.wiring import Wiring


class ActiveRun:
    """A run that can be logged into. What is logged belongs to a step of the run (`main` unless said otherwise).

    As a context manager it closes the run if it opened it, FINISHED, or FAILED when the block raises; a run that was
    joined stays open, and only the step ends. The first thing logged begins an attempt of the step: it fences older
    attempts, whose metrics and params no longer count. The attempt ends with the block, with `close`, or when the
    process exits; a process that is killed leaves it to the reaper.
    """

    def __init__(
        self,
        wiring: Wiring,
        run: Run,
        *,
        step: str = "main",
        map_index: int = -1,
        attempt: Attempt | None = None,
        created: bool = False,
        opened: bool = False,
    ) -> None:
        self._wiring = wiring
        self._step = StepId(run.run_id, step, map_index)
        self._attempt = attempt
        self._heartbeat: Heartbeat | None = None
        self._opened = opened
        self.record = run
        self.created = created

    def __repr__(self) -> str:
        return f"<run {self.run_id} {self.record.experiment} {self.record.key} step={self._step}>"

    @property
    def run_id(self) -> str:
        """The run's id: 32 hexadecimal characters that follow from its key."""
        return self.record.run_id

    @property
    def ref(self) -> dict[str, Any]:
        """A small JSON reference, to hand from step to step."""
        return {"run_id": self.run_id, "experiment": self.record.experiment, "partition": self.record.key.partition}

    # -------------------------------------------------------------------------------------------------- logging

    def log_metric(self, name: str, value: object, step: int = 0) -> None:
        """Record one number; NaN and ±inf may be recorded, and no gate passes on them."""
        self.log_metrics({name: value}, step)

    def log_metrics(self, metrics: Mapping[str, object], step: int = 0) -> None:
        """Record numbers at a training step, all of them or none."""
        points = [Metric(name, as_number(f"metric {name!r}", value), step) for name, value in metrics.items()]
        self._log(LogBatch(metrics=tuple(points)))

    def log_params(self, params: Mapping[str, object]) -> None:
        """Record params; a param is written once per attempt."""
        self._log(LogBatch(params=as_texts("param", params)))

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Set tags of the run, replacing those of the same name."""
        self._log(LogBatch(tags=as_texts("tag", tags)))

    def log_input(self, data: Any, role: str = "train", *, label: str | None = None, name: str = "") -> None:
        """Record a dataset this run reads: its digest over every cell, a profile of its columns, its source.

        The rows themselves are not kept, but hashes of them are, in an artifact of the run: from these an evaluation
        tells how many held-out rows the model was trained on. Name the columns that are no features (id, time) in a
        `DataSource`, for training data as for held-out data.
        """
        source = data if isinstance(data, DataSource) else DataSource(data, label=label, name=name)

        def refer(described: tuple[Dataset, FileEntry], sweeps: Sequence[str]) -> Dataset:
            self._wiring.store.put_artifacts(self._writing(), [described[1]], sweeps)
            return described[0]

        dataset = referred_to(lambda: datasets.describe(self._wiring, source, role), refer)
        self._log(LogBatch(inputs=(dataset,)))

    def log_artifact(self, path: str | Path, artifact_path: str = "", *, progress: Progress | None = None) -> FileEntry:
        """Store a file under `artifact_path` (default: its own name), replacing what was there.

        `progress` is called with the bytes stored so far and the bytes in all.
        """
        local = Path(path)
        path_in_run = check_artifact_path(artifact_path or local.name)

        def refer(entry: FileEntry, sweeps: Sequence[str]) -> FileEntry:
            self._wiring.store.put_artifacts(self._writing(), [entry], sweeps)
            return entry

        return referred_to(lambda: FileEntry(path_in_run, *self._wiring.artifacts.put_file(local, progress)), refer)

    def log_model(
        self, model: Any, name: str = "model", *, input_example: Any = None, trusted_types: Sequence[str] = ()
    ) -> LoggedModel:
        """Save a model in the MLmodel layout, store its files and seal it.

        scikit-learn models are saved with skops, not pickle: types it does not know must be listed in `trusted_types`
        (`Untrusted` names them). Logging the same model again returns the one logged first. Nothing is visible before
        everything is stored.
        """
        check_artifact_path(check_metric_name(name))  # as runs:/<run id>/<name> will be read
        attempt = self._writing()
        with tempfile.TemporaryDirectory(prefix="penstock-") as scratch:
            folder = Path(scratch) / "model"
            folder.mkdir()
            packaged = self._wiring.model_format().save(
                model, folder, run_id=self.run_id, name=name, input_example=input_example, trusted_types=trusted_types
            )
            paths = sorted(path for path in folder.rglob("*") if path.is_file())
            names = [path.relative_to(folder).as_posix() for path in paths]

            def refer(stored: Sequence[tuple[str, int]], sweeps: Sequence[str]) -> LoggedModel:
                files = tuple(FileEntry(path, *facts) for path, facts in zip(names, stored, strict=True))
                logged = LoggedModel(
                    model_id=packaged.model_id,
                    run_id=self.run_id,
                    name=name,
                    payload_digest=packaged.payload_digest,
                    manifest_digest=manifest_digest(files),
                    flavor=packaged.flavor,
                    size_bytes=sum(file.size_bytes for file in files),
                    files=files,
                    facts=packaged.facts,
                )
                return self._wiring.store.add_model(attempt, logged, sweeps)

            return referred_to(lambda: self._wiring.artifacts.put_files(paths), refer)

    def _log(self, batch: LogBatch) -> None:
        self._wiring.store.log(self._writing(), batch)

    def _writing(self) -> Attempt:
        if self._attempt is None:
            begun = self._wiring.store.begin_attempt(
                new_attempt(self._wiring, self._step, {}, always=True, reopen=True)
            )
            assert isinstance(begun, Attempt)  # noqa: S101 - `always` never answers with a stored result
            self._attempt, self._heartbeat = begun, Heartbeat(self._wiring.store, begun)
            atexit.register(self._end_at_exit)
        return self._attempt

    # ---------------------------------------------------------------------------------------------------- steps

    def step(
        self, name: str, work: Callable[..., Any], /, *, map_index: int = -1, resume: bool = False, **inputs: Any
    ) -> Any:
        """Do a step of the run once: `work(run, **inputs)`, whose result must be plain JSON.

        If this step has been done with these inputs and this code, its stored result is returned and `work` is not
        called. With other inputs, or after `work`'s source changed, it is done again and the old result is kept. With
        `resume` the metrics of an attempt that was cut off stay (training from a checkpoint).
        """
        declared = {"inputs": self._declared(inputs), "code": _code_digest(work)}
        step = StepId(self.run_id, check_step_name(name), map_index)

        def do(attempt: Attempt) -> Any:
            handle = ActiveRun(self._wiring, self.record, step=name, map_index=map_index, attempt=attempt)
            value = work(handle, **inputs)
            ended = self._wiring.store.end_attempt(StepEnd(attempt, AttemptState.DONE, value))
            assert isinstance(ended, StepResult)  # noqa: S101 - an attempt that is DONE has left its result
            return ended.value

        new = new_attempt(self._wiring, step, declared, resume=resume, reopen=True)
        return once(self._wiring, new, do, lambda value: value)

    def _declared(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        declared = {}
        for name, value in inputs.items():
            is_data = isinstance(value, DataSource)
            declared[name] = dict(self._wiring.reader().fingerprint(value)) if is_data else value
            try:
                canonical_json(declared[name])
            except InvalidValue as error:
                raise InvalidValue(f"input {name!r} of a step", value, error.expected, error.hint) from error
        return declared

    # -------------------------------------------------------------------------------------------------- closing

    def close(self, status: RunStatus = RunStatus.FINISHED, reason: str = "") -> Run:
        """End the run, and with it the attempt this handle has begun."""
        done = status is RunStatus.FINISHED
        end = self._ending(AttemptState.DONE if done else AttemptState.FAILED, reason)
        self.record = self._wiring.store.end_run(self.run_id, status, reason, self._wiring.actor.to_json(), end)
        return self.record

    def leave(self, error: str = "") -> None:
        """End the attempt this handle has begun, FAILED if there is an error; the run stays open."""
        end = self._ending(AttemptState.FAILED if error else AttemptState.DONE, error)
        if end is not None:
            self._wiring.store.end_attempt(end)

    def _ending(self, state: AttemptState, error: str) -> StepEnd | None:
        """Describe the end of the attempt this handle has begun, if it has; from here on it has not."""
        if self._heartbeat is None or self._attempt is None:
            return None
        self._heartbeat.stop()
        atexit.unregister(self._end_at_exit)
        end = StepEnd(self._attempt, state, error=error)
        self._attempt = self._heartbeat = None
        return end

    def _end_at_exit(self) -> None:
        with suppress(PenstockError):
            self.leave()

    def __enter__(self) -> ActiveRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        why = "" if error is None else error_text(error)
        if not self._opened:
            self.leave(why)
        elif error is None:
            self.close()
        else:
            self.close(RunStatus.FAILED, why)


def _code_digest(work: Callable[..., Any]) -> str:
    """Digest of a function's code, so that a step cleared after its code changed is done again.

    Comments, layout and decorators (a number of retries, say) are not code.
    """
    function = inspect.unwrap(work)
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError) as error:
        code = getattr(function, "__code__", None)
        if code is None:
            expected = "a Python function, so that a change of its code is noticed"
            raise InvalidValue("step", work, expected) from error
        text = code.co_code.hex() + repr(code.co_names)
    return hashlib.sha256(_without_layout(text).encode()).hexdigest()


def _without_layout(source: str) -> str:
    try:
        tree = ast.parse(textwrap.dedent(source))
    except SyntaxError:  # a lambda in the middle of an expression, or no source at all
        return source
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.decorator_list = []
    return ast.unparse(tree)
