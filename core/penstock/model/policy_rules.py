"""The rules a gate policy is made of, one class per rule, named by what it asserts.

The fields are the keys of the policy's text. A rule by itself is not yet checked: `GatePolicy` refuses whatever cannot
mean something safe, so a rule inside a policy is sound.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar


@dataclass(frozen=True)
class Rule:
    """What every rule has: the keyword it is written with, and its plain form."""

    keyword: ClassVar[str] = ""

    def to_json(self) -> dict[str, Any]:
        """Return the rule as a policy writes it; what was left out stays out."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        # By identity: 0.0 equals False, and a margin of 0.0 was written.
        given = {k: v for k, v in values.items() if v is not None and v is not False and v != ()}
        return {self.keyword: {k: list(v) if isinstance(v, tuple) else v for k, v in given.items()}}


@dataclass(frozen=True)
class AtLeast(Rule):
    """The metric is `value` or more."""

    keyword = "at_least"
    metric: str
    value: float


@dataclass(frozen=True)
class AtMost(Rule):
    """The metric is `value` or less."""

    keyword = "at_most"
    metric: str
    value: float


@dataclass(frozen=True)
class Between(Rule):
    """The metric is in [min, max]."""

    keyword = "between"
    metric: str
    min: float
    max: float


@dataclass(frozen=True)
class Comparison(Rule, ABC):
    """A rule against a baseline: the alias whose version was measured on the same rows."""

    baseline: str
    metric: str

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
    """Non-inferiority: worse than the baseline by no more than the margin; exactly one form of margin is given."""

    keyword = "no_worse_than"
    margin: float | None = None
    margin_percent: float | None = None

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
    """`rule` holds on each slice of the column `by`; a slice of fewer than `min_rows` rows cannot be decided."""

    keyword = "every_slice"
    by: str
    min_rows: int
    rule: Rule

    def to_json(self) -> dict[str, Any]:
        """Return the rule as a policy writes it."""
        return {self.keyword: {"by": self.by, "min_rows": self.min_rows, "rule": self.rule.to_json()}}


@dataclass(frozen=True)
class HeldOut(Rule):
    """The data measured on is held-out data: enough rows, and not what the model was trained on."""

    keyword = "held_out"
    min_rows: int | None = None
    not_training_data: bool = False


@dataclass(frozen=True)
class Requires(Rule):
    """What the model must bring: a signature, an input example, tags, a size of at most so many MB (10^6 bytes)."""

    keyword = "requires"
    signature: bool = False
    input_example: bool = False
    tags: tuple[str, ...] = ()
    max_size_mb: float | None = None


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


def _the_one_given(absolute: float | None, percent: float | None) -> float:
    given = [amount for amount in (absolute, percent) if amount is not None]
    if len(given) != 1:
        raise ValueError(f"exactly one of an absolute and a percent amount, got {absolute!r} and {percent!r}")
    return given[0]
