"""Whether a version loads and predicts: tried in a clean process before it may get an alias, and kept on record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from penstock.errors import Conflict, NotSeenToLoad
from penstock.model.versions import ModelVersion, VersionState


@dataclass(frozen=True)
class LoadCheck:
    """One try of a version in a process of its own; `number` counts a version's tries from 1, the last one counts.

    `facts` is plain JSON: rows predicted and where they came from, seconds, the versions of Python and the libraries.
    `error` says in one sentence what went wrong, where it did not pass.
    """

    model: str
    version: int
    number: int
    passed: bool
    error: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    actor: Mapping[str, Any] = field(default_factory=dict)
    checked_at: datetime | None = None


def check_may_be_pointed_to(
    version: ModelVersion, last: LoadCheck | None, change: str, *, held_before: bool = False
) -> None:
    """Refuse an alias to a version that was archived or deleted (`Conflict`) or does not load (`NotSeenToLoad`).

    A version that held the alias before there were checks may have it again.
    """
    command = f"{version.model} {version.version}"
    if version.state is not VersionState.ACTIVE:
        hint = f"Restore it first: penstock models restore {command} --reason ..."
        raise Conflict("model version", version.uri, "an active version", f"one that was {version.state.value}", hint)
    if last is None and not held_before:
        hint = f"Run: penstock models check {command}"
        raise NotSeenToLoad(change, f"version {version.version} has not been seen to load and predict", hint)
    if last is not None and not last.passed:
        hint = f"If that has been mended, run: penstock models check {command}"
        raise NotSeenToLoad(change, f"version {version.version} failed its last load check: {last.error}", hint)
