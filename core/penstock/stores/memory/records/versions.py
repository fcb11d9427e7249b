"""What stands beside versions and aliases, in this process's memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.model.load_checks import LoadCheck
from penstock.model.notes import Note
from penstock.model.protection import AliasProtection
from penstock.model.runs import Run
from penstock.model.versions import AliasMove, LoggedModel, ModelVersion, VersionState
from penstock.stores.memory import steps, versions
from penstock.stores.memory.records.base import InMemory
from penstock.stores.memory.state import time_of


class MemoryVersionRecords(InMemory):
    """Implements `penstock.ports.VersionRecords`, where its methods are documented."""

    def record_load_check(self, check: LoadCheck) -> LoadCheck:
        with self._changing() as (state, now):
            return versions.add_check(state, check, now)

    def list_load_checks(self, model: str, version: int) -> Sequence[LoadCheck]:
        return list(self._state.checks.get((model, version), []))

    def list_last_load_checks(self, model: str, since: int = 1) -> Sequence[LoadCheck]:
        found = sorted((of, checks) for of, checks in self._state.checks.items() if of[0] == model and of[1] >= since)
        return [checks[-1] for _, checks in found if checks]

    def change_version_state(
        self, model: str, version: int, state: VersionState, reason: str, actor: Mapping[str, Any]
    ) -> ModelVersion:
        with self._changing() as (changed, now):
            return versions.change_state(changed, model, version, state, reason, actor, now)

    def record_protection(self, new: AliasProtection) -> AliasProtection:
        with self._changing() as (state, now):
            return versions.protect(state, new, now)

    def list_protections(self, model: str | None) -> Sequence[AliasProtection]:
        found = sorted((of, changes) for of, changes in self._state.protections.items() if model in {None, of[0]})
        return [change for _, changes in found for change in changes]

    def write_note(self, note: Note) -> None:
        with self._changing() as (state, now):
            versions.write_note(state, note, now)

    def list_notes(self, model: str, version: int | None) -> Sequence[Note]:
        return [note for _, note in sorted(self._state.notes.get((model, version or 0), {}).items())]

    def find_move_at(self, model: str, alias: str, time_ms: int) -> AliasMove | None:
        moves = [move for move in self._state.moves if (move.model, move.alias) == (model, alias)]
        before = [move for move in moves if move.moved_at is not None and move.moved_at <= time_of(time_ms)]
        return before[-1] if before else None

    def list_versions_trained_on(self, digest: str) -> Sequence[ModelVersion]:
        runs = {
            run_id
            for run_id, record in self._state.runs.items()
            for _, attempt in steps.current(record)
            for dataset in attempt.inputs.values()
            if (dataset.digest, dataset.role) == (digest, "train")
        }
        found = [made for of in self._state.versions.values() for made in of if made.run_id in runs]
        return sorted(found, key=lambda made: (made.model, made.version))

    def change_model_deleted(self, model_id: str, deleted: bool, reason: str, actor: Mapping[str, Any]) -> LoggedModel:
        with self._changing() as (state, now):
            return versions.change_model(state, model_id, deleted, reason, actor, now)

    def change_run_deleted(self, run_id: str, deleted: bool, reason: str, actor: Mapping[str, Any]) -> Run:
        with self._changing() as (state, now):
            return versions.change_run(state, run_id, deleted, reason, actor, now)
