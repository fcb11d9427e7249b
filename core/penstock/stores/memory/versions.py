"""What stands beside versions and aliases: load checks, states, protection, notes; and what may be deleted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from penstock.errors import Conflict, NotFound
from penstock.model import guarding, registry_events
from penstock.model.decisions import GateDecision
from penstock.model.load_checks import LoadCheck
from penstock.model.notes import Note
from penstock.model.protection import AliasProtection
from penstock.model.runs import Run
from penstock.model.versions import LoggedModel, ModelVersion, VersionState
from penstock.stores.memory.registry import find_version
from penstock.stores.memory.state import State, plain, time_of


def add_check(state: State, check: LoadCheck, now_ms: int) -> LoadCheck:
    """Record a check under its number; return the one that stands there."""
    version = find_version(state, check.model, check.version)
    there = state.checks.setdefault((check.model, check.version), [])
    known = next((found for found in there if found.number == check.number), None)
    if known is not None:
        return known
    made = replace(check, facts=plain(check.facts), actor=plain(check.actor), checked_at=time_of(now_ms))
    there.append(made)
    there.sort(key=lambda found: found.number)
    state.append(registry_events.checked(version, check), now_ms)
    return made


def change_state(
    state: State, model: str, number: int, new: VersionState, reason: str, actor: Mapping[str, Any], now_ms: int
) -> ModelVersion:
    """Archive, delete or restore a version, unless something refers to it."""
    found = find_version(state, model, number)
    if found.state is new:
        return found
    if new is not VersionState.ACTIVE:
        pointing = sorted(a.alias for a in state.aliases.values() if (a.model, a.version) == (model, number))
        if pointing:
            raise guarding.in_use_by_alias(found.uri, pointing[0])
    if new is VersionState.DELETED:
        decision = _first(state, lambda made: (made.model, made.baseline_version) == (model, number))
        if decision is not None:
            raise guarding.compared_with(found.uri, decision)
    state.append(registry_events.state_changed(found, new, reason, actor), now_ms)
    state.versions[model][number - 1] = replace(found, state=new)
    return state.versions[model][number - 1]


def protect(state: State, new: AliasProtection, now_ms: int) -> AliasProtection:
    """Record a change of an alias's protection as its next."""
    name = f"{new.model}@{new.alias}"
    changes = state.protections.setdefault((new.model, new.alias), [])
    if changes:
        changes[-1].check_actor(f"changing the protection of {name}", new.actor)
    if new.number != len(changes) + 1:
        raise Conflict("protection of alias", name, f"change {len(changes) + 1}", f"{len(changes)} changes already")
    made = replace(new, actor=plain(new.actor), set_at=time_of(now_ms))
    changes.append(made)
    state.append(registry_events.protection_changed(new), now_ms)
    return made


def write_note(state: State, note: Note, now_ms: int) -> None:
    """Write or remove a note."""
    if note.model not in state.registered:
        raise NotFound("registered model", note.model)
    if note.version is not None:
        find_version(state, note.model, note.version)
    there = state.notes.setdefault((note.model, note.version or 0), {})
    there.pop(note.name, None)
    if note.text is not None:
        there[note.name] = replace(note, actor=plain(note.actor), written_at=time_of(now_ms))


def change_model(
    state: State, model_id: str, deleted: bool, reason: str, actor: Mapping[str, Any], now_ms: int
) -> LoggedModel:
    """Delete or restore a logged model, unless a version or a decision refers to it."""
    if model_id not in state.models:
        raise NotFound("logged model", model_id)
    record = state.models[model_id]
    model = record.model
    if not deleted and record.purged:
        raise guarding.purged_model(model.uri)
    if model.deleted is deleted:
        return model
    if deleted:
        _check_no_version(state, "logged model", model.uri, model_id=model_id)
        of_model = {e.evaluation_id for e in state.evaluations.values() if e.model_id == model_id}
        decision = _first(state, lambda made: made.evaluation_id in of_model)
        if decision is not None:
            raise guarding.judged_by("logged model", model.uri, decision)
    experiment = state.run(model.run_id).run.experiment
    state.append(registry_events.model_deleted(model, experiment, deleted, reason, actor), now_ms)
    record.model = replace(model, deleted=deleted)
    return record.model


def change_run(state: State, run_id: str, deleted: bool, reason: str, actor: Mapping[str, Any], now_ms: int) -> Run:
    """Delete or restore a run, unless it is running or a version or decision refers to it."""
    record = state.run(run_id)
    if not deleted and record.run.purged:
        raise guarding.purged_run(run_id)
    if record.run.deleted is deleted:
        return record.run
    if deleted:
        if not record.run.status.ended:
            raise guarding.still_running(run_id)
        _check_no_version(state, "run", run_id, run_id=run_id)
        decision = _first(state, lambda made: made.run_id == run_id)
        if decision is not None:
            raise guarding.judged_by("run", run_id, decision)
    state.append(registry_events.run_deleted(record.run, deleted, reason, actor), now_ms)
    record.run = replace(record.run, lifecycle_stage="deleted" if deleted else "active")
    return record.run


def _first(state: State, wanted: Any) -> str | None:
    made: list[GateDecision] = [decision for decision in state.decisions.values() if wanted(decision)]
    return min((decision.created_at, decision.decision_id) for decision in made)[1] if made else None


def _check_no_version(state: State, kind: str, name: str, **of: str) -> None:
    versions = [version for versions in state.versions.values() for version in versions]
    found = [v for v in versions if all(getattr(v, field) == value for field, value in of.items())]
    if found:
        first = min(found, key=lambda version: (version.model, version.version))
        raise guarding.registered_as(kind, name, first.uri)
