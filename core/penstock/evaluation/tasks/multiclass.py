"""Classification into three or more classes: counts, probabilities, and the metrics that follow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from penstock.evaluation import counts
from penstock.evaluation.answers import Answers, JudgedRows, Scores
from penstock.evaluation.counts import Confusion, f_beta
from penstock.evaluation.predicting import Respondent
from penstock.evaluation.state.counts import CellCounts
from penstock.evaluation.state.groups import GroupCodes
from penstock.evaluation.state.score_rows import ScoreRows
from penstock.evaluation.tasks.classes import Calibration, classes_of, log_losses, ranks_of
from penstock.evaluation.tasks.losses import LossMeans
from penstock.evaluation.tasks.task import Found, Question, Settings, Task, TaskState, needs_probabilities
from penstock.model.evaluations import BASELINE, CANDIDATE
from penstock.model.metrics import read_name
from penstock.statistics.evidence import PairedProportions, Proportion

AVERAGED = ("precision", "recall", "f1")
LABEL = (
    "accuracy",
    "balanced_accuracy",
    *(f"{metric}_{average}" for metric in AVERAGED for average in ("macro", "weighted")),
    "matthews_corrcoef",
    "cohen_kappa",
)
RANKING = (
    "roc_auc_ovr",
    "roc_auc_ovr_weighted",
    "roc_auc_ovo",
    "roc_auc_ovo_weighted",
    "average_precision_macro",
)
PROBABILITY = ("log_loss", "brier_score", "calibration_error", "top_k_accuracy@2")
_SHOWN_CLASSES = 20  # more classes are measured one by one only where they are asked for


class MulticlassTask(Task):
    """Any number of classes."""

    def __init__(self, question: Question, settings: Settings) -> None:
        classes, self._orders = classes_of(question, "multiclass")
        super().__init__(question, replace(settings, classes=classes.values))
        self._classes = classes

    def judge(self, batch: pd.DataFrame, start: int) -> JudgedRows:
        """Ask each model for classes and probabilities."""
        question = self.question
        codes = self._classes.encode_labels(batch[question.label], question.asked[CANDIDATE].named)
        beside = question.beside(batch)
        features = question.features(batch, start)

        def answers(of: str, respondent: Respondent) -> Answers:
            predicted, proba = respondent.classes_and_probabilities(features, start, self._classes, self._orders[of])
            return Answers(predicted) if proba is None else Answers(predicted, proba, log_losses(proba, codes))

        return JudgedRows(codes, answers=question.ask(answers), **beside)


class MulticlassState(TaskState):
    """Confusion counts, sums of losses, ranks of the true class and each class's scores, of each model by group."""

    @staticmethod
    def measures(name: str) -> bool:
        """Whether a metric is one of this task."""
        parts = read_name(name)
        if parts.class_ is not None:
            return parts.cut is None
        averages = {f"{m}_{a}" for m in (*AVERAGED, "jaccard") for a in ("macro", "weighted", "micro")}
        known = (*LABEL, *RANKING, *PROBABILITY, "average_precision_weighted", *averages)
        return name in known or parts.base == "top_k_accuracy"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._of, self._weighted, self._names = settings.of, settings.weighted, [str(c) for c in settings.classes]
        self._size = size = len(settings.classes)
        self._counts = {model: CellCounts(size * (size + 1), self._weighted) for model in self._of}
        self._losses = LossMeans(self._of, ["log_loss", "brier_score"], self._weighted)
        self._calibration = {model: Calibration(self._weighted) for model in self._of}
        self._ranks = {model: CellCounts(size, self._weighted) for model in self._of}
        scored = [f"{model} {kind}" for model in self._of for kind in range(size)]
        self._scores = ScoreRows(scored, size, self._weighted, settings.exact_rows)
        self._discordant = CellCounts(8, self._weighted)
        # Rows whose scores are probabilities, are not, are missing.
        self._outside = {model: CellCounts(3, False) for model in self._of}
        self.parts = {"losses": self._losses, "scores": self._scores, "discordant": self._discordant}
        for model in self._of:
            self.parts |= {
                f"counts {model}": self._counts[model],
                f"calibration {model}": self._calibration[model],
                f"ranks {model}": self._ranks[model],
                f"outside {model}": self._outside[model],
            }

    def update(self, rows: JudgedRows, groups: GroupCodes) -> None:
        """Add a batch."""
        truth, weights = rows.truth.astype(np.intp), rows.weights
        losses: dict[str, dict[str, NDArray[np.float64]]] = {}
        scores: dict[str, NDArray[Any]] = {}
        nothing = np.full(len(rows), np.nan)
        for model, answers in rows.answers.items():
            predicted = np.where(answers.predicted < 0, self._size, answers.predicted)
            self._counts[model].update(truth * (self._size + 1) + predicted, weights, groups)
            if answers.scores is None or answers.losses is None:
                losses[model] = {"log_loss": nothing, "brier_score": nothing}
                scores |= {f"{model} {kind}": nothing for kind in range(self._size)}
                self._outside[model].update(np.full(len(rows), 2, dtype=np.intp), None, groups)
                continue
            proba = answers.scores
            scores |= {f"{model} {kind}": np.ascontiguousarray(proba[:, kind]) for kind in range(self._size)}
            outside = (proba.min(axis=1) < 0) | (proba.max(axis=1) > 1)
            self._outside[model].update(outside.astype(np.intp), None, groups)
            losses[model] = {"log_loss": answers.losses, "brier_score": _brier(proba, truth)}
            top = proba.argmax(axis=1)
            confidence = proba[np.arange(len(truth)), top]
            self._calibration[model].update(confidence, top == truth, weights, groups)
            self._ranks[model].update(ranks_of(proba, truth), weights, groups)
        self._losses.update(losses, weights, groups)
        self._scores.update(rows.truth, scores, weights, groups)
        if BASELINE in rows.answers:
            new, old = rows.answers[CANDIDATE].predicted, rows.answers[BASELINE].predicted
            cells = (new == truth) * 2 + (old == truth) + 4 * ((new < 0) | (old < 0))
            self._discordant.update(cells.astype(np.intp), weights, groups)

    def rows(self) -> NDArray[np.int64]:
        """Return the rows of each group."""
        found: NDArray[np.int64] = self._counts[CANDIDATE].rows.sum(axis=1)
        return found

    def measure(self) -> Iterator[tuple[int, str, Found]]:
        """Yield every metric of every model in every group.

        Averages are over the classes of the model, as with scikit-learn's `labels=`; one that is undefined for any of
        them is undefined.
        """
        groups = np.flatnonzero(self.rows()).tolist()
        for model in self._of:
            losses = {loss: self._losses.means(model, loss) for loss in ("log_loss", "brier_score")}
            stats = {loss: self._losses.stats(model, loss) for loss in losses}
            losses["calibration_error"] = self._calibration[model].error(self._counts[model].weight.sum(axis=1))
            areas = self._areas(model)
            for group in groups:
                for found in self._of_labels(model, group):
                    yield group, model, found
                for found in self._of_scores(model, group, areas.get(group), losses, stats):
                    yield group, model, found

    def _of_labels(self, model: str, group: int) -> Iterator[Found]:
        cells = self._counts[model]
        shape = (self._size, self._size + 1)
        rows = cells.rows[group].reshape(shape)
        every = {*LABEL, *self._each(group)}
        asked = [name for name in self.settings.metrics if _of_labels(name) and name not in every]
        if nulls := int(rows[:, -1].sum()):
            for metric in (*LABEL, *asked, *self._each(group)):
                yield Found(metric, math.nan, f"{nulls} of {int(rows.sum())} predictions are null")
            return
        weight, squared = (numbers[group].reshape(shape)[:, :-1] for numbers in (cells.weight, cells.squared))
        confusion = Confusion(rows[:, :-1], weight, squared, self._weighted)
        weightless = "" if weight.sum() > 0 else "the weights sum to 0"
        found = counts.accuracy(confusion, weightless)
        paired = self._paired(group) if model == CANDIDATE else None
        yield found if paired is None else found._replace(stats={**found.stats, "paired": paired})
        support, predicted, tp = confusion.support, weight.sum(axis=0), np.diag(weight)
        each = counts.of_classes(tp, predicted, support)
        present = support > 0
        one_class = self._one_class(support)
        yield counts.number("balanced_accuracy", _mean(each["recall"][present]), weightless)
        for metric in AVERAGED:
            for average in ("macro", "weighted"):
                yield self._averaged(f"{metric}_{average}", each[metric], average, support, predicted)
        yield counts.number("matthews_corrcoef", confusion.matthews(), one_class or "all predictions are of one class")
        yield counts.number("cohen_kappa", confusion.kappa(), one_class or "y and predictions have the same one class")
        for name in (*asked, *self._each(group)):
            yield self._asked(name, each, tp, support, predicted)

    def _each(self, group: int) -> list[str]:
        if group or self._size > _SHOWN_CLASSES:
            return []
        return [f"{metric}[{name}]" for metric in AVERAGED for name in self._names]

    def _asked(
        self,
        name: str,
        each: Mapping[str, NDArray[Any]],
        tp: NDArray[Any],
        support: NDArray[Any],
        predicted: NDArray[Any],
    ) -> Found:
        parts = read_name(name)
        base, _, average = parts.base.rpartition("_")
        if parts.class_ is not None:
            if parts.class_ not in self._names:
                return Found(name, None, f"the model has no class {parts.class_!r}")
            kind = self._names.index(parts.class_)
            values = f_beta(tp, predicted - tp, support - tp, parts.number) if parts.number else each[parts.base]
            return counts.number(name, float(values[kind]), self._undefined(parts.base, kind, support))
        if average == "micro":
            share = float(tp.sum() / support.sum()) if support.sum() > 0 else math.nan
            value = share / (2 - share) if base == "jaccard" else share
            return counts.number(name, value, "the weights sum to 0")
        return self._averaged(name, each[base], average, support, predicted)

    def _undefined(self, metric: str, kind: int, support: NDArray[Any]) -> str:
        if metric == "precision":
            return f"no predictions of class {self._names[kind]}"
        return f"y has no rows of class {self._names[kind]}"

    def _averaged(
        self, name: str, values: NDArray[Any], average: str, support: NDArray[Any], predicted: NDArray[Any]
    ) -> Found:
        """Average over the classes that occur in labels or predictions: the ones scikit-learn averages over."""
        there = (support > 0) | (predicted > 0)
        values, weights = values[there], support[there]
        metric = name.rpartition("_")[0]
        needed = weights > 0 if average == "weighted" else np.ones(len(weights), dtype=bool)
        lacking = np.flatnonzero(there)[np.isnan(values) & needed]
        if len(lacking):
            return Found(name, None, self._undefined(metric, int(lacking[0]), support))
        if average == "macro":
            return counts.number(name, _mean(values), "the weights sum to 0")
        total = weights.sum()
        weighted = float((values[needed] * weights[needed]).sum() / total) if total > 0 else math.nan
        return counts.number(name, weighted, "the weights sum to 0")

    def _one_class(self, support: NDArray[Any]) -> str:
        if not support.sum() > 0:
            return "the weights sum to 0"
        present = np.flatnonzero(support > 0)
        return f"y has one class ({self._names[int(present[0])]})" if len(present) == 1 else ""

    def _paired(self, group: int) -> dict[str, Any] | None:
        cells = self._discordant.rows
        if BASELINE not in self._of or self._weighted or group >= len(cells) or cells[group, 4:].any():
            return None
        neither, only_baseline, only_candidate, both = (int(count) for count in cells[group, :4])
        return PairedProportions(both, only_candidate, only_baseline, neither).to_json()

    def _areas(self, model: str) -> dict[int, _Areas]:
        """Return each group's areas under ROC curves, one class at a time: a table of scores has every row."""
        found: dict[int, _Areas] = {}
        for kind in range(self._size):
            for group, table in self._scores.tables(f"{model} {kind}"):
                areas = found.setdefault(group, _Areas(self._size))
                weight = table.counts.sum(axis=0).astype(np.float64)
                areas.support = weight
                if not 0 < weight[kind] < weight.sum():
                    continue
                rest = table.one_against_rest(kind)
                areas.rest[kind] = rest.roc_auc()
                areas.precision[kind] = rest.average_precision()
                areas.bounds[kind] = rest.roc_auc_bound()
                areas.precision_bounds[kind] = rest.average_precision_bound()
                for other in np.flatnonzero(weight > 0).tolist():
                    if other != kind:
                        pair = table.one_against_one(kind, other)
                        areas.one[kind, other], areas.one_bounds[kind, other] = pair.roc_auc(), pair.roc_auc_bound()
        return found

    def _of_scores(
        self,
        model: str,
        group: int,
        areas: _Areas | None,
        losses: Mapping[str, NDArray[np.float64]],
        stats: Mapping[str, Sequence[dict[str, Any]]],
    ) -> Iterator[Found]:
        rows = int(self._counts[model].rows[group].sum())
        asked = [name for name in self.settings.metrics if name not in PROBABILITY and not _of_labels(name)]
        ranking = (*RANKING, *(name for name in asked if name not in RANKING and not name.startswith("top_k")))
        tops = list(dict.fromkeys(("top_k_accuracy@2", *(name for name in asked if name.startswith("top_k")))))
        _, outside, without = (int(count) for count in self._outside[model].rows[group])
        every = (*ranking, *PROBABILITY[:3], *tops)
        lost = max(self._scores.lost(f"{model} {kind}", group) for kind in range(self._size))
        if without or lost:
            cause = f"{lost} of {rows} scores are not finite"
            for metric in every:
                yield needs_probabilities(metric) if without else Found(metric, math.nan, cause)
            return
        for metric in ranking:
            yield self._area(metric, areas)
        weight = float(self._counts[model].weight[group].sum())
        cause = "scores are outside [0, 1]" if outside else "" if weight > 0 else "the weights sum to 0"
        for metric in PROBABILITY[:3]:
            if cause:
                yield Found(metric, None, cause)
            else:
                bounds = stats[metric][group] if metric in stats else {}
                yield Found(metric, float(losses[metric][group]), "", bounds)
        ranks = self._ranks[model].weight[group]
        for metric in tops:
            first = int(read_name(metric).cut or 1)
            value = float(ranks[:first].sum() / weight) if weight > 0 else math.nan
            top = counts.number(metric, value, "the weights sum to 0")
            if not self._weighted and top.value is not None:
                top = top._replace(stats={"evidence": Proportion(int(ranks[:first].sum()), rows).to_json()})
            yield top

    def _area(self, metric: str, areas: _Areas | None) -> Found:
        if areas is None:
            return Found(metric, None, "scores of so many classes are kept for slices up to the exact size only")
        parts = read_name(metric)
        if parts.class_ is not None:
            if parts.class_ not in self._names:
                return Found(metric, None, f"the model has no class {parts.class_!r}")
            kind = self._names.index(parts.class_)
            values, bounds = (
                (areas.rest, areas.bounds) if parts.base == "roc_auc" else (areas.precision, areas.precision_bounds)
            )
            return self._bounded(
                metric, float(values[kind]), float(bounds[kind]), self._undefined("", kind, areas.support)
            )
        if absent := [name for name, weight in zip(self._names, areas.support, strict=True) if not weight > 0]:
            return Found(metric, None, f"y has no rows of class {', '.join(absent)}")
        shares = areas.support / areas.support.sum()
        if metric.startswith("average_precision"):
            weights = shares if metric.endswith("_weighted") else np.full(self._size, 1 / self._size)
            return self._bounded(metric, float(areas.precision @ weights), float(areas.precision_bounds @ weights), "")
        if metric.startswith("roc_auc_ovo"):
            # Hand and Till, "A Simple Generalisation of the Area Under the ROC Curve for Multiple Class Classification
            # Problems", Machine Learning 45 (2001): the mean over pairs; weighted by how common the two classes are.
            pairs = np.triu_indices(self._size, 1)
            both, bound = (areas.one + areas.one.T)[pairs] / 2, (areas.one_bounds + areas.one_bounds.T)[pairs] / 2
            common = (shares[:, None] + shares[None, :])[pairs] if metric.endswith("_weighted") else np.ones(len(both))
            total = common.sum()
            return self._bounded(metric, float(both @ common / total), float(bound @ common / total), "")
        weights = shares if metric.endswith("_weighted") else np.full(self._size, 1 / self._size)
        return self._bounded(metric, float(areas.rest @ weights), float(areas.bounds @ weights), "")

    def _bounded(self, metric: str, value: float, bound: float, cause: str) -> Found:
        found = counts.number(metric, value, cause)
        return (
            found._replace(stats={"error_bound": bound}) if self._scores.binned and found.value is not None else found
        )

    def curves(self) -> dict[str, Any]:
        """Return the confusion matrix of each model: `classes` and `rows`, by true and predicted class."""
        shape = (self._size, self._size + 1)
        found = {model: self._counts[model].rows[0].reshape(shape)[:, :-1].tolist() for model in self._of}
        return {model: {"confusion_matrix": {"classes": self._names, "rows": rows}} for model, rows in found.items()}


class _Areas:
    """What one group's scores of all classes give; NaN where a class is missing."""

    def __init__(self, classes: int) -> None:
        self.support = np.zeros(classes)
        self.rest, self.precision = np.full(classes, math.nan), np.full(classes, math.nan)
        self.bounds, self.precision_bounds = np.zeros(classes), np.zeros(classes)
        self.one, self.one_bounds = np.zeros((classes, classes)), np.zeros((classes, classes))


def _of_labels(name: str) -> bool:
    return name.startswith(("precision", "recall", "f1", "jaccard", "fbeta")) or name in LABEL


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else math.nan


def _brier(proba: Scores, truth: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return half the squared distance of each row's probabilities from the truth: `scale_by_half`, so in [0, 1]."""
    apart = proba.astype(np.float64)
    apart[np.arange(len(truth)), truth] -= 1.0
    found: NDArray[np.float64] = np.einsum("ij,ij->i", apart, apart) / 2
    return found
