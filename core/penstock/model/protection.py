"""Protected aliases: moved only through a passed gate, and only by those who are listed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from penstock.errors import InvalidValue, NotAuthorized
from penstock.model.versions import AuthorizationKind

# Ways to a move that lead through a gate: a passed decision, or back to what passed one before.
_GATED = {AuthorizationKind.DECISION, AuthorizationKind.ROLLBACK}


@dataclass(frozen=True)
class AliasProtection:
    """Who may move an alias, and that only a passed gate (or a rollback) allows it.

    `actors` are the subjects of those who may (empty: anybody). In library mode nobody has checked who an actor is: the
    record of each move says *asserted* then. `number` counts the changes of an alias's protection; with `lifted` the
    alias is protected no longer.
    """

    model: str
    alias: str
    number: int
    actors: tuple[str, ...] = ()
    lifted: bool = False
    reason: str = ""
    actor: Mapping[str, Any] = field(default_factory=dict)
    set_at: datetime | None = None

    def check_actor(self, change: str, actor: Mapping[str, Any]) -> None:
        """`NotAuthorized` unless `actor` is listed, where anybody is."""
        subject = actor.get("subject")
        if not self.lifted and self.actors and subject not in self.actors:
            raise NotAuthorized(
                change,
                f"{self.model}@{self.alias} is protected, and {subject!r} is not among those who may move it",
                f"They are: {', '.join(self.actors)}",
            )

    def check_move(self, change: str, kind: AuthorizationKind, actor: Mapping[str, Any]) -> None:
        """`NotAuthorized` unless a move authorized in this way, by this actor, is allowed."""
        if self.lifted:
            return
        if kind not in _GATED:
            hint = "Let a gate pass, or lift the protection first: penstock models protect --lift"
            raise NotAuthorized(change, f"{self.model}@{self.alias} is protected, and {kind.value} is no gate", hint)
        self.check_actor(change, actor)


def check_actors(given: object) -> tuple[str, ...]:
    """Return the subjects of actors, each once, in order; `InvalidValue` for what is not a list of names."""
    if isinstance(given, str) or not isinstance(given, list | tuple | set | frozenset):
        raise InvalidValue("actors", given, "a list of the names of those who may move the alias")
    for name in given:
        if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > 250:
            raise InvalidValue("actor", name, "a name of printable characters, at most 250")
    return tuple(sorted({name.strip() for name in given}))
