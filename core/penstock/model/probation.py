"""A promotion on probation: later evaluations of what is live confirm it, or take it back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from penstock.errors import Conflict, InvalidValue, NotSeenToLoad
from penstock.model.audit import NewEvent, model_chain
from penstock.model.decisions import RuleOutcome, Verdict, reasons_of
from penstock.model.load_checks import LoadCheck, check_may_be_pointed_to
from penstock.model.versions import ModelVersion

_MOST_DAYS = 3660.0
_MOST_EVALUATIONS = 10_000


@dataclass(frozen=True)
class Probation:
    """What a promotion must still show: `policy` must hold on later evaluations, for a time or for a number of them.

    Give `days`, `evaluations` or both: it is passed when the time is over or so many evaluations have passed,
    whichever comes first. `policy` is a policy as `client.decide` takes it.
    """

    policy: Any
    days: float | None = None
    evaluations: int | None = None

    def __post_init__(self) -> None:
        days, number = self.days, self.evaluations
        if days is None and number is None:
            raise InvalidValue("probation", None, "days, evaluations or both")
        if days is not None and (isinstance(days, bool) or not isinstance(days, int | float)):
            raise InvalidValue("probation days", days, "a number of days")
        if days is not None and not (math.isfinite(days) and 0 < days <= _MOST_DAYS):
            raise InvalidValue("probation days", days, f"more than 0 and at most {_MOST_DAYS:g}")
        if number is not None and (isinstance(number, bool) or not isinstance(number, int)):
            raise InvalidValue("probation evaluations", number, "a whole number")
        if number is not None and not 0 < number <= _MOST_EVALUATIONS:
            raise InvalidValue("probation evaluations", number, f"1 to {_MOST_EVALUATIONS}")


class ProbationState(StrEnum):
    """What became of a probation. It is superseded when the alias has moved on by itself."""

    OPEN = "open"
    PASSED = "passed"
    FAILED = "failed"
    SUPERSEDED = "superseded"


@dataclass(frozen=True)
class ProbationTerms:
    """A probation's policy, as data with its digest and text, and how long it lasts."""

    policy_name: str
    policy_digest: str
    policy: Mapping[str, Any]
    policy_text: str
    days: float | None
    evaluations: int | None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {**self.__dict__, "policy": dict(self.policy)}

    @property
    def words(self) -> str:
        """How long it lasts, in words."""
        days = [] if self.days is None else [f"{self.days:g} days"]
        number = [] if self.evaluations is None else [f"{self.evaluations} passing evaluations"]
        return " or ".join([*days, *number])


@dataclass(frozen=True)
class AliasProbation:
    """The probation of one alias move: of the version that has held the alias since `generation`."""

    model: str
    alias: str
    generation: int
    version: int
    from_version: int | None
    payload_digest: str
    terms: ProbationTerms
    state: ProbationState = ProbationState.OPEN
    why: str = ""
    passes: int = 0
    started_at: datetime | None = None
    ends_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def open(self) -> bool:
        """Whether it still may fail."""
        return self.state is ProbationState.OPEN


@dataclass(frozen=True)
class ProbationJudgement:
    """An evaluation judged by a probation's policy, and what followed: the state after it, and where it rolled back to.

    `number` counts a probation's judgements (0: nothing was recorded, because the evaluation was a backfill). `stays`
    says why an alias whose probation failed was left where it is, though another version had held it before.
    """

    model: str
    alias: str
    generation: int
    evaluation_id: str
    verdict: Verdict
    outcomes: tuple[RuleOutcome, ...]
    actor: Mapping[str, Any] = field(default_factory=dict)
    number: int = 0
    state: ProbationState = ProbationState.OPEN
    rolled_back_to: int | None = None
    stays: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    judged_at: datetime | None = None

    @property
    def reasons(self) -> str:
        """Why, in one line."""
        return reasons_of(self.outcomes)

    @property
    def why(self) -> str:
        """Why it was judged so, and why nothing followed where something should have."""
        return f"{self.reasons}. {self.stays}" if self.stays else self.reasons

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON without the number and the time, which the store keeps."""
        data = {name: value for name, value in self.__dict__.items() if name not in {"number", "judged_at"}}
        return {
            **data,
            "verdict": self.verdict.value,
            "state": self.state.value,
            "outcomes": [outcome.to_json() for outcome in self.outcomes],
            "actor": dict(self.actor),
            "inputs": dict(self.inputs),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], number: int, judged_at: datetime) -> ProbationJudgement:
        """Inverse of `to_json`, with what the store keeps."""
        read = {
            "verdict": Verdict(data["verdict"]),
            "state": ProbationState(data["state"]),
            "outcomes": tuple(RuleOutcome.from_json(outcome) for outcome in data["outcomes"]),
        }
        return cls(**{**data, **read, "number": number, "judged_at": judged_at})


def state_after(probation: AliasProbation, verdict: Verdict, now: datetime, live_generation: int) -> ProbationState:
    """Return the state of an open probation after a verdict: a newer move and the time's end come before it."""
    ended = settled(probation, now, live_generation)
    if ended is not ProbationState.OPEN:
        return ended
    if verdict is Verdict.FAIL:
        return ProbationState.FAILED
    passes = probation.passes + (verdict is Verdict.PASS)
    enough = probation.terms.evaluations is not None and passes >= probation.terms.evaluations
    return ProbationState.PASSED if enough else ProbationState.OPEN


def settled(probation: AliasProbation, now: datetime, live_generation: int) -> ProbationState:
    """Return the state that a probation has come to by itself: another move, or the end of its time."""
    if not probation.open:
        return probation.state
    if live_generation != probation.generation:
        return ProbationState.SUPERSEDED
    over = probation.ends_at is not None and now >= probation.ends_at
    return ProbationState.PASSED if over else ProbationState.OPEN


def why_ended(state: ProbationState, reasons: str = "") -> str:
    """Say why a probation ended."""
    if state is ProbationState.SUPERSEDED:
        return "the alias has been moved since"
    if state is ProbationState.PASSED:
        return reasons or "its time is over"
    return reasons


def why_it_stays(before: ModelVersion, last: LoadCheck | None, alias: str) -> str:
    """Say why an alias cannot go back to the version that held it before; empty where it can."""
    try:
        check_may_be_pointed_to(before, last, f"taking {before.model}@{alias} back", held_before=True)
    except (Conflict, NotSeenToLoad) as refused:
        return f"{before.model}@{alias} was not taken back to version {before.version}: {refused}"
    return ""


def event_of(
    probation: AliasProbation, kind: str, actor: Mapping[str, Any], why: str, after: Any, **more: Any
) -> NewEvent:
    """Return an entry of the ledger on a probation."""
    subject = {"model": probation.model, "alias": probation.alias, "generation": probation.generation, **more}
    return NewEvent(model_chain(probation.model), kind, subject, actor, why, None, after)


def started(probation: AliasProbation, actor: Mapping[str, Any]) -> NewEvent:
    """Return the entry of a probation's beginning."""
    terms = probation.terms
    after = {
        "version": probation.version,
        "from_version": probation.from_version,
        "payload_digest": probation.payload_digest,
        "policy": terms.policy_name,
        "policy_digest": terms.policy_digest,
        "days": terms.days,
        "evaluations": terms.evaluations,
    }
    return event_of(probation, "probation_started", actor, f"for {terms.words}", after)


def judged(probation: AliasProbation, judgement: ProbationJudgement) -> NewEvent:
    """Return the entry of a judgement."""
    after = {"verdict": judgement.verdict.value, "state": judgement.state.value}
    named = {"evaluation_id": judgement.evaluation_id}
    return event_of(probation, "probation_judged", judgement.actor, judgement.reasons, after, **named)


def ended(probation: AliasProbation, state: ProbationState, actor: Mapping[str, Any], why: str) -> NewEvent:
    """Return the entry of a probation's end."""
    return event_of(probation, "probation_ended", actor, why, {"state": state.value})
