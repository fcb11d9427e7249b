"""Gate policies: what must hold before a model may be let in. Data with a digest, validated here, once.

A `GatePolicy` that exists is sound: however it was made (from a file, from plain data, in Python), it has gone through
the reading below, which refuses everything that is unknown, empty or could open the gate by accident.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from penstock.errors import InvalidPolicy
from penstock.model.canonical import canonical_json
from penstock.model.canonical import digest as digest_of
from penstock.model.policy_fields import TOP, Body
from penstock.model.policy_rules import (
    AllOf,
    AnyOf,
    AtLeast,
    AtMost,
    BetterThan,
    Between,
    EverySlice,
    HeldOut,
    NotSuspiciouslyBetterThan,
    NoWorseThan,
    Requires,
    Rule,
)

__all__ = [
    "AllOf",
    "AnyOf",
    "AtLeast",
    "AtMost",
    "BetterThan",
    "Between",
    "EverySlice",
    "GatePolicy",
    "HeldOut",
    "NoWorseThan",
    "NotSuspiciouslyBetterThan",
    "Requires",
    "Rule",
    "WhenNoBaseline",
]

_MAX_NESTING = 16


class WhenNoBaseline(StrEnum):
    """What a comparison rule says while there is no baseline yet; block and ask are both undecidable."""

    PASS = "pass"  # noqa: S105 - a word of the policy language, not a password
    BLOCK = "block"
    ASK = "ask"


@dataclass(frozen=True)
class GatePolicy:
    """A named list of rules that must all hold.

    `text` is the policy as its author wrote it, kept for the record (canonical JSON where there was no file).
    `digest` is over the meaning, not the layout: comments and key order do not change it. Both are filled in when
    left out.
    """

    name: str
    rules: tuple[Rule, ...]
    when_no_baseline: WhenNoBaseline = WhenNoBaseline.BLOCK
    text: str = ""
    digest: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.rules, tuple) or not all(isinstance(rule, Rule) for rule in self.rules):
            raise InvalidPolicy("rules", "expected a tuple of rules", "Use GatePolicy.from_data for plain data")
        # Read again from its own plain form: a policy built in Python meets the same checks as a file, and a policy
        # that reads back differently could not be replayed from the record.
        try:
            plain = self.to_json()
        except (AttributeError, TypeError) as error:
            raise InvalidPolicy("rules", "something in them is not a rule", str(error)) from error
        name, when_no_baseline, rules = _read(plain)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "when_no_baseline", when_no_baseline)
        object.__setattr__(self, "rules", rules)
        plain = self.to_json()
        object.__setattr__(self, "text", self.text or canonical_json(plain))
        found = digest_of(plain)
        if self.digest not in {"", found}:
            raise InvalidPolicy("digest", f"is {self.digest}, but the rules' digest is {found}", "Leave it out")
        object.__setattr__(self, "digest", found)

    @classmethod
    def from_data(cls, data: object, text: str = "") -> GatePolicy:
        """Return the policy that plain data (from YAML, JSON, TOML or Python) means; `InvalidPolicy` says what not."""
        name, when_no_baseline, rules = _read(data)
        return cls(name, rules, when_no_baseline, text)

    def to_json(self) -> dict[str, Any]:
        """Return the policy as plain data; `from_data` is the inverse."""
        return {
            "name": self.name,
            "when_no_baseline": getattr(self.when_no_baseline, "value", self.when_no_baseline),
            "rules": [rule.to_json() for rule in self.rules],
        }


def _read(data: object) -> tuple[str, WhenNoBaseline, tuple[Rule, ...]]:
    if data is None or data == {} or data == []:
        raise InvalidPolicy(TOP, "policy is empty: no rule means no promotion", "Write a name and a list of rules")
    body = Body(data, TOP, ("name", "when_no_baseline", "rules"))
    name = body.text("name")
    choice = body.choice("when_no_baseline", tuple(WhenNoBaseline), default=WhenNoBaseline.BLOCK)
    rules = _rules(body.require("rules"), "rules", depth=0, in_slice=False)
    return name, WhenNoBaseline(choice), rules


def _rules(data: object, where: str, *, depth: int, in_slice: bool) -> tuple[Rule, ...]:
    if not isinstance(data, Sequence) or isinstance(data, str | bytes):
        raise InvalidPolicy(where, f"expected a list of rules, got {type(data).__name__}", "Start each with '- '")
    if not data:
        raise InvalidPolicy(where, "is empty: no rule means no promotion", "Write at least one rule")
    return tuple(_rule(item, f"{where}[{index}]", depth=depth, in_slice=in_slice) for index, item in enumerate(data))


def _rule(data: object, where: str, *, depth: int, in_slice: bool) -> Rule:
    if depth > _MAX_NESTING:
        raise InvalidPolicy(where, f"rules are nested more than {_MAX_NESTING} deep", "Flatten them")
    keyword, content = Body(data, where, _KEYWORDS, what="rule").only()
    inside = f"{where}.{keyword}"
    if keyword in {"any_of", "all_of"}:
        members = _rules(content, inside, depth=depth + 1, in_slice=in_slice)
        return AnyOf(members) if keyword == "any_of" else AllOf(members)
    if in_slice and keyword in {"every_slice", "held_out", "requires"}:
        raise InvalidPolicy(
            inside, f"{keyword!r} cannot be applied to one slice", "Put it beside every_slice, as a rule of its own"
        )
    if keyword == "every_slice":
        body = Body(content, inside, ("by", "min_rows", "rule"))
        rule = _rule(body.require("rule"), f"{inside}.rule", depth=depth + 1, in_slice=True)
        return EverySlice(body.text("by"), body.count("min_rows"), rule)
    return _LEAVES[keyword](content, inside)


def _at_least(data: object, where: str) -> Rule:
    body = Body(data, where, ("metric", "value"))
    metric = body.metric()
    return AtLeast(metric.name, body.in_range("value", metric))


def _at_most(data: object, where: str) -> Rule:
    body = Body(data, where, ("metric", "value"))
    metric = body.metric()
    return AtMost(metric.name, body.in_range("value", metric))


def _between(data: object, where: str) -> Rule:
    body = Body(data, where, ("metric", "min", "max"))
    metric = body.metric()
    low, high = body.in_range("min", metric), body.in_range("max", metric)
    if low > high:
        raise InvalidPolicy(where, f"min {low!r} is above max {high!r}: nothing could pass", "Swap them")
    return Between(metric.name, low, high)


def _no_worse_than(data: object, where: str) -> Rule:
    body = Body(data, where, ("baseline", "metric", "margin", "margin_percent"))
    metric = body.directed_metric()
    margin, margin_percent = body.one_amount("margin", "margin_percent", metric)
    if margin_percent is not None and margin_percent >= 100:
        raise InvalidPolicy(
            f"{where}.margin_percent", f"{margin_percent:g} % would let nearly anything pass", "Give less than 100"
        )
    return NoWorseThan(body.alias("baseline"), metric.name, margin, margin_percent)


def _better_than(data: object, where: str) -> Rule:
    body = Body(data, where, ("baseline", "metric", "by", "by_percent"))
    metric = body.directed_metric()
    by, by_percent = body.one_amount("by", "by_percent", metric)
    return BetterThan(body.alias("baseline"), metric.name, by, by_percent)


def _not_suspiciously_better_than(data: object, where: str) -> Rule:
    body = Body(data, where, ("baseline", "metric", "by", "by_percent"))
    metric = body.directed_metric()
    by, by_percent = body.one_amount("by", "by_percent", metric)
    return NotSuspiciouslyBetterThan(body.alias("baseline"), metric.name, by, by_percent)


def _held_out(data: object, where: str) -> Rule:
    body = Body(data, where, ("min_rows", "not_training_data"))
    body.not_empty()
    return HeldOut(body.count("min_rows") if "min_rows" in body else None, body.demanded("not_training_data"))


def _requires(data: object, where: str) -> Rule:
    body = Body(data, where, ("signature", "input_example", "tags", "max_size_mb"))
    body.not_empty()
    return Requires(
        body.demanded("signature"),
        body.demanded("input_example"),
        body.names("tags") if "tags" in body else (),
        body.positive("max_size_mb") if "max_size_mb" in body else None,
    )


_LEAVES: Mapping[str, Callable[[object, str], Rule]] = {
    "at_least": _at_least,
    "at_most": _at_most,
    "between": _between,
    "no_worse_than": _no_worse_than,
    "better_than": _better_than,
    "not_suspiciously_better_than": _not_suspiciously_better_than,
    "held_out": _held_out,
    "requires": _requires,
}
_KEYWORDS = (*_LEAVES, "every_slice", "any_of", "all_of")
