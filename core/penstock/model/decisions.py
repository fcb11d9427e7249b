"""The gate's answer: PASS, FAIL or INCONCLUSIVE, with every rule's outcome and what it compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """What one rule says."""

    PASSED = "passed"
    FAILED = "failed"
    UNDECIDABLE = "undecidable"


class Verdict(StrEnum):
    """What the whole policy says. Only PASS opens the gate."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True)
class RuleOutcome:
    """One rule's outcome, with the numbers it compared.

    `rule` is the rule as the policy wrote it (plain JSON); `reason` is one readable sentence naming metric, slice,
    value, bound and the nearest flip; `cause` is a short word for an undecidable outcome (`missing`, `not_finite`,
    `no_baseline`, `too_few_rows` …); `compared` holds the numbers, non-finite ones by kind; `parts` are the outcomes
    of inner rules.
    """

    rule: Mapping[str, Any]
    outcome: Outcome
    reason: str
    cause: str = ""
    compared: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[RuleOutcome, ...] = ()

    def without_words(self) -> RuleOutcome:
        """Return it without its sentences: a later code may say the same in others."""
        return replace(self, reason="", parts=tuple(part.without_words() for part in self.parts))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "rule": dict(self.rule),
            "outcome": self.outcome.value,
            "reason": self.reason,
            "cause": self.cause,
            "compared": dict(self.compared),
            "parts": [part.to_json() for part in self.parts],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RuleOutcome:
        """Inverse of `to_json`."""
        return cls(
            **{
                **data,
                "outcome": Outcome(data["outcome"]),
                "parts": tuple(cls.from_json(part) for part in data["parts"]),
            }
        )


def blocking_of(outcomes: Sequence[RuleOutcome]) -> list[RuleOutcome]:
    """Return what kept a gate shut: what failed before what could not be decided, each in the policy's order."""
    return sorted(
        (o for o in outcomes if o.outcome is not Outcome.PASSED), key=lambda o: o.outcome is not Outcome.FAILED
    )


def reasons_of(outcomes: Sequence[RuleOutcome]) -> str:
    """Say in one line why outcomes lead to their verdict: what blocked, or else the rule that held most narrowly."""
    if blocking := blocking_of(outcomes):
        return "; ".join(o.reason for o in blocking)
    measured = [o for o in outcomes if isinstance(o.compared.get("distance"), int | float)]
    telling = min(measured, key=lambda o: float(o.compared["distance"]), default=outcomes[0])
    return telling.reason if len(outcomes) == 1 else f"all {len(outcomes)} rules hold, most narrowly: {telling.reason}"


@dataclass(frozen=True)
class GateDecision:
    """A policy applied to an evaluation, bound to exactly what it judged.

    It binds model name and alias, the candidate's payload digest, the policy's digest, the data's digest, the
    baseline's version and the alias's generation at that moment. `inputs` is everything the verdict was computed
    from, so that it can be recomputed from this record alone (law L6). `sequence` is its place among the model's looks
    (0: from before looks were counted), which orders decisions whatever clocks said.
    """

    decision_id: str
    run_id: str
    evaluation_id: str
    model: str
    alias: str
    verdict: Verdict
    outcomes: tuple[RuleOutcome, ...]
    policy_name: str
    policy_text: str
    policy_digest: str
    payload_digest: str
    data_digest: str
    baseline_version: int | None
    alias_generation: int
    no_baseline: bool
    code_version: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    actor: Mapping[str, Any] = field(default_factory=dict)
    sequence: int = 0
    created_at: datetime | None = None

    @property
    def passed(self) -> bool:
        """Whether the gate opens."""
        return self.verdict is Verdict.PASS

    def came_out_as(self, verdict: Verdict, outcomes: Sequence[RuleOutcome]) -> bool:
        """Whether deciding again came to the same verdict by the same outcomes, causes and numbers."""
        same = [one.without_words() for one in self.outcomes] == [one.without_words() for one in outcomes]
        return same and verdict is self.verdict

    @property
    def reasons(self) -> str:
        """Why, in one line: everything that blocked, or, when nothing did, the rule that held most narrowly."""
        return reasons_of(self.outcomes)

    @property
    def ref(self) -> dict[str, Any]:
        """A small JSON reference, to hand from step to step."""
        return {"decision_id": self.decision_id, "run_id": self.run_id, "verdict": self.verdict.value}

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON without the time, which the store keeps."""
        data = dict(self.__dict__)
        data.pop("created_at")
        return {
            **data,
            "verdict": self.verdict.value,
            "outcomes": [o.to_json() for o in self.outcomes],
            "inputs": dict(self.inputs),
            "actor": dict(self.actor),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], created_at: datetime | None = None) -> GateDecision:
        """Inverse of `to_json`."""
        return cls(
            **{
                **data,
                "verdict": Verdict(data["verdict"]),
                "outcomes": tuple(RuleOutcome.from_json(o) for o in data["outcomes"]),
                "created_at": created_at,
            }
        )
