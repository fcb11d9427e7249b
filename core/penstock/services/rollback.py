"""Taking an alias back to a version that held it before: one command, the database only, on record.

A rollback is authorized by the target's earlier tenure, by a named actor and by a reason. It is a move like any other:
it has its generation, so that a promotion decided before it comes too late.
"""

from __future__ import annotations

from penstock.errors import InvalidValue, NotAuthorized, NotFound
from penstock.model.audit import NewEvent, model_chain
from penstock.model.ids import check_alias_name, check_model_name, derived_id
from penstock.model.versions import AliasMove, Authorization, AuthorizationKind
from penstock.services.wiring import Wiring

_ROLLBACK = AuthorizationKind.ROLLBACK


def rollback(
    wiring: Wiring, name: str, alias: str, *, to: int | None = None, reason: str, key: str | None = None
) -> AliasMove:
    """Point an alias back to the version it pointed to before, or to version `to` that held it before.

    With `key` (an incident's number, a task's coordinates) the rollback happens once: the same key again returns the
    move it made. `NotFound` if the alias was never set, `NotAuthorized` if the target never held it, `Conflict` if the
    alias moved in between.
    """
    check_model_name(name)
    check_alias_name(alias)
    if not isinstance(reason, str) or not reason.strip():
        raise InvalidValue("reason", reason, "why the alias is taken back, in words")
    moves = [move for move in wiring.store.list_alias_moves(name) if move.alias == alias]
    if not moves:
        raise NotFound("model alias", f"models:/{name}@{alias}", "It was never set, so there is nothing to go back to")
    current = moves[-1]
    identity = key if key is not None else f"generation {current.generation}"
    authorization_id = derived_id("rollback", name, alias, identity)
    done = next((move for move in moves if move.authorization.authorization_id == authorization_id), None)
    if done is not None:
        return done
    target = to if to is not None else _before(moves, current)
    held = {move.to_version for move in moves}
    change = f"taking {name}@{alias} back to version {target}"
    if target is None or target not in held:
        listed = ", ".join(str(version) for version in sorted(held))
        raise NotAuthorized(change, f"that version never held {alias!r}", f"Versions that did: {listed}")
    if target == current.to_version:
        raise InvalidValue("version to go back to", target, f"another one than {alias!r} points to now")
    version = wiring.store.find_version(name, target)
    if version is None:
        raise NotFound("model version", f"models:/{name}/{target}")
    actor = wiring.actor.to_json()
    authorization = Authorization(authorization_id, _ROLLBACK, name, None, reason.strip(), actor)
    event = NewEvent(
        chain=model_chain(name),
        kind="alias_moved",
        subject={"model": name, "alias": alias, "rollback": authorization_id},
        actor=actor,
        why=reason.strip(),
    )
    return wiring.store.record_rollback(version, alias, authorization, current.generation, event)


def _before(moves: list[AliasMove], current: AliasMove) -> int | None:
    """Return what the alias pointed to before: of the current tenure, not of the rollbacks that led to it.

    After a rollback from 3 to 2, "before" is what 2 had replaced when it was promoted: twice back is two steps back.
    """
    if current.authorization.kind is not _ROLLBACK:
        return current.from_version
    promoted = (m for m in moves if m.to_version == current.to_version and m.authorization.kind is not _ROLLBACK)
    first = next(promoted, None)
    return None if first is None else first.from_version
