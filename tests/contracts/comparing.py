"""What a store shows to its users, in a form in which two stores can be compared: without times and hashes."""

from __future__ import annotations

import dataclasses
import re
from enum import Enum
from typing import Any

from penstock.model.history import MetricHistory
from penstock.ports import MetadataStore
from tests.contracts.samples import MODEL

_OF_ITS_OWN = {
    "answered_at",
    "asked_at",
    "at",
    "checked_at",
    "created_at",
    "declared_at",
    "ended_at",
    "ends_at",
    "experiment_id",
    "expires_at",
    "hash",
    "judged_at",
    "moved_at",
    "previous_hash",
    "set_at",
    "started_at",
    "time",
}

# "its time ran out at ...": each store has a clock of its own
_TIME_IN_WORDS = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC")


def timeless(value: Any) -> Any:
    """A value as plain data, without what each store makes for itself. Numbers are texts: NaN equals itself."""
    if isinstance(value, MetricHistory):
        return timeless(list(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [field.name for field in dataclasses.fields(value) if field.name not in _OF_ITS_OWN]
        return {name: timeless(getattr(value, name)) for name in fields}
    if isinstance(value, dict):
        return {str(key): timeless(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list | tuple):
        return [timeless(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return _TIME_IN_WORDS.sub("<time>", value)
    return repr(value) if isinstance(value, float) else value


def outcome(call: Any) -> Any:
    """What a call returns, or the error it raises with what it found instead."""
    from penstock.errors import PenstockError

    try:
        return timeless(call())
    except PenstockError as error:
        return type(error).__name__, getattr(error, "found", None), getattr(error, "current", None)


def shown(store: MetadataStore) -> dict[str, Any]:
    """Everything there is to see. Where only the clock gives the order, the order is by name."""
    runs = sorted(store.list_runs(None, 1000, deleted=True), key=lambda run: run.run_id)
    details = [store.get_run_details(run.run_id) for run in runs]
    models = [model.name for model in store.list_models()]
    return {
        "runs": timeless(runs),
        "details": [{**timeless(found), "steps": sorted(map(str, timeless(found.steps)))} for found in details],
        "points": {
            (found.run.run_id, name): timeless(store.list_metric_points(found.run.run_id, name))
            for found in details
            for name in found.metrics
        },
        "artifacts": [timeless(store.list_artifacts(run.run_id)) for run in runs],
        "evaluations": [sorted(e.evaluation_id for e in store.list_evaluations(run.run_id)) for run in runs],
        "decisions": [sorted(d.decision_id for d in store.list_decisions(run.run_id)) for run in runs],
        "models": timeless(store.list_models()),
        "versions": {name: timeless(store.list_versions(name)) for name in models},
        "moves": sorted(map(str, timeless(store.list_alias_moves(MODEL)))),
        "looks": timeless(store.list_looks(MODEL)),
        "approvals": sorted(map(str, timeless(store.list_approvals()))),
        "overrides": sorted(map(str, timeless(store.list_overrides()))),
        "anchors": timeless(store.list_anchors(MODEL)),
        "protections": timeless(store.list_protections(None)),
        "declarations": timeless(store.list_gate_declarations(None)),
        "model stages": sorted(store.read_model_stages()),
        "probations": timeless(store.list_probations(None)),
        "ledger": timeless(list(store.read_ledger())),
        "heads": timeless(store.list_chain_heads()),
    }
