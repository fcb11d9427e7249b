"""The search for the worst slices as part of an evaluation: which loss each row has, and what is recorded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from penstock.errors import InvalidValue
from penstock.evaluation.answers import JudgedRows
from penstock.evaluation.slice_search import ALPHA, SearchedSlice, SliceSearch
from penstock.evaluation.tasks.task import Settings
from penstock.model.evaluations import BASELINE

MIN_ROWS = 100
_MOST_SHOWN = 50
_CLASSES = ("binary", "multiclass")
_METRICS = {"binary": "accuracy", "multiclass": "accuracy", "regression": "mean_absolute_error"}


class Searching:
    """The state of a search by the columns in `settings.search_slices`: `update`, `merge`, then `result`.

    Classes are searched by who was right on which rows, numbers by their absolute error. `InvalidValue` for a type of
    task that has neither.
    """

    def __init__(self, settings: Settings, min_rows: int) -> None:
        if settings.task not in _METRICS:
            raise InvalidValue("search_slices", f"a {settings.task} task", f"one of {', '.join(_METRICS)}")
        self._settings, self._min_rows = settings, max(min_rows, MIN_ROWS if min_rows == 1 else 1)
        self._hits = settings.task in _CLASSES and not settings.weighted
        self._search = SliceSearch(settings.search_slices, settings.of, hits=self._hits, weighted=settings.weighted)

    def update(self, batch: pd.DataFrame, rows: JudgedRows) -> None:
        """Add a batch and what the models said about it."""
        losses: dict[str, NDArray[Any]] = {}
        for of, answers in rows.answers.items():
            if self._settings.task in _CLASSES:
                right = answers.predicted == rows.truth
                losses[of] = right if self._hits else 1.0 - right
            else:
                losses[of] = np.abs(answers.predicted.astype(np.float64) - rows.truth)
        self._search.update(batch, losses, rows.weights)

    def merge(self, other: Searching) -> None:
        """Add the rows of another part."""
        self._search.merge(other._search)

    def result(self) -> dict[str, Any]:
        """Return the worst slices as plain JSON; `value` and `interval` of an accuracy where classes are predicted."""
        found = self._search.result(min_rows=self._min_rows)
        return {
            "metric": _METRICS[self._settings.task],
            "compared_with": BASELINE if BASELINE in self._settings.of else "all rows",
            "columns": list(self._settings.search_slices),
            "alpha": ALPHA,
            "min_rows": self._min_rows,
            "searched": len(found.slices),
            "too_small": found.too_small,
            "not_searched": [list(cut) for cut in found.not_searched],
            "harmed": sum(one.harmed for one in found.slices),
            "slices": [self._shown(one) for one in found.slices[:_MOST_SHOWN]],
        }

    def _shown(self, one: SearchedSlice) -> dict[str, Any]:
        # What is summed of weighted rows is who was wrong; what is shown is accuracy.
        turned = self._settings.task in _CLASSES and not self._hits
        value, reference = (1 - number if turned else number for number in (one.value, one.reference))
        interval = None if one.interval is None else [one.interval.lower, one.interval.upper]
        if interval is not None and turned:
            interval = [1 - interval[1], 1 - interval[0]]
        return {
            "slice": dict(one.slice),
            "rows": one.rows,
            "value": _finite(value),
            "interval": interval,
            "reference": _finite(reference),
            "difference": _finite(value - reference),
            "p_value": one.p_value,
            "adjusted": one.adjusted,
            "harmed": one.harmed,
        }

    def pack(self) -> dict[str, Any]:
        """Return the state as arrays and plain JSON."""
        return self._search.pack()

    def unpack(self, packed: Mapping[str, Any]) -> None:
        """Take the state of `pack`."""
        self._search.unpack(packed)


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
