"""The bootstrap against its floor: two models predict, then scikit-learn's metrics of both on arrays in memory.

`python -m tests.benchmarks.bootstrap [rows …]`: 200 replicates of every metric and paired difference, as an evaluation
with a baseline makes them; and only of ROC AUC, log loss and accuracy on arrays of answers, against those three.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression

from tests.benchmarks.evaluation import FEATURES, Given, classifier_floor, frame_of, in_turn

ROWS = (100_000, 1_000_000)
REPLICATES = 200


def whole(models: list[Any], frame: pd.DataFrame, replicates: int) -> None:
    """Measure a candidate and a baseline with everything an evaluation does but storing it."""
    from penstock.evaluation.engine import MeasuringEngine
    from penstock.model.data import DataSource

    data = DataSource(frame, label="late", drop=("delay",))
    candidate, baseline = (Given(model) for model in models)
    MeasuringEngine().measure(candidate, data, task="binary", baseline=baseline, bootstrap=replicates)


def floor_of(models: list[Any], frame: pd.DataFrame) -> None:
    """Predict and measure both models with scikit-learn."""
    for model in models:
        classifier_floor(model, frame)


def three_metrics(label: Any, scores: list[Any]) -> None:
    """Measure with scikit-learn what `three_bootstrapped` bootstraps."""
    for score in scores:
        sk.roc_auc_score(label, score)
        sk.log_loss(label, score)
        sk.accuracy_score(label, score > 0.5)


def three_bootstrapped(label: Any, scores: list[Any]) -> None:
    """Bootstrap ROC AUC, log loss and accuracy of two models, and their differences."""
    from penstock.evaluation.answers import Answers, JudgedRows
    from penstock.evaluation.inference import replicates
    from penstock.evaluation.inference.plans import plan_of
    from penstock.evaluation.inference.weights import keys_of_rows
    from penstock.evaluation.state.groups import GroupCodes
    from penstock.evaluation.tasks.task import Settings

    of = ("candidate", "baseline")
    plan = plan_of(Settings("binary", of, False, classes=(0, 1)))
    assert plan is not None
    state = plan.state(REPLICATES, False)
    for start in range(0, len(label), 65_536):
        part = slice(start, start + 65_536)
        y = label[part]
        answers = {
            model: Answers(
                (score[part] > 0.5).astype(np.int8), score[part], -np.log(np.where(y, score[part], 1 - score[part]))
            )
            for model, score in zip(of, scores, strict=True)
        }
        state.update(
            keys_of_rows("benchmark", start, len(y)), GroupCodes(len(y)), **plan.counted(JudgedRows(y, None, answers))
        )
    for metric in ("roc_auc", "log_loss", "accuracy"):
        new, old = (plan.replicates(state, metric, model, 0) for model in of)
        assert new is not None
        assert old is not None
        assert replicates.paired(0.5, 0.5, new, old)


def main() -> None:
    """Measure and print."""
    print(f"{'':52}{'floor s':>9}{'ours s':>9}{'x floor':>9}")
    for rows in [int(argument) for argument in sys.argv[1:]] or ROWS:
        frame = frame_of(rows)
        train = frame[:5000]
        models = [LogisticRegression(C=c).fit(train[FEATURES], train["late"]) for c in (1.0, 0.003)]
        label, scores = frame["late"].to_numpy(), [model.predict_proba(frame[FEATURES])[:, 1] for model in models]
        works = {
            "floor": partial(floor_of, models, frame),
            **{
                f"two models, {replicates} replicates": partial(whole, models, frame, replicates)
                for replicates in (0, REPLICATES)
            },
            "arrays": partial(three_metrics, label, scores),
            "on arrays: AUC, log loss, accuracy": partial(three_bootstrapped, label, scores),
        }
        taken = in_turn(works, 3)
        bases = [taken.pop("floor")] * 2 + [taken.pop("arrays")]
        for (what, ours), floor in zip(taken.items(), bases, strict=True):
            ratio = ours.cpu / floor.cpu
            print(f"{f'{rows:,} rows, {what}':52}{floor.cpu:9.3f}{ours.cpu:9.3f}{ratio:9.2f}", flush=True)


if __name__ == "__main__":
    main()
