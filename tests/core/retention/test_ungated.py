"""Models without a gate: only by a named person's word, only that model, always visible, revocable (law L2)."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.errors import Conflict, InvalidValue, NotAuthorized
from penstock.model.versions import AuthorizationKind
from tests import tiny
from tests.core.retention.stage import Stage


def trained(stage: Stage, key: str, strength: float = 1.0) -> Any:
    with stage.client.open_run(tiny.EXPERIMENT, key=key) as run:
        return run.step("train", tiny.train, strength=strength)


def test_models_are_gated_until_somebody_says_otherwise(stage: Stage) -> None:
    model = trained(stage, "a")
    with pytest.raises(NotAuthorized, match="penstock models ungate"):
        stage.client.register("toy", model)
    with pytest.raises(InvalidValue, match="in words"):
        stage.client.declare_ungated("toy", "  ")
    with pytest.raises(Conflict, match="by default"):
        stage.client.declare_gated("toy", "to be safe")
    assert stage.client.list_models() == []
    assert stage.client.ungated_models() == {}


def test_an_ungated_model_is_registered_and_promoted_once_in_the_declarers_name(stage: Stage) -> None:
    client, model = stage.client, trained(stage, "a")
    declared = client.declare_ungated("toy", "only a demonstration")
    assert client.declare_ungated("toy", "said twice") == declared
    version = client.register("toy", model)
    assert client.register("toy", model) == version
    move = client.promote("toy", "champion", version)
    assert client.promote("toy", "champion", version) == move
    for made in (version.authorization, move.authorization):
        assert (made.kind, made.reason) == (AuthorizationKind.UNGATED, "only a demonstration")
        assert made.actor["subject"] == "ana"
    with pytest.raises(NotAuthorized, match="the model is gated"):
        client.register("other", model)
    second = client.register("toy", trained(stage, "b", 0.5))
    assert client.promote("toy", "champion", second).generation == 2
    assert client.promote("toy", "champion", version) == move  # a late retry moves nothing
    assert client.get_version_by_alias("toy", "champion").version == 2
    assert client.rollback("toy", "champion", reason="worse").to_version == 1
    assert list(client.verify()) == []
    told = [e.kind for e in client.read_ledger() if e.chain.kind == "model"]
    assert told.count("version_registered") == 2
    assert told[0] == "model_ungated"


def test_what_was_ungated_can_be_gated_again(stage: Stage) -> None:
    client = stage.client
    client.declare_ungated("toy", "only a demonstration")
    version = client.register("toy", trained(stage, "a"))
    client.declare_gated("toy", "it is serious now")
    assert client.ungated_models() == {}
    with pytest.raises(NotAuthorized, match="the model is gated"):
        client.promote("toy", "champion", version)
    with pytest.raises(NotAuthorized, match="the model is gated"):
        client.register("toy", trained(stage, "b", 0.5))
    assert [one.gated for one in client.gate_declarations("toy")] == [False, True]
    client.declare_ungated("toy", "a toy after all")
    assert client.promote("toy", "champion", version).authorization.reason == "a toy after all"


def test_a_protected_alias_still_needs_a_passed_gate(stage: Stage) -> None:
    client = stage.client
    client.declare_ungated("toy", "only a demonstration")
    version = client.register("toy", trained(stage, "a"))
    client.protect_alias("toy", "champion", reason="it is live")
    with pytest.raises(NotAuthorized, match="ungated is no gate"):
        client.promote("toy", "champion", version)
    assert client.promote("toy", "shadow", version).to_version == 1
