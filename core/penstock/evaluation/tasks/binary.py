"""Binary classification: what is counted of rows and answers, and the metrics that follow, by scikit-learn's names."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from penstock.errors import InvalidValue
from penstock.evaluation import counts
from penstock.evaluation.answers import Answers, JudgedRows
from penstock.evaluation.areas import paired_areas
from penstock.evaluation.counts import Confusion, f_beta
from penstock.evaluation.curves import binary_curves
from penstock.evaluation.predicting import Respondent
from penstock.evaluation.scores import BinaryTable, ScoreTable, auc_covariance, probability_losses
from penstock.evaluation.state.counts import CellCounts, Maxima
from penstock.evaluation.state.groups import GroupCodes
from penstock.evaluation.state.score_rows import ScoreRows
from penstock.evaluation.tasks.classes import classes_of, log_losses
from penstock.evaluation.tasks.losses import LossMeans
from penstock.evaluation.tasks.task import Found, Question, Settings, Task, TaskState, needs_probabilities
from penstock.model.evaluations import BASELINE, CANDIDATE
from penstock.model.metrics import read_name
from penstock.statistics.evidence import Auc, PairedEstimates, PairedProportions

RANKING = ("roc_auc", "average_precision", "ks_statistic", "lift@0.1", "gain@0.1")
_LOSSES = ("log_loss", "brier_score")
PROBABILITY = (*_LOSSES, "calibration_error")
LABEL = (
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "f1",
    "matthews_corrcoef",
    "cohen_kappa",
    "positive_rate",
)
_TN, _FP, _FN, _TP = range(4)
_PAIRS = 8  # label x candidate's class x baseline's; the cell after them is of rows with a null
_INSIDE, _WITHOUT = 0, 2
_NULL = 4  # the cell of rows whose prediction is a null


class BinaryTask(Task):
    """Two classes; the positive one is the larger (1, True, the later in the alphabet)."""

    def __init__(self, question: Question, settings: Settings) -> None:
        classes, self._orders = classes_of(question, "binary")
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
            if proba is None:
                return Answers(predicted)
            return Answers(predicted, np.ascontiguousarray(proba[:, 1]), log_losses(proba, codes))

        return JudgedRows(codes, answers=question.ask(answers), **beside)


class BinaryState(TaskState):
    """Confusion counts, sums of losses and the scores with their labels, of each model by group."""

    @staticmethod
    def measures(name: str) -> bool:
        """Whether a metric is one of this task."""
        return (
            name in (*LABEL, *RANKING, *PROBABILITY, "cost", "jaccard")
            or name.startswith("fbeta_")
            or _from_scores(name)
        )

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        if settings.cost is None and (asked := [name for name in settings.metrics if "cost" in name]):
            raise InvalidValue("metrics", asked, "a Cost among the metrics", "Say metrics=[Cost(...), ...]")
        self._of = of = settings.of
        self._weighted = weighted = settings.weighted
        self._classes, self._wanted = settings.classes, settings.metrics
        self._counts = {model: CellCounts(10, weighted) for model in of}
        # Two models' losses are compared row by row; how those of one are spread is in the table of its scores.
        self._both = LossMeans(of, _LOSSES, weighted, moments=weighted or BASELINE in of, bounded=True)
        self._largest = {model: Maxima() for model in of}
        self._scores = ScoreRows(of, 2, weighted, settings.exact_rows)
        self._discordant = CellCounts(_PAIRS + 1, weighted)
        # Rows whose scores are no probabilities; rows without scores at all.
        self._outside = {model: CellCounts(3, False) for model in of}
        self.parts = {"both": self._both, "scores": self._scores, "discordant": self._discordant}
        for model in of:
            self.parts |= {
                f"counts {model}": self._counts[model],
                f"largest {model}": self._largest[model],
                f"outside {model}": self._outside[model],
            }
        self._ended: dict[str, dict[int, ScoreTable]] = {}
        self._areas: dict[int, PairedEstimates] | None = None

    def update(self, rows: JudgedRows, groups: GroupCodes) -> None:
        """Add a batch."""
        truth, weights = rows.truth, rows.weights
        losses: dict[str, dict[str, NDArray[np.float64]]] = {}
        scores: dict[str, NDArray[Any]] = {}
        if not len(rows):
            return
        for model, answers in rows.answers.items():
            cells = truth * np.intp(5) + answers.predicted
            if (nulls := answers.predicted < 0).any():
                cells = np.where(nulls, truth * 5 + _NULL, cells)
            self._counts[model].update(cells, weights, groups)
            if answers.scores is None or answers.losses is None:
                nothing = np.full(len(rows), np.nan)
                losses[model], scores[model] = {"log_loss": nothing, "brier_score": nothing}, nothing
                self._outside[model].update_all(_WITHOUT, groups)
                continue
            scores[model] = answers.scores
            if answers.scores.min() >= 0 and answers.scores.max() <= 1:
                self._outside[model].update_all(_INSIDE, groups)
            else:
                outside = (answers.scores < 0) | (answers.scores > 1)
                self._outside[model].update(outside.astype(np.intp), None, groups)
            apart = answers.scores.astype(np.float64)
            apart -= truth
            losses[model] = {"log_loss": answers.losses, "brier_score": apart * apart}
            self._largest[model].update(answers.losses, GroupCodes(len(rows)))
        self._both.update(losses, weights, groups)
        self._scores.update(rows.truth, scores, weights, groups)
        if BASELINE in rows.answers:
            new, old = rows.answers[CANDIDATE].predicted, rows.answers[BASELINE].predicted
            pairs = np.where((new < 0) | (old < 0), _PAIRS, truth * 4 + new * 2 + old)
            self._discordant.update(pairs.astype(np.intp), weights, groups)

    def rows(self) -> NDArray[np.int64]:
        """Return the rows of each group."""
        found: NDArray[np.int64] = self._counts[CANDIDATE].rows.sum(axis=1)
        return found

    def measure(self) -> Iterator[tuple[int, str, Found]]:
        """Yield every metric of every model in every group.

        A metric is None with its cause where it is undefined, and NaN where a model's own answers made it so.
        `positive_rate` is the share of rows *predicted* positive.
        """
        rows = self.rows()
        self._ended, self._areas = {}, None
        for model in self._of:
            tables = self._tables(model)
            self._give_moments(model, tables)
            losses = _Losses(self._both, self._counts[model], model)
            for group in np.flatnonzero(rows).tolist():
                for found in self._of_labels(model, group):
                    yield group, model, found
                for found in self._of_scores(model, group, tables.get(group), losses):
                    yield group, model, found

    def _tables(self, model: str) -> dict[int, ScoreTable]:
        """Return the tables of a model's scores by group, computed once for each `measure`."""
        if model not in self._ended:
            self._ended[model] = dict(self._scores.tables(model))
        return self._ended[model]

    def _give_moments(self, model: str, tables: Mapping[int, ScoreTable]) -> None:
        if self._weighted or BASELINE in self._of:
            return
        largest = float(self._largest[model].values[0])
        inside = not self._outside[model].rows[0, _INSIDE + 1 :].any() and math.isfinite(largest)
        tabled = {group: table.one_against_rest(1) for group, table in tables.items()} if inside else {}
        moments = self._moments(model, largest) if inside else {}
        for loss in _LOSSES:
            if moments is None:  # the rows are held no more
                self._both.give(model, loss, {group: two.loss_moments(loss, largest) for group, two in tabled.items()})
            else:
                self._both.give(model, loss, moments.get(loss, {}))

    def _moments(self, model: str, largest: float) -> dict[str, dict[int, tuple[float, float]]] | None:
        """Return variance and skewness of the losses by group from the rows: of all groups at once; None without."""
        means = {loss: self._both.means(model, loss) for loss in _LOSSES}

        def powers(scores: NDArray[Any], kinds: NDArray[Any]) -> list[NDArray[Any]]:
            given, found = np.where(kinds == 1, scores, 1 - scores), []
            for loss in _LOSSES:
                apart = probability_losses(loss, given, largest) - means[loss][0]
                square = apart * apart
                found += [apart, square, square * apart]
            return found

        sums = self._scores.sums(model, powers)
        if sums is None:
            return None
        moments: dict[str, dict[int, tuple[float, float]]] = {}
        groups = np.flatnonzero(self._both.rows).tolist()
        for place, loss in enumerate(_LOSSES):
            with np.errstate(invalid="ignore", divide="ignore"):
                mean, square, cube = sums[3 * place : 3 * place + 3] / self._both.rows
                cube += 2 * mean**3 - 3 * mean * square
                square -= mean**2
                level = square + means[loss] ** 2
                square = np.where(square > 1e-15 * level, square, 0.0)  # less is rounding
                skewed = np.where(square > 1e-12 * level, cube / square**1.5, np.nan)
            moments[loss] = {group: (float(square[group]), float(skewed[group])) for group in groups}
        return moments

    def _confusion(self, model: str, group: int) -> Confusion:
        def of(cells: NDArray[Any]) -> NDArray[Any]:
            matrix: NDArray[Any] = cells[group].reshape(2, 5)[:, :2]
            return matrix

        found = self._counts[model]
        return Confusion(of(found.rows), of(found.weight), of(found.squared), self._weighted)

    def _one_class(self, group: int) -> str:
        """Return why metrics that need both classes are undefined; empty if both are there (with weight)."""
        weights = self._counts[CANDIDATE].weight[group].reshape(2, 5).sum(axis=1)
        if not weights.sum() > 0:
            return "the weights sum to 0"
        return "" if weights.min() > 0 else f"y has one class ({self._classes[int(np.argmax(weights))]})"

    def _of_labels(self, model: str, group: int) -> Iterator[Found]:
        cells = self._counts[model].rows[group]
        betas = [
            (name, beta) for name in self._wanted if (beta := read_name(name).number) and name.startswith("fbeta_")
        ]
        if nulls := int(cells[[_NULL, 5 + _NULL]].sum()):
            for metric in (*LABEL, *(name for name, _ in betas)):
                yield Found(metric, math.nan, f"{nulls} of {int(cells.sum())} predictions are null")
            return
        confusion = self._confusion(model, group)
        for found in counts.of_two_classes(confusion, self._one_class(group), betas):
            paired = self._paired_counts(found.metric, group) if model == CANDIDATE else None
            yield found if paired is None else found._replace(stats={**found.stats, "paired": paired.to_json()})
        if "jaccard" in self._wanted:
            (_, fp), (fn, tp) = confusion.weight.astype(np.float64).tolist()
            nothing = "y has no positive rows and none was predicted"
            yield counts.number("jaccard", tp / (tp + fp + fn) if tp + fp + fn > 0 else None, nothing)
        if self.settings.cost is not None:
            total = float(confusion.weight.sum())
            mean = float((confusion.weight * np.array(self.settings.cost)).sum()) / total if total > 0 else None
            yield counts.number("cost", mean, "the weights sum to 0")

    def _paired_counts(self, metric: str, group: int) -> PairedProportions | None:
        """Return what a share of the same rows is compared by: accuracy, recall and the rate of positives."""
        cells = self._discordant.rows
        if BASELINE not in self._of or self._weighted or group >= len(cells) or cells[group, _PAIRS:].any():
            return None
        # By label, candidate's class, baseline's class; a comparison is (neither, baseline, candidate, both).
        negatives, positives = cells[group, :_PAIRS].reshape(2, 4)
        counted = {"accuracy": negatives[::-1] + positives, "recall": positives, "positive_rate": negatives + positives}
        if metric not in counted or not counted[metric].sum():
            return None
        neither, only_baseline, only_candidate, both = counted[metric].tolist()
        return PairedProportions(both, only_candidate, only_baseline, neither)

    def _of_scores(self, model: str, group: int, table: ScoreTable | None, losses: _Losses) -> Iterator[Found]:
        rows = int(self._counts[model].rows[group].sum())
        wanted = [name for name in self._wanted if _from_scores(name)]
        ranking = tuple(dict.fromkeys((*RANKING, *wanted)))
        _, outside, without = (int(count) for count in self._outside[model].rows[group])
        if without:
            for metric in (*ranking, *PROBABILITY):
                yield needs_probabilities(metric)
            return
        lost = max(self._scores.lost(model, group), int(losses.lost[group]))
        if lost or table is None:  # rows without weight are in no bin
            cause = f"{lost} of {rows} scores are not finite" if lost else "the weights sum to 0"
            for metric in (*ranking, *PROBABILITY):
                yield Found(metric, math.nan if lost else None, cause)
            return
        one_class = self._one_class(group)
        two = table.one_against_rest(1)
        for metric in ranking:
            yield Found(metric, None, one_class) if one_class else self._ranked(metric, model, group, two)
        cause = "scores are outside [0, 1]" if outside else ""
        cause = cause or ("" if losses.weight[group] > 0 else "the weights sum to 0")
        for metric in PROBABILITY:
            if cause:
                yield Found(metric, None, cause)
            elif metric in _LOSSES:
                yield losses.found(metric, group)
            else:
                bound = two.calibration_bound(self._scores.relative_width(group))
                yield Found(metric, two.calibration_error(), "", _bounded(bound, two))

    def _ranked(self, metric: str, model: str, group: int, table: BinaryTable) -> Found:
        if metric == "roc_auc":
            return Found(metric, table.roc_auc(), "", self._auc_stats(model, group, table))
        if metric == "average_precision":
            return Found(metric, table.average_precision(), "", _bounded(table.average_precision_bound(), table))
        if metric == "ks_statistic":
            return Found(metric, table.ks_statistic(), "", _bounded(table.ks_bound(), table))
        parts = read_name(metric)
        if parts.cut is not None:
            gain, bound = table.gain(parts.cut)
            scale = 1 / parts.cut if parts.base == "lift" else 1.0
            return Found(metric, gain * scale, "", _bounded(bound * scale, table))
        goal = metric.removeprefix("best_threshold_").removesuffix("_at_best_threshold")
        threshold, value = table.best_threshold(_goals(self.settings.cost)[goal])
        value = -value if goal == "cost" else value
        found = threshold if metric.startswith("best_threshold_") else value
        # A threshold chosen on these rows flatters itself on them.
        return Found(
            metric, found, "", {"threshold": threshold if math.isfinite(threshold) else None, "chosen_on": "these rows"}
        )

    def _auc_stats(self, model: str, group: int, table: BinaryTable) -> dict[str, Any]:
        positives, negatives = (int(self._counts[model].rows[group].reshape(2, 5)[kind].sum()) for kind in (1, 0))
        stats: dict[str, Any] = {
            "positives": positives,
            "negatives": negatives,
            **_bounded(table.roc_auc_bound(), table),
        }
        if self._weighted or table.binned:
            return stats
        variance = table.auc_variance()
        if variance is not None:
            stats["evidence"] = Auc(table.roc_auc(), math.sqrt(variance), positives, negatives).to_json()
        if model != CANDIDATE or BASELINE not in self._of:
            return stats
        if self._areas is None:
            self._areas = self._paired_areas()
        return {**stats, "paired": self._areas[group].to_json()} if group in self._areas else stats

    def curves(self) -> dict[str, Any]:
        """Return ROC, calibration and confusion of each model over all rows, and more where plots are wanted."""
        found = {}
        for model in self._of:
            tables = self._tables(model)
            usable = not self._scores.lost(model, 0) and not self._outside[model].rows[0, 2]
            table = tables[0].one_against_rest(1) if usable and 0 in tables else None
            cells = self._counts[model].rows[0].reshape(2, 5)
            confusion = None if cells[:, _NULL].any() else cells[:, :2]
            found[model] = binary_curves(table, confusion, plots=self.settings.plots)
        return found

    def _paired_areas(self) -> dict[int, PairedEstimates]:
        """Return DeLong's comparison of the two models' ROC AUCs by group, while the rows are held."""
        held = self._scores.held()
        if held is None or any(self._scores.lost(model, 0) or self._outside[model].rows[0, 2] for model in self._of):
            return {}
        labels, scores = held[0], {model: held[1][model] for model in (CANDIDATE, BASELINE)}
        new, old = (self._tables(model)[0].one_against_rest(1) for model in scores)
        whole = auc_covariance(labels, new, old, scores)
        if whole is None:
            return {}
        found = {0: PairedEstimates("auc", new.roc_auc(), old.roc_auc(), *whole)}
        return found | dict(paired_areas(labels, scores, self._scores.held_columns()))


class _Losses:
    """The means of a model's losses, all groups at once."""

    def __init__(self, means: LossMeans, cells: CellCounts, model: str) -> None:
        self.weight = cells.weight.sum(axis=1)
        self.lost = np.maximum(means.lost(model, "log_loss"), means.lost(model, "brier_score"))
        self._values = {loss: means.means(model, loss) for loss in _LOSSES}
        self._stats = {loss: means.stats(model, loss) for loss in _LOSSES}

    def found(self, metric: str, group: int) -> Found:
        """Return a loss in one group."""
        return Found(metric, float(self._values[metric][group]), "", self._stats[metric][group])


def _bounded(bound: float, table: BinaryTable) -> dict[str, Any]:
    return {"error_bound": bound} if table.binned else {}


def _from_scores(name: str) -> bool:
    return name.startswith(("best_threshold_", "lift@", "gain@")) or name.endswith("_at_best_threshold")


def _goals(cost: tuple[tuple[float, float], tuple[float, float]] | None) -> Mapping[str, Any]:
    """Return what a threshold can be chosen for, of arrays tn, fp, fn, tp; the highest is best."""
    goals: dict[str, Any] = {
        "f1": lambda tn, fp, fn, tp: f_beta(tp, fp, fn, 1.0),
        "accuracy": lambda tn, fp, fn, tp: (tp + tn) / (tn + fp + fn + tp),
        "balanced_accuracy": lambda tn, fp, fn, tp: (tp / (tp + fn) + tn / (tn + fp)) / 2,
        "matthews_corrcoef": lambda tn, fp, fn, tp: (
            (tp * tn - fp * fn) / (np.sqrt(tp + fp) * np.sqrt(tp + fn) * np.sqrt(tn + fp) * np.sqrt(tn + fn))
        ),
    }
    if cost is not None:
        (c_tn, c_fp), (c_fn, c_tp) = cost
        goals["cost"] = lambda tn, fp, fn, tp: -(tn * c_tn + fp * c_fp + fn * c_fn + tp * c_tp) / (tn + fp + fn + tp)
    return goals
