"""Regression: errors of predicted numbers, and the metrics that follow, by scikit-learn's names."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from penstock.errors import InvalidValue
from penstock.evaluation.answers import Answers, Floats, JudgedRows
from penstock.evaluation.state.counts import Maxima
from penstock.evaluation.state.groups import GroupCodes
from penstock.evaluation.state.score_rows import ScoreRows
from penstock.evaluation.state.selection import quantile
from penstock.evaluation.state.sums import GroupSums, product, squares
from penstock.evaluation.tasks.losses import LossMeans
from penstock.evaluation.tasks.task import Found, Settings, Task, TaskState
from penstock.model.metrics import read_name
from penstock.statistics.evidence import PairedEstimates, RootMean, paired_from_json

# The loss whose mean each metric is.
MEANS = {
    "mean_absolute_error": "absolute",
    "mean_squared_error": "squared",
    "mean_absolute_percentage_error": "percentage",
    "mean_error": "error",
}
# The squared mean error, in variances of the errors, above which explained variance is only a number: the mean error is
# more than a tenth of their standard deviation, and R² says what such a model is worth (core/adr/0010).
MOST_OFFSET = 0.01
_OFF_ON_THE_MEAN = "the mean error is more than a tenth of the errors' standard deviation; ask for r2"
DEFAULT = (*MEANS, "root_mean_squared_error", "r2", "explained_variance", "median_absolute_error", "max_error")
_SMALLEST = np.finfo(np.float64).eps  # what scikit-learn divides a percentage error by where y is 0


def numbers_in(batch: pd.DataFrame, label: str) -> Floats:
    """Return the label column as numbers; `InvalidValue` for anything else, and for infinite ones."""
    column = batch[label]
    try:
        if column.dtype.kind in "OUSTMmc" or isinstance(column.dtype, pd.CategoricalDtype | pd.StringDtype):
            raise TypeError("text")
        numbers: Floats = column.to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidValue(f"label column {label!r}", str(column.dtype), "numbers, for this task") from error
    if infinite := int(np.count_nonzero(np.isinf(numbers))):
        raise InvalidValue(f"label column {label!r}", f"{infinite} infinite labels", "finite numbers")
    return numbers


class RegressionTask(Task):
    """A number for every row."""

    def judge(self, batch: pd.DataFrame, start: int) -> JudgedRows:
        """Ask each model for its predictions."""
        question = self.question
        truth, beside = numbers_in(batch, question.label), question.beside(batch)
        features = question.features(batch, start)
        answers = question.ask(lambda _, model: Answers(model.numbers(features, start)))
        return JudgedRows(truth, answers=answers, **beside)


class RegressionState(TaskState):
    """Sums of errors and their sizes, by group, and the sizes themselves for their quantiles."""

    @staticmethod
    def measures(name: str) -> bool:
        """Whether a metric is one of this task."""
        parts = read_name(name)
        return name in DEFAULT or (
            parts.number is not None and parts.base in ("pinball_loss", "absolute_error_quantile")
        )

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._of, self._weighted = settings.of, settings.weighted
        losses = [*dict.fromkeys(MEANS.values()), *(f"pinball {level:g}" for level in self._pinballs())]
        self._losses = LossMeans(self._of, losses, self._weighted, signed={"error": "absolute"})
        self._truth = GroupSums(["y", "y²", *(["w"] if self._weighted else [])])
        self._rest = GroupSums(
            ["y low", "y² low", *(f"{model} {kind}" for model in self._of for kind in ("e low", "e² low"))], 2
        )
        self._sizes = ScoreRows(self._of, 1, self._weighted, settings.exact_rows, magnitudes=True)
        self._largest = {model: Maxima() for model in self._of}
        self.parts = {"losses": self._losses, "truth": self._truth, "rest": self._rest, "sizes": self._sizes}
        self.parts |= {f"largest {model}": largest for model, largest in self._largest.items()}

    def _pinballs(self) -> list[float]:
        names = [read_name(name) for name in self.settings.metrics]
        return [name.number for name in names if name.base == "pinball_loss" and name.number is not None]

    def update(self, rows: JudgedRows, groups: GroupCodes) -> None:
        """Add a batch."""
        y, weights = rows.truth, rows.weights
        high, low = squares(y, weights)
        nothing = np.zeros(len(rows))
        weighted, lost = (y, nothing) if weights is None else product(y, weights)
        rest, values, sizes = {"y low": lost, "y² low": low}, {}, {}
        for model, answers in rows.answers.items():
            with np.errstate(over="ignore", invalid="ignore"):
                error = answers.predicted - y
                size = np.abs(error)
                _, rest[f"{model} e² low"] = squares(error, weights)
                _, rest[f"{model} e low"] = (error, nothing) if weights is None else product(error, weights)
                losses = {
                    "absolute": size,
                    "squared": error * error,
                    "percentage": size / np.maximum(np.abs(y), _SMALLEST),
                    "error": error,
                }
                for level in self._pinballs():
                    losses[f"pinball {level:g}"] = np.where(error <= 0, -level * error, (1 - level) * error)
            values[model], sizes[model] = losses, size
            self._largest[model].update(size, groups)
        self._losses.update(values, weights, groups)
        self._truth.update({"y": weighted, "y²": high} | ({} if weights is None else {"w": weights}), groups)
        self._rest.update(rest, groups)
        self._sizes.update(np.zeros(len(rows), dtype=np.int8), sizes, weights, groups)

    def rows(self) -> NDArray[np.int64]:
        """Return the rows of each group."""
        return self._losses.rows

    def measure(self) -> Iterator[tuple[int, str, Found]]:
        """Yield every metric of every model in every group."""
        groups = np.flatnonzero(self.rows()).tolist()
        spreads = {group: self._spread(group) for group in groups}
        weights = (self._truth.total("w") if self._weighted else self.rows()).tolist()
        for model in self._of:
            lost = self._losses.lost(model, "squared").tolist()
            means = {loss: self._losses.means(model, loss).tolist() for loss in self._losses.losses}
            stats = {loss: self._losses.stats(model, loss) for loss in self._losses.losses}
            medians = dict(self._quantiles(model))
            for group in groups:
                given = lost[group], weights[group], spreads[group]
                for found in self._measure(model, group, means, stats, given, medians):
                    yield group, model, found

    def _measure(
        self,
        model: str,
        group: int,
        means: Mapping[str, list[float]],
        stats: Mapping[str, list[dict[str, Any]]],
        given: tuple[int, float, float],
        medians: Mapping[int, Mapping[float, tuple[float, float]]],
    ) -> Iterator[Found]:
        wanted = [(name, read_name(name)) for name in self.settings.metrics]
        asked = [name for name, parts in wanted if parts.base in ("pinball_loss", "absolute_error_quantile")]
        lost, weight, spread = given
        rows = int(self.rows()[group])
        if lost or not weight > 0:
            cause = f"{lost} of {rows} predictions are not finite" if lost else "the weights sum to 0"
            for metric in (*DEFAULT, *asked):
                yield Found(metric, math.nan if lost else None, cause)
            return
        for metric, loss in MEANS.items():
            yield Found(metric, means[loss][group], "", stats[loss][group])
        yield self._root(means["squared"][group], stats["squared"][group])
        squared = means["squared"][group] * weight
        constant = "" if spread > 0 else ("r2 needs two rows" if rows < 2 else "y is constant")
        constant = "the labels are too large to be squared" if math.isnan(spread) else constant
        yield Found("r2", None, constant) if constant else Found("r2", 1 - squared / spread)
        about_mean = self._error_spread(model, group)
        explained = None if constant else 1 - about_mean / spread
        off = not constant and squared - about_mean > MOST_OFFSET * about_mean
        yield Found("explained_variance", explained, constant, {"unbounded": _OFF_ON_THE_MEAN} if off else {})
        yield self._at(0.5, "median_absolute_error", medians[group])
        yield Found("max_error", float(self._largest[model].values[group]))
        for name, parts in wanted:
            if parts.base == "pinball_loss" and parts.number is not None:
                loss = f"pinball {parts.number:g}"
                yield Found(name, means[loss][group], "", stats[loss][group])
            elif parts.base == "absolute_error_quantile" and parts.number is not None:
                yield self._at(parts.number, name, medians[group])

    @staticmethod
    def _root(mean: float, stats: Mapping[str, Any]) -> Found:
        root, known = math.sqrt(mean), stats.get("evidence")
        found: dict[str, Any] = {}
        if root > 0 and known is not None:
            error = known["standard_error"] / (2 * root)
            found["evidence"] = RootMean(root, error, known["rows"], known["skewness"]).to_json()
        squares = paired_from_json(stats["paired"]) if "paired" in stats else None
        roots = squares.of_roots() if isinstance(squares, PairedEstimates) else None
        if roots is not None:
            found["paired"] = roots.to_json()
        return Found("root_mean_squared_error", root, "", found)

    def _at(self, level: float, name: str, quantiles: Mapping[float, tuple[float, float]]) -> Found:
        value, bound = quantiles[level]
        return Found(name, value, "", {"error_bound": bound} if self._sizes.binned else {})

    def _weight(self, group: int) -> Fraction:
        return self._truth.exact("w", group) if self._weighted else Fraction(int(self.rows()[group]))

    def _spread(self, group: int) -> float:
        """Return Σ w (y − ȳ)², from exact sums: without cancellation however far from 0 the labels are.

        NaN where their squares are beyond what is summed.
        """
        if self._truth.lost("y²")[group]:
            return math.nan
        weight = self._weight(group)
        if not weight > 0:
            return 0.0
        squares_ = self._truth.exact("y²", group) + self._rest.exact("y² low", group)
        total = self._truth.exact("y", group) + self._rest.exact("y low", group)
        return max(0.0, float(squares_ - total**2 / weight))

    def _error_spread(self, model: str, group: int) -> float:
        """Return Σ w (e − ē)², likewise."""
        weight = self._weight(group)
        squares_ = self._losses.exact(model, "squared", group) + self._rest.exact(f"{model} e² low", group)
        total = self._losses.exact(model, "error", group) + self._rest.exact(f"{model} e low", group)
        return max(0.0, float(squares_ - total**2 / weight))

    def _quantiles(self, model: str) -> Iterator[tuple[int, dict[float, tuple[float, float]]]]:
        """Yield each group's quantiles of |e| by level, as (value, bound of its error)."""
        names = [read_name(name) for name in self.settings.metrics]
        levels = [0.5, *(n.number for n in names if n.base == "absolute_error_quantile" and n.number is not None)]
        if not self._sizes.binned:
            for group, quantiles in self._sizes.quantiles(model, levels).items():
                yield group, {level: (value, 0.0) for level, value in quantiles.items()}
            return
        for group, table in self._sizes.tables(model):
            if not len(table.scores):
                continue
            counted = table.counts[:, 0].astype(np.float64)
            found = {}
            for level in levels:
                value = quantile(table.scores, level, counted)
                found[level] = value, value * self._sizes.relative_width(group)
            yield group, found
