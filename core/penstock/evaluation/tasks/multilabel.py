"""Classification with several labels a row: each label is there or not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from penstock.errors import InvalidValue
from penstock.evaluation import counts
from penstock.evaluation.answers import Answers, JudgedRows
from penstock.evaluation.labels import Classes, same_kind, shown
from penstock.evaluation.predicting import Respondent
from penstock.evaluation.state.counts import CellCounts
from penstock.evaluation.state.groups import GroupCodes
from penstock.evaluation.state.score_rows import ScoreRows
from penstock.evaluation.tasks.losses import LossMeans
from penstock.evaluation.tasks.task import Found, Question, Settings, Task, TaskState, needs_probabilities
from penstock.model.evaluations import CANDIDATE
from penstock.model.metrics import read_name

AVERAGED = ("precision", "recall", "f1")
MEANS = ("accuracy", "hamming_loss")
RANKING = ("roc_auc_macro", "average_precision_macro")
_TN, _FP, _FN, _TP = range(4)


class MultilabelTask(Task):
    """Labels are a list in each row; the model answers with one column of 0 and 1 for each of its classes."""

    def __init__(self, question: Question, settings: Settings) -> None:
        candidate = question.asked[CANDIDATE]
        values = tuple(candidate.predictor.classes or ())
        if not values or not same_kind(values):
            given = "no classes" if not values else list(values)
            raise InvalidValue(candidate.named, given, "the labels it predicts, as its classes")
        self._classes = Classes(values)
        super().__init__(question, replace(settings, classes=self._classes.values))

    def judge(self, batch: pd.DataFrame, start: int) -> JudgedRows:
        """Ask each model for its labels and their probabilities."""
        question, width = self.question, len(self._classes)
        truth = self._truth(batch[question.label])
        beside = question.beside(batch)
        features = question.features(batch, start)

        def answers(_: str, respondent: Respondent) -> Answers:
            order = self._order(respondent)
            predicted = respondent.table(features, start, width)[:, order]
            if not np.isin(predicted, (0, 1)).all():
                odd = shown(np.unique(predicted[~np.isin(predicted, (0, 1))])[:3].tolist())
                raise respondent.failed(f"{start}–{start + len(batch) - 1}", f"it predicted {odd}, not 0 and 1")
            proba = respondent.probabilities(features, start, width)
            return Answers(predicted.astype(np.int8), None if proba is None else proba[:, order])

        return JudgedRows(truth, answers=question.ask(answers), **beside)

    def _order(self, respondent: Respondent) -> list[int]:
        own = [self._classes.find(value) for value in respondent.predictor.classes or ()]
        if sorted(code for code in own if code is not None) != list(range(len(self._classes))):
            expected = f"a baseline with the candidate's labels {list(self._classes.values)}"
            raise InvalidValue(respondent.named, list(respondent.predictor.classes or ()), expected)
        return [own.index(code) for code in range(len(self._classes))]

    def _truth(self, column: pd.Series[Any]) -> NDArray[np.int8]:
        lists = column.tolist()
        if not all(isinstance(labels, list | tuple | set | frozenset | np.ndarray) for labels in lists):
            raise InvalidValue(f"label column {column.name!r}", str(column.dtype), "a list of labels in every row")
        rows = np.repeat(np.arange(len(lists)), [len(labels) for labels in lists])
        flat = pd.Series([label for labels in lists for label in labels], name=column.name, dtype=object)
        truth = np.zeros((len(lists), len(self._classes)), dtype=np.int8)
        if len(flat):
            codes = self._classes.encode_labels(flat.infer_objects(), self.question.asked[CANDIDATE].named)
            if (codes < 0).any():
                raise InvalidValue(f"label column {column.name!r}", "a null in a list", "labels only")
            truth[rows, codes] = 1
        return truth


class MultilabelState(TaskState):
    """Four counts for each label, sums over rows, and each label's scores, of each model by group."""

    @staticmethod
    def measures(name: str) -> bool:
        """Whether a metric is one of this task."""
        averages = {f"{m}_{a}" for m in (*AVERAGED, "jaccard") for a in ("macro", "micro", "weighted")}
        parts = read_name(name)
        return name in (*MEANS, *RANKING, *averages) or (parts.class_ is not None and parts.number is None)

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._of, self._weighted, self._names = settings.of, settings.weighted, [str(c) for c in settings.classes]
        labels = range(len(self._names))
        self._counts = {m: [CellCounts(4, self._weighted) for _ in labels] for m in self._of}
        self._means = LossMeans(self._of, MEANS, self._weighted)
        self._scores = [
            ScoreRows(self._of, 2, self._weighted, settings.exact_rows // max(1, len(labels))) for _ in labels
        ]
        self._without = {model: CellCounts(2, False) for model in self._of}
        self.parts = {"means": self._means, **{f"scores {place}": self._scores[place] for place in labels}}
        for model in self._of:
            self.parts[f"without {model}"] = self._without[model]
            self.parts |= {f"counts {model} {place}": self._counts[model][place] for place in labels}

    def update(self, rows: JudgedRows, groups: GroupCodes) -> None:
        """Add a batch."""
        truth = rows.truth.astype(np.intp)
        losses, nothing = {}, np.full(len(rows), np.nan)
        for model, answers in rows.answers.items():
            wrong = answers.predicted != truth
            losses[model] = {"accuracy": (~wrong.any(axis=1)).astype(np.float64), "hamming_loss": wrong.mean(axis=1)}
            without = np.full(len(rows), int(answers.scores is None), dtype=np.intp)
            self._without[model].update(without, None, groups)
            for place, cells in enumerate(self._counts[model]):
                cells.update(truth[:, place] * 2 + answers.predicted[:, place], rows.weights, groups)
        self._means.update(losses, rows.weights, groups)
        for place, scores in enumerate(self._scores):
            of_label = {
                model: nothing if answers.scores is None else np.ascontiguousarray(answers.scores[:, place])
                for model, answers in rows.answers.items()
            }
            scores.update(rows.truth[:, place], of_label, rows.weights, groups)

    def rows(self) -> NDArray[np.int64]:
        """Return the rows of each group."""
        return self._means.rows

    def measure(self) -> Iterator[tuple[int, str, Found]]:
        """Yield every metric of every model in every group. `accuracy` is of all labels of a row together."""
        groups = np.flatnonzero(self.rows()).tolist()
        for model in self._of:
            means = {name: (self._means.means(model, name), self._means.stats(model, name)) for name in MEANS}
            areas = self._areas(model)
            for group in groups:
                for name, (values, stats) in means.items():
                    found = counts.number(name, float(values[group]), "the weights sum to 0")
                    yield group, model, found if found.value is None else found._replace(stats=stats[group])
                for found in self._of_labels(model, group):
                    yield group, model, found
                for found in self._of_scores(model, group, areas):
                    yield group, model, found

    def _of_labels(self, model: str, group: int) -> Iterator[Found]:
        weight = np.array([cells.weight[group] for cells in self._counts[model]], dtype=np.float64)
        tp, predicted, true = weight[:, _TP], weight[:, _TP] + weight[:, _FP], weight[:, _TP] + weight[:, _FN]
        each = counts.of_classes(tp, predicted, true)
        total = counts.of_classes(tp.sum(), predicted.sum(), true.sum())
        names = [f"{metric}_{average}" for metric in AVERAGED for average in ("macro", "micro", "weighted")]
        names += [] if group else [f"{metric}[{label}]" for metric in AVERAGED for label in self._names]
        names += [name for name in self.settings.metrics if name.startswith(("precision", "recall", "f1", "jaccard"))]
        for name in dict.fromkeys(names):
            parts = read_name(name)
            base, _, average = parts.base.rpartition("_")
            if parts.class_ is not None:
                place = self._names.index(parts.class_) if parts.class_ in self._names else None
                value = math.nan if place is None else float(each[parts.base][place])
                yield counts.number(name, value, f"{parts.base} of label {parts.class_} is undefined")
            elif average == "micro":
                yield counts.number(name, float(total[base]), "no labels")
            else:
                yield self._averaged(name, each[base], true if average == "weighted" else np.ones(len(true)))

    def _averaged(self, name: str, values: NDArray[Any], weights: NDArray[Any]) -> Found:
        needed = weights > 0
        lacking = np.flatnonzero(np.isnan(values) & needed)
        if len(lacking):
            what = "predicted" if name.startswith("precision") else "in y"
            return Found(name, None, f"label {self._names[int(lacking[0])]} is not {what}")
        total = weights[needed].sum()
        value = float((values[needed] * weights[needed]).sum() / total) if total > 0 else math.nan
        return counts.number(name, value, "no labels")

    def _areas(self, model: str) -> list[dict[int, tuple[float, float, float, float]]]:
        """Return, for each label and group: ROC AUC, average precision, and how far binning can have moved them."""
        found = []
        for scores in self._scores:
            of_label = {}
            for group, table in scores.tables(model):
                two = table.one_against_rest(1)
                if two.positives.sum() > 0 and two.negatives.sum() > 0:
                    bounds = two.roc_auc_bound(), two.average_precision_bound()
                    of_label[group] = (two.roc_auc(), two.average_precision(), *bounds)
            found.append(of_label)
        return found

    def _of_scores(
        self, model: str, group: int, areas: Sequence[dict[int, tuple[float, float, float, float]]]
    ) -> Iterator[Found]:
        asked = [name for name in self.settings.metrics if name.startswith(("roc_auc", "average_precision"))]
        lost = sum(scores.lost(model, group) for scores in self._scores)
        for name in dict.fromkeys((*RANKING, *asked)):
            kind = int(name.startswith("average_precision"))
            class_ = read_name(name).class_
            places = [place for place, label in enumerate(self._names) if class_ in (None, label)]
            if self._without[model].rows[group, 1]:
                yield needs_probabilities(name)
            elif lost:
                yield Found(name, math.nan, f"{lost} scores are not finite")
            elif one_sided := [self._names[place] for place in places if group not in areas[place]]:
                yield Found(name, None, f"label {one_sided[0]} is in all rows or in none")
            else:
                values = [areas[place][group] for place in places]
                bound = sum(found[kind + 2] for found in values) / len(values)
                stats = {"error_bound": bound} if self._scores[0].binned else {}
                yield Found(name, sum(found[kind] for found in values) / len(values), "", stats)
