"""What stands beside versions and aliases, in a SQL database, each method one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.model.load_checks import LoadCheck
from penstock.model.notes import Note
from penstock.model.protection import AliasProtection
from penstock.model.runs import Run
from penstock.model.versions import AliasMove, LoggedModel, ModelVersion, VersionState
from penstock.stores.sql import aliases, protection, references, versions
from penstock.stores.sql.database import retried
from penstock.stores.sql.records.base import OnDatabase


class SqlVersionRecords(OnDatabase):
    """Implements `penstock.ports.VersionRecords`, where its methods are documented."""

    @retried
    def record_load_check(self, check: LoadCheck) -> LoadCheck:
        with self._database.writing() as connection:
            return versions.add_check(connection, check)

    def list_load_checks(self, model: str, version: int) -> Sequence[LoadCheck]:
        with self._database.reading(one_statement=True) as connection:
            return versions.checks(connection, model, version)

    def list_last_load_checks(self, model: str, since: int = 1) -> Sequence[LoadCheck]:
        with self._database.reading(one_statement=True) as connection:
            return versions.last_checks(connection, model, since)

    @retried
    def change_version_state(
        self, model: str, version: int, state: VersionState, reason: str, actor: Mapping[str, Any]
    ) -> ModelVersion:
        with self._database.writing() as connection:
            return versions.change_state(connection, model, version, state, reason, actor)

    @retried
    def record_protection(self, new: AliasProtection) -> AliasProtection:
        with self._database.writing() as connection:
            return protection.change(connection, new)

    def list_protections(self, model: str | None) -> Sequence[AliasProtection]:
        with self._database.reading() as connection:
            return protection.changes(connection, model)

    @retried
    def write_note(self, note: Note) -> None:
        with self._database.writing() as connection:
            versions.write_note(connection, note)

    def list_notes(self, model: str, version: int | None) -> Sequence[Note]:
        with self._database.reading() as connection:
            return versions.notes(connection, model, version)

    def find_move_at(self, model: str, alias: str, time_ms: int) -> AliasMove | None:
        with self._database.reading(one_statement=True) as connection:
            return aliases.find_move_at(connection, model, alias, time_ms)

    def list_versions_trained_on(self, digest: str) -> Sequence[ModelVersion]:
        with self._database.reading() as connection:
            return versions.trained_on(connection, digest)

    @retried
    def change_model_deleted(self, model_id: str, deleted: bool, reason: str, actor: Mapping[str, Any]) -> LoggedModel:
        with self._database.writing() as connection:
            return references.change_model(connection, model_id, deleted, reason, actor)

    @retried
    def change_run_deleted(self, run_id: str, deleted: bool, reason: str, actor: Mapping[str, Any]) -> Run:
        with self._database.writing() as connection:
            return references.change_run(connection, run_id, deleted, reason, actor)
