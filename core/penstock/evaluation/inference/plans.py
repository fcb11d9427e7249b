"""What the bootstrap of each type of task counts, and which metrics follow from it.

Not there, as nothing reliable can be said about their spread: max error, calibration error, Kolmogorov-Smirnov, and
whatever chooses a threshold on the rows it is measured on. Rankings and predicted quantiles need no bootstrap: their
metrics are means over queries and rows.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.evaluation.answers import JudgedRows
from penstock.evaluation.inference import replicates
from penstock.evaluation.inference.bootstrap import MOST_BINS, ROWS, SLICED_BINS, Bootstrap, Floats
from penstock.evaluation.inference.replicates import ErrorSums
from penstock.evaluation.tasks.classes import ranks_of
from penstock.evaluation.tasks.task import Settings
from penstock.model.metrics import read_name
from penstock.statistics.bounds import FEWEST_OF_A_CLASS

_MOST_SCORED = 10  # classes whose scores are kept one by one
_WHATEVER_THE_CLASS = ("accuracy", "positive_rate", "cost")
_MULTILABEL_MEANS = ("accuracy", "hamming_loss")
_ERRORS = {"mean_absolute_error": "|e|", "mean_squared_error": "e²", "mean_error": "e"}
SHARES_OF_SPREAD = ("r2", "explained_variance")
_FEWEST_SAID = 10  # rows that a model says are of a class
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

    def contributions(self, state: Bootstrap, metric: str, of: str, group: int) -> Floats | None:
        """Return what each part of the rows contributes to a metric, to first order; None where that is not known."""
        return None


class ClassPlan(Plan):
    """Binary and multiclass: confusion matrices, mean losses, and scores of each class against the rest."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._size = len(settings.classes)
        self._scored = [1] if self._size == 2 else list(range(self._size)) if self._size <= _MOST_SCORED else []
        self._tops = [] if self._size == 2 else list(dict.fromkeys(("top_k_accuracy@2", *_tops(settings.metrics))))

    def state(self, count: int, sliced_sums: bool) -> Bootstrap:
        """Return an empty state of `count` replicates."""
        of = self.settings.of
        losses = [f"{model} {loss}" for model in of for loss in ("log_loss", "brier_score", *self._tops)]
        scored = [f"{model} {kind}" for model in of for kind in self._scored]
        fewer = max(1, len(self._scored) // 2) * max(1, len(self._scored) // 4)  # more classes, more counts in a bin
        bins, sliced = MOST_BINS // fewer, max(32, SLICED_BINS // max(1, len(self._scored) - 1))
        cells = dict.fromkeys(of, self._size**2)
        kinds = max(2, len(self._scored))
        return Bootstrap(
            cells,
            losses,
            scored,
            kinds=kinds,
            replicates=count,
            sliced_sums=sliced_sums or bool(self._tops),
            most_bins=bins,
            sliced_bins=sliced,
        )

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
            ranks = ranks_of(proba, truth) if self._tops and proba is not None else nothing
            for name in self._tops:
                hits = (ranks < (read_name(name).cut or 1)).astype(np.float64)
                sums[f"{model} {name}"] = np.where(np.isnan(ranks), np.nan, hits)
            for kind in self._scored:
                score = nothing if proba is None else proba if proba.ndim == 1 else proba[:, kind]
                scores[f"{model} {kind}"] = score, truth
        return {"cells": cells, "sums": sums, "scores": scores}

    def replicates(self, state: Bootstrap, metric: str, of: str, group: int) -> Floats | None:
        """Return a metric's replicates."""
        if metric in ("log_loss", "brier_score", *self._tops):
            return _mean(state, f"{of} {metric}", group)
        counts = state.cells(of, group).reshape(self._size, self._size, -1)
        if metric not in _WHATEVER_THE_CLASS and self._rarest(counts) < FEWEST_OF_A_CLASS:
            return None  # as few differ too much from one draw to the next
        parts = read_name(metric)
        if parts.base.startswith(("roc_auc", "average_precision")):
            known = parts.cut is None and bool(self._scored)
            return self._of_scores(state, parts.base, parts.class_, of, group) if known else None
        if parts.base in ("lift", "gain") and parts.cut is not None and self._size == 2:
            scores = state.scores_of(f"{of} 1", group)
            share = None if scores is None else replicates.gain(scores, parts.cut)
            return share if share is None or parts.base == "gain" else share / parts.cut
        if parts.cut is not None or "best_threshold" in metric:
            return None
        if metric == "cost" and self.settings.cost is not None:
            cost = np.array(self.settings.cost)[:, :, None]
            return replicates.mean((cost * counts).sum(axis=(0, 1)), counts.sum(axis=(0, 1)))
        place = None if parts.class_ is None else self._place(parts.class_)
        if parts.class_ is not None and place is None:
            return None
        if not self.settings.weighted and _said(counts, parts.base, place) < _FEWEST_SAID:
            return None  # of as few there are hardly any right ones, and often none
        return replicates.of_confusion(counts, parts.base, place, parts.number)

    def contributions(self, state: Bootstrap, metric: str, of: str, group: int) -> Floats | None:
        """Return those to a mean loss."""
        means = ("log_loss", "brier_score", *self._tops)
        return _to_mean(state, f"{of} {metric}", group) if metric in means else None

    def _of_scores(self, state: Bootstrap, base: str, class_: str | None, of: str, group: int) -> Floats | None:
        metric = replicates.roc_auc if base.startswith("roc_auc") else replicates.average_precision
        kept = [state.scores_of(f"{of} {kind}", group) for kind in self._scored]
        counts = [scores for scores in kept if scores is not None]
        if len(counts) < len(kept) or base.endswith(("_micro", "_samples")):
            return None
        if self._size == 2:
            return metric(counts[0]) if class_ is None else None
        if class_ is not None:
            place = self._place(class_)
            return None if place is None else metric(replicates.one_against_rest(counts[place], place))
        if "ovo" in base:
            return replicates.roc_auc_ovo(counts, base.endswith("_weighted"))
        each = np.stack([metric(replicates.one_against_rest(counts[kind], kind)) for kind in self._scored])
        if not base.endswith("_weighted"):
            found: Floats = each.mean(axis=0)
            return found
        support = counts[0].sum(axis=0)
        return replicates.mean((each * support).sum(axis=0), support.sum(axis=0))

    def _rarest(self, counts: Floats) -> float:
        """Return about how many rows the rarest class has: the mean of the replicates; weights tell no rows."""
        return math.inf if self.settings.weighted else _rarest(counts)

    def _place(self, class_: str) -> int | None:
        names = [str(value) for value in self.settings.classes]
        return names.index(class_) if class_ in names else None


class RegressionPlan(Plan):
    """Sums of labels and errors in every group, and the sizes of errors over all rows for their quantiles."""

    def state(self, count: int, sliced_sums: bool) -> Bootstrap:
        """Return an empty state of `count` replicates."""
        errors = [f"{model} {kind}" for model in self.settings.of for kind in ("e", "e²", "|e|")]
        sizes = [f"{model} |e|" for model in self.settings.of]
        return Bootstrap(
            {},
            ["y", "y²", *errors],
            sizes,
            kinds=1,
            replicates=count,
            sliced_sums=True,
            sliced_bins=SLICED_BINS,
        )

    def counted(self, rows: JudgedRows) -> Mapping[str, Any]:
        """Return labels, errors and their squares."""
        y = rows.truth.astype(np.float64)
        with np.errstate(over="ignore"):
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
        if not self.settings.weighted and state.sums(group=group).mean() < FEWEST_OF_A_CLASS:
            return None
        if metric in _ERRORS:
            return _mean(state, f"{of} {_ERRORS[metric]}", group)
        if metric == "root_mean_squared_error":
            mean = _mean(state, f"{of} e²", group)
            return None if mean is None else np.sqrt(mean)
        level = 0.5 if metric == "median_absolute_error" else read_name(metric).number
        if metric == "median_absolute_error" or metric.startswith("absolute_error_quantile_"):
            name = f"{of} |e|"
            scores = state.scores_of(name, group)
            if level is None or scores is None:
                return None
            return replicates.quantile(scores, state.edges(name, group), level)
        if metric not in SHARES_OF_SPREAD or (group and not state.sliced_sums):
            return None
        drawn, whole = (self._error_sums(sums, metric, of, group) for sums in (state.sums, state.parts))
        return replicates.r2(drawn, whole.total())

    def contributions(self, state: Bootstrap, metric: str, of: str, group: int) -> Floats | None:
        """Return those to means of errors and their squares, and to what compares these with the spread of labels."""
        if metric in _ERRORS:
            return _to_mean(state, f"{of} {_ERRORS[metric]}", group)
        if metric == "root_mean_squared_error":
            mean = state.parts(f"{of} e²", group).sum() / state.parts(group=group).sum()
            return _to_mean(state, f"{of} e²", group) / (2 * math.sqrt(mean)) if mean > 0 else None
        if metric not in SHARES_OF_SPREAD:
            return None
        parts = self._error_sums(state.parts, metric, of, group)
        return replicates.contributions_to_r2(parts, parts.total())

    @staticmethod
    def _error_sums(sums: Callable[[str, int], Floats], metric: str, of: str, group: int) -> ErrorSums:
        rows, y, squares, of_errors = (sums(name, group) for name in (ROWS, "y", "y²", f"{of} e²"))
        error = sums(f"{of} e", group) if metric == "explained_variance" else None
        return ErrorSums(rows, y, squares, of_errors, error)


class MultilabelPlan(Plan):
    """Four counts and the scores of each label, and means over rows: a row is drawn with all of its labels."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._names = [str(value) for value in settings.classes]
        self._scored = range(len(self._names) if len(self._names) <= _MOST_SCORED else 0)

    def state(self, count: int, sliced_sums: bool) -> Bootstrap:
        """Return an empty state of `count` replicates."""
        of = self.settings.of
        fewer = max(1, len(self._scored) // 2)
        return Bootstrap(
            {f"{model} {place}": 4 for model in of for place in range(len(self._names))},
            [f"{model} {mean}" for model in of for mean in _MULTILABEL_MEANS],
            [f"{model} {place}" for model in of for place in self._scored],
            replicates=count,
            sliced_sums=sliced_sums,
            most_bins=MOST_BINS // fewer,
            sliced_bins=max(32, SLICED_BINS // fewer),
        )

    def counted(self, rows: JudgedRows) -> Mapping[str, Any]:
        """Return each label's cells and scores, and how far a row's labels are right."""
        truth, nothing = rows.truth.astype(np.intp), np.full(len(rows), math.nan)
        cells, sums, scores = {}, {}, {}
        for model, answers in rows.answers.items():
            wrong = answers.predicted != truth
            sums[f"{model} accuracy"] = (~wrong.any(axis=1)).astype(np.float64)
            sums[f"{model} hamming_loss"] = wrong.mean(axis=1)
            for place in range(len(self._names)):
                cells[f"{model} {place}"] = truth[:, place] * 2 + answers.predicted[:, place]
            for place in self._scored:
                score = nothing if answers.scores is None else answers.scores[:, place]
                scores[f"{model} {place}"] = score, truth[:, place]
        return {"cells": cells, "sums": sums, "scores": scores}

    def replicates(self, state: Bootstrap, metric: str, of: str, group: int) -> Floats | None:
        """Return a metric's replicates."""
        if metric in _MULTILABEL_MEANS:
            return _mean(state, f"{of} {metric}", group)
        parts = read_name(metric)
        places = [place for place, name in enumerate(self._names) if parts.class_ in (None, name)]
        base, _, average = parts.base.rpartition("_") if parts.class_ is None else (parts.base, "", "")
        tables = [state.cells(f"{of} {place}", group).reshape(2, 2, -1) for place in places]
        if average == "micro":
            tables = [np.sum(tables, axis=0)]
        elif not places or min(map(_rarest, tables)) < self._fewest:
            return None  # as few differ too much from one draw to the next
        elif self._fewest and min(_said(table, base, 1) for table in tables) < _FEWEST_SAID:
            return None
        if base in ("roc_auc", "average_precision"):
            area = replicates.roc_auc if base == "roc_auc" else replicates.average_precision
            kept = [state.scores_of(f"{of} {place}", group) for place in places if place in self._scored]
            each = [area(scores) for scores in kept if scores is not None]
        else:
            found = [replicates.of_confusion(table, base, 1) for table in tables]
            each = [one for one in found if one is not None]
        if len(each) < len(tables) or average not in ("", "macro", "micro", "weighted"):
            return None
        if average == "weighted":
            support = np.stack([table[1].sum(axis=0) for table in tables])
            return replicates.mean((np.stack(each) * support).sum(axis=0), support.sum(axis=0))
        mean_of_labels: Floats = np.mean(each, axis=0)
        return mean_of_labels

    def contributions(self, state: Bootstrap, metric: str, of: str, group: int) -> Floats | None:
        """Return those to a mean over rows."""
        return _to_mean(state, f"{of} {metric}", group) if metric in _MULTILABEL_MEANS else None

    @property
    def _fewest(self) -> int:
        return 0 if self.settings.weighted else FEWEST_OF_A_CLASS


PLANS: Mapping[str, type[Plan]] = {
    "binary": ClassPlan,
    "multiclass": ClassPlan,
    "regression": RegressionPlan,
    "multilabel": MultilabelPlan,
}


def plan_of(settings: Settings) -> Plan | None:
    """Return how a task is bootstrapped; None for one that needs none, or has too many classes."""
    kind = PLANS.get(settings.task)
    return None if kind is None or len(settings.classes) > _MOST_CLASSES else kind(settings)


def _mean(state: Bootstrap, name: str, group: int) -> Floats | None:
    if group and not state.sliced_sums:
        return None
    return replicates.mean(state.sums(name, group), state.sums(group=group))


def _to_mean(state: Bootstrap, name: str, group: int) -> Floats:
    return replicates.contributions_to_mean(state.parts(name, group), state.parts(group=group))


def _rarest(counts: Floats) -> float:
    """Return how many rows the rarest class has: the mean of the replicates."""
    return float(counts.sum(axis=1).mean(axis=1).min())


def _said(counts: Floats, base: str, place: int | None) -> float:
    """Return how many rows are said to be of a metric's class, or of the rarest; infinitely many where none matter."""
    name, _, average = base.partition("_")
    if name not in ("precision", "f1", "fbeta", "jaccard") or average == "micro":
        return math.inf
    said = counts.sum(axis=0).mean(axis=1)
    if place is None and not average and len(said) == 2:
        place = 1
    return float(said.min() if place is None else said[place])


def _tops(metrics: Sequence[str]) -> list[str]:
    return [name for name in metrics if name.startswith("top_k_accuracy")]


def _brier(proba: NDArray[np.floating[Any]], truth: NDArray[np.intp]) -> Floats:
    apart = proba.astype(np.float64)
    if proba.ndim == 1:
        return (apart - truth) ** 2
    apart[np.arange(len(truth)), truth] -= 1.0
    found: Floats = np.einsum("ij,ij->i", apart, apart) / 2
    return found
