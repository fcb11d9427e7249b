"""Stages, for those who still use them: Production and Staging are aliases, so the same gate and ledger hold.

A version is in the stage whose alias points to it; of both, in the one it entered last. It is Archived when another
version has taken its place there, or when somebody archived it; otherwise it is in None.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from penstock.errors import InvalidValue
from penstock.model.versions import AliasMove, ModelVersion, VersionState


class Stage(StrEnum):
    """The four stages people know."""

    NONE = "None"
    STAGING = "Staging"
    PRODUCTION = "Production"
    ARCHIVED = "Archived"

    @property
    def is_alias(self) -> bool:
        """Whether versions enter this stage through a gate, as an alias of this name."""
        return self in {Stage.STAGING, Stage.PRODUCTION}


def stage_named(given: object) -> Stage:
    """Return the stage of this name, in any case; `InvalidValue` names the four."""
    known = {stage.value.lower(): stage for stage in Stage}
    if isinstance(given, str) and given.lower() in known:
        return known[given.lower()]
    raise InvalidValue("stage", given, "None, Staging, Production or Archived", "Aliases may have any name")


def stage_of(version: ModelVersion, moves: Iterable[AliasMove]) -> Stage:
    """Return the stage of a version, given its model's alias moves, oldest first."""
    entered: Stage | None = None
    holder: dict[Stage, int] = {}
    for move in moves:
        if move.alias in {Stage.STAGING.value, Stage.PRODUCTION.value}:
            holder[Stage(move.alias)] = move.to_version
            if move.to_version == version.version:
                entered = Stage(move.alias)
    if entered is not None and holder[entered] == version.version:
        return entered
    if entered is not None or version.state is VersionState.ARCHIVED:
        return Stage.ARCHIVED
    return Stage.NONE
