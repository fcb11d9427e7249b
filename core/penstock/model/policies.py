"""Gate policies: what must hold before a model may be let in. Data with a digest, validated here, once.

A `GatePolicy` that exists is sound: however it was made (from a file, from plain data, in Python), it has gone through
the reading below, which refuses everything that is unknown, empty or could open the gate by accident.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from penstock.errors import InvalidPolicy
from penstock.model.canonical import canonical_json
from penstock.model.canonical import digest as digest_of
from penstock.model.metrics import GateMetric, find_metric
from penstock.model.policy_fields import TOP, Body
from penstock.model.policy_reading import Setting, check_budget, every_rule, read_budget, read_rules
from penstock.model.policy_rules import (
    AllOf,
    AnyOf,
    Approval,
    AtLeast,
    AtMost,
    BetterThan,
    Between,
    Budget,
    EverySlice,
    FixedVersion,
    HeldOut,
    MetricRule,
    NotSuspiciouslyBetterThan,
    NoWorseThan,
    Requires,
    Rule,
    Spending,
)

__all__ = [
    "AllOf",
    "AnyOf",
    "Approval",
    "AtLeast",
    "AtMost",
    "BetterThan",
    "Between",
    "Budget",
    "EverySlice",
    "FixedVersion",
    "GatePolicy",
    "HeldOut",
    "MetricRule",
    "NoWorseThan",
    "NotSuspiciouslyBetterThan",
    "Requires",
    "Rule",
    "Spending",
    "WhenNoBaseline",
]


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
    left out. `confidence` holds for every rule about a metric that names none of its own; `budget` bounds the chance of
    a false promotion over all looks. `metrics` are metrics of one's own that its rules may name.
    """

    name: str
    rules: tuple[Rule, ...]
    when_no_baseline: WhenNoBaseline = WhenNoBaseline.BLOCK
    text: str = ""
    digest: str = ""
    confidence: float | None = None
    budget: Budget | None = None
    metrics: tuple[GateMetric, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.rules, tuple) or not all(isinstance(rule, Rule) for rule in self.rules):
            raise InvalidPolicy("rules", "expected a tuple of rules", "Use GatePolicy.from_data for plain data")
        # Read again from its own plain form: a policy built in Python meets the same checks as a file, and a policy
        # that reads back differently could not be replayed from the record.
        try:
            plain = self.to_json()
        except (AttributeError, TypeError) as error:
            raise InvalidPolicy("rules", "something in them is not a rule", str(error)) from error
        sound = _read(plain)
        for name, value in sound.items():
            object.__setattr__(self, name, value)
        plain = self.to_json()
        object.__setattr__(self, "text", self.text or canonical_json(plain))
        found = digest_of(plain)
        if self.digest not in {"", found}:
            raise InvalidPolicy("digest", f"is {self.digest}, but the rules' digest is {found}", "Leave it out")
        object.__setattr__(self, "digest", found)

    @classmethod
    def from_data(cls, data: object, text: str = "") -> GatePolicy:
        """Return the policy that plain data (from YAML, JSON, TOML or Python) means; `InvalidPolicy` says what not."""
        return cls(text=text, **_read(data))

    def find_metric(self, name: str) -> GateMetric | None:
        """Return what is known of a metric by its name: what this policy declares, or what every evaluation has."""
        return next((metric for metric in self.metrics if metric.name == name), None) or find_metric(name)

    def to_json(self) -> dict[str, Any]:
        """Return the policy as plain data; `from_data` is the inverse."""
        return {
            "name": self.name,
            "when_no_baseline": getattr(self.when_no_baseline, "value", self.when_no_baseline),
            **({} if self.confidence is None else {"confidence": self.confidence}),
            **({} if self.budget is None else {"budget": self.budget.to_json()}),
            **({"metrics": {metric.name: _shape(metric) for metric in self.metrics}} if self.metrics else {}),
            "rules": [rule.to_json() for rule in self.rules],
        }


def _shape(metric: GateMetric) -> dict[str, Any]:
    ends = {"min": metric.low, "max": metric.high}
    better = {} if metric.better is None else {"better": metric.better.value}
    return {**better, **{name: end for name, end in ends.items() if math.isfinite(end)}}


def _read(data: object) -> dict[str, Any]:
    if data is None or data == {} or data == []:
        raise InvalidPolicy(TOP, "policy is empty: no rule means no promotion", "Write a name and a list of rules")
    body = Body(data, TOP, ("name", "when_no_baseline", "confidence", "budget", "metrics", "rules"))
    name = body.text("name")
    choice = body.choice("when_no_baseline", tuple(WhenNoBaseline), default=WhenNoBaseline.BLOCK)
    confidence = body.confidence()
    metrics = body.declared_metrics("metrics") if "metrics" in body else ()
    setting = Setting(confidence, metrics={metric.name: metric for metric in metrics})
    rules = read_rules(body.require("rules"), "rules", setting)
    named = {rule.metric for rule in every_rule(rules) if isinstance(rule, MetricRule)}
    if unused := [metric.name for metric in metrics if metric.name not in named]:
        raise InvalidPolicy(f"metrics.{unused[0]}", "no rule is about this metric", "Leave it out")
    budget = None
    if "budget" in body:
        budget = read_budget(body.require("budget"), "budget")
        check_budget(rules, confidence, "budget")
    if confidence is not None and not any(isinstance(rule, MetricRule) for rule in every_rule(rules)):
        raise InvalidPolicy("confidence", "no rule is about a metric, so it would decide nothing", "Leave it out")
    return {
        "name": name,
        "rules": rules,
        "when_no_baseline": WhenNoBaseline(choice),
        "confidence": confidence,
        "budget": budget,
        "metrics": metrics,
    }
