"""Real and scripted models to measure, and how scikit-learn measures the same rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn import metrics as sk
from sklearn.datasets import load_breast_cancer

from penstock.evaluation.engine import MeasuringEngine
from penstock.model.data import DataSource
from penstock.model.evaluations import CANDIDATE, Measurement
from penstock.ports import Measured

CANCER: pd.DataFrame = load_breast_cancer(as_frame=True).frame
FEATURES = tuple(CANCER.columns[:-1])
TRAIN, HELD_OUT = CANCER[::2], CANCER[1::2].reset_index(drop=True)

LABEL_METRICS: dict[str, Callable[..., float]] = {
    "accuracy": sk.accuracy_score,
    "balanced_accuracy": sk.balanced_accuracy_score,
    "precision": sk.precision_score,
    "recall": sk.recall_score,
    "f1": sk.f1_score,
    "matthews_corrcoef": sk.matthews_corrcoef,
    "cohen_kappa": sk.cohen_kappa_score,
}
SCORE_METRICS: dict[str, Callable[..., float]] = {
    "roc_auc": sk.roc_auc_score,
    "average_precision": sk.average_precision_score,
    "brier_score": sk.brier_score_loss,
}
OWN_METRICS = {"positive_rate", "calibration_error", "ks_statistic", "lift@0.1", "gain@0.1"}
ALL_METRICS = {*LABEL_METRICS, *SCORE_METRICS, "log_loss", *OWN_METRICS}


class Model:
    """A scikit-learn classifier as a Predictor; remembers the batches it was asked about."""

    def __init__(self, estimator: Any, uri: str = "models:/m/1") -> None:
        self.estimator, self.uri = estimator, uri
        self.columns: tuple[str, ...] | None = tuple(estimator.feature_names_in_)
        self.classes: tuple[Any, ...] | None = tuple(estimator.classes_)
        self.seen: list[pd.DataFrame] = []

    def predict(self, batch: pd.DataFrame) -> Any:
        self.seen.append(batch)
        return self.estimator.predict(batch[list(self.columns or ())])

    def predict_proba(self, batch: pd.DataFrame) -> Any:
        if not hasattr(self.estimator, "predict_proba"):
            return None
        return self.estimator.predict_proba(batch[list(self.columns or ())])


class Scripted:
    """A Predictor that answers what it is told, from the columns `said` and `p`."""

    uri = "models:/scripted/1"
    columns = None

    def __init__(self, classes: Sequence[Any] = (0, 1), predict: Any = None, proba: Any = None) -> None:
        self.classes: tuple[Any, ...] | None = tuple(classes)
        self._predict, self._proba = predict, proba

    def predict(self, batch: pd.DataFrame) -> Any:
        return self._predict(batch) if self._predict else batch["said"].to_numpy()

    def predict_proba(self, batch: pd.DataFrame) -> Any:
        if self._proba:
            return self._proba(batch)
        return np.column_stack([1 - batch["p"], batch["p"]]) if "p" in batch else None


def trained(estimator: Any, data: pd.DataFrame = TRAIN, uri: str = "models:/m/1") -> Model:
    return Model(estimator.fit(data[list(FEATURES)], data["target"]), uri)


def held(frame: Any = HELD_OUT, **roles: Any) -> DataSource:
    return DataSource(frame, label=roles.pop("label", "target"), **roles)


def measure(model: Any, data: DataSource, **options: Any) -> Measured:
    engine = MeasuringEngine(options.pop("batch_rows", None))
    return engine.measure(model, data, task=options.pop("task", "binary"), **options)


def find(measured: Measured, metric: str, of: str = CANDIDATE, **where: str) -> Measurement:
    found = [m for m in measured.measurements if (m.metric, m.of, dict(m.slice)) == (metric, of, where)]
    assert len(found) == 1, (metric, of, where)
    return found[0]


def script(labels: Any, said: Any = None, p: Any = None, **columns: Any) -> pd.DataFrame:
    frame = pd.DataFrame({"target": labels, "said": labels if said is None else said, **columns})
    return frame if p is None else frame.assign(p=p)


def expected_values(y: Any, predicted: Any, proba: Any, weights: Any = None) -> dict[str, float]:
    found = {name: metric(y, predicted, sample_weight=weights) for name, metric in LABEL_METRICS.items()}
    found |= {name: metric(y, proba[:, 1], sample_weight=weights) for name, metric in SCORE_METRICS.items()}
    found["log_loss"] = sk.log_loss(y, proba, sample_weight=weights)
    found["positive_rate"] = float(np.average(np.asarray(predicted) == 1, weights=weights))
    return found
