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
from penstock.model.policy_rules import Comparison

NO_BASELINE = {
    WhenNoBaseline.PASS: "comparisons with it pass, and the decision records that there was none",
    WhenNoBaseline.BLOCK: "comparisons with it cannot be decided, so the gate stays shut",
    WhenNoBaseline.ASK: "comparisons with it cannot be decided, and a person is asked",
}


def in_words(rule: Rule) -> str:
    """Return what a rule asserts, as one sentence without its full stop."""
    match rule:
        case AtLeast():
            return f"{rule.metric} is at least {rule.value:g}"
        case AtMost():
            return f"{rule.metric} is at most {rule.value:g}"
        case Between():
            return f"{rule.metric} is between {rule.min:g} and {rule.max:g}"
        case NoWorseThan():
            allowed = f" by more than {_amount(rule)}" if rule.amount else ""
            return f"{rule.metric} is not worse than {rule.baseline}'s{allowed}"
        case BetterThan():
            demanded = f" by more than {_amount(rule)}" if rule.amount else ""
            return f"{rule.metric} is better than {rule.baseline}'s{demanded}"
        case NotSuspiciouslyBetterThan():
            return f"{rule.metric} is not suspiciously better than {rule.baseline}'s: by {_amount(rule)} at most"
        case EverySlice():
            return f"on every slice of {rule.by}, each of {rule.min_rows:,} rows or more: {in_words(rule.rule)}"
        case HeldOut():
            return f"the data measured on {series(['is held-out data', *_held_out(rule)])}"
        case Requires():
            return f"the model {series([*_required(rule)])}"
        case AnyOf():
            return f"any of these: {'; or '.join(in_words(member) for member in rule.rules)}"
        case AllOf():
            return f"all of these: {'; and '.join(in_words(member) for member in rule.rules)}"
    return canonical_json(rule.to_json())


def stored_rule_in_words(rule: Mapping[str, Any]) -> str:
    """Return a rule in words as a decision has stored it; as JSON where this version no longer knows it."""
    try:
        return in_words(GatePolicy.from_data({"name": "stored", "rules": [rule]}).rules[0])
    except InvalidPolicy:
        return canonical_json(rule)


def _amount(rule: Comparison) -> str:
    return f"{rule.amount:g}{' %' if rule.in_percent else ''}"


def _held_out(rule: HeldOut) -> Iterator[str]:
    if rule.min_rows is not None:
        yield f"has at least {rule.min_rows:,} rows"
    if rule.not_training_data:
        yield "is not what the model was trained on"


def _required(rule: Requires) -> Iterator[str]:
    if rule.signature:
        yield "has a signature"
    if rule.input_example:
        yield "has an input example"
    if rule.tags:
        yield f"carries the tag{'s' if len(rule.tags) > 1 else ''} {series(rule.tags)}"
    if rule.max_size_mb is not None:
        yield f"is no larger than {rule.max_size_mb:g} MB"
