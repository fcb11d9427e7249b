"""Gates, registration and promotion: nothing without a passed decision on record, and only once."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import penstock
from penstock.errors import (
    Conflict,
    Corrupted,
    ForeignReference,
    GateBlocked,
    InvalidPolicy,
    InvalidValue,
    NotAuthorized,
    NotFound,
)
from penstock.model.decisions import GateDecision, Verdict
from penstock.services.deciding import replay
from tests import tiny
from tests.tiny_pipeline import retrain


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny.held_out_file(tmp_path_factory.mktemp("data"))


def _trained(client: penstock.Client, key: str, strength: float = 1.0) -> tuple[Any, dict[str, Any]]:
    run = client.open_run(tiny.EXPERIMENT, key)
    return run, run.step("train", tiny.train, strength=strength)


def _decided(client: penstock.Client, key: str, held_out: str, policy: Any = tiny.POLICY) -> tuple[Any, GateDecision]:
    _, model = _trained(client, key)
    evaluation = client.evaluate(model, held_out, label=tiny.LABEL, baseline=tiny.CHAMPION)
    return model, client.decide(evaluation, policy, model=tiny.MODEL)


def test_the_first_model_is_let_in_and_the_next_is_measured_against_it(client: penstock.Client, held_out: str) -> None:
    first = retrain(client, "2013-03", held_out)
    assert first.verdict is Verdict.PASS
    assert first.no_baseline
    second = retrain(client, "2013-04", held_out)
    assert (second.baseline_version, second.alias_generation, second.no_baseline) == (1, 1, False)
    evaluation = client.get_evaluation(second.evaluation_id)
    assert evaluation.value("roc_auc", "baseline") == evaluation.value("roc_auc", "candidate")
    assert [m.to_version for m in client.alias_history(tiny.MODEL)] == [1, 2]


def test_a_weaker_model_is_refused_and_the_champion_stays(client: penstock.Client, held_out: str) -> None:
    retrain(client, "2013-03", held_out)
    refused = retrain(client, "2013-04", held_out, strength=0.5)
    assert refused.verdict is Verdict.FAIL
    assert "roc_auc" in refused.reasons
    assert "misses by" in refused.reasons
    assert [v.version for v in client.list_versions(tiny.MODEL)] == [1]
    assert client.list_runs()[0].status.value == "FINISHED"


def test_a_decision_is_replayed_from_its_own_record(client: penstock.Client, held_out: str) -> None:
    for key, strength in (("a", 1.0), ("b", 0.5)):
        decision = client.get_decision(retrain(client, key, held_out, strength=strength).ref)
        assert replay(decision) == (decision.verdict, decision.outcomes)


def test_a_missing_champion_blocks_unless_the_policy_says_otherwise(client: penstock.Client, held_out: str) -> None:
    policy = {**tiny.POLICY, "when_no_baseline": "block"}
    _, decision = _decided(client, "p", held_out, policy)
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert [o.cause for o in decision.outcomes if o.cause] == ["no_baseline"]
    with pytest.raises(GateBlocked, match="INCONCLUSIVE"):
        client.register(tiny.MODEL, f"runs:/{decision.run_id}/model", decision)
    assert client.list_models() == []


def test_a_nan_metric_blocks_with_its_reason(client: penstock.Client, held_out: str) -> None:
    _, model = _trained(client, "p")
    evaluation = client.evaluate(model, held_out, label=tiny.LABEL)
    poisoned = tuple(replace(m, value=float("nan")) if m.metric == "roc_auc" else m for m in evaluation.measurements)
    from penstock.model.policies import GatePolicy
    from penstock.services.deciding import decide

    policy = GatePolicy.from_data({"name": "p", "rules": [{"at_least": {"metric": "roc_auc", "value": 0.1}}]})
    verdict, outcomes = decide(policy, replace(evaluation, measurements=poisoned))
    assert verdict is Verdict.INCONCLUSIVE
    assert "roc_auc" in outcomes[0].reason
    assert "NaN" in outcomes[0].reason or "nan" in outcomes[0].reason


@pytest.mark.parametrize(
    ("policy", "problem"),
    [
        ({}, "empty"),
        ({"name": "p", "rules": []}, "no rule"),
        ({"name": "p", "rules": [{"at_least": {"metric": "acuracy", "value": 0.5}}]}, "did you mean 'accuracy'"),
        ({"name": "p", "treshold": 1, "rules": [{"at_least": {"metric": "accuracy", "value": 0.5}}]}, "treshold"),
    ],
)
def test_a_policy_that_means_nothing_safe_blocks_with_its_reason(
    client: penstock.Client, held_out: str, policy: Any, problem: str
) -> None:
    _, model = _trained(client, "p")
    evaluation = client.evaluate(model, held_out, label=tiny.LABEL)
    with pytest.raises(InvalidPolicy, match=problem):
        client.decide(evaluation, policy, model=tiny.MODEL)
    assert client.wiring.store.list_decisions(evaluation.run_id) == []


def test_a_decision_covers_only_the_model_and_the_artifact_it_judged(client: penstock.Client, held_out: str) -> None:
    model, decision = _decided(client, "p", held_out)
    _, other = _trained(client, "q", strength=0.5)
    with pytest.raises(NotAuthorized, match="another artifact"):
        client.register(tiny.MODEL, other, decision)
    with pytest.raises(NotAuthorized, match="made for model 'benign'"):
        client.register("another", model, decision)
    version = client.register(tiny.MODEL, model, decision)
    with pytest.raises(NotAuthorized, match="made for alias 'champion'"):
        client.promote(tiny.MODEL, "production", version, decision)


def test_a_decision_registers_one_version_and_makes_one_move(client: penstock.Client, held_out: str) -> None:
    model, decision = _decided(client, "p", held_out)
    versions = [client.register(tiny.MODEL, model, decision, map_index=i) for i in (-1, 0, 1)]
    moves = [client.promote(tiny.MODEL, "champion", versions[0], decision, map_index=i) for i in (-1, 0, 1)]
    assert len({v.version for v in versions}) == len({m.generation for m in moves}) == 1
    assert len(client.alias_history(tiny.MODEL)) == 1
    assert [e.kind for e in client.read_ledger(model=tiny.MODEL)] == [
        "decision_made",
        "version_registered",
        "version_checked",
        "alias_moved",
    ]


def test_of_two_racing_promotions_exactly_one_wins_and_the_loser_is_told_who(
    client: penstock.Client, held_out: str
) -> None:
    retrain(client, "first", held_out)
    contenders = []
    for key in ("a", "b"):
        model, decision = _decided(client, key, held_out)
        contenders.append((client.register(tiny.MODEL, model, decision), decision))
    barrier, won, lost = threading.Barrier(2), [], []

    def race(version: Any, decision: GateDecision) -> None:
        barrier.wait()
        try:
            won.append(client.promote(tiny.MODEL, "champion", version, decision))
        except Conflict as error:
            lost.append(error)

    threads = [threading.Thread(target=race, args=contender) for contender in contenders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 1)
    assert f"version {won[0].to_version}, generation 2" in str(lost[0])
    assert [m.to_version for m in client.alias_history(tiny.MODEL)] == [1, won[0].to_version]


def test_the_store_itself_refuses_a_registration_without_a_passed_decision(
    client: penstock.Client, held_out: str
) -> None:
    from penstock.model.versions import Authorization, AuthorizationKind
    from penstock.stores.sql import registry

    model, decision = _decided(client, "p", held_out, {**tiny.POLICY, "when_no_baseline": "block"})
    forged = Authorization("f" * 32, AuthorizationKind.DECISION, tiny.MODEL, decision.decision_id)
    store: Any = client.wiring.store
    logged = store.get_model(model["model_id"])
    with store._database.writing() as connection, pytest.raises(NotAuthorized, match="no such authorization"):
        registry.add_version(connection, tiny.MODEL, logged, forged, 0)


def test_references_from_another_run_are_refused_unless_the_code_accepts_them(
    client: penstock.Client, held_out: str
) -> None:
    model, decision = _decided(client, "p", held_out)
    other = client.open_run(tiny.EXPERIMENT, penstock.RunKey("deploy", "q"))
    for call in (
        lambda: client.evaluate(model, held_out, label=tiny.LABEL, run=other.ref),
        lambda: client.decide(decision.evaluation_id, tiny.POLICY, model=tiny.MODEL, run=other.ref),
        lambda: client.register(tiny.MODEL, model, decision, run=other.ref),
    ):
        with pytest.raises(ForeignReference, match="accept_from"):
            call()
    version = client.register(tiny.MODEL, model, decision, run=other.ref, accept_from=[tiny.EXPERIMENT])
    assert version.version == 1


@pytest.mark.parametrize(
    "reference", ["/etc/passwd", "x", {"decision_id": {"__classname__": "os.system"}}, {}, 3, {"decision_id": ""}]
)
def test_a_reference_that_is_no_id_is_refused(client: penstock.Client, reference: Any) -> None:
    with pytest.raises(InvalidValue, match="decision"):
        client.register(tiny.MODEL, "runs:/" + "0" * 32 + "/model", reference)


@pytest.mark.parametrize(
    ("uri", "error", "message"),
    [
        ("models:/nobody@champion", NotFound, "No version of 'nobody' has been registered"),
        ("models:/benign@challenger", NotFound, "aliases: champion -> 1"),
        ("models:/benign/7", NotFound, "versions up to 1"),
        ("runs:/" + "0" * 32 + "/model", NotFound, "run .* does not exist"),
        ("runs:/xyz/model", InvalidValue, "run id"),
        ("models:/benign", InvalidValue, "model id"),
        ("s3://bucket/model", InvalidValue, "models:/"),
        ("models:/../../etc@x", InvalidValue, "model name"),
        ("/no/such/folder", NotFound, "existing folder"),
    ],
)
def test_an_unknown_model_uri_says_what_there_is(
    client: penstock.Client, held_out: str, uri: str, error: type[Exception], message: str
) -> None:
    retrain(client, "first", held_out)
    with pytest.raises(error, match=message):
        client.load_model(uri)


def test_a_champion_is_loaded_by_alias_version_latest_and_run(client: penstock.Client, held_out: str) -> None:
    decision = retrain(client, "first", held_out)
    frame = tiny.rows().head(20)
    uris = ("models:/benign@champion", "models:/benign/1", "models:/benign/latest", f"runs:/{decision.run_id}/model")
    predictions = [list(client.load_model(uri).predict(frame)) for uri in uris]
    assert all(p == predictions[0] for p in predictions)
    assert len(predictions[0]) == 20


def test_a_model_whose_stored_bytes_changed_is_not_loaded(
    client: penstock.Client, held_out: str, tmp_path: Path
) -> None:
    retrain(client, "first", held_out)
    logged = client.wiring.store.get_model(client.get_version(tiny.MODEL, 1).model_id)
    skops = next(file for file in logged.files if file.path.endswith(".skops"))
    blob = next((tmp_path / "artifacts").rglob(skops.sha256))
    content = bytearray(blob.read_bytes())
    content[len(content) // 2] ^= 1
    blob.write_bytes(content)
    with pytest.raises(Corrupted, match=skops.sha256):
        client.load_model("models:/benign@champion")
