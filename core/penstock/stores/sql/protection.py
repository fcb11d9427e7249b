"""Protected aliases: every change of their protection is kept, the last one holds."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from penstock.errors import Conflict
from penstock.model import registry_events
from penstock.model.canonical import canonical_json
from penstock.model.ids import WORKSPACE
from penstock.model.protection import AliasProtection
from penstock.stores.sql import ledger, registry
from penstock.stores.sql.dialects import insert_or_ignore, now_ms
from penstock.stores.sql.rows import protection_of
from penstock.stores.sql.tables.versions import alias_protections

_HOLDS = (
    sa.select(alias_protections)
    .where(
        alias_protections.c.workspace == WORKSPACE,
        alias_protections.c.model == sa.bindparam("of_model"),
        alias_protections.c.alias == sa.bindparam("of_alias"),
    )
    .order_by(alias_protections.c.number.desc())
    .limit(1)
)


def find(connection: sa.Connection, model: str, alias: str) -> AliasProtection | None:
    """Return the protection of an alias that holds; None if it never had any."""
    row = connection.execute(_HOLDS, {"of_model": model, "of_alias": alias}).mappings().first()
    return None if row is None else protection_of(row)


def change(connection: sa.Connection, new: AliasProtection) -> AliasProtection:
    """Record a change of an alias's protection as its next, with its event; the same change again does nothing."""
    registry.lock(connection, new.model)
    held = find(connection, new.model, new.alias)
    name = f"{new.model}@{new.alias}"
    if held is not None:
        held.check_actor(f"changing the protection of {name}", new.actor)
    values = {
        "workspace": WORKSPACE,
        "model": new.model,
        "alias": new.alias,
        "number": new.number,
        "actors": canonical_json(list(new.actors)),
        "lifted": new.lifted,
        "reason": new.reason,
        "actor": canonical_json(new.actor),
        "set_ms": now_ms(connection),
    }
    number = 0 if held is None else held.number
    added = new.number == number + 1 and connection.execute(insert_or_ignore(connection, alias_protections), values)
    if not added or added.rowcount != 1:
        raise Conflict("protection of alias", name, f"change {number + 1}", f"{number} changes already", "Look again")
    ledger.append(connection, registry_events.protection_changed(new))
    made = find(connection, new.model, new.alias)
    assert made is not None  # noqa: S101 - it was written just now
    return made


def changes(connection: sa.Connection, model: str | None) -> Sequence[AliasProtection]:
    """Return every change of protection, of one model or all, by model, alias and number."""
    query = sa.select(alias_protections).where(alias_protections.c.workspace == WORKSPACE)
    if model is not None:
        query = query.where(alias_protections.c.model == model)
    by = (alias_protections.c.model, alias_protections.c.alias, alias_protections.c.number)
    return [protection_of(row) for row in connection.execute(query.order_by(*by)).mappings()]
