"""Asking a model about a batch, and checking that it answered about every row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from penstock.errors import InvalidValue, PenstockError, PredictionFailed
from penstock.evaluation.answers import Answers, Floats, Scores
from penstock.evaluation.labels import ClassPair, Codes, classes_of, encode, shown
from penstock.ports import Predictor


class Respondent:
    """A classifier of two classes that is asked batch by batch. `InvalidValue` for any other model."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self.pair: ClassPair = classes_of(predictor)
        order = [self.pair.find(c) for c in predictor.classes or ()]
        self._columns = [order.index(0), order.index(1)]

    def check_features(self, batch: pd.DataFrame, excluded: frozenset[str]) -> None:
        """Raise `InvalidValue` if the model needs columns that the data does not offer as features."""
        missing = [c for c in self.predictor.columns or () if c not in batch.columns or c in excluded]
        if missing:
            hint = "".join(f"Column {c!r} is declared as label, id, weight or drop. " for c in missing if c in excluded)
            offered = ", ".join(str(c) for c in batch.columns if c not in excluded)
            expected = f"the features of model {self.predictor.uri!r}"
            raise InvalidValue("data columns", f"no {shown(missing)}", expected, f"{hint}The features are: {offered}")

    def answer(self, features: pd.DataFrame, labels: Codes, start: int) -> Answers:
        """Return the model's answers about a batch whose first row is row `start` of the data.

        The model gets a copy: what it does to its input cannot reach the data or the other model.
        """
        rows = f"{start}–{start + len(features) - 1}"
        predicted = self._ask(self.predictor.predict, features, rows)
        if predicted.shape != labels.shape:
            raise self._failed(rows, f"it answered with shape {predicted.shape}, expected ({len(labels)},)")
        codes, unknown = encode(predicted, self.pair)
        if unknown:
            raise self._failed(rows, f"it predicted {shown(unknown)}, not one of its classes {shown(self.pair)}")
        proba = self._ask(self.predictor.predict_proba, features, rows)
        if proba.shape == () and proba[()] is None:
            return Answers(codes, None, None)
        if proba.shape != (len(labels), 2):
            raise self._failed(rows, f"its probabilities have shape {proba.shape}, expected ({len(labels)}, 2)")
        try:
            numbers: Scores = np.asarray(proba, dtype=np.float32 if proba.dtype == np.float32 else np.float64)
        except (TypeError, ValueError) as error:
            raise self._failed(rows, f"its probabilities are not numbers: {error}") from error
        numbers = numbers[:, self._columns]
        return Answers(codes, np.ascontiguousarray(numbers[:, 1]), _losses(numbers, labels))

    def _ask(self, question: Callable[[Any], Any], features: pd.DataFrame, rows: str) -> NDArray[Any]:
        try:
            return np.asarray(question(features.copy()))
        except PenstockError:
            raise
        except Exception as error:  # whatever a model raises is that model's failure
            raise self._failed(rows, f"{type(error).__name__}: {error}") from error

    def _failed(self, rows: str, cause: str) -> PredictionFailed:
        return PredictionFailed(self.predictor.uri, rows, cause)


def _losses(proba: Scores, labels: Codes) -> Floats:
    """Return -log of the probability given to each row's true class, clipped as scikit-learn's `log_loss` clips it.

    It is taken from that class's own column: 1 - p of the other has lost its last digits where p is close to 1.
    """
    true_class = proba[np.arange(len(labels)), labels]
    tiny = np.finfo(proba.dtype).eps
    losses: Floats = -np.log(np.clip(true_class, tiny, 1 - tiny).astype(np.float64))
    losses[~np.isfinite(true_class)] = np.nan
    return losses
