"""What binary and multiclass classification have in common: classes, losses of probabilities, calibration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import InvalidValue
from penstock.evaluation.answers import Floats, Scores
from penstock.evaluation.labels import Classes, same_kind
from penstock.evaluation.predicting import Respondent
from penstock.evaluation.scores import CALIBRATION_BINS
from penstock.evaluation.state.counts import CellCounts, UnitSums
from penstock.evaluation.state.groups import GroupCodes
from penstock.evaluation.tasks.task import Question
from penstock.model.evaluations import BASELINE, CANDIDATE

_EDGES = np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)
_CHUNK = 16_384  # rows whose losses stay in the processor's cache


def classes_of(question: Question, task: str) -> tuple[Classes, Mapping[str, NDArray[np.intp]]]:
    """Return the classes, sorted, and of each model the columns of its probabilities in that order.

    `InvalidValue` if a model is no classifier, or the baseline's classes are not the candidate's.
    """
    candidate = question.asked[CANDIDATE]
    values = tuple(candidate.predictor.classes or ())
    fits = len(values) == 2 if task == "binary" else len(values) >= 2
    if not fits or not same_kind(values):
        given = "no classes" if candidate.predictor.classes is None else list(values)
        expected = "a classifier of two classes" if task == "binary" else "a classifier"
        raise InvalidValue(candidate.named, given, expected, f"Asked for was task={task!r}")
    classes = Classes(values)
    orders = {of: _order(respondent, classes) for of, respondent in question.asked.items()}
    return classes, orders


def _order(respondent: Respondent, classes: Classes) -> NDArray[np.intp]:
    own = [classes.find(value) for value in respondent.predictor.classes or ()]
    if sorted(code for code in own if code is not None) != list(range(len(classes))) or len(own) != len(classes):
        expected = f"a {BASELINE} with the candidate's classes {list(classes.values)}"
        raise InvalidValue(respondent.named, list(respondent.predictor.classes or ()), expected)
    return np.array([own.index(code) for code in range(len(classes))], dtype=np.intp)


def log_losses(proba: Scores, labels: NDArray[np.integer[Any]]) -> Floats:
    """Return -log of the probability given to each row's true class, clipped as scikit-learn's `log_loss` clips it.

    It is taken from that class's own column: 1 - p of the other has lost its last digits where p is close to 1.
    """
    tiny = np.finfo(proba.dtype).eps
    losses = np.empty(len(proba))
    for start in range(0, len(proba), _CHUNK):
        part = slice(start, start + _CHUNK)
        of_rows, true = proba[part], labels[part]
        if proba.shape[1] == 2:
            chosen = np.where(true == 1, of_rows[:, 1], of_rows[:, 0])
        else:
            chosen = of_rows[np.arange(len(true)), true]
        here = losses[part]
        np.clip(chosen, tiny, 1 - tiny, out=here)
        np.log(here, out=here)
        np.negative(here, out=here)
        if not (chosen.min() > -np.inf and chosen.max() < np.inf):
            here[~np.isfinite(chosen)] = np.nan
    return losses


def ranks_of(proba: Scores, truth: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return how many classes come before the true one; of equal scores the later class does, as in scikit-learn."""
    own = proba[np.arange(len(truth)), truth][:, None]
    later = np.arange(proba.shape[1])[None, :] > truth[:, None]
    found: NDArray[np.intp] = np.count_nonzero((proba > own) | ((proba == own) & later), axis=1)
    return found


class Calibration:
    """The calibration of the most probable class, where scores are not kept by confidence.

    Rows, mean confidence and rate of being right in ten bins of confidence, each a tenth wide, by group.
    """

    def __init__(self, weighted: bool) -> None:
        self._weighted = weighted
        self._confidence = UnitSums(CALIBRATION_BINS, weighted)
        self._right = CellCounts(2 * CALIBRATION_BINS, weighted)  # wrong and right, bin by bin

    def update(self, confidence: Scores, right: NDArray[Any], weights: Floats | None, groups: GroupCodes) -> None:
        """Add rows; those whose confidence is no probability are left out (the caller makes the metric undefined)."""
        values = confidence.astype(np.float64, copy=False)
        if not (values.min() >= 0.0 and values.max() <= 1.0):
            values = np.fmin(np.fmax(values, 0.0), 1.0)  # NaN is 0
        bins = (values * CALIBRATION_BINS).astype(np.intp)
        bins -= (values <= _EDGES[bins]) & (bins > 0)  # an edge belongs to the bin below: scikit-learn's bins
        self._confidence.update(bins, values, weights, groups)
        bins *= 2
        bins += right
        self._right.update(bins, weights, groups)

    def error(self, totals: NDArray[Any]) -> Floats:
        """Return the expected calibration error of each group, Σ (weight of bin / all) |mean confidence − rate|.

        Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015.
        """
        gaps = np.abs(self._confidence.total() - self._right.weight[:, 1::2]).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Floats = gaps / totals
        return found

    def merge(self, other: Calibration, places: NDArray[np.intp], size: int) -> None:
        """Add another's rows."""
        self._confidence.merge(other._confidence, places, size)
        self._right.merge(other._right, places, size)

    def pack(self) -> dict[str, Any]:
        """Return the state as arrays."""
        return {"confidence": self._confidence.pack(), "right": self._right.pack()}

    def unpack(self, packed: Mapping[str, Any]) -> None:
        """Take the state of `pack`."""
        self._confidence.unpack(packed["confidence"])
        self._right.unpack(packed["right"])
