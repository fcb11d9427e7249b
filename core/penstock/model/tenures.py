"""Who held an alias before whom, read from its moves."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.model.versions import AliasMove, AuthorizationKind


def held_before(moves: Sequence[AliasMove]) -> int | None:
    """Return what an alias pointed to before the version it points to now, however often that was promoted again.

    `moves` are all of one alias, in order; None where there was nothing before. Of the current tenure, not of the
    rollbacks that led to it: after a rollback from 3 to 2, "before" is what 2 had replaced when it was promoted: twice
    back is two steps back.
    """
    version = moves[-1].to_version
    entering = [move for move in moves if move.to_version == version != move.from_version]
    if entering[-1].authorization.kind is AuthorizationKind.ROLLBACK:
        entering = [move for move in entering if move.authorization.kind is not AuthorizationKind.ROLLBACK]
        return entering[0].from_version if entering else None
    return entering[-1].from_version
