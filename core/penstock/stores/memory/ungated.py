"""Models let in without a gate: declarations, and the authorizations that follow from them."""

from __future__ import annotations

from dataclasses import replace

from penstock.errors import Conflict
from penstock.model.ungated import GateDeclaration, check_ungated, declared
from penstock.model.versions import Authorization
from penstock.stores.memory.state import State, plain, time_of


def declare(state: State, new: GateDeclaration, now_ms: int) -> GateDeclaration:
    """Record a declaration as a model's next, with its authorization and its event."""
    there = state.declarations.setdefault(new.model, [])
    if new.number != len(there) + 1:
        found = f"number {len(there)}, {'gated' if there[-1].gated else 'ungated'}" if there else "none"
        raise Conflict("declaration on model", new.model, f"to make number {new.number}", found)
    there.append(replace(new, actor=plain(new.actor), declared_at=time_of(now_ms)))
    if not new.gated:
        given = new.authorization
        state.authorizations[given.authorization_id] = replace(given, actor=plain(given.actor))
    state.append(declared(new), now_ms)
    return there[-1]


def allow(state: State, authorization: Authorization, change: str, model: str) -> Authorization:
    """Put an authorization for one change on record and return it, in the name of who declared the model ungated."""
    there = state.declarations.get(model)
    held = check_ungated(there[-1] if there else None, change)
    given = replace(authorization, model=model, decision_id=None, reason=held.reason, actor=held.actor)
    state.authorizations[given.authorization_id] = given
    return given
