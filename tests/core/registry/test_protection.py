"""Protected aliases: only through a gate, only by those who are listed, and the record says that nobody checked who."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from penstock.errors import InvalidValue, NotAuthorized
from tests import tiny
from tests.core.registry.conftest import Shop


def _live(shop: Shop) -> int:
    return shop.client.list_models()[0].aliases["champion"]


def test_only_those_who_are_listed_move_a_protected_alias(shop: Shop) -> None:
    version, decision = shop.registered("new")
    held = shop.client.protect_alias(tiny.MODEL, "champion", actors=["ana", "bo", "ana"], reason="it is live")
    assert held.actors == ("ana", "bo")
    with pytest.raises(NotAuthorized, match="They are: ana, bo"):
        shop.client.promote(tiny.MODEL, "champion", version, decision)
    with pytest.raises(NotAuthorized, match="'tester' is not among"):
        shop.client.rollback(tiny.MODEL, "champion", reason="x")
    assert _live(shop) == 3
    with shop.as_actor("ana") as ana:
        move = ana.promote(tiny.MODEL, "champion", version, decision)
    assert move.moved_by["subject"] == "ana"
    assert move.authorization.actor["subject"] == "tester"
    entry = list(shop.client.read_ledger(model=tiny.MODEL))[-1]
    assert (entry.actor["subject"], entry.actor["authenticated"]) == ("ana", False)


def test_only_those_who_are_listed_change_a_protection(shop: Shop) -> None:
    first = shop.client.protect_alias(tiny.MODEL, "champion", actors=["ana"], reason="live")
    assert shop.client.protect_alias(tiny.MODEL, "champion", actors=["ana"], reason="again") == first
    changes: list[Callable[[], Any]] = [
        lambda: shop.client.protect_alias(tiny.MODEL, "champion", actors=["tester"], reason="me"),
        lambda: shop.client.lift_protection(tiny.MODEL, "champion", reason="me"),
    ]
    for change in changes:
        with pytest.raises(NotAuthorized, match="changing the protection"):
            change()
    assert shop.client.alias_protections(tiny.MODEL) == {"champion": first}
    with shop.as_actor("ana") as ana:
        ana.lift_protection(tiny.MODEL, "champion", reason="handed over")
    assert shop.client.alias_protections(tiny.MODEL) == {}
    assert shop.client.rollback(tiny.MODEL, "champion", reason="now anybody").to_version == 2


def test_a_protected_alias_moves_through_a_gate_alone(shop: Shop) -> None:
    shop.client.protect_alias(tiny.MODEL, "champion", reason="gated")
    version, decision = shop.registered("new")
    override = shop.client.override(tiny.MODEL, "models:/benign/2", aliases=["champion"], reason="urgent, no gate")
    with pytest.raises(NotAuthorized, match="override is no gate"):
        shop.client.promote(tiny.MODEL, "champion", 2, override)
    assert _live(shop) == 3
    assert shop.client.promote(tiny.MODEL, "champion", version, decision).to_version == 4


@pytest.mark.parametrize("actors", ["ana", ["ana", ""], ["a\nb"], [3], None])
def test_actors_are_names(shop: Shop, actors: Any) -> None:
    with pytest.raises(InvalidValue, match="actor"):
        shop.client.protect_alias(tiny.MODEL, "champion", actors=actors, reason="x")
    with pytest.raises(InvalidValue, match="reason"):
        shop.client.protect_alias(tiny.MODEL, "champion", reason=" ")
