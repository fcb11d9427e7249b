"""What a store does for registered models, their versions and aliases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from penstock.model.audit import NewEvent
from penstock.model.probation import ProbationTerms
from penstock.model.versions import (
    Alias,
    AliasMove,
    Authorization,
    LoggedModel,
    ModelVersion,
    RegisteredModel,
)
from penstock.ports.writes import NewAttempt, StepEnd


class RegistryRecords(Protocol):
    """What a store does for registered models, their versions and aliases."""

    def find_authorization(self, decision_id: str) -> Authorization | None:
        """Return the authorization a passed decision gave; None if it gave none."""
        ...

    def record_version(
        self, model: str, logged: LoggedModel, authorization: Authorization, event: NewEvent, end: StepEnd | NewAttempt
    ) -> ModelVersion:
        """Register a model under the next number, in one transaction with its event and its step's result.

        With a `NewAttempt` the step is begun in it, too, and answers from its stored result if it is done. The same
        authorization again returns the version it registered. `event.after` is completed with the number. `NotFound`
        for a logged model or a run that is not there.
        """
        ...

    def find_version(self, model: str, version: int | None) -> ModelVersion | None:
        """Return a version; the one with the highest number when `version` is None; None if there is none."""
        ...

    def list_versions(self, model: str) -> Sequence[ModelVersion]:
        """Return a model's versions, newest first."""
        ...

    def list_models(self) -> Sequence[RegisteredModel]:
        """Return the registered models by name."""
        ...

    def find_alias(self, model: str, alias: str) -> Alias | None:
        """Return where an alias points; None if it was never set."""
        ...

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
        """Point an alias to a version if its generation is still `expected_generation` (0: never set).

        One transaction with its event and its step's result, as in `record_version`. `Conflict` naming who won if the
        alias has moved.
        The same authorization again returns the move it made. With `probation` the move is on probation from then on.
        """
        ...

    def record_rollback(
        self,
        version: ModelVersion,
        alias: str,
        authorization: Authorization,
        expected_generation: int,
        event: NewEvent,
    ) -> AliasMove:
        """Point an alias back to a version that held it before, if its generation is still `expected_generation`.

        One transaction with its authorization (of kind `rollback`) and its event. `NotAuthorized` if the version never
        held the alias, `Conflict` naming who won if the alias has moved. The same authorization again returns the move
        it made.
        """
        ...

    def find_aliased(self, model: str, alias: str) -> tuple[Alias, ModelVersion] | None:
        """Return where an alias points and the version there; None if it was never set."""
        ...

    def list_alias_moves(self, model: str, alias: str | None = None, limit: int | None = None) -> Sequence[AliasMove]:
        """Return a model's alias moves, or one alias's, oldest first; with `limit` the last ones only."""
        ...
