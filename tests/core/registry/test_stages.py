"""Stages: the same gate and ledger as aliases, and what was in Production before is Archived by that alone."""

from __future__ import annotations

import pytest

from penstock.errors import Conflict, InvalidValue, NotAuthorized
from penstock.model.stages import Stage
from tests import tiny
from tests.core.registry.conftest import Shop


def test_a_version_enters_production_through_its_own_gate_and_archives_the_one_before(shop: Shop) -> None:
    first, decision = shop.registered("first", "Production")
    assert shop.client.stages(tiny.MODEL)[first.version] is Stage.NONE
    assert shop.client.transition_stage(tiny.MODEL, first, "production", decision) is Stage.PRODUCTION
    assert shop.client.transition_stage(tiny.MODEL, first, "Production", decision) is Stage.PRODUCTION
    with pytest.raises(Conflict, match="alias 'Production', which points to it"):
        shop.client.transition_stage(tiny.MODEL, first, "None", reason="not after all")
    second, decision = shop.registered("second", "Production")
    shop.client.transition_stage(tiny.MODEL, second, "Production", decision)
    stages = shop.client.stages(tiny.MODEL)
    assert (stages[first.version], stages[second.version], stages[1]) == (Stage.ARCHIVED, Stage.PRODUCTION, Stage.NONE)
    with pytest.raises(Conflict, match="in whose place another version came"):
        shop.client.transition_stage(tiny.MODEL, first, "None", reason="still good")
    frame = tiny.rows().head(3)
    loaded = shop.client.load_model("models:/benign/Production").predict(frame)
    assert list(loaded) == list(shop.client.load_model(second.uri).predict(frame))
    moved = [entry for entry in shop.client.read_ledger(model=tiny.MODEL) if entry.kind == "alias_moved"]
    assert [entry.subject["alias"] for entry in moved][-2:] == ["Production", "Production"]


def test_a_stage_is_not_entered_without_a_decision_for_it(shop: Shop) -> None:
    version, decision = shop.registered("new")
    with pytest.raises(InvalidValue, match=r"alias='Staging'"):
        shop.client.transition_stage(tiny.MODEL, version, "Staging")
    with pytest.raises(NotAuthorized, match="made for alias 'champion'"):
        shop.client.transition_stage(tiny.MODEL, version, "Staging", decision)
    with pytest.raises(InvalidValue, match="None, Staging, Production or Archived"):
        shop.client.transition_stage(tiny.MODEL, version, "Live", decision)
    assert set(shop.client.stages(tiny.MODEL).values()) == {Stage.NONE}


def test_archiving_by_hand_is_on_record_and_not_done_to_what_is_live(shop: Shop) -> None:
    with pytest.raises(Conflict, match="alias 'champion'"):
        shop.client.transition_stage(tiny.MODEL, 3, "Archived", reason="old")
    assert shop.client.transition_stage(tiny.MODEL, 1, "Archived", reason="old") is Stage.ARCHIVED
    assert shop.client.transition_stage(tiny.MODEL, 1, "None", reason="still good") is Stage.NONE
    assert [entry.kind for entry in shop.client.read_ledger(model=tiny.MODEL)][-2:] == [
        "version_archived",
        "version_restored",
    ]
    with pytest.raises(InvalidValue, match="reason"):
        shop.client.transition_stage(tiny.MODEL, 1, "Archived")
