"""A gate's rules, said in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from penstock.cli.words import series
from penstock.errors import InvalidPolicy
from penstock.model.canonical import canonical_json
from penstock.model.policies import (
    AllOf,
    AnyOf,
    AtLeast,
    AtMost,
    BetterThan,
    Between,
    EverySlice,
    GatePolicy,
    HeldOut,
    NotSuspiciouslyBetterThan,
    NoWorseThan,
    Requires,
    Rule,
    WhenNoBaseline,
)
from penstock.model.policy_reading import read_budget
from penstock.model.policy_rules import Approval, Budget, Comparison, FixedVersion, MetricRule, Spending

NO_BASELINE = {
    WhenNoBaseline.PASS: "comparisons with it pass, and the decision records that there was none",
    WhenNoBaseline.BLOCK: "comparisons with it cannot be decided, so the gate stays shut",
    WhenNoBaseline.ASK: "comparisons with it cannot be decided, and a person is asked",
}


def in_words(rule: Rule, confidence: float | None = None) -> str:
    """Return what a rule asserts, as one sentence without its full stop; `confidence` is the policy's own."""
    match rule:
        case AtLeast():
            return f"{rule.metric} is at least {rule.value:g}{_sure(rule, confidence)}"
        case AtMost():
            return f"{rule.metric} is at most {rule.value:g}{_sure(rule, confidence)}"
        case Between():
            return f"{rule.metric} is between {rule.min:g} and {rule.max:g}{_sure(rule, confidence)}"
        case NoWorseThan():
            allowed = f" by more than {_amount(rule)}" if rule.amount else ""
            anchor = ", nor than the anchor's" if rule.anchor is True else ""
            anchor = f", nor than the anchor's ({rule.anchor})" if isinstance(rule.anchor, FixedVersion) else anchor
            return f"{rule.metric} is not worse than {rule.baseline}'s{allowed}{anchor}{_sure(rule, confidence)}"
        case BetterThan():
            demanded = f" by more than {_amount(rule)}" if rule.amount else ""
            return f"{rule.metric} is better than {rule.baseline}'s{demanded}{_sure(rule, confidence)}"
        case NotSuspiciouslyBetterThan():
            most = f"by {_amount(rule)} at most{_sure(rule, confidence)}"
            return f"{rule.metric} is not suspiciously better than {rule.baseline}'s: {most}"
        case EverySlice():
            inner = in_words(rule.rule, confidence)
            return f"on every slice of {rule.cross}, each of {rule.min_rows:,} rows or more: {inner}"
        case HeldOut():
            return f"the data measured on {series(['is held-out data', *_held_out(rule)])}"
        case Requires():
            return f"the model {series([*_required(rule)])}"
        case Approval():
            others = ", who did not make it," if rule.four_eyes else ""
            return f"a person in the role {rule.role}{others} approves within {rule.expires_hours:g} hours"
        case AnyOf():
            return f"any of these: {'; or '.join(in_words(member, confidence) for member in rule.rules)}"
        case AllOf():
            return f"all of these: {'; and '.join(in_words(member, confidence) for member in rule.rules)}"
    return canonical_json(rule.to_json())


def budget_in_words(budget: Budget) -> str:
    """Return what a budget promises, as one sentence without its full stop."""
    if budget.spending is Spending.LORD:
        return f"of all promotions, at most {budget.alpha:g} are expected to be false ones (LORD, on fresh rows)"
    return f"the chance of any false promotion over {budget.looks:,} looks is at most {budget.alpha:g}"


def stored_rule_in_words(rule: Mapping[str, Any]) -> str:
    """Return a rule in words as a decision has stored it; as JSON where this version no longer knows it."""
    try:
        if "budget" in rule:
            return budget_in_words(read_budget(rule["budget"], "budget"))
        return in_words(GatePolicy.from_data({"name": "stored", "rules": [rule]}).rules[0])
    except InvalidPolicy:
        return canonical_json(rule)


def _sure(rule: MetricRule, confidence: float | None) -> str:
    level = confidence if rule.confidence is None else rule.confidence
    sure = "" if level is None else f", with confidence {level:g}"
    return sure + (f" (give or take {rule.tolerance:g})" if rule.tolerance else "")


def _amount(rule: Comparison) -> str:
    return f"{rule.amount:g}{' %' if rule.in_percent else ''}"


def _held_out(rule: HeldOut) -> Iterator[str]:
    if rule.min_rows is not None:
        yield f"has at least {rule.min_rows:,} rows"
    if rule.not_training_data:
        yield "is not what the model was trained on"
    if rule.max_age_days is not None:
        yield f"is at most {rule.max_age_days:g} days old"
    if rule.overlap_at_most is not None:
        yield f"shares at most {rule.overlap_at_most * 100:g} % of its rows with the training data"
    if rule.not_older_than_training:
        yield "is not older than the training data"


def _required(rule: Requires) -> Iterator[str]:
    if rule.signature:
        yield "has a signature"
    if rule.input_example:
        yield "has an input example"
    if rule.tags:
        yield f"carries the tag{'s' if len(rule.tags) > 1 else ''} {series(rule.tags)}"
    if rule.max_size_mb is not None:
        yield f"is no larger than {rule.max_size_mb:g} MB"
    if rule.name is not None:
        yield f"is named like {rule.name}"
    if rule.licence:
        yield "has a licence"
    if rule.card:
        yield "has a model card"
    if rule.load_test:
        yield "loads and predicts in a clean process"
    if rule.max_latency_p95_ms is not None:
        yield f"predicts in {rule.max_latency_p95_ms:g} ms or less, 95 times in 100"
    if rule.max_peak_memory_mb is not None:
        yield f"needs at most {rule.max_peak_memory_mb:g} MB of memory"
