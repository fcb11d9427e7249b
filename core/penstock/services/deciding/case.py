"""One decision being made: the evaluation, what the gate was told, and how much chance of error is left to a rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from penstock.model.evaluations import Evaluation
from penstock.model.gate_context import GateContext
from penstock.model.policies import GatePolicy
from penstock.model.policy_reading import SPENDING, every_rule
from penstock.model.policy_rules import MetricRule, Rule
from penstock.services.deciding.budgets import Share
from penstock.services.deciding.readings import Readings


@dataclass(frozen=True)
class Case:
    """What every rule is judged in. `share` is the look's part of the budget; `split` counts who shares alpha."""

    policy: GatePolicy
    evaluation: Evaluation
    readings: Readings
    told: GateContext
    share: Share | None
    split: int = 1

    def confidence_of(self, rule: MetricRule) -> float | None:
        """Return the confidence a rule is judged with; None: without statistics.

        The rule's own or the policy's. A comparison that could promote falsely also has no more than the look's part
        of the budget. Members of an `any_of` share what there is (Bonferroni). 1.0: there is nothing left to spend.
        """
        own = self.policy.confidence if rule.confidence is None else rule.confidence
        if own is None:
            return None
        spends = self.share is not None and isinstance(rule, SPENDING)
        if self.split == 1 and not spends:
            return own
        alpha = min(1 - own, self.share.alpha) if spends and self.share is not None else 1 - own
        return 1 - alpha / self.split

    def sharing(self, members: Sequence[Rule]) -> Case:
        """Return the case for the members of an `any_of`: those with statistics share alpha."""
        statistical = sum(any(self._is_statistical(rule) for rule in every_rule((member,))) for member in members)
        return replace(self, split=self.split * max(statistical, 1))

    def _is_statistical(self, rule: Rule) -> bool:
        return isinstance(rule, MetricRule) and (rule.confidence is not None or self.policy.confidence is not None)
