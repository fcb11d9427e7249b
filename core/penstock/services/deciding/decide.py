"""Deciding: a pure function of a policy, an evaluation and a small context; no clock, no store, no chance.

Everything a verdict is computed from fits the decision's record, so `replay` reaches the same verdict from the record
alone. Whatever cannot be answered is undecidable, and undecidable never opens a gate (law L5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from penstock.errors import Corrupted, InvalidPolicy
from penstock.model.decisions import GateDecision, RuleOutcome, Verdict
from penstock.model.evaluations import Evaluation
from penstock.model.metrics import METRICS, Direction
from penstock.model.policies import GatePolicy, WhenNoBaseline
from penstock.model.policy_rules import (
    AllOf,
    AnyOf,
    AtLeast,
    AtMost,
    Between,
    Comparison,
    EverySlice,
    HeldOut,
    NotSuspiciouslyBetterThan,
    NoWorseThan,
    Requires,
    Rule,
)
from penstock.services.deciding.bounds import Bound, Side, nearest_double, show
from penstock.services.deciding.outcomes import (
    WORDS,
    all_hold,
    any_holds,
    bounded,
    combined,
    settled,
    undecidable,
    verdict_of,
)
from penstock.services.deciding.readings import Reading, Readings, Slice
from penstock.services.deciding.requirements import held_out, requires

Decided = tuple[Verdict, tuple[RuleOutcome, ...]]


def decide(policy: GatePolicy, evaluation: Evaluation, context: Mapping[str, Any] | None = None) -> Decided:
    """Return the verdict of `policy` on `evaluation`, with every rule's outcome in the policy's order.

    `context` holds what a policy may ask about beside the evaluation: `training_digests`, the digests of the data the
    model was trained on; `tags`, the model's or run's tags; and `model`, the registered model that is decided about:
    a baseline must then be an alias of that model.
    """
    case = _Case(policy.when_no_baseline, evaluation, Readings(evaluation), context or {})
    outcomes = tuple(_judge(rule, case, {}) for rule in policy.rules)
    return verdict_of(outcomes), outcomes


def decision_inputs(
    policy: GatePolicy, evaluation: Evaluation, context: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return what a decision stores as its `inputs`, so that it can be replayed from its own record."""
    return {"policy": policy.to_json(), "evaluation": evaluation.to_json(), "context": dict(context or {})}


def replay(decision: GateDecision) -> Decided:
    """Recompute a decision from its own record; `Corrupted` if the policy in it is not the one it names."""
    policy = GatePolicy.from_data(decision.inputs["policy"], decision.policy_text)
    if policy.digest != decision.policy_digest:
        raise Corrupted("policy of decision", decision.decision_id, decision.policy_digest, policy.digest)
    return decide(policy, Evaluation.from_json(decision.inputs["evaluation"]), decision.inputs["context"])


@dataclass(frozen=True)
class _Case:
    when_no_baseline: WhenNoBaseline
    evaluation: Evaluation
    readings: Readings
    context: Mapping[str, Any]


def _judge(rule: Rule, case: _Case, slice: Slice) -> RuleOutcome:
    match rule:
        case AtLeast():
            return _absolute(rule, rule.metric, case, slice, Bound(Side.AT_LEAST, Fraction(rule.value)))
        case AtMost():
            return _absolute(rule, rule.metric, case, slice, Bound(Side.AT_MOST, Fraction(rule.value)))
        case Between():
            low, high = Bound(Side.AT_LEAST, Fraction(rule.min)), Bound(Side.AT_MOST, Fraction(rule.max))
            return _absolute(rule, rule.metric, case, slice, low, high)
        case Comparison():
            return _compare(rule, case, slice)
        case EverySlice():
            return _every_slice(rule, case)
        case HeldOut():
            return held_out(rule, case.evaluation.dataset, case.context)
        case Requires():
            return requires(rule, case.evaluation.model_facts, case.context)
        case AnyOf():
            parts = [_judge(member, case, slice) for member in rule.rules]
            outcome = any_holds(part.outcome for part in parts)
            return combined(rule.to_json(), outcome, f"any of {len(parts)} {WORDS[outcome]}", parts)
        case AllOf():
            parts = [_judge(member, case, slice) for member in rule.rules]
            outcome = all_hold(part.outcome for part in parts)
            return combined(rule.to_json(), outcome, f"all of {len(parts)} {WORDS[outcome]}", parts)
    raise InvalidPolicy(rule.keyword or type(rule).__name__, "is a rule this version cannot decide")


def _absolute(rule: Rule, metric: str, case: _Case, slice: Slice, *bounds: Bound) -> RuleOutcome:
    reading = case.readings.candidate(metric, slice)
    seen = _seen(metric, slice, reading)
    if not reading.usable:
        return undecidable(rule.to_json(), reading.cause, reading.problem, seen)
    return bounded(rule.to_json(), reading, bounds, seen)


def _compare(rule: Comparison, case: _Case, slice: Slice) -> RuleOutcome:
    plain, name = rule.to_json(), rule.baseline
    candidate = case.readings.candidate(rule.metric, slice)
    seen = _seen(rule.metric, slice, candidate)
    # The candidate's own number comes first: without it nothing passes, not even where no baseline is excused.
    if not candidate.usable:
        return undecidable(plain, candidate.cause, candidate.problem, seen)
    against = case.evaluation.baseline
    if against is None:
        reason = f"{candidate.label} was measured without a baseline, so it cannot be compared with {name}"
        return undecidable(plain, "no_comparison", reason, seen)
    model = case.context.get("model", against.model)
    if against.alias != name or against.model != model:
        found = against.declared or against.alias
        reason = f"{candidate.label} was compared with {found!r}, not with the {name} of {model!r}"
        return undecidable(plain, "other_baseline", reason, seen)
    if against.version is None:
        return _without_baseline(rule, case, candidate, seen)
    baseline = case.readings.baseline(rule.metric, slice, name)
    seen["baseline"] = {**baseline.compared, "alias": name, "version": against.version}
    if not baseline.usable:
        return undecidable(plain, f"baseline_{baseline.cause}", baseline.problem, seen)
    if rule.in_percent and baseline.value == 0:
        reason = f"{baseline.label} is 0, and a percent margin of 0 says nothing"
        return undecidable(plain, "zero_baseline", reason, seen)
    return bounded(plain, candidate, [_bound(rule, baseline.value)], seen)


def _without_baseline(rule: Comparison, case: _Case, candidate: Reading, seen: dict[str, Any]) -> RuleOutcome:
    stance = case.when_no_baseline
    seen = {**seen, "no_baseline": True, "when_no_baseline": stance.value}
    shown = f"{candidate.label} is {candidate.value:.6g}, and there is no {rule.baseline} yet to compare it with"
    if stance is WhenNoBaseline.PASS:
        return settled(rule.to_json(), True, f"{shown}: the policy lets that pass", seen)
    consequence = "asks a person" if stance is WhenNoBaseline.ASK else "blocks"
    return undecidable(rule.to_json(), "no_baseline", f"{shown}: the policy {consequence}", seen)


def _bound(rule: Comparison, baseline: float) -> Bound:
    better = METRICS[rule.metric].better
    if better is None:
        raise InvalidPolicy(rule.metric, "has no better direction, so it cannot be compared with a baseline")
    amount = Fraction(rule.amount)
    if rule.in_percent:
        amount = amount * abs(Fraction(baseline)) / 100
    # `upwards`: the bound lies above the baseline. A margin loosens towards worse; the other two go towards better.
    upwards = (better is Direction.HIGHER) is not isinstance(rule, NoWorseThan)
    exact = Fraction(baseline) + (amount if upwards else -amount)
    if isinstance(rule, NoWorseThan):
        side = Side.AT_LEAST if better is Direction.HIGHER else Side.AT_MOST
    elif isinstance(rule, NotSuspiciouslyBetterThan):
        side = Side.AT_MOST if better is Direction.HIGHER else Side.AT_LEAST
    else:
        side = Side.ABOVE if better is Direction.HIGHER else Side.BELOW
    origin = f"{rule.baseline}'s {show(baseline, nearest_double(exact))}"
    if amount:
        origin += f" {'plus' if upwards else 'less'} {rule.amount:g}{' %' if rule.in_percent else ''}"
    return Bound(side, exact, origin)


def _every_slice(rule: EverySlice, case: _Case) -> RuleOutcome:
    plain = rule.to_json()
    found = case.readings.slices(rule.by)
    if not found:
        return undecidable(plain, "no_slices", f"no slice of {rule.by} was measured", {"by": rule.by, "slices": 0})
    inner = rule.rule.to_json()
    parts = []
    for value, rows in found:
        if rows >= rule.min_rows:
            parts.append(_judge(rule.rule, case, {rule.by: value}))
            continue
        reason = f"slice {rule.by}={value} has {rows} rows but needs {rule.min_rows}: {rule.min_rows - rows} too few"
        seen = {"slice": {rule.by: value}, "n": rows, "min_rows": rule.min_rows}
        parts.append(undecidable(inner, "too_few_rows", reason, seen))
    outcome = all_hold(part.outcome for part in parts)
    count = sum(part.outcome is outcome for part in parts)
    compared = {
        "by": rule.by,
        "slices": len(found),
        "too_small": [value for value, rows in found if rows < rule.min_rows],
    }
    summary = f"on {count} of {len(found)} slices of {rule.by} the rule {WORDS[outcome]}"
    return combined(plain, outcome, summary, parts, compared)


def _seen(metric: str, slice: Slice, candidate: Reading) -> dict[str, Any]:
    return {"metric": metric, "slice": dict(slice), "candidate": dict(candidate.compared)}
