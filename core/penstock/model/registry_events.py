"""The ledger's entries on versions and aliases beside moves: checks, states, protection; and on what is deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock.model.audit import NewEvent, experiment_chain, model_chain
from penstock.model.canonical import digest
from penstock.model.load_checks import LoadCheck
from penstock.model.protection import AliasProtection
from penstock.model.runs import Run
from penstock.model.versions import LoggedModel, ModelVersion, VersionState

STATE_KINDS = {
    VersionState.ACTIVE: "version_restored",
    VersionState.ARCHIVED: "version_archived",
    VersionState.DELETED: "version_deleted",
}


def checked(version: ModelVersion, check: LoadCheck) -> NewEvent:
    """Return the entry of a load check. What depends on the machine is in it as a digest."""
    return NewEvent(
        chain=model_chain(version.model),
        kind="version_checked",
        subject={"model": version.model, "version": version.version, "check": check.number},
        actor=check.actor,
        why=check.error,
        after={
            "passed": check.passed,
            "payload_digest": version.payload_digest,
            "facts_digest": digest(check.facts),
        },
    )


def state_changed(version: ModelVersion, state: VersionState, reason: str, actor: Mapping[str, Any]) -> NewEvent:
    """Return the entry of a version that is archived, deleted or restored."""
    return NewEvent(
        chain=model_chain(version.model),
        kind=STATE_KINDS[state],
        subject={"model": version.model, "version": version.version},
        actor=actor,
        why=reason,
        before=version.state.value,
        after=state.value,
    )


def protection_changed(protection: AliasProtection) -> NewEvent:
    """Return the entry of an alias that is protected, by whom it may be moved, or whose protection is lifted."""
    return NewEvent(
        chain=model_chain(protection.model),
        kind="protection_lifted" if protection.lifted else "alias_protected",
        subject={"model": protection.model, "alias": protection.alias, "change": protection.number},
        actor=protection.actor,
        why=protection.reason,
        after={"actors": list(protection.actors), "lifted": protection.lifted},
    )


def model_deleted(model: LoggedModel, experiment: str, deleted: bool, why: str, actor: Mapping[str, Any]) -> NewEvent:
    """Return the entry of a logged model that is deleted or restored, in the chain of its run's experiment."""
    return NewEvent(
        chain=experiment_chain(experiment),
        kind="model_deleted" if deleted else "model_restored",
        subject={"model_id": model.model_id, "run_id": model.run_id, "name": model.name},
        actor=actor,
        why=why,
    )


def run_deleted(run: Run, deleted: bool, why: str, actor: Mapping[str, Any]) -> NewEvent:
    """Return the entry of a run that is deleted or restored."""
    kind = "run_deleted" if deleted else "run_restored"
    return NewEvent(experiment_chain(run.experiment), kind, {"run_id": run.run_id}, actor, why)
