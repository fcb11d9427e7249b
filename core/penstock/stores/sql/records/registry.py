"""Registered models, versions and aliases, in a SQL database, each method one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from penstock.model.audit import NewEvent
from penstock.model.probation import ProbationTerms
from penstock.model.runs import StepResult
from penstock.model.versions import Alias, AliasMove, Authorization, LoggedModel, ModelVersion, RegisteredModel, moved
from penstock.ports import NewAttempt, StepEnd
from penstock.stores.sql import aliases, judgements, ledger, registry, steps, versions
from penstock.stores.sql import probation as on_probation
from penstock.stores.sql.database import retried
from penstock.stores.sql.records.base import OnDatabase
from penstock.stores.sql.rows import ms_of


class SqlRegistryRecords(OnDatabase):
    """Implements `penstock.ports.RegistryRecords`, where its methods are documented."""

    def find_authorization(self, decision_id: str) -> Authorization | None:
        with self._database.reading(one_statement=True) as connection:
            return judgements.find_authorization(connection, decision_id)

    @retried
    def record_version(
        self, model: str, logged: LoggedModel, authorization: Authorization, event: NewEvent, end: StepEnd | NewAttempt
    ) -> ModelVersion:
        with self._database.writing() as connection:
            last = registry.reserve(connection, model)
            attempt = steps.begun(connection, end)
            if isinstance(attempt, StepResult):
                return versions.get(connection, attempt.value["model"], attempt.value["version"])
            version, made = registry.add_version(connection, model, logged, authorization, last)
            steps.finish(connection, attempt, version.ref)
            if made:
                after = {"version": version.version, "payload_digest": version.payload_digest}
                ledger.append(connection, replace(event, after=after))
            return version

    def find_version(self, model: str, version: int | None) -> ModelVersion | None:
        with self._database.reading(one_statement=True) as connection:
            return registry.find_version(connection, model, version)

    def list_versions(self, model: str) -> Sequence[ModelVersion]:
        with self._database.reading(one_statement=True) as connection:
            return registry.list_versions(connection, model)

    def list_models(self) -> Sequence[RegisteredModel]:
        with self._database.reading() as connection:
            return registry.list_models(connection)

    def find_alias(self, model: str, alias: str) -> Alias | None:
        with self._database.reading(one_statement=True) as connection:
            return aliases.find_alias(connection, model, alias)

    @retried
    def move_alias(
        self,
        version: ModelVersion,
        alias: str,
        authorization: Authorization,
        expected_generation: int,
        event: NewEvent,
        end: StepEnd | NewAttempt,
        probation: ProbationTerms | None = None,
    ) -> AliasMove:
        with self._database.writing() as connection:
            registry.lock(connection, version.model)
            attempt = steps.begun(connection, end)
            if isinstance(attempt, StepResult):
                return aliases.get_move(connection, version.model, alias, attempt.value["generation"])
            moving = (version, alias, authorization, expected_generation, event.actor)
            move, made = aliases.move_alias(connection, *moving)
            steps.finish(connection, attempt, move.ref)
            if made:
                ledger.append(connection, moved(event, move), ms_of(move.moved_at))
            if made and probation is not None:
                on_probation.begin(connection, move, version, probation, event.actor)
            return move

    @retried
    def record_rollback(
        self,
        version: ModelVersion,
        alias: str,
        authorization: Authorization,
        expected_generation: int,
        event: NewEvent,
    ) -> AliasMove:
        with self._database.writing() as connection:
            move, made = aliases.roll_back(connection, version, alias, authorization, expected_generation, event.actor)
            if made:
                ledger.append(connection, moved(event, move), ms_of(move.moved_at))
            return move

    def find_aliased(self, model: str, alias: str) -> tuple[Alias, ModelVersion] | None:
        with self._database.reading(one_statement=True) as connection:
            return aliases.find_aliased(connection, model, alias)

    def list_alias_moves(self, model: str, alias: str | None = None, limit: int | None = None) -> Sequence[AliasMove]:
        with self._database.reading(one_statement=True) as connection:
            return aliases.list_moves(connection, model, alias, limit)
