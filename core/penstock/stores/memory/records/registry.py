"""Registered models, versions and aliases, in this process's memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from penstock.model.audit import NewEvent
from penstock.model.probation import ProbationTerms
from penstock.model.runs import AttemptState, StepResult
from penstock.model.versions import (
    Alias,
    AliasMove,
    Authorization,
    LoggedModel,
    ModelVersion,
    RegisteredModel,
    VersionState,
    moved,
)
from penstock.ports import NewAttempt, StepEnd
from penstock.stores.memory import probation as on_probation
from penstock.stores.memory import registry, steps
from penstock.stores.memory.records.base import InMemory


class MemoryRegistryRecords(InMemory):
    """Implements `penstock.ports.RegistryRecords`, where its methods are documented."""

    def find_authorization(self, decision_id: str) -> Authorization | None:
        return next((a for a in self._state.authorizations.values() if a.decision_id == decision_id), None)

    def record_version(
        self, model: str, logged: LoggedModel, authorization: Authorization, event: NewEvent, end: StepEnd | NewAttempt
    ) -> ModelVersion:
        with self._changing() as (state, now):
            attempt = steps.begun(state, end, now)
            if isinstance(attempt, StepResult):
                return registry.find_version(state, attempt.value["model"], attempt.value["version"])
            version, made = registry.add_version(state, model, logged, authorization, now)
            steps.end(state, StepEnd(attempt, AttemptState.DONE, version.ref), now)
            if made:
                after = {"version": version.version, "payload_digest": version.payload_digest}
                state.append(replace(event, after=after), now)
            return version

    def find_version(self, model: str, version: int | None) -> ModelVersion | None:
        versions = self._state.versions.get(model, [])
        if version is None:
            versions = [found for found in versions if found.state is not VersionState.DELETED]
        return next((found for found in reversed(versions) if version in {None, found.version}), None)

    def list_versions(self, model: str) -> Sequence[ModelVersion]:
        return list(reversed(self._state.versions.get(model, [])))

    def list_models(self) -> Sequence[RegisteredModel]:
        return [
            RegisteredModel(
                name,
                len(self._state.versions[name]),
                {alias.alias: alias.version for alias in self._state.aliases.values() if alias.model == name},
                created_at,
            )
            for name, created_at in sorted(self._state.registered.items())
        ]

    def find_alias(self, model: str, alias: str) -> Alias | None:
        return self._state.aliases.get((model, alias))

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
        with self._changing() as (state, now):
            attempt = steps.begun(state, end, now)
            if isinstance(attempt, StepResult):
                moves = [move for move in state.moves if (move.model, move.alias) == (version.model, alias)]
                return next(move for move in moves if move.generation == attempt.value["generation"])
            move, made = registry.move_alias(
                state, version, alias, authorization, expected_generation, event.actor, now
            )
            steps.end(state, StepEnd(attempt, AttemptState.DONE, move.ref), now)
            if made:
                state.append(moved(event, move), now)
            if made and probation is not None:
                on_probation.begin(state, move, version, probation, event.actor, now)
            return move

    def record_rollback(
        self,
        version: ModelVersion,
        alias: str,
        authorization: Authorization,
        expected_generation: int,
        event: NewEvent,
    ) -> AliasMove:
        with self._changing() as (state, now):
            move, made = registry.roll_back(state, version, alias, authorization, expected_generation, event.actor, now)
            if made:
                state.append(moved(event, move), now)
            return move

    def find_aliased(self, model: str, alias: str) -> tuple[Alias, ModelVersion] | None:
        found = self._state.aliases.get((model, alias))
        return None if found is None else (found, registry.find_version(self._state, model, found.version))

    def list_alias_moves(self, model: str, alias: str | None = None, limit: int | None = None) -> Sequence[AliasMove]:
        moves = [move for move in self._state.moves if move.model == model and alias in {None, move.alias}]
        ordered = sorted(moves, key=lambda move: (move.moved_at, move.alias, move.generation))
        return ordered if limit is None else ordered[max(0, len(ordered) - limit) :]
