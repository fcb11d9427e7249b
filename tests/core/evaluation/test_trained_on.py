"""What a model was trained on is part of what its evaluation and its gate see, whichever run the evaluation is in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression

import penstock
from penstock.errors import NotAuthorized
from penstock.model.data import DataSource
from penstock.model.decisions import Verdict
from tests.core.measuring import FEATURES, HELD_OUT, TRAIN

X = list(FEATURES)
HELD = {
    "name": "held",
    "rules": [{"held_out": {"min_rows": 10, "not_training_data": True}}],
}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[penstock.Client]:
    with penstock.connect(f"sqlite:///{tmp_path}/p.db", artifacts=tmp_path / "artifacts") as client:
        yield client


def test_rows_of_training_are_known_to_the_gate_from_the_run_that_logged_the_model(client: penstock.Client) -> None:
    with client.open_run("team/training", key="1") as training:
        model = training.log_model(LogisticRegression(max_iter=3000).fit(TRAIN[X], TRAIN["target"]), "model")
        before = client.evaluate(model, HELD_OUT, label="target", bootstrap=0)
        training.log_input(DataSource(HELD_OUT, label="target", name="cancer"), role="train")
    with client.open_run("team/deploying", key="1") as deploying:
        elsewhere = client.evaluate(
            model, HELD_OUT, label="target", bootstrap=0, run=deploying, accept_from=["team/training"]
        )
    after = client.evaluate(model, HELD_OUT, label="target", bootstrap=0)
    decision = client.decide(elsewhere, HELD, model="cancer")

    assert after.evaluation_id != before.evaluation_id
    assert after.dataset.overlap is not None
    assert after.dataset.overlap.share == 1
    assert elsewhere.run_id == deploying.run_id
    assert decision.inputs["context"]["training_digests"] == [elsewhere.dataset.digest]
    assert decision.verdict is Verdict.FAIL


def test_what_stands_for_a_model_cannot_be_registered_with_an_override_either(client: penstock.Client) -> None:
    with client.open_run("team/training", key="1") as run:
        given = DataSource(HELD_OUT.assign(said=HELD_OUT["target"]), label="target", prediction="said")
        evaluation = client.evaluate(None, given, run=run)
        name = client.wiring.store.get_model(evaluation.model_id).name
        override = client.override("cancer", f"runs:/{run.run_id}/{name}", reason="we must have something tonight")
    with pytest.raises(NotAuthorized, match="stands for a predictions"):
        client.register("cancer", f"runs:/{run.run_id}/{name}", override)
