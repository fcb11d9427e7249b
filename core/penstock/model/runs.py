"""Experiments, runs, steps and attempts, and what is logged into them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from penstock.errors import InvalidValue
from penstock.model.data import Dataset
from penstock.model.ids import RunKey, check_metric_name

LEASE_S = 600.0
"""How long an attempt may be silent before it counts as dead, unless its writer asks for another length."""


class RunStatus(StrEnum):
    """What became of a run. MLflow's own words; a refused gate still ends a run FINISHED."""

    RUNNING = "RUNNING"
    SCHEDULED = "SCHEDULED"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"

    @property
    def ended(self) -> bool:
        """Whether the run has come to an end."""
        return self not in {RunStatus.RUNNING, RunStatus.SCHEDULED}


class AttemptState(StrEnum):
    """What became of one attempt of a step. An attempt's end is final."""

    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"
    SUPERSEDED = "SUPERSEDED"
    LAPSED = "LAPSED"


@dataclass(frozen=True)
class Experiment:
    """A name that groups runs, `<team>/<project>/<model type>` by custom."""

    experiment_id: str
    name: str
    created_at: datetime
    lifecycle_stage: str = "active"


@dataclass(frozen=True)
class Run:
    """One execution of a pipeline for one partition."""

    run_id: str
    experiment_id: str
    experiment: str
    key: RunKey
    status: RunStatus
    started_at: datetime
    ended_at: datetime | None = None
    name: str = ""
    parent_run_id: str | None = None
    logical_date: datetime | None = None
    reason: str = ""
    lifecycle_stage: str = "active"
    source: Mapping[str, Any] = field(default_factory=dict)

    @property
    def deleted(self) -> bool:
        """Whether it was deleted; what is deleted is hidden, and may be restored unless it is purged."""
        return self.lifecycle_stage in {"deleted", "purged"}

    @property
    def purged(self) -> bool:
        """Whether what it held was collected: its row, its steps and its ledger stay."""
        return self.lifecycle_stage == "purged"


@dataclass(frozen=True)
class StepId:
    """Which step of a run: its name and, where an orchestrator maps it, its index (-1: not mapped)."""

    run_id: str
    name: str
    map_index: int = -1

    def __str__(self) -> str:
        return self.name if self.map_index < 0 else f"{self.name}[{self.map_index}]"


@dataclass(frozen=True)
class Attempt:
    """One try at a step, with the token that lets it write until a newer attempt fences it."""

    step: StepId
    number: int
    inputs_digest: str
    token: str = field(repr=False)
    lease_s: float = LEASE_S


@dataclass(frozen=True)
class StepResult:
    """What a step returned, as stored in the same transaction as what it did."""

    step: StepId
    inputs_digest: str
    value: Any
    generation: int


class ValueKind(StrEnum):
    """Whether a recorded number is finite; SQL databases cannot store the others as numbers."""

    FINITE = "finite"
    NAN = "nan"
    POSITIVE_INFINITY = "+inf"
    NEGATIVE_INFINITY = "-inf"


_FINITE = ValueKind.FINITE.value
_FROM_KIND = {
    ValueKind.NAN: math.nan,
    ValueKind.POSITIVE_INFINITY: math.inf,
    ValueKind.NEGATIVE_INFINITY: -math.inf,
}


def split_value(value: float) -> tuple[ValueKind, float | None]:
    """Return the kind of `value` and, when it is finite, the value itself."""
    if math.isfinite(value):
        return ValueKind.FINITE, value
    if math.isnan(value):
        return ValueKind.NAN, None
    return (ValueKind.POSITIVE_INFINITY if value > 0 else ValueKind.NEGATIVE_INFINITY), None


def join_value(kind: str, value: float | None) -> float:
    """Inverse of `split_value`."""
    if kind == _FINITE:
        if value is None:
            raise InvalidValue("metric value", value, "a number for a value of kind 'finite'")
        return float(value)
    return _FROM_KIND[ValueKind(kind)]


def as_number(field_name: str, value: object) -> float:
    """Return a metric's value as a double: numbers and scalar arrays, no booleans, no strings.

    NaN and the infinities may be *recorded*; no gate passes on them.
    """
    if value is None or isinstance(value, bool | str | bytes):
        raise InvalidValue(field_name, value, "a number")
    shape = getattr(value, "shape", ())
    if shape not in {(), (1,)}:
        raise InvalidValue(field_name, f"an array of shape {shape}", "a scalar")
    if type(value).__name__ in {"bool_", "bool"}:
        raise InvalidValue(field_name, value, "a number")
    try:
        return float(value.item() if hasattr(value, "item") else value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise InvalidValue(field_name, value, "a number") from error


def as_texts(field_name: str, values: Mapping[str, Any] | None) -> dict[str, str]:
    """Return params or tags as checked names and texts, as MLflow writes them: `str(value)`."""
    texts = {check_metric_name(name): str(value) for name, value in (values or {}).items()}
    for name, text in texts.items():
        if len(text) > 6000:
            raise InvalidValue(f"{field_name} {name!r}", text, "at most 6000 characters", "Log long texts as artifacts")
    return texts


@dataclass(frozen=True)
class Metric:
    """One recorded number: `step` counts training progress, `time` is when it was recorded."""

    name: str
    value: float
    step: int = 0
    time: datetime | None = None

    def __post_init__(self) -> None:
        check_metric_name(self.name)
        if isinstance(self.step, bool) or not isinstance(self.step, int):
            raise InvalidValue(f"step of metric {self.name!r}", self.step, "an integer")


@dataclass(frozen=True)
class LogBatch:
    """Numbers, params, tags and inputs that are written together or not at all."""

    metrics: tuple[Metric, ...] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[Dataset, ...] = ()


@dataclass(frozen=True)
class RunDetails:
    """A run with what its current attempts have logged."""

    run: Run
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    inputs: tuple[Dataset, ...]
    steps: tuple[StepSummary, ...]


@dataclass(frozen=True)
class StepSummary:
    """A step as `penstock runs show` lists it."""

    step: StepId
    state: AttemptState
    attempt: int
    generation: int
    started_at: datetime
    ended_at: datetime | None
    host: Mapping[str, Any]
    error: str = ""


TRIGGERED_BY = "triggered_by"
"""The name that an orchestrator's facts have for the person who started something by hand; asserted by it."""

LEFT_OPEN = "left open by what had opened it, which is over"
"""Why a run was ended in which nobody was working."""


@dataclass(frozen=True)
class Lapsed:
    """An attempt that the reaper ended because its lease had run out, and whether its run was ended with it.

    Of a run that was ended although nobody had begun in it: attempt 0 of a step without a name.
    """

    step: StepId
    attempt: int
    reason: str
    run_ended: bool
