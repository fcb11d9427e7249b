"""From a version back to run, code, data, policy and people, and from data forward to versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.errors import InvalidValue
from penstock.model.audit import model_chain
from penstock.model.decisions import GateDecision
from penstock.model.lineage import Lineage
from penstock.model.notes import Notes
from penstock.model.versions import ModelVersion
from penstock.services.wiring import Wiring


def lineage(wiring: Wiring, version: ModelVersion) -> Lineage:
    """Return everything on record that led to a version."""
    store, decision_id = wiring.store, version.authorization.decision_id
    decision = None if decision_id is None else store.get_decision(decision_id)
    aliases = next((model.aliases for model in store.list_models() if model.name == version.model), {})
    return Lineage(
        version=version,
        model=store.get_model(version.model_id),
        run=store.get_run_details(version.run_id),
        decision=decision,
        evaluation=None if decision is None else store.get_evaluation(decision.evaluation_id),
        approvals=() if decision is None else _approvals(wiring, decision),
        checks=tuple(store.list_load_checks(version.model, version.version)),
        aliases=tuple(sorted(alias for alias, to in aliases.items() if to == version.version)),
        moves=tuple(move for move in store.list_alias_moves(version.model) if move.to_version == version.version),
        notes=Notes.of(store.list_notes(version.model, version.version)),
    )


def versions_trained_on(wiring: Wiring, digest: object) -> Sequence[ModelVersion]:
    """Return the versions whose run has read data of this digest for training; a `Dataset` will do, too."""
    found: Any = getattr(digest, "digest", digest)
    if not isinstance(found, str) or not found:
        raise InvalidValue("data digest", digest, "the digest of a dataset, as a run's inputs show it")
    return wiring.store.list_versions_trained_on(found)


def _approvals(wiring: Wiring, decision: GateDecision) -> tuple[Mapping[str, Any], ...]:
    """Return what people answered about a decision or the evaluation it was made on, by the model's ledger."""
    about = {decision.decision_id, decision.evaluation_id}
    return tuple(
        {"kind": entry.kind, "actor": entry.actor, "why": entry.why, "time": entry.time.isoformat(), **entry.subject}
        for entry in wiring.store.read_ledger(model_chain(decision.model))
        if entry.kind.startswith("approval") and about & {str(value) for value in entry.subject.values()}
    )
