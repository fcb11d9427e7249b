"""What a store does beside moving aliases: load checks, states, protection, notes, history, deletion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from penstock.model.load_checks import LoadCheck
from penstock.model.notes import Note
from penstock.model.protection import AliasProtection
from penstock.model.runs import Run
from penstock.model.versions import AliasMove, LoggedModel, ModelVersion, VersionState


class VersionRecords(Protocol):
    """What a store does beside moving aliases. Every change is one transaction with its entry in the ledger."""

    def record_load_check(self, check: LoadCheck) -> LoadCheck:
        """Record a version's check as its number `check.number`, with its event; return what stands there.

        If somebody has recorded a check under this number meanwhile, that one is returned and nothing is changed.
        `NotFound` for a version that is not there.
        """
        ...

    def list_load_checks(self, model: str, version: int) -> Sequence[LoadCheck]:
        """Return a version's checks, oldest first; the last one counts."""
        ...

    def list_last_load_checks(self, model: str, since: int = 1) -> Sequence[LoadCheck]:
        """Return the last check of each version from number `since` on, by number; of those that were checked."""
        ...

    def change_version_state(
        self, model: str, version: int, state: VersionState, reason: str, actor: Mapping[str, Any]
    ) -> ModelVersion:
        """Archive, delete or restore a version, with its event; its state already: nothing changes.

        `NotFound` for a version that is not there. `Conflict` naming what refers to it: a version that an alias points
        to is neither archived nor deleted, one that a decision compares with is not deleted.
        """
        ...

    def record_protection(self, new: AliasProtection) -> AliasProtection:
        """Protect an alias, or lift its protection, as change number `new.number`, with its event.

        `Conflict` if that number is taken, `NotAuthorized` if the protection there is lists others.
        """
        ...

    def list_protections(self, model: str | None) -> Sequence[AliasProtection]:
        """Return every change of the protection of a model's aliases (None: of all), by model, alias and number.

        An alias's last one holds.
        """
        ...

    def write_note(self, note: Note) -> None:
        """Write a description or tag, or remove it (`text` None); not in the ledger. `NotFound` without its subject."""
        ...

    def list_notes(self, model: str, version: int | None) -> Sequence[Note]:
        """Return the notes of a model (`version` None) or of one of its versions, by name."""
        ...

    def find_move_at(self, model: str, alias: str, time_ms: int) -> AliasMove | None:
        """Return the move that put an alias where it pointed at a time; None if it was not set yet."""
        ...

    def list_versions_trained_on(self, digest: str) -> Sequence[ModelVersion]:
        """Return the versions whose run has read data of this digest for training, by model and number."""
        ...

    def change_model_deleted(self, model_id: str, deleted: bool, reason: str, actor: Mapping[str, Any]) -> LoggedModel:
        """Delete a logged model, or restore it, with its event; as it is already: nothing changes.

        `Conflict` naming the version or decision that refers to it.
        """
        ...

    def change_run_deleted(self, run_id: str, deleted: bool, reason: str, actor: Mapping[str, Any]) -> Run:
        """Delete a run, or restore it, with its event; as it is already: nothing changes.

        `Conflict` for a run that has not ended, and naming the version or decision that refers to it.
        """
        ...
