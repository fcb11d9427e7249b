"""What a store remembers, in a form that can be compared: times and hashes gone, ids named in order of appearance."""

from __future__ import annotations

import re
from typing import Any

import penstock
from penstock.model.audit import AuditEvent

_ID = re.compile(r"\b(?:m-)?[0-9a-f]{32}(?:[0-9a-f]{32})?\b")


def state(client: penstock.Client, experiment: str, model: str) -> dict[str, Any]:
    """Everything that must happen once: runs, steps, models, evaluations, decisions, versions, moves, the ledger."""
    store = client.wiring.store
    runs = sorted(client.list_runs(experiment), key=lambda run: run.key.partition)
    return {
        "runs": [(run.run_id, str(run.key), run.status.value) for run in runs],
        "metrics": {run.run_id: client.get_run(run.run_id).metrics for run in runs},
        "params": {run.run_id: client.get_run(run.run_id).params for run in runs},
        "evaluations": [e.to_json() for run in runs for e in store.list_evaluations(run.run_id)],
        "decisions": [d.to_json() for run in runs for d in store.list_decisions(run.run_id)],
        "versions": [v.ref for v in client.list_versions(model)],
        "moves": [m.ref for m in client.alias_history(model)],
        "ledger": [entry(event) for event in client.read_ledger()],
    }


def entry(event: AuditEvent) -> dict[str, Any]:
    """An entry of the ledger without its time, its place in the chain of hashes, and what a load check took."""
    after = event.after
    if isinstance(after, dict):
        after = {name: value for name, value in after.items() if name != "facts_digest"}
    return {
        "chain": str(event.chain),
        "sequence": event.sequence,
        "kind": event.kind,
        "subject": event.subject,
        "actor": event.actor,
        "why": event.why,
        "before": event.before,
        "after": after,
    }


def normalised(value: Any, names: dict[str, str] | None = None) -> Any:
    """Replace every id and digest by a name in order of appearance, and keep of numbers what machines agree on.

    Measured values keep two decimals; decimals inside sentences become `#`.
    """
    names = {} if names is None else names
    if isinstance(value, dict):
        return {key: normalised(value[key], names) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [normalised(item, names) for item in value]
    if isinstance(value, float):
        return round(value, 2)
    if isinstance(value, str):
        named = _ID.sub(lambda match: names.setdefault(match[0], f"<id {len(names) + 1}>"), value)
        return re.sub(r"\d+\.\d+", "#", named)
    return value
