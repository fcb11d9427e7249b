"""Measured without being a logged model: predictions in the data, a function, an MLmodel folder."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import penstock
from penstock.errors import InvalidValue, NotAuthorized
from penstock.model.data import DataSource
from penstock.models.sklearn_predictor import SklearnPredictor
from tests.core.measuring import FEATURES, HELD_OUT, TRAIN


@pytest.fixture
def run(tmp_path: Any) -> Any:
    client = penstock.connect(f"sqlite:///{tmp_path}/p.db", artifacts=tmp_path / "artifacts")
    with client, client.open_run("team/stand-ins/cancer", key="k") as run:
        yield client, run


def test_predictions_made_already_are_measured_and_decided_on_but_never_registered(run: Any) -> None:
    client, opened = run
    p = np.round(1 / (1 + np.exp(HELD_OUT["mean radius"] - 14.5)), 3)
    said = np.where(p > 0.5, "benign", "malignant")
    frame = pd.DataFrame({"y": np.where(HELD_OUT["target"], "benign", "malignant"), "said": said, "p": 1 - p})
    data = DataSource(frame, label="y", prediction="said", scores="p", name="held")

    evaluation = client.evaluate(None, data, run=opened)
    again = client.evaluate(None, data, run=opened)
    decision = client.decide(
        evaluation,
        {"name": "p", "rules": [{"at_least": {"metric": "accuracy", "value": 0.5}}]},
        model="m",
        run=opened,
    )

    assert again == evaluation
    assert evaluation.task == "binary"
    assert evaluation.value("accuracy") == pytest.approx(sk.accuracy_score(frame["y"], said))
    # "malignant" is the later in the alphabet: the positive class
    assert evaluation.value("roc_auc") == pytest.approx(sk.roc_auc_score(frame["y"] == "malignant", frame["p"]))
    assert decision.passed
    with pytest.raises(NotAuthorized, match="stands for a predictions"):
        client.register(
            "m", f"runs:/{opened.run_id}/{client.wiring.store.get_model(evaluation.model_id).name}", decision
        )
    with pytest.raises(InvalidValue, match="run="):
        client.evaluate(None, data)
    with pytest.raises(InvalidValue, match="predictions made already"):
        client.evaluate(None, HELD_OUT, label="target", run=opened)


def test_a_function_is_measured_once_until_its_code_changes(run: Any) -> None:
    client, opened = run

    def small(batch: pd.DataFrame) -> Any:
        return (batch["mean radius"] < 15).to_numpy().astype(int)

    def smaller(batch: pd.DataFrame) -> Any:
        return (batch["mean radius"] < 12).to_numpy().astype(int)

    one = client.evaluate(small, HELD_OUT, label="target", run=opened, task="binary")
    other = client.evaluate(smaller, HELD_OUT, label="target", run=opened, task="binary", step="other")

    assert client.evaluate(small, HELD_OUT, label="target", run=opened, task="binary") == one
    assert one.payload_digest != other.payload_digest
    assert one.value("accuracy") == pytest.approx(sk.accuracy_score(HELD_OUT["target"], small(HELD_OUT)))
    assert one.find("roc_auc").cause == "metric 'roc_auc' needs predict_proba, and the model gives no probabilities"


def test_an_mlmodel_folder_is_measured_like_the_logged_model(run: Any, tmp_path: Any) -> None:
    client, opened = run
    estimator = LogisticRegression(max_iter=3000).fit(TRAIN[list(FEATURES)], TRAIN["target"])
    logged = opened.log_model(estimator, "model", input_example=TRAIN[list(FEATURES)][:3])
    folder = tmp_path / "model"
    client.wiring.artifacts.fetch_all([(file.sha256, folder / file.path) for file in logged.files])

    ours = client.evaluate(logged.uri, HELD_OUT, label="target")
    theirs = client.evaluate(str(folder), HELD_OUT, label="target", run=opened, step="folder")
    assert theirs.measurements == ours.measurements


@pytest.mark.parametrize(
    ("estimator", "known"),
    [
        (make_pipeline(StandardScaler(), LogisticRegression()), True),
        (GaussianNB(), True),
        (DecisionTreeClassifier(max_depth=3, random_state=0), True),
        (HistGradientBoostingClassifier(max_iter=10), True),
        (FixedThresholdClassifier(GaussianNB(), threshold=0.9), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_estimators_said_to_predict_their_most_probable_class_do_so(estimator: Any, known: bool) -> None:
    x = list(FEATURES)
    predictor = SklearnPredictor(estimator.fit(TRAIN[x], TRAIN["target"]), "models:/m/1")
    proba = predictor.predict_proba(HELD_OUT[x])
    assert proba is not None
    tied = proba[:, 0] == proba[:, 1]
    assert predictor.predicts_most_probable == known
    assert ((predictor.predict(HELD_OUT[x]) == proba.argmax(axis=1)) | tied).all() == known
