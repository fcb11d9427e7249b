"""What is handed to a store's writing methods: a run to open, an attempt to begin, how an attempt ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.model.ids import RunKey
from penstock.model.runs import LEASE_S, Attempt, AttemptState, LogBatch, StepId


@dataclass(frozen=True)
class NewRun:
    """What `RunRecords.open_run` needs to create a run.

    `deadline_s`, counted from now, bounds how long the run may stay open between its steps. With `first`, `logged`
    (the run's params and tags) is written as that step's own, in the same transaction.
    """

    run_id: str
    experiment: str
    key: RunKey
    name: str
    parent_run_id: str | None
    logical_date_ms: int | None
    source: Mapping[str, Any]
    actor: Mapping[str, Any]
    deadline_s: float | None = None
    first: NewAttempt | None = None
    logged: LogBatch = field(default_factory=LogBatch)


@dataclass(frozen=True)
class NewAttempt:
    """What `RunRecords.begin_attempt` needs: the step, its declared inputs and where it runs.

    `host` holds the orchestrator's coordinates of this try (ids, try number, host name), as plain JSON. With `resume`
    the metrics and params of earlier attempts stay visible (training from a checkpoint). With `always` a stored
    result does not answer: the step runs again. A run that FAILED or was KILLED is reopened by whoever carries on with
    it; one that FINISHED only by new work with `reopen`, not by judging what it left behind.
    """

    step: StepId
    inputs_digest: str
    inputs: Mapping[str, Any]
    host: Mapping[str, Any]
    actor: Mapping[str, Any]
    token: str
    resume: bool = False
    always: bool = False
    reopen: bool = False
    lease_s: float = LEASE_S


@dataclass(frozen=True)
class StepEnd:
    """How an attempt ended: with a result (plain JSON) or with an error's text."""

    attempt: Attempt
    state: AttemptState
    result: Any = None
    error: str = ""
