"""Taking an alias back to a version that held it before: one command, the database only, on record.

A rollback is authorized by the target's earlier tenure, by a named actor and by a reason. It is a move like any other:
it has its generation, so that a promotion decided before it comes too late.
"""

from __future__ import annotations

from penstock.errors import InvalidValue, NotAuthorized, NotFound
from penstock.model.audit import NewEvent, model_chain
from penstock.model.ids import check_alias_name, check_model_name, derived_id
from penstock.model.tenures import held_before
from penstock.model.versions import AliasMove, Authorization, AuthorizationKind
from penstock.services.wiring import Wiring


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
    moves = wiring.store.list_alias_moves(name, alias)
    if not moves:
        raise NotFound("model alias", f"models:/{name}@{alias}", "It was never set, so there is nothing to go back to")
    current = moves[-1]
    identity = key if key is not None else f"generation {current.generation}"
    authorization_id = derived_id("rollback", name, alias, identity)
    done = next((move for move in moves if move.authorization.authorization_id == authorization_id), None)
    if done is not None:
        return done
    target = to if to is not None else held_before(moves)
    held = {move.to_version for move in moves}
    hint = f"Versions that did: {', '.join(str(version) for version in sorted(held))}"
    if target is None:
        why = f"there was nothing before version {current.to_version}"
        raise NotAuthorized(f"taking {name}@{alias} back", why, f"{hint}. Name one: --to VERSION")
    if target not in held:
        change = f"taking {name}@{alias} back to version {target}"
        raise NotAuthorized(change, f"that version never held {alias!r}", hint)
    if target == current.to_version:
        raise InvalidValue("version to go back to", target, f"another one than {alias!r} points to now")
    version = wiring.store.find_version(name, target)
    if version is None:
        raise NotFound("model version", f"models:/{name}/{target}")
    actor = wiring.actor.to_json()
    authorization = Authorization(authorization_id, AuthorizationKind.ROLLBACK, name, None, reason.strip(), actor)
    event = NewEvent(
        chain=model_chain(name),
        kind="alias_moved",
        subject={"model": name, "alias": alias, "rollback": authorization_id},
        actor=actor,
        why=reason.strip(),
    )
    return wiring.store.record_rollback(version, alias, authorization, current.generation, event)
