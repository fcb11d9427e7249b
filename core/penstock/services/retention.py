"""Retention policies, and what they let go of now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from penstock.model.retention import Candidate, RetentionPolicy
from penstock.ports import MetadataStore
from penstock.services.wiring import Wiring


def set_retention(
    wiring: Wiring, experiment: str, model: str, keep_last: int | None, keep_days: float | None
) -> RetentionPolicy:
    """Set how long an experiment's runs, or the models of one name in them, are kept."""
    policy = RetentionPolicy(experiment, model, keep_last, keep_days, wiring.actor.to_json())
    return wiring.store.set_retention(policy)


def remove_retention(wiring: Wiring, experiment: str, model: str) -> None:
    """Remove a policy: everything is kept again."""
    wiring.store.remove_retention(experiment, model, wiring.actor.to_json())


@dataclass(frozen=True)
class Doomed:
    """A run or logged model to be let go of, and why."""

    candidate: Candidate
    why: str


def let_go(store: MetadataStore, with_deleted: bool) -> tuple[Sequence[Doomed], int]:
    """Return what policies let go of and nothing refers to, and how much they would but for what refers to it.

    With `with_deleted` also what people have deleted, whatever policies say: it cannot be restored then.
    """
    now = datetime.fromtimestamp(store.now_ms() / 1000, UTC)
    policies = store.list_retention()
    doomed: dict[str, Doomed] = {}
    kept = 0
    # Runs first: with a run its models go.
    for policy in sorted(policies, key=lambda policy: bool(policy.model)):
        candidates = store.list_candidates(policy.experiment, policy.model or None)
        for candidate in policy.lets_go(candidates, now):
            if candidate.held_by:
                kept += 1
            elif candidate.run_id not in doomed:
                doomed[candidate.id] = Doomed(candidate, f"retention of {policy.subject}: {_terms(policy)}")
    if with_deleted:
        for candidate in [*store.list_candidates(None, None), *store.list_candidates(None, "")]:
            if candidate.deleted and not candidate.held_by and not {candidate.id, candidate.run_id} & doomed.keys():
                doomed[candidate.id] = Doomed(candidate, "deleted, and collected on request")
    return list(doomed.values()), kept


def _terms(policy: RetentionPolicy) -> str:
    last = [] if policy.keep_last is None else [f"the last {policy.keep_last}"]
    days = [] if policy.keep_days is None else [f"{policy.keep_days:g} days"]
    return f"keep {' and '.join([*last, *days])}"
