"""Deleting what nothing refers to, softly and on record: hidden until it is restored, and no number used again."""

from __future__ import annotations

from penstock.errors import InvalidValue
from penstock.model.runs import Run
from penstock.model.versions import LoggedModel, ModelVersion, VersionState
from penstock.services import model_access
from penstock.services.references import id_in, model_uri_in
from penstock.services.wiring import Wiring


def change_version_state(wiring: Wiring, version: ModelVersion, state: VersionState, reason: str) -> ModelVersion:
    """Archive, delete or restore a version; `Conflict` names the alias or decision that refers to it."""
    actor = wiring.actor.to_json()
    return wiring.store.change_version_state(version.model, version.version, state, check_reason(reason), actor)


def change_run(wiring: Wiring, run: object, deleted: bool, reason: str) -> Run:
    """Delete or restore a run; `Conflict` names the version or decision that refers to it."""
    run_id = id_in(run, "run_id")
    return wiring.store.change_run_deleted(run_id, deleted, check_reason(reason), wiring.actor.to_json())


def change_model(wiring: Wiring, model: object, deleted: bool, reason: str) -> LoggedModel:
    """Delete or restore a logged model, by URI or reference; a deleted one is named by its id."""
    model_id = model_access.find(wiring.store, model_uri_in(model), deleted=True).logged.model_id
    return wiring.store.change_model_deleted(model_id, deleted, check_reason(reason), wiring.actor.to_json())


def check_reason(reason: object) -> str:
    """Return why somebody changes something, in words; `InvalidValue` for nothing."""
    if not isinstance(reason, str) or not reason.strip():
        raise InvalidValue("reason", reason, "why, in words: it goes on record")
    return reason.strip()
