"""The budget: what chance of a false promotion a look may spend, from the looks before it.

A false promotion is a pass of `better_than` by a candidate that is not better than the baseline of that moment by
`by`, or of `no_worse_than` by one that is worse by more than the margin. With α/looks at each look the chance of any
over all looks is at most α, whatever the looks have to do with each other (Bonferroni), if each look's rows are new to
the candidates. Where they are not, the decision says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from penstock.model.decisions import RuleOutcome
from penstock.model.gate_context import GateContext, LookTaken
from penstock.model.policies import GatePolicy
from penstock.model.policy_rules import Budget, Spending
from penstock.services.deciding.outcomes import settled, undecidable

# Makes the sequence below sum to at most 1 (Javanmard & Montanari, "Online rules for control of false discovery rate
# and false discovery exceedance", Annals of Statistics 46, 2018).
_LORD = 0.07720838


@dataclass(frozen=True)
class Share:
    """What this look may spend: `alpha`, and `cause` and `problem` where that is nothing."""

    alpha: float
    cause: str = ""
    problem: str = ""


def reserved_alpha(policy: GatePolicy, told: GateContext) -> float | None:
    """Return what a decision in this context reserves of its policy's budget; None where there is no budget."""
    return None if policy.budget is None else share_of(policy.budget, told.look).alpha


def share_of(budget: Budget, look: LookTaken | None) -> Share:
    """Return what a look may spend of a budget."""
    if look is None:
        return Share(0.0, "no_look", "it is not known which look at the data this is")
    if budget.spending is Spending.LORD:
        if not look.fresh:
            return Share(0.0, "reused_rows", "LORD holds for fresh rows only, and these were looked at before")
        return Share(lord_alpha(budget.alpha, [passed for _, passed in look.before]))
    looks = budget.looks or 0
    number = max(look.number, look.held_out_number)
    if number <= looks:
        return Share(budget.alpha / looks)
    which = "at these rows" if look.held_out_number == number > look.number else "of this model"
    return Share(0.0, "budget_spent", f"it is look {number} {which}, and the policy reserves for {looks}")


def lord_alpha(alpha: float, before: Sequence[bool]) -> float:
    """Return the level of the look after looks of which those that are True promoted.

    LORD++ with half of `alpha` as its first wealth: Ramdas, Yang, Wainwright & Jordan, "Online control of the false
    discovery rate with decaying memory", NIPS 2017. The expected share of false ones among all promotions so far stays
    at most `alpha`, for tests independent of each other.
    """
    look, first = len(before) + 1, alpha / 2
    level = first * _gamma(look)
    promotions = [place for place, passed in enumerate(before, 1) if passed]
    for order, place in enumerate(promotions):
        level += ((alpha - first) if order == 0 else alpha) * _gamma(look - place)
    return level


def judge_budget(budget: Budget, share: Share, look: LookTaken | None) -> RuleOutcome:
    """Return the outcome a budget adds to a decision: what this look may spend, and what that promises."""
    rule = {"budget": budget.to_json()}
    if look is None or share.cause:
        return undecidable(rule, share.cause, f"the budget allows nothing: {share.problem}", _seen(look))
    promise = guarantee(look)
    looks = f" of {budget.looks}" if budget.looks else ""
    reason = f"look {look.number}{looks} may spend {share.alpha:.4g} of the budget's {budget.alpha:g} ({promise})"
    return settled(rule, True, reason, {**_seen(look), "alpha": share.alpha, "guarantee": promise})


def guarantee(look: LookTaken) -> str:
    """Say what a budget promises at a look."""
    if look.fresh:
        return "fresh rows: holds against a moving champion"
    return "reused, adaptive: no guarantee" if look.adaptive else "reused, not adaptive: holds"


def _seen(look: LookTaken | None) -> dict[str, Any]:
    if look is None:
        return {"look": None}
    return {"look": look.number, "held_out_look": look.held_out_number, "fresh": look.fresh}


def _gamma(place: int) -> float:
    return _LORD * math.log(max(place, 2)) / (place * math.exp(math.sqrt(math.log(place))))
