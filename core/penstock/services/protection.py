"""Protecting an alias: only a passed gate moves it, and only those who are listed."""

from __future__ import annotations

from penstock.model.ids import check_alias_name, check_model_name
from penstock.model.protection import AliasProtection, check_actors
from penstock.services.deletion import check_reason
from penstock.services.wiring import Wiring


def protect(
    wiring: Wiring, name: str, alias: str, actors: object, *, reason: str, lifted: bool = False
) -> AliasProtection:
    """Protect an alias, or change who may move it, or lift that; where actors are listed, only by one of them.

    The same protection again changes nothing. `NotAuthorized` for anybody who is not listed.
    """
    check_model_name(name)
    check_alias_name(alias)
    listed = check_actors(actors)
    changes = [found for found in wiring.store.list_protections(name) if found.alias == alias]
    last = changes[-1] if changes else None
    if last is not None and (last.actors, last.lifted) == (listed, lifted):
        return last
    new = AliasProtection(
        model=name,
        alias=alias,
        number=len(changes) + 1,
        actors=listed,
        lifted=lifted,
        reason=check_reason(reason),
        actor=wiring.actor.to_json(),
    )
    return wiring.store.record_protection(new)
