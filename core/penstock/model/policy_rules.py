"""The rules a gate policy is made of, one class per rule, named by what it asserts.

The fields are the keys of the policy's text. A rule by itself is not yet checked: `GatePolicy` refuses whatever cannot
mean something safe, so a rule inside a policy is sound.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar


@dataclass(frozen=True)
class Rule:
    """What every rule has: the keyword it is written with, and its plain form."""

    keyword: ClassVar[str] = ""

    def to_json(self) -> dict[str, Any]:
        """Return the rule as a policy writes it; what was left out stays out."""
        return {self.keyword: {f.name: _plain(v) for f in fields(self) if _given(v := getattr(self, f.name))}}

    @cached_property
    def plain(self) -> Mapping[str, Any]:
        """What `to_json` returns, made once, to be looked at only: every outcome of the rule shows it."""
        return self.to_json()


@dataclass(frozen=True)
class MetricRule(Rule, ABC):
    """A rule about a metric.

    With `confidence` the interval decides: its bounds, each one-sided at that confidence, must lie wholly inside.
    `tolerance` is how far from the bound still counts as a tie; without it only equal doubles tie.
    """

    metric: str
    confidence: float | None = field(default=None, kw_only=True)
    tolerance: float | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class AtLeast(MetricRule):
    """The metric is `value` or more."""

    keyword = "at_least"
    value: float


@dataclass(frozen=True)
class AtMost(MetricRule):
    """The metric is `value` or less."""

    keyword = "at_most"
    value: float


@dataclass(frozen=True)
class Between(MetricRule):
    """The metric is in [min, max]."""

    keyword = "between"
    min: float
    max: float


@dataclass(frozen=True)
class FixedVersion:
    """A version of the model decided about, by its number; policies write `{version: 3}`."""

    version: int

    def to_json(self) -> dict[str, int]:
        """Return plain JSON."""
        return {"version": self.version}

    def __str__(self) -> str:
        return f"version {self.version}"


@dataclass(frozen=True)
class _Against:
    # Before `metric` in every comparison: NoWorseThan("champion", "roc_auc", 0.01) reads as it is said.
    baseline: str | FixedVersion


@dataclass(frozen=True)
class Comparison(MetricRule, _Against, ABC):
    """A rule against a baseline measured on the same rows: the version of an alias, or a fixed version."""

    @property
    @abstractmethod
    def amount(self) -> float:
        """The allowance or demand as written: in the metric's unit, or in percent of abs(baseline)."""

    @property
    @abstractmethod
    def in_percent(self) -> bool:
        """Whether `amount` is in percent of abs(baseline)."""


@dataclass(frozen=True)
class NoWorseThan(Comparison):
    """Non-inferiority: worse than the baseline by no more than the margin; exactly one form of margin is given.

    With `anchor` it must also hold against the model's anchor (True) or against a fixed version, so that small allowed
    losses cannot add up.
    """

    keyword = "no_worse_than"
    margin: float | None = None
    margin_percent: float | None = None
    anchor: bool | FixedVersion = field(default=False, kw_only=True)

    @property
    def amount(self) -> float:
        """The margin as written."""
        return _the_one_given(self.margin, self.margin_percent)

    @property
    def in_percent(self) -> bool:
        """Whether the margin is in percent of abs(baseline)."""
        return self.margin_percent is not None


@dataclass(frozen=True)
class _ByComparison(Comparison):
    by: float | None = None
    by_percent: float | None = None

    @property
    def amount(self) -> float:
        """The difference as written."""
        return _the_one_given(self.by, self.by_percent)

    @property
    def in_percent(self) -> bool:
        """Whether the difference is in percent of abs(baseline)."""
        return self.by_percent is not None


@dataclass(frozen=True)
class BetterThan(_ByComparison):
    """Superiority: strictly better than the baseline by more than `by`."""

    keyword = "better_than"


@dataclass(frozen=True)
class NotSuspiciouslyBetterThan(_ByComparison):
    """Better than the baseline by no more than `by`: a larger jump smells of leakage."""

    keyword = "not_suspiciously_better_than"


@dataclass(frozen=True)
class EverySlice(Rule):
    """`rule` holds on each slice of the column `by`, or of a cross of columns.

    A slice of fewer than `min_rows` rows cannot be decided.
    """

    keyword = "every_slice"
    by: str | tuple[str, ...]
    min_rows: int
    rule: Rule

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are crossed: one or more."""
        return (self.by,) if isinstance(self.by, str) else self.by

    @property
    def cross(self) -> str:
        """The columns as people write a cross."""
        return " x ".join(self.columns)


@dataclass(frozen=True)
class HeldOut(Rule):
    """The data measured on is held-out data: enough rows, fresh, later than and apart from what was trained on.

    `max_age_days` is the age of its newest row, `overlap_at_most` the share of its rows that were trained on.
    """

    keyword = "held_out"
    min_rows: int | None = None
    not_training_data: bool = False
    max_age_days: float | None = None
    overlap_at_most: float | None = None
    not_older_than_training: bool = False


@dataclass(frozen=True)
class Requires(Rule):
    """What the model must bring or be; MB are 10^6 bytes, `name` is a pattern with * and ?."""

    keyword = "requires"
    signature: bool = False
    input_example: bool = False
    tags: tuple[str, ...] = ()
    max_size_mb: float | None = None
    name: str | None = None
    licence: bool = False
    card: bool = False
    load_test: bool = False
    max_latency_p95_ms: float | None = None
    max_peak_memory_mb: float | None = None


@dataclass(frozen=True)
class Approval(Rule):
    """A person in that role approves what was shown, within so many hours; under four eyes, not one of its authors."""

    keyword = "approval"
    role: str
    expires_hours: float
    four_eyes: bool = False


@dataclass(frozen=True)
class AnyOf(Rule):
    """At least one of the rules passes."""

    keyword = "any_of"
    rules: tuple[Rule, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the rule as a policy writes it."""
        return {self.keyword: [rule.to_json() for rule in self.rules]}


@dataclass(frozen=True)
class AllOf(Rule):
    """All of the rules pass."""

    keyword = "all_of"
    rules: tuple[Rule, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the rule as a policy writes it."""
        return {self.keyword: [rule.to_json() for rule in self.rules]}


class Spending(StrEnum):
    """How a budget's alpha is spread over looks."""

    FIXED = "fixed"
    LORD = "lord"


@dataclass(frozen=True)
class Budget:
    """The chance of any false promotion over all looks.

    `fixed` gives every look alpha / looks: P(any false promotion) ≤ alpha on fresh rows. `lord` has no last look and
    bounds the expected share of false ones among the promotions (the false discovery rate) instead.
    """

    alpha: float
    looks: int | None = None
    spending: Spending = Spending.FIXED

    def to_json(self) -> dict[str, Any]:
        """Return the budget as a policy writes it."""
        looks = {} if self.looks is None else {"looks": self.looks}
        return {"alpha": self.alpha, **looks, "spending": getattr(self.spending, "value", self.spending)}


def _given(value: object) -> bool:
    # By identity: 0.0 equals False, and a margin of 0.0 was written.
    return value is not None and value is not False and value != ()


def _plain(value: Any) -> Any:
    if isinstance(value, Rule | FixedVersion):
        return value.to_json()
    return list(value) if isinstance(value, tuple) else value


def _the_one_given(absolute: float | None, percent: float | None) -> float:
    given = [amount for amount in (absolute, percent) if amount is not None]
    if len(given) != 1:
        raise ValueError(f"exactly one of an absolute and a percent amount, got {absolute!r} and {percent!r}")
    return given[0]
