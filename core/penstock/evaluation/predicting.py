"""Asking a model about a batch, and checking that it answered about every row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from penstock.errors import InvalidValue, PenstockError, PredictionFailed
from penstock.evaluation.answers import Scores
from penstock.evaluation.labels import Classes, Codes, refuse_other_than_numbers, shown
from penstock.model.data import DataSource
from penstock.model.row_order import in_class_order, in_row_order
from penstock.ports import Predictor

# pandas 3 copies a frame's data when somebody writes to it, and hands out arrays that cannot be written to.
_COPIES_ON_WRITE = int(pd.__version__.split(".")[0]) >= 3


class GivenPredictions:
    """Predictions that the data brings with it, as a `Predictor`: the columns `prediction` and `scores`."""

    columns = None

    def __init__(self, data: DataSource, classes: tuple[Any, ...] | None = None) -> None:
        self._prediction = data.prediction
        self._scores = (data.scores,) if isinstance(data.scores, str) else data.scores
        self.classes = classes

    @property
    def uri(self) -> str:
        """The columns, for messages."""
        return f"column {self._prediction or ', '.join(self._scores or ())}"

    def predict(self, batch: pd.DataFrame) -> Any:
        """Return the column of predictions; without one, of scores: the most probable class, or the score itself."""
        if self._prediction is not None:
            return batch[self._prediction].to_numpy()
        scores = self._numbers(batch)
        if self.classes is None:
            return scores[:, 0] if scores.shape[1] == 1 else scores
        chosen = scores[:, 0] > 0.5 if scores.shape[1] == 1 else scores.argmax(axis=1)
        return np.array(self.classes)[chosen.astype(np.intp)]

    def predict_proba(self, batch: pd.DataFrame) -> Any | None:
        """Return the columns of scores; one column is that of the positive class."""
        if self._scores is None:
            return None
        scores = self._numbers(batch)
        return _of_two_classes(scores[:, 0]) if scores.shape[1] == 1 else scores

    def _numbers(self, batch: pd.DataFrame) -> NDArray[Any]:
        try:
            columns = [_numbers_in(batch[name]) for name in self._scores or ()]
        except (TypeError, ValueError) as error:
            raise InvalidValue("scores columns", str(error), "numbers") from error
        return columns[0][:, None] if len(columns) == 1 else np.column_stack(columns)


class FunctionPredictor:
    """A function of a batch of features as a `Predictor`: it returns one prediction per row."""

    columns = None

    def __init__(self, function: Callable[[pd.DataFrame], Any]) -> None:
        self.predict = function
        self.uri = f"function {getattr(function, '__qualname__', type(function).__name__)}"
        self.classes: tuple[Any, ...] | None = None

    def predict_proba(self, batch: pd.DataFrame) -> None:
        """None: a function gives predictions only."""
        return


def _of_two_classes(positive: NDArray[Any]) -> NDArray[Any]:
    both = np.empty((2, len(positive)), dtype=positive.dtype)
    np.subtract(1, positive, out=both[0])
    both[1] = positive
    return both.T


def _numbers_in(column: pd.Series[Any]) -> NDArray[Any]:
    refuse_other_than_numbers(column)
    if column.dtype in (np.float64, np.float32):
        return column.to_numpy()
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


class Respondent:
    """A model that is asked batch by batch. What it raises, or answers in the wrong shape, is `PredictionFailed`."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self.given = isinstance(predictor, GivenPredictions)
        self.isolated = bool(getattr(predictor, "isolated", False))
        self.most_probable = bool(getattr(predictor, "predicts_most_probable", False))

    @property
    def named(self) -> str:
        """The model, as a message names it."""
        return f"model {self.predictor.uri!r}"

    def check_features(self, batch: pd.DataFrame, excluded: frozenset[str]) -> None:
        """Raise `InvalidValue` if the model needs columns that the data does not offer as features."""
        missing = [c for c in self.predictor.columns or () if c not in batch.columns or c in excluded]
        if missing:
            hint = "".join(f"Column {c!r} is declared as label, id, weight or drop. " for c in missing if c in excluded)
            alike = {str(c).strip().casefold(): c for c in batch.columns if c not in excluded}
            near = [alike[c.strip().casefold()] for c in missing if c.strip().casefold() in alike]
            hint += "".join(f"There is {c!r}, which differs by case or by spaces around it. " for c in near)
            offered = ", ".join(str(c) for c in batch.columns if c not in excluded)
            raise InvalidValue(
                "data columns",
                f"no {shown(missing)}",
                f"the features of {self.named}",
                f"{hint}The features are: {offered}",
            )

    def numbers(self, features: pd.DataFrame, start: int, width: int = 1) -> NDArray[np.float64]:
        """Return its predictions as numbers, of shape (rows,), or (rows, width) for a width above 1."""
        rows = _rows(start, len(features))
        answer = self._ask(self.predictor.predict, features, rows)
        expected = (len(features),) if width == 1 else (len(features), width)
        if answer.shape != expected:
            raise self._shape(rows, "predict", answer, expected)
        return self._floats(answer, rows, "predictions").astype(np.float64)

    def classes(self, features: pd.DataFrame, start: int, classes: Classes) -> Codes:
        """Return its predicted classes as numbers, -1 for a null, of shape (rows,)."""
        rows = _rows(start, len(features))
        predicted = self._ask(self.predictor.predict, features, rows)
        if predicted.shape != (len(features),):
            raise self._shape(rows, "predict", predicted, (len(features),))
        codes, unknown = classes.encode(predicted)
        if unknown:
            raise self.failed(rows, f"it predicted {shown(unknown)}, not one of its classes {shown(classes.values)}")
        return codes

    def table(self, features: pd.DataFrame, start: int, width: int) -> NDArray[Any]:
        """Return its predictions of several labels, of shape (rows, width)."""
        rows = _rows(start, len(features))
        answer = self._ask(self.predictor.predict, features, rows)
        if answer.shape != (len(features), width):
            raise self._shape(rows, "predict", answer, (len(features), width))
        return answer

    def probabilities(self, features: pd.DataFrame, start: int, classes: int) -> Scores | None:
        """Return its probabilities in the order of its own classes, of shape (rows, classes); None if it has none."""
        rows = _rows(start, len(features))
        answer = self._ask(self._proba(rows), features, rows)
        if answer.shape == () and answer[()] is None:
            return None
        if answer.shape != (len(features), classes):
            raise self._shape(rows, "predict_proba", answer, (len(features), classes))
        return self._floats(answer, rows, "probabilities")

    def classes_and_probabilities(
        self, features: pd.DataFrame, start: int, classes: Classes, order: NDArray[np.intp]
    ) -> tuple[Codes, Scores | None]:
        """Return predicted classes and probabilities, `order` being the columns of the sorted classes.

        A model that is known to predict its most probable class (`predicts_most_probable`) is asked once: for its
        probabilities. Where the two highest are equal it is asked for the class of those rows too, as it is for all
        rows of the first batch, and if it then says anything else it is always asked.
        """
        proba = self.probabilities(features, start, len(classes))
        if proba is not None and not np.array_equal(order, np.arange(len(order))):
            proba = np.ascontiguousarray(proba[:, order])
        if proba is None or not self.most_probable:
            return self.classes(features, start, classes), proba
        codes = proba.argmax(axis=1).astype(np.int32)
        highest = proba[np.arange(len(codes)), codes]
        tied = np.count_nonzero(proba == highest[:, None], axis=1) != 1
        if start == 0:
            asked = self.classes(features, start, classes)
            self.most_probable = bool(((asked == codes) | tied).all())
            return asked, proba
        if tied.any():
            codes[tied] = self.classes(features[tied], start, classes)
        return codes, proba

    def check_determinism(self, features: pd.DataFrame) -> None:
        """Ask twice about the same rows; `PredictionFailed` if the answers differ at all."""
        rows = _rows(0, len(features))
        for question in (self.predictor.predict, self._proba(rows)):
            one, other = (self._ask(question, features, rows) for _ in range(2))
            if one.shape != other.shape:
                raise self.failed(
                    rows, f"two evaluations differ: its answers have shapes {one.shape} and {other.shape}"
                )
            if one.shape == ():
                continue  # it gives no probabilities
            differs = ~((one == other) | ((one != one) & (other != other)))
            if count := int(differs.reshape(len(differs), -1).any(axis=1).sum()):
                by = f" by up to {np.abs(one - other)[differs].max():.2g}" if one.dtype.kind in "iuf" else ""
                cause = f"two evaluations differ{by}, in {count} of {len(features)} rows"
                raise self.failed(rows, f"{cause}: it is random, or remembers what it was asked before")

    def _proba(self, rows: str) -> Callable[[pd.DataFrame], Any]:
        """Return how it is asked for probabilities in the order of its own classes."""

        def ask(features: pd.DataFrame) -> Any:
            answer, problem = in_class_order(self.predictor.predict_proba(features), self.predictor.classes)
            if problem:
                raise self.failed(rows, problem)
            return answer

        return ask

    def _ask(self, question: Callable[[Any], Any], features: pd.DataFrame, rows: str) -> NDArray[Any]:
        try:
            # What a model does to its input, or to NumPy's ways with overflows, must reach neither us nor the others.
            with np.errstate():
                own = features if self.given else features.copy(deep=not _COPIES_ON_WRITE)
                return np.asarray(in_row_order(question(own), features))
        except PredictionFailed as error:  # from a process of its own, which does not know which rows these are
            raise self.failed(rows, error.cause) from error
        except PenstockError:
            raise
        except Exception as error:  # whatever a model raises is that model's failure
            raise self.failed(rows, f"{type(error).__name__}: {error}") from error

    def _floats(self, answer: NDArray[Any], rows: str, what: str) -> Scores:
        try:
            refuse_other_than_numbers(answer)
            return np.asarray(answer, dtype=np.float32 if answer.dtype == np.float32 else np.float64)
        except (TypeError, ValueError) as error:
            raise self.failed(rows, f"its {what} are not numbers: {error}") from error

    def _shape(self, rows: str, method: str, answer: NDArray[Any], expected: tuple[int, ...]) -> PredictionFailed:
        if answer.ndim == 0:
            cause = f"one value of type {type(answer[()]).__name__} for {expected[0]} rows"
        elif answer.shape[1:] == expected[1:]:
            cause = f"{len(answer)} values for {expected[0]} rows"
        else:
            cause = f"an array of shape {answer.shape}, not {expected}"
        return self.failed(rows, f"{method} returned {cause}")

    def failed(self, rows: str, cause: str) -> PredictionFailed:
        """Return the failure of this model on `rows`."""
        return PredictionFailed(self.predictor.uri, rows, cause)


def _rows(start: int, count: int) -> str:
    return f"{start}–{start + count - 1}"
