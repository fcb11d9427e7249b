"""Rows with what the models said about them: what every accumulator of the engine is fed with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Scores = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Answers:
    """One model's answers, one per row.

    `predicted`: the class's number or -1 for a null (binary, multiclass), the number itself (regression, ranking:
    the score to rank by), of shape (rows, levels) or (rows, labels) for quantiles and several labels.
    `scores`: the probability of the positive class (rows,), or of each class or label (rows, classes), in the model's
    own precision; None for a model without probabilities.
    `losses`: minus the natural logarithm of the probability of the true class; None without probabilities.
    """

    predicted: NDArray[Any]
    scores: Scores | None = None
    losses: Floats | None = None


@dataclass(frozen=True)
class JudgedRows:
    """A batch: the truth, weights (None: all rows count once) and each model's answers by role.

    `truth` is a class's number, a number, or a table (rows, labels) of 0 and 1. `groups` and `ids` are the data's
    group and id columns, where it has them: clusters and seeds of a bootstrap, queries of a ranking. Without ids a
    bootstrap knows rows by their number, `first` being the batch's, in their file, and by what that begins with,
    `source`.
    """

    truth: NDArray[Any]
    weights: Floats | None
    answers: Mapping[str, Answers]
    source: str = ""
    first: int = 0
    groups: NDArray[Any] | None = None
    ids: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.truth)
