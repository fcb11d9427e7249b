"""Rows with what the models said about them: what every accumulator of the engine is fed with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.evaluation.labels import Codes

Floats = NDArray[np.float64]
Scores = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Answers:
    """One model's answers, one per row.

    `predicted` is 0, 1 or -1 where the model answered with a null. `scores` is the probability of the positive class
    in the model's own precision; `losses` is minus the natural logarithm of the probability of the true class. Both
    are None for a model without probabilities.
    """

    predicted: Codes
    scores: Scores | None
    losses: Floats | None


@dataclass(frozen=True)
class JudgedRows:
    """True labels (0 or 1), weights (None: all rows count once) and each model's answers by role."""

    labels: Codes
    weights: Floats | None
    answers: Mapping[str, Answers]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: slice | NDArray[np.intp]) -> JudgedRows:
        """Return the chosen rows."""
        return JudgedRows(
            self.labels[rows],
            None if self.weights is None else self.weights[rows],
            {
                of: Answers(
                    a.predicted[rows],
                    None if a.scores is None else a.scores[rows],
                    None if a.losses is None else a.losses[rows],
                )
                for of, a in self.answers.items()
            },
        )

    @classmethod
    def concatenate(cls, parts: Sequence[JudgedRows]) -> JudgedRows:
        """Return the rows of all parts, which were answered by the same models."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([p.labels for p in parts]),
            _concatenate([p.weights for p in parts]),
            {
                of: Answers(
                    np.concatenate([p.answers[of].predicted for p in parts]),
                    _concatenate([p.answers[of].scores for p in parts]),
                    _concatenate([p.answers[of].losses for p in parts]),
                )
                for of in parts[0].answers
            },
        )


def _concatenate(arrays: Sequence[NDArray[Any] | None]) -> Any:
    present = [array for array in arrays if array is not None]
    return np.concatenate(present) if present and len(present) == len(arrays) else None
