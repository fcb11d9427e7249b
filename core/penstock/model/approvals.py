"""Asking a person: what a request binds to, what was answered, and when it can no longer be answered or used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from penstock.errors import Conflict, InvalidValue, NotAuthorized
from penstock.model.audit import Actor
from penstock.model.runs import StepId

APPROVE, REJECT = "approve", "reject"


class ApprovalState(StrEnum):
    """What became of a request."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    LAPSED = "lapsed"


@dataclass(frozen=True)
class ApprovalRequest:
    """A question to a person, asked by a decision that needs nothing else to pass.

    `binds` is everything a yes holds for, as it is shown to the person, and `digest` is over it. `step` is the step
    that asked, in its attempt number `attempt`; `generation` is the alias's at that moment. `authors` are the actors
    who made what is judged: with `four_eyes` none of them may approve. `expires_s` counts from `asked_at`.
    """

    request_id: str
    decision_id: str
    evaluation_id: str
    policy_digest: str
    step: StepId
    attempt: int
    model: str
    alias: str
    generation: int
    role: str
    four_eyes: bool
    authors: tuple[Mapping[str, Any], ...]
    binds: Mapping[str, Any]
    digest: str
    summary: str
    expires_s: float
    asked_at: datetime | None = None
    expires_at: datetime | None = None

    @property
    def question(self) -> tuple[str, str, str, str]:
        """What the deciding step was asked: evaluation, policy, model and alias."""
        return self.evaluation_id, self.policy_digest, self.model, self.alias

    @property
    def ref(self) -> dict[str, Any]:
        """A small JSON reference, to hand from step to step or to a screen."""
        return {"request_id": self.request_id, "decision_id": self.decision_id, "run_id": self.step.run_id}

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON without the times, which the store keeps."""
        data = {name: value for name, value in self.__dict__.items() if name not in {"asked_at", "expires_at"}}
        return {
            **data,
            "step": {"run_id": self.step.run_id, "name": self.step.name, "map_index": self.step.map_index},
            "authors": [dict(author) for author in self.authors],
            "binds": dict(self.binds),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], asked_at: datetime, expires_at: datetime) -> ApprovalRequest:
        """Inverse of `to_json`."""
        given = {**data, "step": StepId(**data["step"]), "authors": tuple(data["authors"])}
        return cls(**given, asked_at=asked_at, expires_at=expires_at)


@dataclass(frozen=True)
class ApprovalAnswer:
    """A person's yes or no, with the reason."""

    request_id: str
    approve: bool
    reason: str
    actor: Mapping[str, Any]
    answered_at: datetime | None = None

    @property
    def word(self) -> str:
        """`approve` or `reject`."""
        return APPROVE if self.approve else REJECT


@dataclass(frozen=True)
class Approval:
    """A request with what became of it.

    `lapsed` says why a request can no longer be answered, or why its answer no longer holds for what is live now;
    empty while neither is so.
    """

    request: ApprovalRequest
    answer: ApprovalAnswer | None = None
    lapsed: str = ""

    @property
    def state(self) -> ApprovalState:
        """What became of the request; an answer stays on record even where it no longer holds."""
        if self.answer is not None:
            return ApprovalState.APPROVED if self.answer.approve else ApprovalState.REJECTED
        return ApprovalState.LAPSED if self.lapsed else ApprovalState.PENDING

    @property
    def ref(self) -> dict[str, Any]:
        """A small JSON reference with the state."""
        return {**self.request.ref, "state": self.state.value}

    @property
    def declared(self) -> list[str] | None:
        """What the deciding step declares of this request as its input: None while nobody has answered.

        An answer is final and so is a lapse, so a retry declares the same and finds the stored decision (law L1).
        """
        if self.state is ApprovalState.PENDING:
            return None
        return [self.request.request_id, ApprovalState.LAPSED.value if self.answer is None else self.answer.word]


def why_lapsed(request: ApprovalRequest, now_ms: int, generation: int, asked_again: bool) -> str:
    """Say why a request no longer holds: time ran out, the alias moved, or the step has decided on something else."""
    if request.expires_at is not None and now_ms >= _ms(request.expires_at):
        return f"its time ran out at {request.expires_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if generation != request.generation:
        return (
            f"{request.model}@{request.alias} has moved since: it was at generation {request.generation} "
            f"and is at {generation} now"
        )
    if asked_again:
        return "its step has since decided on something else: another evaluation or another policy"
    return ""


def check_answer(found: Approval, answer: ApprovalAnswer) -> bool:
    """Whether an answer is new (True) or was given before (False).

    `Conflict` if the request was answered otherwise or has lapsed, `NotAuthorized` if an author approves his own work.
    """
    request, name = found.request, f"{found.request.model}@{found.request.alias}"
    if found.answer is not None:
        if found.answer.approve == answer.approve:
            return False
        given = Actor(**found.answer.actor)
        raise Conflict("approval", request.request_id, "an open request", f"{found.state.value} by {given}")
    if found.lapsed:
        raise Conflict("approval", request.request_id, "an open request", found.lapsed, "Decide again to ask again")
    if answer.approve and request.four_eyes and is_author(answer.actor, request.authors):
        raise NotAuthorized(
            f"approving {name}",
            f"{Actor(**answer.actor)} made what is to be approved, and this policy wants four eyes",
            "Somebody else must approve. An asserted name is as good as whoever states it: nobody has checked it",
        )
    return True


def check_reason(given: object, expected: str) -> str:
    """Return a reason without white space around it; `InvalidValue` if it says nothing."""
    if not isinstance(given, str) or not given.strip():
        raise InvalidValue("reason", given, expected)
    if len(given) > 2000:
        raise InvalidValue("reason", given, "at most 2000 characters")
    return given.strip()


def is_author(actor: Mapping[str, Any], authors: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an actor is among the authors: the same name, however it is written and whoever vouches for it."""
    names = {str(author.get("subject", "")).strip().casefold() for author in authors}
    return str(actor.get("subject", "")).strip().casefold() in names


def _ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)
