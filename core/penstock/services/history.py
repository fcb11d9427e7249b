"""Where an alias pointed at any time, and how every move came about."""

from __future__ import annotations

from datetime import UTC, datetime

from penstock.errors import InvalidValue, NotFound
from penstock.model.ids import check_alias_name, check_model_name
from penstock.model.versions import AliasMove
from penstock.services.wiring import Wiring


def as_of(wiring: Wiring, name: str, alias: str, time: datetime) -> AliasMove:
    """Return the move that put an alias where it pointed at `time`, with what authorized it.

    `NotFound` if the alias was not set yet at that time, and since when it is.
    """
    check_model_name(name)
    check_alias_name(alias)
    if not isinstance(time, datetime) or time.tzinfo is None:
        raise InvalidValue("time", time, "a datetime with a time zone, such as datetime(2024, 3, 3, tzinfo=UTC)")
    found = wiring.store.find_move_at(name, alias, _floor_ms(time))
    if found is None:
        moves = wiring.store.list_alias_moves(name)
        first = next((move.moved_at for move in moves if move.alias == alias), None)
        hint = "It was never set" if first is None else f"It was first set on {_said(first)}"
        raise NotFound("model alias", f"models:/{name}@{alias} as of {_said(time)}", hint)
    return found


def _floor_ms(time: datetime) -> int:
    return int((time - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000 // 1)


def _said(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
