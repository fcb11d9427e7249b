"""Quantile regression: a model that answers with one quantile of the label, or with several."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from penstock.evaluation.answers import Answers, Floats, JudgedRows
from penstock.evaluation.state.groups import GroupCodes
from penstock.evaluation.tasks.losses import LossMeans
from penstock.evaluation.tasks.regression import numbers_in
from penstock.evaluation.tasks.task import Found, Settings, Task, TaskState


class QuantileTask(Task):
    """One column of predictions for each level, in ascending order of the levels."""

    def judge(self, batch: pd.DataFrame, start: int) -> JudgedRows:
        """Ask each model for its quantiles."""
        question, width = self.question, len(self.settings.levels)
        truth, beside = numbers_in(batch, question.label), question.beside(batch)
        features = question.features(batch, start)
        answers = question.ask(
            lambda _, model: Answers(model.numbers(features, start, width).reshape(len(batch), width))
        )
        return JudgedRows(truth, answers=answers, **beside)


class QuantileState(TaskState):
    """Means of pinball losses, of how often a label is at or below each quantile, and of the interval they span."""

    @staticmethod
    def measures(name: str) -> bool:
        """Whether a metric is one of this task: there are none beside those of the levels it is asked with."""
        del name
        return False

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        losses = [f"pinball_loss_{level:g}" for level in settings.levels] + ["pinball_loss"]
        losses += [f"quantile_coverage_{level:g}" for level in settings.levels]
        if len(settings.levels) > 1:
            losses += ["interval_coverage", "interval_width", "quantile_crossing_rate"]
        self._losses = LossMeans(settings.of, losses, settings.weighted)
        self.parts = {"losses": self._losses}

    def update(self, rows: JudgedRows, groups: GroupCodes) -> None:
        """Add a batch."""
        values = {model: self._of(answers.predicted, rows.truth) for model, answers in rows.answers.items()}
        self._losses.update(values, rows.weights, groups)

    def _of(self, quantiles: NDArray[np.float64], y: Floats) -> dict[str, Floats]:
        found: dict[str, Floats] = {}
        unknown = ~np.isfinite(quantiles).all(axis=1)
        with np.errstate(invalid="ignore"):
            for place, level in enumerate(self.settings.levels):
                below = y - quantiles[:, place]
                found[f"pinball_loss_{level:g}"] = np.where(below >= 0, level * below, (level - 1) * below)
                found[f"quantile_coverage_{level:g}"] = (below <= 0).astype(np.float64)
            losses = [found[f"pinball_loss_{level:g}"] for level in self.settings.levels]
            found["pinball_loss"] = np.asarray(np.stack(losses).mean(axis=0))
            if len(losses) > 1:
                low, high = quantiles[:, 0], quantiles[:, -1]
                found["interval_coverage"] = ((low <= y) & (y <= high)).astype(np.float64)
                found["interval_width"] = high - low
                found["quantile_crossing_rate"] = np.asarray(
                    (np.diff(quantiles, axis=1) < 0).any(axis=1), dtype=np.float64
                )
        if unknown.any():
            for values in found.values():
                values[unknown] = np.nan
        return found

    def rows(self) -> NDArray[np.int64]:
        """Return the rows of each group."""
        return self._losses.rows

    def measure(self) -> Iterator[tuple[int, str, Found]]:
        """Yield every metric of every model in every group: all are means over rows."""
        rows = self.rows()
        for model in self.settings.of:
            for metric in self._losses.losses:
                means, lost = self._losses.means(model, metric), self._losses.lost(model, metric)
                stats: list[dict[str, Any]] = self._losses.stats(model, metric)
                for group in np.flatnonzero(rows).tolist():
                    if lost[group]:
                        cause = f"{int(lost[group])} of {int(rows[group])} predictions are not finite"
                        yield group, model, Found(metric, math.nan, cause)
                    elif math.isnan(means[group]):
                        yield group, model, Found(metric, None, "the weights sum to 0")
                    else:
                        yield group, model, Found(metric, float(means[group]), "", stats[group])
