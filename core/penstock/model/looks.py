"""Looks: every time a gate's numbers were seen, counted, because each is a chance to be fooled by chance.

A *question* is an evaluation under a policy. Asking the same question again (a retry, a replay, a decision after its
approval, a decision after its dry run) shows nothing new and is not another look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from penstock.model.ids import derived_id


class LookKind(StrEnum):
    """How numbers were seen."""

    DECISION = "decision"
    DRY_RUN = "dry_run"


@dataclass(frozen=True)
class Look:
    """One entry among a model family's looks.

    `sequence` numbers the entries (decisions and dry runs), `number` the distinct questions among them, and
    `set_number` the distinct questions that any family asked of these very rows. `alpha` is what this look reserved of
    the policy's budget; None where the policy has none, and where the same question had reserved it before.
    """

    model: str
    sequence: int
    kind: LookKind
    question: str
    number: int
    set_number: int
    evaluation_id: str
    policy_digest: str
    data_digest: str
    verdict: str
    alpha: float | None = None
    decision_id: str | None = None
    actor: Mapping[str, Any] = field(default_factory=dict)
    at: datetime | None = None


@dataclass(frozen=True)
class LookPlace:
    """Where the next entry of a family stands.

    `again` is whether its question was asked before. `before` has (alpha, passed) of each earlier question of the
    family that reserved something of a budget, in order.
    """

    sequence: int
    number: int
    set_number: int
    before: tuple[tuple[float, bool], ...] = ()
    again: bool = False


def question_of(evaluation_id: str, policy_digest: str) -> str:
    """Return the id of the question an evaluation is under a policy."""
    return derived_id("question", evaluation_id, policy_digest)


def next_place(looks: Sequence[Look], asked_of_set: Sequence[str], question: str) -> LookPlace:
    """Return where `question` stands.

    `looks` are the family's in order of their sequence, `asked_of_set` the questions asked of these rows by any family.
    """
    first: dict[str, Look] = {}
    passed: set[str] = set()
    for look in looks:
        first.setdefault(look.question, look)
        if look.verdict == "PASS":
            passed.add(look.question)
    known = first.get(question)
    earlier = [look for look in first.values() if known is None or look.sequence < known.sequence]
    asked = list(asked_of_set)
    return LookPlace(
        sequence=looks[-1].sequence + 1 if looks else 1,
        number=len(first) + 1 if known is None else known.number,
        set_number=asked.index(question) + 1 if question in asked else len(asked) + 1,
        before=tuple((look.alpha, look.question in passed) for look in earlier if look.alpha is not None),
        again=known is not None,
    )
