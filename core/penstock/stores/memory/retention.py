"""Retention policies; what may go, what refers to it, its purge; and bytes about to be deleted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from penstock.errors import BlobsCollected, NotFound
from penstock.model.retention import Candidate, Contents, RetentionPolicy, purged, retention_changed
from penstock.model.runs import AttemptState
from penstock.model.versions import FileEntry
from penstock.stores.memory.state import ModelRecord, RunRecord, State, plain, time_of


def reprieve(state: State, sha256s: Collection[str], seen: Collection[str]) -> None:
    """Keep blobs that are about to be referred to; `BlobsCollected` for those whose bytes are going or gone."""
    found = {sha256: state.condemned[sha256] for sha256 in sha256s if sha256 in state.condemned}
    swept = {sha256: blob for sha256, blob in found.items() if blob.state == "swept" and blob.sweep not in seen}
    sweeping = {sha256 for sha256, blob in found.items() if blob.state == "sweeping"}
    if swept or sweeping:
        sweeps = {blob.sweep for blob in swept.values()} | set(seen)
        raise BlobsCollected(tuple(sorted({*swept, *sweeping})), tuple(sorted(sweeps)), bool(sweeping))
    for sha256 in found:
        del state.condemned[sha256]


def references(state: State) -> Counter[str]:
    """Return how many files refer to each blob."""
    files = [file for record in state.runs.values() for file in record.artifacts.values()]
    files += [file for known in state.models.values() for file in known.model.files]
    return Counter(file.sha256 for file in files)


def set_policy(state: State, policy: RetentionPolicy, now_ms: int) -> RetentionPolicy:
    """Set a policy, with its event, unless it says the same already."""
    key = (policy.experiment, policy.model)
    known = state.retention.get(key)
    if known is None or known.terms != policy.terms:
        state.append(retention_changed(policy, policy.actor), now_ms)
        state.retention[key] = replace(policy, actor=plain(policy.actor), set_at=time_of(now_ms))
    return state.retention[key]


def remove_policy(state: State, experiment: str, model: str, actor: Mapping[str, Any], now_ms: int) -> None:
    """Remove a policy, with its event."""
    if (experiment, model) not in state.retention:
        raise NotFound("retention policy", f"{experiment} {model}".strip())
    state.append(retention_changed(state.retention.pop((experiment, model)), actor, removed=True), now_ms)


def candidates(state: State, experiment: str | None, model: str | None) -> Iterator[Candidate]:
    """Yield ended runs or, with `model`, logged models of this name (empty: any), with what refers to each."""
    there = {
        run_id: record
        for run_id, record in state.runs.items()
        if experiment in {None, record.run.experiment} and not record.run.purged
    }
    if model is not None:
        for known in state.models.values():
            if known.model.run_id in there and model in {"", known.model.name} and not known.purged:
                yield _of_model(state, known)
        return
    for record in there.values():
        if record.run.ended_at is not None:
            yield Candidate(
                experiment=record.run.experiment,
                run_id=record.run.run_id,
                ended_at=record.run.ended_at,
                name=record.run.name,
                deleted=record.run.deleted,
                held_by=_run_held_by(state, record),
            )


def files_of(state: State, candidate: Candidate) -> Sequence[FileEntry]:
    """Return the files of a run or a logged model."""
    if candidate.model_id:
        return state.models[candidate.model_id].model.files
    models = [file for known in _models_of(state, candidate.run_id) for file in known.model.files]
    return [*state.runs[candidate.run_id].artifacts.values(), *models]


def contents(state: State, candidate: Candidate) -> Contents:
    """Return what a run or a logged model holds."""
    size = sum(file.size_bytes for file in files_of(state, candidate))
    if candidate.model_id:
        return Contents(models=1, size_bytes=size)
    record = state.runs[candidate.run_id]
    points = sum(len(attempt.points) for step in record.steps.values() for attempt in step.attempts)
    return Contents(len(_models_of(state, candidate.run_id)), len(record.artifacts), points, size)


def purge(state: State, candidate: Candidate, why: str, actor: Mapping[str, Any], now_ms: int) -> Contents | None:
    """Remove what a run or a logged model holds, with its event; None where something refers to it, or it is done."""
    record = state.run(candidate.run_id)
    if record.run.purged or not record.run.status.ended:
        return None
    if candidate.model_id:
        known = state.models[candidate.model_id]
        if known.purged or _of_model(state, known).held_by:
            return None
        going = [known]
    else:
        if _run_held_by(state, record):
            return None
        going = _models_of(state, candidate.run_id)
    gone = contents(state, candidate)
    for known in going:
        known.model = replace(known.model, files=(), deleted=True)
        known.purged = True
    if not candidate.model_id:
        record.artifacts.clear()
        record.tags.clear()
        for step in record.steps.values():
            for attempt in step.attempts:
                attempt.points.clear()
                attempt.params.clear()
                attempt.inputs.clear()
        record.run = replace(record.run, lifecycle_stage="purged")
    state.append(purged(candidate, gone, why, actor), now_ms)
    return gone


def _models_of(state: State, run_id: str) -> list[ModelRecord]:
    return [known for known in state.models.values() if known.model.run_id == run_id]


def _of_model(state: State, known: ModelRecord) -> Candidate:
    record, model = state.runs[known.model.run_id], known.model
    return Candidate(
        experiment=record.run.experiment,
        run_id=model.run_id,
        ended_at=time_of(known.logged_ms),
        model_id=model.model_id,
        name=model.name,
        deleted=model.deleted,
        held_by=_model_held_by(state, known, record),
    )


def _judged(state: State, model_ids: Collection[str]) -> bool:
    judged = {made.evaluation_id for made in state.decisions.values()}
    return any(e.model_id in model_ids for e in state.evaluations.values() if e.evaluation_id in judged)


def _on_probation(state: State) -> set[str]:
    return {one.evaluation_id for found in state.probation_judgements.values() for one in found}


def _is_running(record: RunRecord) -> bool:
    return any(a.state is AttemptState.RUNNING for step in record.steps.values() for a in step.attempts)


def _run_held_by(state: State, record: RunRecord) -> str:
    run_id = record.run.run_id
    models = _models_of(state, run_id)
    versions = [version for of in state.versions.values() for version in of]
    payloads = {override.payload_digest for override in state.overrides.values()}
    evaluated = {e.evaluation_id for e in state.evaluations.values() if e.run_id == run_id}
    decided = any(made.run_id == run_id for made in state.decisions.values())
    children = [r.run for r in state.runs.values() if r.run.parent_run_id == run_id]
    holders = {
        "a version": any(version.run_id == run_id for version in versions),
        "a decision": decided or _judged(state, {known.model.model_id for known in models}),
        "an override": any(known.model.payload_digest in payloads for known in models),
        "a probation": bool(evaluated & _on_probation(state)),
        "a running attempt": _is_running(record),
        "an unfinished run": any(not child.status.ended for child in children),
    }
    return next((words for words, holds in holders.items() if holds), "")


def _model_held_by(state: State, known: ModelRecord, record: RunRecord) -> str:
    model_id = known.model.model_id
    versions = [version for of in state.versions.values() for version in of]
    evaluated = {e.evaluation_id for e in state.evaluations.values() if e.model_id == model_id}
    holders = {
        "a version": any(version.model_id == model_id for version in versions),
        "a decision": _judged(state, {model_id}),
        "an override": any(o.payload_digest == known.model.payload_digest for o in state.overrides.values()),
        "a probation": bool(evaluated & _on_probation(state)),
        "a running attempt": _is_running(record),
        "an unfinished run": not record.run.status.ended,
    }
    return next((words for words, holds in holders.items() if holds), "")
