"""The anchor in the same pass: a third model on the same rows, and a gate that holds the candidate against it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import penstock
from penstock.evaluation.engine import MeasuringEngine
from penstock.model.decisions import Verdict
from penstock.model.evaluations import ANCHOR, BASELINE, CANDIDATE
from penstock.model.versions import ModelVersion
from tests.core.measuring import FEATURES, HELD_OUT, TRAIN, find, held, measure, trained

X = list(FEATURES)
CHAMPION = "models:/cancer@champion"
ENTRY = {"name": "entry", "rules": [{"at_least": {"metric": "accuracy", "value": 0.5}}]}
ANCHORED = {
    "name": "anchored",
    "rules": [{"no_worse_than": {"baseline": "champion", "metric": "accuracy", "margin": 0.05, "anchor": True}}],
}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[penstock.Client]:
    with penstock.connect(f"sqlite:///{tmp_path}/p.db", artifacts=tmp_path / "artifacts") as client:
        yield client


def released(client: penstock.Client, key: str, estimator: Any) -> ModelVersion:
    """A version that passed a gate and became the champion."""
    with client.open_run("team/cancer", key=key) as run:
        model = run.log_model(estimator.fit(TRAIN[X], TRAIN["target"]), "model", input_example=TRAIN[X][:3])
    decision = client.decide(
        client.evaluate(model, HELD_OUT, label="target", bootstrap=0), ENTRY, model="cancer", alias="champion"
    )
    version = client.register("cancer", model, decision)
    client.promote("cancer", "champion", version, decision)
    return version


def good(c: float = 1.0) -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(C=c))


def test_a_slow_decay_is_stopped_by_the_anchor_that_is_on_record(client: penstock.Client) -> None:
    first = released(client, "1", good())
    client.set_anchor("cancer", first.version, reason="the first that people trusted")
    released(client, "2", good(0.01))
    with client.open_run("team/cancer", key="3") as run:
        model = run.log_model(good(0.003).fit(TRAIN[X], TRAIN["target"]), "model", input_example=TRAIN[X][:3])

    evaluation = client.evaluate(model, HELD_OUT, label="target", baseline=CHAMPION, slices=["worst radius:16"])
    without = client.evaluate(model, HELD_OUT, label="target", baseline=CHAMPION, anchor=False, step="without")
    refused = client.decide(evaluation, ANCHORED, model="cancer")
    unmeasured = client.decide(without, ANCHORED, model="cancer", step="unmeasured")

    assert evaluation.anchor is not None
    assert list(client.verify(read_bytes=False)) == []
    assert (evaluation.anchor.version, evaluation.anchor.payload_digest) == (1, first.payload_digest)
    candidate, baseline, anchor = (evaluation.value("accuracy", of) for of in (CANDIDATE, BASELINE, ANCHOR))
    assert candidate is not None
    assert baseline is not None
    assert anchor is not None
    assert baseline - 0.05 <= candidate < anchor - 0.05
    assert refused.verdict is Verdict.FAIL
    assert [part.outcome.value for part in refused.outcomes[0].parts] == ["passed", "failed"]
    assert unmeasured.verdict is Verdict.INCONCLUSIVE
    assert "evaluate with anchor=" in unmeasured.outcomes[0].reason + str(unmeasured.outcomes[0].parts)
    assert {m.of for m in evaluation.measurements if m.slice} == {CANDIDATE, BASELINE, ANCHOR}
    assert client.get_evaluation(evaluation) == evaluation
    assert client.replay(refused).identical

    lenient = {**ANCHORED, "name": "lenient"}
    lenient["rules"] = [{"no_worse_than": {**ANCHORED["rules"][0]["no_worse_than"], "margin": 0.3}}]  # type: ignore[index]
    assert client.decide(evaluation, lenient, model="cancer", step="lenient").verdict is Verdict.PASS


def test_an_anchor_set_later_makes_a_new_evaluation_and_one_that_is_the_baseline_is_measured_once(
    client: penstock.Client,
) -> None:
    first = released(client, "1", good())
    with client.open_run("team/cancer", key="2") as run:
        model = run.log_model(good(0.5).fit(TRAIN[X], TRAIN["target"]), "model")
    before = client.evaluate(model, HELD_OUT, label="target", baseline=CHAMPION, bootstrap=0)
    client.set_anchor("cancer", first.version, reason="trusted")
    after = client.evaluate(model, HELD_OUT, label="target", baseline=CHAMPION, bootstrap=0)

    assert before.anchor is None
    assert after.anchor is not None
    assert after.evaluation_id != before.evaluation_id
    assert ANCHOR not in {m.of for m in after.measurements}
    assert client.decide(after, ANCHORED, model="cancer").verdict is Verdict.PASS
    named = client.evaluate(model, HELD_OUT, label="target", anchor="models:/cancer/1", bootstrap=0, step="named")
    assert named.value("roc_auc", ANCHOR) == pytest.approx(after.value("roc_auc", BASELINE))


def test_the_anchors_pair_is_what_it_would_be_as_the_baseline_also_in_parts() -> None:
    candidate, baseline, anchor = (
        trained(good(), uri="models:/m/1"),
        trained(DecisionTreeClassifier(max_depth=2, random_state=0), uri="models:/m/2"),
        trained(RandomForestClassifier(5, max_depth=1, random_state=0), uri="models:/m/3"),
    )
    options: dict[str, Any] = {"bootstrap": 50, "slices": ["side"]}
    frame = HELD_OUT.assign(side=np.where(np.arange(len(HELD_OUT)) % 3, "a", "b"), row=np.arange(len(HELD_OUT)))
    data = held(frame, id="row")
    all_three = measure(candidate, data, baseline=baseline, anchor=anchor, **options)
    against = measure(candidate, data, baseline=anchor, **options)

    for metric in ("accuracy", "roc_auc", "f1", "log_loss"):
        for where in ({}, {"side": "a"}):
            ours, theirs = find(all_three, metric, **where), find(against, metric, **where)
            assert ours.stats.get("paired_anchor") == theirs.stats.get("paired"), metric
            expected = find(against, metric, BASELINE, **where)
            assert find(all_three, metric, ANCHOR, **where).value == expected.value
        assert "paired_anchor" in find(all_three, metric).stats
        assert find(all_three, metric).stats["paired"] != find(all_three, metric).stats["paired_anchor"]

    engine = MeasuringEngine()
    parts = [
        engine.measure_part(candidate, held(rows, id="row"), task="binary", baseline=baseline, anchor=anchor, **options)
        for rows in (frame[:100], frame[100:])
    ]
    merged = engine.merge_parts(parts, data)
    for found in all_three.measurements:
        (same,) = [m for m in merged.measurements if (m.metric, m.of, m.slice) == (found.metric, found.of, found.slice)]
        assert same.value == pytest.approx(found.value, abs=1e-12)
    assert find(merged, "f1").stats["paired_anchor"] == pytest.approx(find(all_three, "f1").stats["paired_anchor"])


def test_regression_and_rankings_have_anchors_too() -> None:
    rows, target = load_diabetes(return_X_y=True, as_frame=True)
    frame = rows.assign(target=target, query=np.arange(len(rows)) // 10)

    class Numbers:
        columns = classes = None
        uri = "models:/m/1"

        def __init__(self, estimator: Any) -> None:
            self.estimator = estimator.fit(rows[::2], target[::2])

        def predict(self, batch: pd.DataFrame) -> Any:
            return self.estimator.predict(batch[list(rows.columns)])

        def predict_proba(self, batch: pd.DataFrame) -> Any:
            return None

    models: list[Any] = [Numbers(LinearRegression()), Numbers(Ridge(10)), Numbers(Ridge(100))]
    for task, metric, data in (
        ("regression", "mean_absolute_error", held(frame)),
        ("ranking", "ndcg", held(frame, group="query")),
    ):
        three = measure(models[0], data, baseline=models[1], anchor=models[2], task=task)
        two = measure(models[0], data, baseline=models[2], task=task)
        assert find(three, metric).stats["paired_anchor"] == find(two, metric).stats["paired"]
        assert find(three, metric, ANCHOR).value == find(two, metric, BASELINE).value
