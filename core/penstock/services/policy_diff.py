"""What another policy would have said of past decisions, from their own records: offline, and not a look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from penstock.errors import PenstockError
from penstock.model.decisions import GateDecision, RuleOutcome, Verdict, reasons_of
from penstock.model.evaluations import Evaluation
from penstock.model.gate_context import GateContext
from penstock.model.policies import GatePolicy
from penstock.services.deciding import decide, replay


@dataclass(frozen=True)
class Replayed:
    """A decision recomputed from its own record; `identical` says whether it came out as it was recorded."""

    decision_id: str
    recorded: Verdict
    verdict: Verdict
    outcomes: tuple[RuleOutcome, ...]
    identical: bool


@dataclass(frozen=True)
class Flip:
    """A past decision that would have come out differently, and why."""

    decision_id: str
    run_id: str
    model: str
    decided_at: datetime | None
    before: Verdict
    after: Verdict
    why: str


@dataclass(frozen=True)
class PolicyDiff:
    """Two policies on the same past decisions. `counts` has how many came out (before, after); `unreadable` why not."""

    old: str
    new: str
    decisions: int
    counts: Mapping[tuple[Verdict, Verdict], int]
    flips: tuple[Flip, ...]
    unreadable: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, with the counts as a list."""
        counts = [{"old": old.value, "new": new.value, "decisions": n} for (old, new), n in self.counts.items()]
        return {**self.__dict__, "counts": counts}


def replay_of(decision: GateDecision) -> Replayed:
    """Recompute a decision from its own record alone."""
    verdict, outcomes = replay(decision)
    identical = decision.came_out_as(verdict, outcomes)
    return Replayed(decision.decision_id, decision.verdict, verdict, outcomes, identical)


def policy_diff(
    decisions: Iterable[GateDecision], old: GatePolicy, new: GatePolicy, *, of_any_policy: bool = False
) -> PolicyDiff:
    """Decide past decisions again under both policies.

    Only those made under a policy with the old one's name or digest, unless `of_any_policy`. What people answered is
    carried over: they are taken to say the same of what the policy would have shown them.
    """
    counts: dict[tuple[Verdict, Verdict], int] = {}
    flips, unreadable = [], {}
    for decision in decisions:
        if not of_any_policy and old.name != decision.policy_name and old.digest != decision.policy_digest:
            continue
        try:
            evaluation = Evaluation.from_json(decision.inputs["evaluation"])
            # What people answered is in the context, bound to what they were shown: it is carried over as it is.
            context = GateContext.from_json(decision.inputs["context"])
            (before, _), (after, outcomes) = (decide(policy, evaluation, context) for policy in (old, new))
        except (PenstockError, KeyError, TypeError, ValueError) as error:
            unreadable[decision.decision_id] = " ".join(str(error).split())
            continue
        counts[before, after] = counts.get((before, after), 0) + 1
        if before is not after:
            why = reasons_of(outcomes)
            made = (decision.decision_id, decision.run_id, decision.model, decision.created_at)
            flips.append(Flip(*made, before, after, why))
    return PolicyDiff(old.name, new.name, sum(counts.values()), counts, tuple(flips), unreadable)
