"""A baseline that is missing, broken, the candidate itself or another one: never a reason to take the candidate."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import penstock
from penstock.errors import Conflict, Corrupted, PredictionFailed
from penstock.model.decisions import Outcome, Verdict
from penstock.model.runs import AttemptState
from penstock.model.versions import LoggedModel
from tests.core.measuring import FEATURES, HELD_OUT, TRAIN

X = list(FEATURES)
CHAMPION = "models:/cancer@champion"
ENTRY = {"name": "entry", "rules": [{"at_least": {"metric": "accuracy", "value": 0.5}}]}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[penstock.Client]:
    with penstock.connect(f"sqlite:///{tmp_path}/p.db", artifacts=tmp_path / "artifacts") as client:
        yield client


def logged(client: penstock.Client, key: str, c: float = 1.0) -> LoggedModel:
    estimator = make_pipeline(StandardScaler(), LogisticRegression(C=c)).fit(TRAIN[X], TRAIN["target"])
    with client.open_run("team/cancer", key=key) as run:
        return run.log_model(estimator, "model", input_example=TRAIN[X][:3])


def released(client: penstock.Client, key: str, c: float = 1.0) -> LoggedModel:
    """A model whose version passed a gate and became the champion."""
    model = logged(client, key, c)
    evaluation = client.evaluate(model, HELD_OUT, label="target", bootstrap=0)
    decision = client.decide(evaluation, ENTRY, model="cancer", alias="champion")
    client.promote("cancer", "champion", client.register("cancer", model, decision), decision)
    return model


def comparing(keyword: str, metric: str = "roc_auc", **said: Any) -> dict[str, Any]:
    rule = {keyword: {"baseline": "champion", "metric": metric, **said}}
    return {"name": "compares", "when_no_baseline": "pass", "rules": [rule]}


@pytest.mark.parametrize("sandbox", [False, True])
def test_a_champion_that_cannot_be_loaded_fails_the_evaluation_by_name_and_nothing_is_decided(
    client: penstock.Client, tmp_path: Path, sandbox: bool
) -> None:
    champion, candidate = released(client, "1"), logged(client, "2", 0.01)
    file = next(file for file in champion.files if file.path.endswith(".skops"))
    blob = next((tmp_path / "artifacts").rglob(file.sha256))
    blob.write_bytes(blob.read_bytes()[:-1])

    with pytest.raises(Corrupted, match=rf"file 'model.skops of {CHAMPION}' is corrupted: expected .*{file.sha256}"):
        client.evaluate(candidate, HELD_OUT, label="target", baseline=CHAMPION, bootstrap=0, sandbox=sandbox)

    (step,) = [found for found in client.get_run(candidate.run_id).steps if found.step.name == "evaluate"]
    assert step.state is AttemptState.FAILED
    assert client.wiring.store.list_evaluations(candidate.run_id) == []
    assert client.get_version("cancer", 1).payload_digest == champion.payload_digest


def test_the_champion_itself_as_the_candidate_is_never_better(client: penstock.Client) -> None:
    released(client, "1")
    again = logged(client, "2")
    evaluation = client.evaluate(again, HELD_OUT, label="target", baseline=CHAMPION)
    assert evaluation.baseline is not None
    assert evaluation.baseline.payload_digest == evaluation.payload_digest

    cases = [
        (comparing("better_than", by=0), Outcome.FAILED, ""),
        (comparing("no_worse_than", margin=0), Outcome.PASSED, ""),
        (comparing("better_than", "accuracy", by=0, confidence=0.95), Outcome.UNDECIDABLE, "straddles"),
        (comparing("no_worse_than", "accuracy", margin=0.05, confidence=0.95), Outcome.PASSED, ""),
        (comparing("better_than", by=0, confidence=0.95), Outcome.UNDECIDABLE, "zero_variance"),
        (comparing("better_than", "f1", by=0, confidence=0.95), Outcome.UNDECIDABLE, "zero_variance"),
    ]
    for number, (policy, expected, cause) in enumerate(cases):
        (outcome,) = client.decide(evaluation, policy, model="cancer", step=f"decide {number}").outcomes
        assert (outcome.outcome, outcome.cause) == (expected, cause), outcome.reason
        assert outcome.reason.endswith("the candidate is the champion itself, byte for byte")


def test_what_was_compared_with_another_champion_promotes_nothing(client: penstock.Client) -> None:
    released(client, "1", 0.01)
    candidate = logged(client, "2")
    early = client.evaluate(candidate, HELD_OUT, label="target", baseline=CHAMPION, bootstrap=0)
    alone = client.evaluate(candidate, HELD_OUT, label="target", bootstrap=0, step="alone")
    released(client, "3", 0.1)

    stale = client.decide(early, comparing("no_worse_than", margin=0.5), model="cancer", alias="champion")
    version = client.register("cancer", candidate, stale)
    with pytest.raises(Conflict, match="evaluate and decide again, against what is live now"):
        client.promote("cancer", "champion", version, stale)
    for evaluation, baseline, cause, reason in (
        (early, {"version": 2}, "other_baseline", f"not comparable: roc_auc was compared with '{CHAMPION}'"),
        (early, "staging", "other_baseline", "not with the staging of 'cancer'"),
        (alone, "champion", "no_comparison", "not comparable: roc_auc was measured without a baseline"),
    ):
        policy = comparing("no_worse_than", margin=0.5, baseline=baseline)
        decision = client.decide(evaluation, policy, model="cancer", step=f"{cause} {len(reason)}")
        assert decision.verdict is Verdict.INCONCLUSIVE
        assert decision.outcomes[0].cause == cause
        assert reason in decision.outcomes[0].reason


def test_a_model_that_raises_fails_its_own_evaluation_and_those_beside_it_go_on(client: penstock.Client) -> None:
    def small(batch: pd.DataFrame) -> Any:
        return (batch["mean radius"] < 15).to_numpy().astype(int)

    def broken(batch: pd.DataFrame) -> Any:
        raise ValueError("no such carrier")

    def constant(batch: pd.DataFrame) -> Any:
        return np.ones(len(batch), dtype=int)

    models = {"small": small, "broken": broken, "constant": constant}
    with client.open_run("team/cancer", key="side by side") as run, ThreadPoolExecutor(3) as pool:
        asked = {
            name: pool.submit(client.evaluate, model, HELD_OUT, label="target", task="binary", run=run, step=name)
            for name, model in models.items()
        }
        with pytest.raises(PredictionFailed, match=r"broken' failed to predict rows 0–283: ValueError: no such"):
            asked["broken"].result()
        assert asked["small"].result().value("accuracy") == (small(HELD_OUT) == HELD_OUT["target"]).mean()
        assert asked["constant"].result().value("accuracy") == HELD_OUT["target"].mean()
        states = {found.step.name: found.state for found in client.get_run(run.run_id).steps}
        measured = client.wiring.store.list_evaluations(run.run_id)

    assert {name: states[name] for name in models} == {
        "small": AttemptState.DONE,
        "broken": AttemptState.FAILED,
        "constant": AttemptState.DONE,
    }
    assert len(measured) == 2
