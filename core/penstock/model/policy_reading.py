"""From plain data to rules: every rule read key by key, and refused where it could not mean something safe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from penstock.errors import InvalidPolicy
from penstock.model.metrics import GateMetric
from penstock.model.policy_fields import Body
from penstock.model.policy_rules import (
    AllOf,
    AnyOf,
    Approval,
    AtLeast,
    AtMost,
    BetterThan,
    Between,
    Budget,
    Comparison,
    EverySlice,
    HeldOut,
    MetricRule,
    NotSuspiciouslyBetterThan,
    NoWorseThan,
    Requires,
    Rule,
    Spending,
)

_MAX_NESTING = 16
_STATISTICAL = ("confidence", "tolerance")


@dataclass(frozen=True)
class Setting:
    """What a rule is read in: the policy's confidence and own metrics, how deep, and whether it is about a slice."""

    confidence: float | None = None
    depth: int = 0
    in_slice: bool = False
    metrics: Mapping[str, GateMetric] = field(default_factory=dict)

    def inside(self, in_slice: bool = False) -> Setting:
        """Return the setting one level further in."""
        return replace(self, depth=self.depth + 1, in_slice=self.in_slice or in_slice)


def read_rules(data: object, where: str, setting: Setting) -> tuple[Rule, ...]:
    """Return the rules of a list, which must not be empty."""
    if not isinstance(data, Sequence) or isinstance(data, str | bytes):
        given = "a mapping" if isinstance(data, Mapping) else type(data).__name__
        raise InvalidPolicy(where, f"expected a list of rules, got {given}", "Start each with '- '")
    if not data:
        raise InvalidPolicy(where, "is empty: no rule means no promotion", "Write at least one rule")
    return tuple(_rule(item, f"{where}[{index}]", setting) for index, item in enumerate(data))


def read_budget(data: object, where: str) -> Budget:
    """Return a budget: alpha and looks, or alpha alone for LORD, which has no last look."""
    body = Body(data, where, ("alpha", "looks", "spending"))
    alpha = body.number("alpha")
    if not 0 < alpha <= 0.5:
        hint = f"For {alpha:g} % write {alpha / 100:g}" if 1 <= alpha <= 50 else ""
        raise InvalidPolicy(body.at("alpha"), f"expected a chance above 0 and at most 0.5, got {alpha!r}", hint)
    spending = Spending(body.choice("spending", tuple(Spending), default=Spending.FIXED))
    if spending is Spending.FIXED:
        return Budget(alpha, body.count("looks"), spending)
    if "looks" in body:
        raise InvalidPolicy(body.at("looks"), "LORD has no last look", "Leave looks out, or write spending: fixed")
    return Budget(alpha, None, spending)


def check_budget(rules: Sequence[Rule], confidence: float | None, where: str) -> None:
    """`InvalidPolicy` unless every comparison is a test whose chance of error the budget can bound."""
    compared = [rule for rule in every_rule(rules) if isinstance(rule, Comparison)]
    for rule in compared:
        if rule.confidence is None and confidence is None:
            raise InvalidPolicy(
                where,
                f"{rule.keyword} of {rule.metric} has no confidence, so its chance of a false promotion is not bounded",
                "Give it a confidence, or the policy one for all its rules",
            )
    if not any(isinstance(rule, SPENDING) for rule in compared):
        raise InvalidPolicy(where, "there is no no_worse_than or better_than to spend it on", "Leave the budget out")


def every_rule(rules: Sequence[Rule]) -> Iterator[Rule]:
    """Yield rules and the rules inside them."""
    for rule in rules:
        yield rule
        if isinstance(rule, AnyOf | AllOf):
            yield from every_rule(rule.rules)
        elif isinstance(rule, EverySlice):
            yield from every_rule((rule.rule,))


SPENDING = (NoWorseThan, BetterThan)
"""The comparisons whose wrongful passing is a false promotion."""


def _rule(data: object, where: str, setting: Setting) -> Rule:
    if setting.depth > _MAX_NESTING:
        raise InvalidPolicy(where, f"rules are nested more than {_MAX_NESTING} deep", "Flatten them")
    if isinstance(data, Mapping) and data.keys() & {"budget", "confidence", "when_no_baseline"}:
        raise InvalidPolicy(where, f"{next(iter(data))!r} is no rule", "Write it beside rules, not in them")
    if isinstance(data, Mapping) and (bare := [key for key in KEYWORDS if data.get(key, 0) is None]) and len(data) > 1:
        beside = ", ".join(repr(key) for key in data if key not in bare)
        raise InvalidPolicy(where, f"{bare[0]!r} has nothing in it, but beside it {beside}", "Indent them further")
    keyword, content = Body(data, where, KEYWORDS, what="rule").only()
    inside = f"{where}.{keyword}"
    if keyword in {"any_of", "all_of"}:
        members = read_rules(content, inside, setting.inside())
        return AnyOf(members) if keyword == "any_of" else AllOf(members)
    if setting.in_slice and keyword in {"every_slice", "held_out", "requires", "approval"}:
        raise InvalidPolicy(
            inside, f"{keyword!r} cannot be applied to one slice", "Put it beside every_slice, as a rule of its own"
        )
    if keyword == "every_slice":
        body = Body(content, inside, ("by", "min_rows", "rule"))
        rule = _rule(body.require("rule"), f"{inside}.rule", setting.inside(in_slice=True))
        return EverySlice(body.columns("by"), body.count("min_rows"), rule)
    if keyword in _METRIC_RULES:
        known, read = _METRIC_RULES[keyword]
        keys = ("metric", *known, *_STATISTICAL)
        return _metric_rule(Body(content, inside, keys, metrics=setting.metrics), read, setting)
    return _OTHERS[keyword](content, inside)


def _metric_rule(body: Body, read: Callable[[Body], MetricRule], setting: Setting) -> MetricRule:
    rule = read(body)
    confidence = body.confidence()
    decides = setting.confidence if confidence is None else confidence
    tolerance = body.tolerance(decides)
    if isinstance(rule, NoWorseThan) and decides is not None and not rule.amount:
        key = "margin" if rule.margin_percent is None else "margin_percent"
        raise InvalidPolicy(
            body.at(key),
            "a margin of 0 with confidence asks for proof of better, not of no worse",
            "Give the loss you can live with, or write better_than",
        )
    return replace(rule, confidence=confidence, tolerance=tolerance)


def _at_least(body: Body) -> AtLeast:
    metric = body.metric()
    return AtLeast(metric.name, body.in_range("value", metric))


def _at_most(body: Body) -> AtMost:
    metric = body.metric()
    return AtMost(metric.name, body.in_range("value", metric))


def _between(body: Body) -> Between:
    metric = body.metric()
    low, high = body.in_range("min", metric), body.in_range("max", metric)
    if low > high:
        raise InvalidPolicy(body.where, f"min {low!r} is above max {high!r}: nothing could pass", "Swap them")
    return Between(metric.name, low, high)


def _no_worse_than(body: Body) -> NoWorseThan:
    metric = body.directed_metric()
    margin, margin_percent = body.one_amount("margin", "margin_percent", metric)
    if margin_percent is not None and margin_percent >= 100:
        raise InvalidPolicy(
            body.at("margin_percent"), f"{margin_percent:g} % would let nearly anything pass", "Give less than 100"
        )
    return NoWorseThan(body.baseline(), metric.name, margin, margin_percent, anchor=body.anchor())


def _better_than(body: Body) -> BetterThan:
    metric = body.directed_metric()
    by, by_percent = body.one_amount("by", "by_percent", metric)
    return BetterThan(body.baseline(), metric.name, by, by_percent)


def _not_suspiciously_better_than(body: Body) -> NotSuspiciouslyBetterThan:
    metric = body.directed_metric()
    by, by_percent = body.one_amount("by", "by_percent", metric)
    return NotSuspiciouslyBetterThan(body.baseline(), metric.name, by, by_percent)


def _held_out(data: object, where: str) -> HeldOut:
    known = ("min_rows", "not_training_data", "max_age_days", "overlap_at_most", "not_older_than_training")
    body = Body(data, where, known)
    body.not_empty()
    return HeldOut(
        body.count("min_rows") if "min_rows" in body else None,
        body.demanded("not_training_data"),
        body.positive("max_age_days") if "max_age_days" in body else None,
        body.share("overlap_at_most") if "overlap_at_most" in body else None,
        body.demanded("not_older_than_training"),
    )


def _requires(data: object, where: str) -> Requires:
    limits = ("max_size_mb", "max_latency_p95_ms", "max_peak_memory_mb")
    demands = ("signature", "input_example", "licence", "card", "load_test")
    body = Body(data, where, (*demands, "tags", "name", *limits))
    body.not_empty()
    given: dict[str, Any] = {name: body.demanded(name) for name in demands}
    given |= {name: body.positive(name) for name in limits if name in body}
    given |= {"tags": body.names("tags")} if "tags" in body else {}
    given |= {"name": body.pattern("name")} if "name" in body else {}
    return Requires(**given)


def _approval(data: object, where: str) -> Approval:
    body = Body(data, where, ("role", "expires_hours", "four_eyes"))
    return Approval(body.text("role"), body.positive("expires_hours"), body.demanded("four_eyes"))


_METRIC_RULES: Mapping[str, tuple[tuple[str, ...], Callable[[Body], MetricRule]]] = {
    "at_least": (("value",), _at_least),
    "at_most": (("value",), _at_most),
    "between": (("min", "max"), _between),
    "no_worse_than": (("baseline", "margin", "margin_percent", "anchor"), _no_worse_than),
    "better_than": (("baseline", "by", "by_percent"), _better_than),
    "not_suspiciously_better_than": (("baseline", "by", "by_percent"), _not_suspiciously_better_than),
}
_OTHERS: Mapping[str, Callable[[object, str], Rule]] = {
    "held_out": _held_out,
    "requires": _requires,
    "approval": _approval,
}
KEYWORDS = (*_METRIC_RULES, *_OTHERS, "every_slice", "any_of", "all_of")
