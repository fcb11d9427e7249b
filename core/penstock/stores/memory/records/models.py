"""Artifacts and logged models, in this process's memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from penstock.errors import NotFound
from penstock.model import guarding
from penstock.model.runs import Attempt
from penstock.model.versions import FileEntry, LoggedModel
from penstock.stores.memory import retention, steps
from penstock.stores.memory.records.base import InMemory
from penstock.stores.memory.state import ModelRecord, stored_model


class MemoryModelRecords(InMemory):
    """Implements `penstock.ports.ModelRecords`, where its methods are documented."""

    def put_artifacts(self, attempt: Attempt, files: Sequence[FileEntry], sweeps: Collection[str] = ()) -> None:
        with self._changing() as (state, now):
            steps.writing(state, attempt, now)
            retention.reprieve(state, [file.sha256 for file in files], sweeps)
            state.run(attempt.step.run_id).artifacts.update({file.path: file for file in files})

    def list_artifacts(self, run_id: str) -> Sequence[FileEntry]:
        record = self._state.runs.get(run_id)
        return [] if record is None else [record.artifacts[path] for path in sorted(record.artifacts)]

    def list_blobs(self, after: str, limit: int) -> Sequence[str]:
        files = [file for record in self._state.runs.values() for file in record.artifacts.values()]
        files += [file for known in self._state.models.values() for file in known.model.files]
        return sorted({file.sha256 for file in files if file.sha256 > after})[:limit]

    def find_referrer(self, sha256: str) -> str:
        models = (known.model for known in self._state.models.values())
        of_models = [(m.run_id, m.name, file.path) for m in models for file in m.files if file.sha256 == sha256]
        if of_models:
            run_id, name, path = min(of_models)
            return f"runs:/{run_id}/{name} {path}"
        runs = self._state.runs.items()
        of_runs = [(i, file.path) for i, run in runs for file in run.artifacts.values() if file.sha256 == sha256]
        return "runs:/{} {}".format(*min(of_runs)) if of_runs else ""

    def add_model(self, attempt: Attempt, model: LoggedModel, sweeps: Collection[str] = ()) -> LoggedModel:
        with self._changing() as (state, now):
            steps.writing(state, attempt, now)
            known = state.models.get(model.model_id)
            if known is None:
                retention.reprieve(state, [file.sha256 for file in model.files], sweeps)
            elif known.purged:
                raise guarding.purged_model(model.uri)
            stored = stored_model(model, now) if known is None else known.model
            beside = [r.logged_ms for r in state.models.values() if _named(r) == (attempt.step.run_id, model.name)]
            logged_ms = max(now, max(beside, default=0) + 1)
            state.models[model.model_id] = ModelRecord(stored, attempt.step, attempt.number, logged_ms)
            return stored

    def read_model_stages(self) -> Iterator[tuple[str, str, str]]:
        for model_id, known in sorted(self._state.models.items()):
            stage = "purged" if known.purged else "deleted" if known.model.deleted else "active"
            yield model_id, stage, self._state.run(known.model.run_id).run.lifecycle_stage

    def get_model(self, model_id: str) -> LoggedModel:
        if model_id not in self._state.models:
            raise NotFound("logged model", model_id)
        return self._state.models[model_id].model

    def find_model(self, run_id: str, name: str) -> LoggedModel | None:
        found = [
            record
            for record in self._state.models.values()
            if _named(record) == (run_id, name)
            and not record.model.deleted
            and record.attempt >= self._state.runs[run_id].steps[record.step].visible_from
        ]
        found.sort(key=lambda record: record.model.model_id, reverse=True)
        found.sort(key=lambda record: (record.logged_ms, record.attempt))
        return found[-1].model if found else None


def _named(record: ModelRecord) -> tuple[str, str]:
    return record.step.run_id, record.model.name
