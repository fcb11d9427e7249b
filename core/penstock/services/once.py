"""Doing a step once: the stored result answers if there is one, else the work is done under a new attempt (law L1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from penstock.errors import PenstockError, Terminal
from penstock.model.canonical import digest
from penstock.model.ids import new_token
from penstock.model.runs import Attempt, AttemptState, StepId, StepResult
from penstock.ports import NewAttempt, StepEnd
from penstock.services.heartbeat import alive
from penstock.services.wiring import Wiring

T = TypeVar("T")


def new_attempt(
    wiring: Wiring,
    step: StepId,
    inputs: Mapping[str, Any],
    *,
    resume: bool = False,
    always: bool = False,
    reopen: bool = False,
) -> NewAttempt:
    """Describe a new attempt of `step` with these declared inputs, by this process."""
    return NewAttempt(
        step=step,
        inputs_digest=digest(inputs),
        inputs=inputs,
        host=wiring.where(),
        actor=wiring.actor.to_json(),
        token=new_token(),
        resume=resume,
        always=always,
        reopen=reopen,
        lease_s=wiring.lease_s,
    )


def once(wiring: Wiring, new: NewAttempt, work: Callable[[Attempt], T], recall: Callable[[Any], T]) -> T:
    """Return `recall(stored result)` if the step is done, else `work(attempt)`, which must end the attempt.

    If `work` raises, the attempt ends FAILED with the error's text, and the error goes on.
    """
    begun = wiring.store.begin_attempt(new)
    if isinstance(begun, StepResult):
        return recall(begun.value)
    try:
        with alive(wiring.store, begun):
            return work(begun)
    except BaseException as error:
        # A store that cannot record the failure must not hide it.
        with suppress(PenstockError):
            wiring.store.end_attempt(StepEnd(begun, AttemptState.FAILED, error=error_text(error)))
        raise


def in_one(wiring: Wiring, new: NewAttempt, work: Callable[[NewAttempt], T]) -> T:
    """Return `work(new)`: one transaction of the store, in which the step begins, ends, or has been done already.

    A refusal leaves an attempt that ended FAILED with the error's text, and goes on.
    """
    try:
        return work(new)
    except Terminal as error:
        with suppress(PenstockError):
            begun = wiring.store.begin_attempt(new)
            if isinstance(begun, Attempt):
                wiring.store.end_attempt(StepEnd(begun, AttemptState.FAILED, error=error_text(error)))
        raise


def error_text(error: BaseException) -> str:
    """One line for the record: an error's type, unless it is ours, and its message."""
    text = str(error) if isinstance(error, PenstockError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:2000]
