"""What the ledger's entries say of the registry: from them alone its present can be rebuilt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from penstock.model.audit import AuditEvent
from penstock.model.registry_events import STATE_KINDS
from penstock.model.statements import Statement
from penstock.model.versions import AliasMove, Authorization, AuthorizationKind, VersionState

_STATES = {kind: state.value for state, kind in STATE_KINDS.items()}
_WHEN = "(second, actor, authorization)"
_NAMES = {
    "decision_id": AuthorizationKind.DECISION,
    "override_id": AuthorizationKind.OVERRIDE,
    "ungated": AuthorizationKind.UNGATED,
    "rollback": AuthorizationKind.ROLLBACK,
}


def told_of_registry(entry: AuditEvent) -> Iterator[Statement]:
    """Yield what an entry of a model's chain says of versions, aliases and what stands beside them.

    Of a version its payload, state and what authorized it; of an alias version and generation, and each move as (from,
    to), when, by whom and under what; of a load check whether it passed and the digest of its facts; of a change of
    protection who may move the alias.
    """
    model, subject, after = entry.chain.name, entry.subject, entry.after
    if entry.kind == "version_registered":
        version = (model, after["version"])
        yield Statement("version", "payload", version, after["payload_digest"])
        yield Statement("version", "state", version, VersionState.ACTIVE.value)
        yield Statement("version", "authorization", version, _named_in(subject))
    elif entry.kind == "alias_moved":
        alias, generation, to = subject["alias"], after["generation"], after["version"]
        yield Statement("alias", "(version, generation)", (model, alias), (to, generation))
        move = (model, alias, generation)
        yield Statement("alias move", "(from, to)", move, (entry.before["version"], to))
        yield Statement("alias move", _WHEN, move, (seconds(entry.time), entry.actor, _named_in(subject)))
    elif entry.kind in _STATES:
        yield Statement("version", "state", (model, subject["version"]), _STATES[entry.kind])
    elif entry.kind == "version_checked":
        said = (after["passed"], after["facts_digest"])
        yield Statement("load check", "(outcome, facts)", (model, subject["version"], subject["check"]), said)
    elif entry.kind in {"alias_protected", "protection_lifted"}:
        yield Statement("protection", "content", (model, subject["alias"], subject["change"]), after)


def stored_of_move(move: AliasMove) -> Iterator[Statement]:
    """Yield the same of a move as it is stored."""
    key = (move.model, move.alias, move.generation)
    yield Statement("alias move", "(from, to)", key, (move.from_version, move.to_version))
    said = (seconds(move.moved_at), move.moved_by, named(move.authorization))
    yield Statement("alias move", _WHEN, key, said)


def named(given: Authorization) -> tuple[str, str]:
    """Return an authorization's kind and what it is known by on the ledger: a decision by the decision's id."""
    return given.kind.value, given.decision_id or given.authorization_id


def seconds(time: datetime | None) -> int:
    """Return a time in seconds: a move and its entry have one time, but older stores asked the clock for each."""
    return 0 if time is None else int(time.timestamp())


def _named_in(subject: Mapping[str, Any]) -> tuple[str, str] | None:
    return next(((kind.value, subject[name]) for name, kind in _NAMES.items() if name in subject), None)
