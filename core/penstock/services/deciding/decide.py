"""Deciding: a pure function of a policy, an evaluation and a context; no clock, no store, no chance.

Everything a verdict is computed from fits the decision's record, so `replay` reaches the same verdict from the record
alone. Whatever cannot be answered is undecidable, and undecidable never opens a gate (law L5).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from penstock.errors import Corrupted, InvalidPolicy
from penstock.model.canonical import canonical_json
from penstock.model.decisions import GateDecision, RuleOutcome, Verdict
from penstock.model.evaluations import Evaluation
from penstock.model.gate_context import GateContext
from penstock.model.policies import GatePolicy
from penstock.model.policy_rules import (
    AllOf,
    AnyOf,
    Approval,
    AtLeast,
    AtMost,
    Between,
    Comparison,
    EverySlice,
    HeldOut,
    Requires,
    Rule,
)
from penstock.services.deciding.approving import judge_approval
from penstock.services.deciding.budgets import judge_budget, share_of
from penstock.services.deciding.case import Case
from penstock.services.deciding.comparing import judge_absolute, judge_comparison
from penstock.services.deciding.held_out import judge_held_out
from penstock.services.deciding.outcomes import WORDS, all_hold, any_holds, combined, undecidable, verdict_of
from penstock.services.deciding.readings import Readings, Slice
from penstock.services.deciding.requirements import judge_requires

Decided = tuple[Verdict, tuple[RuleOutcome, ...]]
Context = GateContext | Mapping[str, Any] | None


def decide(policy: GatePolicy, evaluation: Evaluation, context: Context = None) -> Decided:
    """Return the verdict of `policy` on `evaluation`, with every rule's outcome in the policy's order.

    `context` is everything else a policy may ask about, see `GateContext`. A policy with a budget has one outcome more,
    the last: what this look may spend.
    """
    case = case_of(policy, evaluation, context)
    outcomes = tuple(judge(rule, case, {}) for rule in policy.rules)
    if policy.budget is not None and case.share is not None:
        outcomes += (judge_budget(policy.budget, case.share, case.told.look),)
    return verdict_of(outcomes), outcomes


def decision_inputs(policy: GatePolicy, evaluation: Evaluation, context: Context = None) -> dict[str, Any]:
    """Return what a decision stores as its `inputs`, so that it can be replayed from its own record."""
    return {"policy": policy.to_json(), "evaluation": evaluation.to_json(), "context": _context(context).to_json()}


def replay(decision: GateDecision, now_ms: int | None = None) -> Decided:
    """Recompute a decision from its own record; `Corrupted` if the policy in it is not the one it names.

    With `now_ms`, the store's time, as it would come out now: approvals in it may have run out.
    """
    policy = _policy(canonical_json(decision.inputs["policy"]), decision.policy_text)
    if policy.digest != decision.policy_digest:
        raise Corrupted("policy of decision", decision.decision_id, decision.policy_digest, policy.digest)
    told = _context(decision.inputs["context"])
    moment = told if now_ms is None else replace(told, now_ms=now_ms)
    return decide(policy, Evaluation.from_json(decision.inputs["evaluation"]), moment)


@lru_cache(maxsize=256)
def _policy(plain: str, text: str) -> GatePolicy:
    # Years of decisions were made under a handful of policies.
    return GatePolicy.from_data(json.loads(plain), text)


def case_of(policy: GatePolicy, evaluation: Evaluation, context: Context = None) -> Case:
    """Return what the rules of a policy are judged in."""
    told = _context(context)
    share = None if policy.budget is None else share_of(policy.budget, told.look)
    return Case(policy, evaluation, Readings(evaluation, policy), told, share)


def _context(given: Context) -> GateContext:
    return given if isinstance(given, GateContext) else GateContext.from_json(given or {})


def judge(rule: Rule, case: Case, slice: Slice) -> RuleOutcome:
    """Return the outcome of one rule, over all rows (an empty slice) or on one slice."""
    match rule:
        case AtLeast() | AtMost() | Between():
            return judge_absolute(rule, case, slice)
        case Comparison():
            return judge_comparison(rule, case, slice)
        case EverySlice():
            return _every_slice(rule, case)
        case HeldOut():
            return judge_held_out(rule, case.evaluation.dataset, case.told)
        case Requires():
            return judge_requires(rule, case.evaluation.model_facts, case.told)
        case Approval():
            return judge_approval(rule, case.told)
        case AnyOf():
            sharing = case.sharing(rule.rules)
            parts = [judge(member, sharing, slice) for member in rule.rules]
            outcome = any_holds(part.outcome for part in parts)
            return combined(rule.plain, outcome, f"any of {len(parts)} {WORDS[outcome]}", parts)
        case AllOf():
            parts = [judge(member, case, slice) for member in rule.rules]
            outcome = all_hold(part.outcome for part in parts)
            return combined(rule.plain, outcome, f"all of {len(parts)} {WORDS[outcome]}", parts)
    raise InvalidPolicy(rule.keyword or type(rule).__name__, "is a rule this version cannot decide")


def _every_slice(rule: EverySlice, case: Case) -> RuleOutcome:
    # Every slice is tested at full alpha: a gate that all must pass is an intersection-union test.
    plain = rule.plain
    found = case.readings.slices(rule.columns)
    if not found:
        seen = {"by": plain["every_slice"]["by"], "slices": 0}
        return undecidable(plain, "no_slices", f"no slice of {rule.cross} was measured", seen)
    inner = rule.rule.plain
    parts, too_small = [], []
    for slice, rows in found:
        if rows >= rule.min_rows:
            parts.append(judge(rule.rule, case, slice))
            continue
        name = ", ".join(f"{column}={value}" for column, value in slice.items())
        too_small.append(", ".join(str(value) for value in slice.values()))
        reason = f"slice {name} has {rows} rows but needs {rule.min_rows}: {rule.min_rows - rows} too few"
        seen = {"slice": dict(slice), "n": rows, "min_rows": rule.min_rows}
        parts.append(undecidable(inner, "too_few_rows", reason, seen))
    outcome = all_hold(part.outcome for part in parts)
    count = sum(part.outcome is outcome for part in parts)
    compared = {"by": plain["every_slice"]["by"], "slices": len(found), "too_small": too_small}
    summary = f"on {count} of {len(found)} slices of {rule.cross} the rule {WORDS[outcome]}"
    return combined(plain, outcome, summary, parts, compared)
