"""What is known and done about registered models beside registering and promoting them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from penstock.client.base import OnWiring
from penstock.model.versions import AliasMove, LoggedModel, ModelVersion, VersionState

if TYPE_CHECKING:
    from penstock.model.lineage import Lineage
    from penstock.model.load_checks import LoadCheck
    from penstock.model.notes import Notes
    from penstock.model.protection import AliasProtection
    from penstock.model.stages import Stage


class ModelCare(OnWiring):
    """What is known and done about registered models beside registering and promoting them."""

    # -------------------------------------------------------------------------------------------------- history

    def as_of(self, name: str, alias: str, time: datetime) -> AliasMove:
        """Return the move that put an alias where it pointed at `time`: to which version, by whom, on what evidence.

        `time` has a time zone. `NotFound` if the alias was not set yet.
        """
        from penstock.services import history

        return history.as_of(self.wiring, name, alias, time)

    def lineage(self, name: object, version: object = None) -> Lineage:
        """Return what led to a version: run, code, data, evaluation, decision, policy, approvals, checks, moves.

        `name` and a number, or a `ModelVersion` or its reference alone.
        """
        from penstock.services import lineage

        return lineage.lineage(self.wiring, self._version(name, version))

    def versions_trained_on(self, digest: object) -> Sequence[ModelVersion]:
        """Return the versions that were trained on this data, by its digest or a `Dataset`."""
        from penstock.services import lineage

        return lineage.versions_trained_on(self.wiring, digest)

    def model_card(self, name: object, version: object = None, *, html: bool = False) -> str:
        """Return a version's model card, generated from the record: Markdown, or one self-contained page of HTML."""
        from penstock.services import cards

        return cards.card(self.lineage(name, version), html=html)

    # ------------------------------------------------------------------------------------------------ protection

    def check_version(self, name: object, version: object = None, *, timeout_s: float | None = None) -> LoadCheck:
        """Load a version and predict once in a clean process, now, and put what was seen on record.

        `promote` does this where it has not been done; a version whose last check failed gets no alias.
        """
        from penstock.services import load_check

        limit = load_check.TIMEOUT_S if timeout_s is None else timeout_s
        return load_check.check_version(self.wiring, self._version(name, version), limit)

    def load_checks(self, name: str, version: int) -> Sequence[LoadCheck]:
        """Return the load checks of a version, oldest first; the last one counts."""
        return self.wiring.store.list_load_checks(name, version)

    def last_load_checks(self, name: str, *, since: int = 1) -> Mapping[int, LoadCheck]:
        """Return the load check that counts for each version from number `since` on that was checked, by number."""
        return {check.version: check for check in self.wiring.store.list_last_load_checks(name, since)}

    def protect_alias(self, name: str, alias: str, *, actors: Sequence[str] = (), reason: str) -> AliasProtection:
        """Let only a passed gate (or a rollback) move an alias, and only the `actors` named; none named: anybody.

        In library mode actors are asserted, and the record of every move says so.
        """
        from penstock.services import protection

        return protection.protect(self.wiring, name, alias, actors, reason=reason)

    def lift_protection(self, name: str, alias: str, *, reason: str) -> AliasProtection:
        """Protect an alias no longer."""
        from penstock.services import protection

        return protection.protect(self.wiring, name, alias, (), reason=reason, lifted=True)

    def alias_protections(self, name: str) -> Mapping[str, AliasProtection]:
        """Return the protection that holds for each protected alias of a model."""
        found = {protection.alias: protection for protection in self.wiring.store.list_protections(name)}
        return {alias: protection for alias, protection in found.items() if not protection.lifted}

    # -------------------------------------------------------------------------------------------- stages, states

    def transition_stage(
        self, name: str, version: object, stage: str, decision: object = None, *, reason: str = "", **how: Any
    ) -> Stage:
        """Bring a version into a stage: Production or Staging under a passed decision for the alias of that name.

        What was there before becomes Archived. Archived and None take a `reason`. An alias says the same in a name of
        your own: see `promote`.
        """
        from penstock.services import stages

        return stages.transition(self.wiring, name, version, stage, decision, reason=reason, **how)

    def stages(self, name: str) -> Mapping[int, Stage]:
        """Return the stage of every version of a model, by number."""
        from penstock.services import stages

        return stages.get_stages(self.wiring, name)

    def delete_version(self, name: object, version: object = None, *, reason: str) -> ModelVersion:
        """Hide a version until it is restored; `Conflict` names the alias or decision that refers to it."""
        return self._change_state(name, version, VersionState.DELETED, reason)

    def restore_version(self, name: object, version: object = None, *, reason: str) -> ModelVersion:
        """Bring back a version that was deleted or archived."""
        return self._change_state(name, version, VersionState.ACTIVE, reason)

    def delete_model(self, model: object, *, reason: str) -> LoggedModel:
        """Hide a logged model until it is restored; `Conflict` names the version or decision that refers to it."""
        from penstock.services import deletion

        return deletion.change_model(self.wiring, model, True, reason)

    def restore_model(self, model: object, *, reason: str) -> LoggedModel:
        """Bring back a logged model that was deleted, by `models:/m-<its id>`."""
        from penstock.services import deletion

        return deletion.change_model(self.wiring, model, False, reason)

    # ---------------------------------------------------------------------------------------------------- notes

    def describe(self, name: str, text: str, *, version: int | None = None) -> None:
        """Write the description of a model, or of one of its versions; an empty one removes it."""
        from penstock.services import notes

        notes.describe(self.wiring, name, text, version)

    def set_tag(self, name: str, tag: str, value: str, *, version: int | None = None) -> None:
        """Set a tag of a model, or of one of its versions."""
        from penstock.services import notes

        notes.set_tag(self.wiring, name, tag, value, version)

    def remove_tag(self, name: str, tag: str, *, version: int | None = None) -> None:
        """Remove a tag of a model, or of one of its versions."""
        from penstock.services import notes

        notes.set_tag(self.wiring, name, tag, None, version)

    def notes(self, name: str, *, version: int | None = None) -> Notes:
        """Return the description and tags of a model, or of one of its versions."""
        from penstock.services import notes

        return notes.get_notes(self.wiring, name, version)

    def _change_state(self, name: object, version: object, state: VersionState, reason: str) -> ModelVersion:
        from penstock.services import deletion

        return deletion.change_version_state(self.wiring, self._version(name, version), state, reason)

    def _version(self, name: object, version: object) -> ModelVersion:
        from penstock.services import registry

        if isinstance(name, ModelVersion):
            return name
        if isinstance(version, ModelVersion):
            return version
        if isinstance(name, str):
            return registry.get_version(self.wiring, version, name)
        return registry.get_version(self.wiring, name)
