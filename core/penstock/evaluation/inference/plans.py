"""What the bootstrap of each type of task counts, and which metrics follow from it.

Not there, as nothing reliable can be said about their spread: max error, calibration error, Kolmogorov-Smirnov, and
whatever chooses a threshold on the rows it is measured on. Rankings and predicted quantiles need no bootstrap: their
metrics are means over queries and rows.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.evaluation.answers import JudgedRows
from penstock.evaluation.inference import replicates
from penstock.evaluation.inference.bootstrap import MOST_BINS, Bootstrap, Floats
from penstock.evaluation.tasks.task import Settings
from penstock.model.metrics import read_name
from penstock.statistics.bounds import FEWEST_OF_A_CLASS

_MOST_SCORED = 10  # classes whose scores are kept one by one
_WHATEVER_THE_CLASS = ("accuracy", "positive_rate", "cost")
_MOST_CLASSES = 50  # classes of which every pair is counted


class Plan(ABC):
    """What is counted of a batch, and the replicates of a metric."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @abstractmethod
    def state(self, count: int, sliced_sums: bool) -> Bootstrap:
        """Return an empty state of `count` replicates."""

    @abstractmethod
    def counted(self, rows: JudgedRows) -> Mapping[str, Any]:
        """Return what `Bootstrap.update` takes of a batch."""

    @abstractmethod
    def replicates(self, state: Bootstrap, metric: str, of: str, group: int) -> Floats | None:
        """Return a metric's replicates, NaN where undefined; None for one that has none."""


class ClassPlan(Plan):
    """Binary and multiclass: confusion matrices, mean losses, and scores of each class against the rest."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._size = len(settings.classes)
        self._scored = [1] if self._size == 2 else list(range(self._size)) if self._size <= _MOST_SCORED else []

    def state(self, count: int, sliced_sums: bool) -> Bootstrap:
        """Return an empty state of `count` replicates."""
        of = self.settings.of
        losses = [f"{model} {loss}" for model in of for loss in ("log_loss", "brier_score")]
        scored = [f"{model} {kind}" for model in of for kind in self._scored]
        bins = MOST_BINS // max(1, len(self._scored) // 2)
        cells = dict.fromkeys(of, self._size**2)
        return Bootstrap(cells, losses, scored, replicates=count, sliced_sums=sliced_sums, most_bins=bins)

    def counted(self, rows: JudgedRows) -> Mapping[str, Any]:
        """Return cells, losses and scores of a batch."""
        truth = rows.truth.astype(np.intp)
        nothing = np.full(len(rows), math.nan)
        cells, sums, scores = {}, {}, {}
        for model, answers in rows.answers.items():
            cells[model] = np.where(answers.predicted < 0, -1, truth * self._size + answers.predicted)
            proba = answers.scores
            sums[f"{model} log_loss"] = nothing if answers.losses is None else answers.losses
            sums[f"{model} brier_score"] = nothing if proba is None else _brier(proba, truth)
            for kind in self._scored:
                score = nothing if proba is None else proba if proba.ndim == 1 else proba[:, kind]
                scores[f"{model} {kind}"] = score, (truth == kind).astype(np.intp)
        return {"cells": cells, "sums": sums, "scores": scores}

    def replicates(self, state: Bootstrap, metric: str, of: str, group: int) -> Floats | None:
        """Return a metric's replicates."""
        if metric in ("log_loss", "brier_score"):
            return _mean(state, f"{of} {metric}", group)
        counts = state.cells(of, group).reshape(self._size, self._size, -1)
        if metric not in _WHATEVER_THE_CLASS and self._rarest(counts) < FEWEST_OF_A_CLASS:
            return None  # as few differ too much from one draw to the next
        parts = read_name(metric)
        if parts.base.startswith(("roc_auc", "average_precision")):
            return None if group or parts.cut is not None else self._of_scores(state, parts.base, parts.class_, of)
        if parts.base in ("lift", "gain") and parts.cut is not None and self._size == 2 and not group:
            share = replicates.gain(state.scores(f"{of} 1"), parts.cut)
            return share / parts.cut if parts.base == "lift" else share
        if parts.cut is not None or "best_threshold" in metric:
            return None
        if metric == "cost" and self.settings.cost is not None:
            cost = np.array(self.settings.cost)[:, :, None]
            return replicates.mean((cost * counts).sum(axis=(0, 1)), counts.sum(axis=(0, 1)))
        place = None if parts.class_ is None else self._place(parts.class_)
        if parts.class_ is not None and place is None:
            return None
        return replicates.of_confusion(counts, parts.base, place, parts.number)

    def _of_scores(self, state: Bootstrap, base: str, class_: str | None, of: str) -> Floats | None:
        metric = replicates.roc_auc if base.startswith("roc_auc") else replicates.average_precision
        if not self._scored or "ovo" in base or base.endswith(("_micro", "_samples")):
            return None
        if self._size == 2:
            return metric(state.scores(f"{of} 1")) if class_ is None else None
        if class_ is not None:
            place = self._place(class_)
            return None if place is None else metric(state.scores(f"{of} {place}"))
        each = np.stack([metric(state.scores(f"{of} {kind}")) for kind in self._scored])
        if not base.endswith("_weighted"):
            found: Floats = each.mean(axis=0)
            return found
        support = np.stack([state.scores(f"{of} {kind}")[:, 1].sum(axis=0) for kind in self._scored])
        return replicates.mean((each * support).sum(axis=0), support.sum(axis=0))

    def _rarest(self, counts: Floats) -> float:
        """Return about how many rows the rarest class has: the mean of the replicates; weights tell no rows."""
        return math.inf if self.settings.weighted else float(counts.sum(axis=1).mean(axis=1).min())

    def _place(self, class_: str) -> int | None:
        names = [str(value) for value in self.settings.classes]
        return names.index(class_) if class_ in names else None


class RegressionPlan(Plan):
    """Sums of labels and errors in every group, and the sizes of errors over all rows for their quantiles."""

    def state(self, count: int, sliced_sums: bool) -> Bootstrap:
        """Return an empty state of `count` replicates."""
        errors = [f"{model} {kind}" for model in self.settings.of for kind in ("e", "e²", "|e|")]
        sizes = [f"{model} |e|" for model in self.settings.of]
        return Bootstrap({}, ["y", "y²", *errors], sizes, kinds=1, replicates=count, sliced_sums=True)

    def counted(self, rows: JudgedRows) -> Mapping[str, Any]:
        """Return labels, errors and their squares."""
        y = rows.truth.astype(np.float64)
        sums: dict[str, NDArray[Any]] = {"y": y, "y²": y * y}
        scores, one_kind = {}, np.zeros(len(rows), dtype=np.intp)
        for model, answers in rows.answers.items():
            with np.errstate(over="ignore", invalid="ignore"):
                error = answers.predicted.astype(np.float64) - y
                size = np.abs(error)
                sums |= {f"{model} e": error, f"{model} e²": error * error, f"{model} |e|": size}
                scores[f"{model} |e|"] = size, one_kind
        return {"sums": sums, "scores": scores}

    def replicates(self, state: Bootstrap, metric: str, of: str, group: int) -> Floats | None:
        """Return a metric's replicates."""
        means = {"mean_absolute_error": "|e|", "mean_squared_error": "e²", "mean_error": "e"}
        if metric in means:
            return _mean(state, f"{of} {means[metric]}", group)
        if metric == "root_mean_squared_error":
            mean = _mean(state, f"{of} e²", group)
            return None if mean is None else np.sqrt(mean)
        level = 0.5 if metric == "median_absolute_error" else read_name(metric).number
        if metric == "median_absolute_error" or metric.startswith("absolute_error_quantile_"):
            name = f"{of} |e|"
            return None if group or level is None else replicates.quantile(state.scores(name), state.edges(name), level)
        if metric not in ("r2", "explained_variance") or (group and not state.sliced_sums):
            return None
        rows, squares = state.sums(group=group), state.sums(f"{of} e²", group)
        if metric == "explained_variance":
            squares = squares - replicates.mean(state.sums(f"{of} e", group) ** 2, rows)
        return replicates.r2(rows, state.sums("y", group), state.sums("y²", group), squares)


PLANS: Mapping[str, type[Plan]] = {"binary": ClassPlan, "multiclass": ClassPlan, "regression": RegressionPlan}


def plan_of(settings: Settings) -> Plan | None:
    """Return how a task is bootstrapped; None for one that needs none, or has too many classes."""
    kind = PLANS.get(settings.task)
    return None if kind is None or len(settings.classes) > _MOST_CLASSES else kind(settings)


def _mean(state: Bootstrap, name: str, group: int) -> Floats | None:
    if group and not state.sliced_sums:
        return None
    return replicates.mean(state.sums(name, group), state.sums(group=group))


def _brier(proba: NDArray[np.floating[Any]], truth: NDArray[np.intp]) -> Floats:
    apart = proba.astype(np.float64)
    if proba.ndim == 1:
        return (apart - truth) ** 2
    apart[np.arange(len(truth)), truth] -= 1.0
    found: Floats = np.einsum("ij,ij->i", apart, apart) / 2
    return found
