"""How long runs and logged models are kept, and what is collected when nothing keeps them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from penstock.errors import InvalidValue
from penstock.model.audit import NewEvent, experiment_chain
from penstock.model.ids import check_experiment_name, check_metric_name

_MOST_DAYS = 36_500.0


@dataclass(frozen=True)
class RetentionPolicy:
    """What an experiment keeps: its runs or, with `model`, the files of models logged under this name in its runs.

    The newest `keep_last` are kept, and what ended within `keep_days`; with both, what either of them keeps. What is
    referred to is always kept.
    """

    experiment: str
    model: str = ""
    keep_last: int | None = None
    keep_days: float | None = None
    actor: Mapping[str, Any] = field(default_factory=dict)
    set_at: datetime | None = None

    def __post_init__(self) -> None:
        check_experiment_name(self.experiment)
        if self.model:
            check_metric_name(self.model)
        if self.keep_last is None and self.keep_days is None:
            raise InvalidValue("retention", None, "keep_last, keep_days or both")
        last, days = self.keep_last, self.keep_days
        if last is not None and (isinstance(last, bool) or not isinstance(last, int) or last < 0):
            raise InvalidValue("keep_last", last, "a number of runs or models, 0 or more")
        if days is not None and (isinstance(days, bool) or not isinstance(days, int | float)):
            raise InvalidValue("keep_days", days, "a number of days")
        if days is not None and not (math.isfinite(days) and 0 <= days <= _MOST_DAYS):
            raise InvalidValue("keep_days", days, f"0 to {_MOST_DAYS:g} days")

    @property
    def subject(self) -> str:
        """What it is about, in words."""
        return f"models {self.model!r} of {self.experiment}" if self.model else f"runs of {self.experiment}"

    @property
    def terms(self) -> dict[str, Any]:
        """What it keeps, as plain JSON."""
        return {"keep_last": self.keep_last, "keep_days": self.keep_days}

    def lets_go(self, candidates: Iterable[Candidate], now: datetime) -> list[Candidate]:
        """Return those that it does not keep, newest first, whatever refers to them."""
        left = sorted((c for c in candidates if not c.deleted), key=lambda c: (c.ended_at, c.id), reverse=True)
        outside = left[self.keep_last or 0 :]
        if self.keep_days is None:
            return outside
        limit = now - timedelta(days=self.keep_days)
        return [candidate for candidate in outside if candidate.ended_at < limit]


@dataclass(frozen=True)
class Candidate:
    """An ended run or, with `model_id`, a logged model, and what refers to it (`held_by`, empty: nothing)."""

    experiment: str
    run_id: str
    ended_at: datetime
    model_id: str = ""
    name: str = ""
    deleted: bool = False
    held_by: str = ""

    @property
    def id(self) -> str:
        """What it is known by."""
        return self.model_id or self.run_id


@dataclass(frozen=True)
class Contents:
    """What a run or a logged model holds. `size_bytes` counts each file, also where the same bytes are used twice."""

    models: int = 0
    artifacts: int = 0
    metrics: int = 0
    size_bytes: int = 0

    def __add__(self, other: Contents) -> Contents:
        return Contents(**{name: value + getattr(other, name) for name, value in self.__dict__.items()})


@dataclass(frozen=True)
class Collected:
    """What was let go of, or, in a dry run, would be: counts, bytes, and what was not as expected.

    `freed_bytes` are those of `blobs` that no record refers to any more. `kept` counts what a policy would let go of
    but something refers to. `missing` names blobs that a record refers to and the artifact store does not have.
    """

    runs: int = 0
    contents: Contents = field(default_factory=Contents)
    blobs: int = 0
    freed_bytes: int = 0
    kept: int = 0
    missing: Sequence[str] = ()
    dry_run: bool = True


def retention_changed(policy: RetentionPolicy, actor: Mapping[str, Any], removed: bool = False) -> NewEvent:
    """Return the ledger's entry of a policy that is set or removed."""
    return NewEvent(
        chain=experiment_chain(policy.experiment),
        kind="retention_removed" if removed else "retention_set",
        subject={"experiment": policy.experiment, "model": policy.model},
        actor=actor,
        before=policy.terms if removed else None,
        after=None if removed else policy.terms,
    )


def purged(candidate: Candidate, contents: Contents, why: str, actor: Mapping[str, Any]) -> NewEvent:
    """Return the ledger's entry of a run or a logged model whose contents are gone."""
    named = {"model_id": candidate.model_id, "name": candidate.name} if candidate.model_id else {}
    return NewEvent(
        chain=experiment_chain(candidate.experiment),
        kind="model_purged" if candidate.model_id else "run_purged",
        subject={"run_id": candidate.run_id, **named},
        actor=actor,
        why=why,
        after=dict(contents.__dict__),
    )
