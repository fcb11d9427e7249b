"""A policy that changed between a decision and its use: whoever names the one in force is told."""

from __future__ import annotations

from pathlib import Path

import pytest

import penstock
from penstock.errors import InvalidValue, NotAuthorized
from tests.core.gates_on_record.stage import ALIAS, AT_LEAST, MODEL, kinds, loads, measured, trained

STRICT = {"name": "p", "rules": [{"at_least": {"metric": "accuracy", "value": 0.81}}]}


def test_a_decision_made_under_another_policy_neither_registers_nor_promotes(client: penstock.Client) -> None:
    evaluation = measured(client, "a")
    decision = client.decide(evaluation, AT_LEAST, model=MODEL)
    model = client.wiring.store.get_model(evaluation.model_id)
    before = kinds(client)
    with pytest.raises(NotAuthorized, match=r"the decision was made under another policy: 'p' .*Decide again under"):
        client.register(MODEL, model, decision, policy=STRICT)
    assert (client.list_models(), kinds(client)) == ([], before)
    version = loads(client, client.register(MODEL, model, decision, policy=AT_LEAST))
    with pytest.raises(NotAuthorized, match="made under another policy"):
        client.promote(MODEL, ALIAS, version, decision.ref, policy=STRICT)
    assert client.wiring.store.find_alias(MODEL, ALIAS) is None
    assert client.promote(MODEL, ALIAS, version, decision.ref, policy=AT_LEAST).to_version == 1


def test_a_policy_that_only_reads_differently_is_the_same(client: penstock.Client, tmp_path: Path) -> None:
    evaluation = measured(client, "a")
    decision = client.decide(evaluation, AT_LEAST, model=MODEL)
    same = tmp_path / "policy.yaml"
    same.write_text("# as before\nrules:\n  - at_least: {value: 8e-1, metric: accuracy}\nname: p\n")
    model = client.wiring.store.get_model(evaluation.model_id)
    assert client.register(MODEL, model, decision, policy=same).version == 1


def test_an_override_was_judged_under_no_policy(client: penstock.Client) -> None:
    model = trained(client, "a")
    override = client.override(MODEL, model, reason="the data is late")
    for allowed in (override, override.ref, None):
        with pytest.raises(InvalidValue, match="judged under none"):
            client.register(MODEL, model, allowed, policy=STRICT)
