"""A loaded scikit-learn model as a `Predictor`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from penstock.errors import InvalidValue, PredictionFailed
from penstock.model.row_order import in_class_order, in_row_order

# Their `predict` takes the argmax of `predict_proba` (of its logarithm, or of what it is a monotone function of).
_MOST_PROBABLE = frozenset(
    {
        "DecisionTreeClassifier",
        "ExtraTreesClassifier",
        "GaussianNB",
        "HistGradientBoostingClassifier",
        "LogisticRegression",
        "RandomForestClassifier",
    }
)


class SklearnPredictor:
    """Predicts batches with a fitted estimator, and trusts nothing about its manners.

    Columns are taken by name in the order of `columns` (by default the names the estimator was fitted with), each call
    works on a copy, whatever the estimator raises becomes `PredictionFailed`, and its answer's shape is checked.
    """

    def __init__(self, estimator: Any, uri: str, columns: Sequence[str] | None = None) -> None:
        self._estimator = estimator
        self._uri = uri
        self._columns = tuple(columns) if columns is not None else feature_names(estimator)

    def __repr__(self) -> str:
        return f"SklearnPredictor({type(self._estimator).__name__}, {self._uri!r})"

    @property
    def uri(self) -> str:
        """What it was loaded from, for messages."""
        return self._uri

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The feature columns, in order; None if neither the signature nor the estimator names them."""
        return self._columns

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """The class labels in the order of `predict_proba`'s columns; None if it is not a classifier."""
        classes = getattr(self._estimator, "classes_", None)
        return tuple(classes.tolist()) if isinstance(classes, np.ndarray) else None

    @property
    def predicts_most_probable(self) -> bool:
        """Whether `predict` is known to answer with the most probable class, ties aside: by the estimator's type.

        Not so for thresholded classifiers, support vector machines and whatever is not listed.
        """
        steps = getattr(self._estimator, "steps", None)
        last = steps[-1][1] if steps else self._estimator
        own = all(type(part).__module__.startswith("sklearn.") for part in (self._estimator, last))
        return own and type(last).__name__ in _MOST_PROBABLE

    def predict(self, batch: pd.DataFrame) -> np.ndarray[Any, Any]:
        """Return one prediction per row of `batch` (rows, any columns), as an array of shape (rows,).

        `InvalidValue` names a missing column; `PredictionFailed` says how the model failed.
        """
        answer = self._ask("predict", batch)
        return answer[:, 0] if answer.ndim == 2 and answer.shape[1] == 1 else self._checked("predict", answer, batch, 1)

    def predict_proba(self, batch: pd.DataFrame) -> np.ndarray[Any, Any] | None:
        """Return class probabilities as an array of shape (rows, classes); None if the model has none."""
        if not hasattr(self._estimator, "predict_proba"):
            return None
        return self._checked("predict_proba", self._ask("predict_proba", batch), batch, 2)

    def _ask(self, method: str, batch: pd.DataFrame) -> np.ndarray[Any, Any]:
        features = self._features(batch)
        try:
            given = in_row_order(getattr(self._estimator, method)(features), batch)
            given, problem = in_class_order(given, self.classes if method == "predict_proba" else None)
            answer = np.asarray(given)
        except Exception as error:  # an estimator may raise anything
            raise PredictionFailed(self._uri, _rows(batch), f"{type(error).__name__}: {str(error)[:500]}") from error
        if problem:
            raise PredictionFailed(self._uri, _rows(batch), problem)
        if answer.ndim and len(answer) != len(batch):
            raise PredictionFailed(
                self._uri, _rows(batch), f"{method} returned {len(answer)} values for {len(batch)} rows"
            )
        return answer

    def _features(self, batch: pd.DataFrame) -> Any:
        if not isinstance(batch, pd.DataFrame):
            raise InvalidValue("batch", type(batch).__name__, "a pandas DataFrame")
        if self._columns is None:
            # An estimator that knows how many features it has but not their names was fitted on an array, and warns
            # at every batch when it is given names.
            fitted_on_array = getattr(self._estimator, "n_features_in_", None) is not None
            return np.array(batch.to_numpy(), order="C") if fitted_on_array else batch.copy()
        missing = [column for column in self._columns if column not in batch.columns]
        if missing:
            raise InvalidValue(
                f"features of model {self._uri!r}", list(batch.columns), f"columns that include {missing!r}"
            )
        return batch.loc[:, list(self._columns)].copy()

    def _checked(
        self, method: str, answer: np.ndarray[Any, Any], batch: pd.DataFrame, dimensions: int
    ) -> np.ndarray[Any, Any]:
        classes = len(self.classes) if self.classes is not None and dimensions == 2 else None
        if answer.ndim != dimensions or (classes is not None and answer.shape[1] != classes):
            expected = "(rows,)" if dimensions == 1 else f"(rows, {'classes' if classes is None else classes})"
            raise PredictionFailed(
                self._uri, _rows(batch), f"{method} returned an array of shape {answer.shape}, not {expected}"
            )
        return answer


def feature_names(estimator: Any) -> tuple[str, ...] | None:
    """Return the feature names `estimator` was fitted with; None if it was fitted on an array or not at all."""
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else tuple(str(name) for name in names)


def _rows(batch: pd.DataFrame) -> str:
    return f"{batch.index[0]}..{batch.index[-1]}" if len(batch) else "(none)"
