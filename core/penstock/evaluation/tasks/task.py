"""What every type of task has: it asks the models about a batch, and keeps a mergeable state of their answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from penstock.errors import InvalidValue
from penstock.evaluation.answers import Floats, JudgedRows
from penstock.evaluation.predicting import Respondent
from penstock.evaluation.state.groups import GroupCodes
from penstock.evaluation.state.score_rows import EXACT_ROWS
from penstock.model.data import DataSource

T = TypeVar("T")


class Found(NamedTuple):
    """One metric: its value, or None with the cause why it is undefined, and what bounds it."""

    metric: str
    value: float | None
    cause: str = ""
    stats: Mapping[str, Any] = {}
    unit: str = "1"


def needs_probabilities(metric: str) -> Found:
    """Return a metric of scores where the model gives none."""
    return Found(metric, None, f"metric {metric!r} needs predict_proba, and the model gives no probabilities")


class Mergeable(Protocol):
    """A part of a task's state."""

    def merge(self, other: Any, places: NDArray[np.intp], size: int) -> None:
        """Add another's; its group g is group `places[g]` of the `size` groups here."""
        ...

    def pack(self) -> dict[str, Any]:
        """Return it as nested dictionaries of arrays, text and numbers."""
        ...

    def unpack(self, packed: Mapping[str, Any]) -> None:
        """Take the state of `pack`."""
        ...


class TaskState(ABC):
    """What is kept of the rows seen: `update` with batches, `merge` with others of the same task, then `measure`."""

    def __init__(self, settings: Settings) -> None:
        if strange := [name for name in settings.metrics if not self.measures(name)]:
            hint = "Macro, weighted and micro averages and single classes are written recall_macro, recall[cat]"
            raise InvalidValue("metrics", strange, f"metrics of a {settings.task} task", hint)
        self.settings = settings
        self.parts: dict[str, Mergeable] = {}

    @staticmethod
    @abstractmethod
    def measures(name: str) -> bool:
        """Whether a metric is one of this task."""

    @abstractmethod
    def update(self, rows: JudgedRows, groups: GroupCodes) -> None:
        """Add a batch."""

    @abstractmethod
    def measure(self) -> Iterator[tuple[int, str, Found]]:
        """Yield (group, model's role, metric) for every metric of every group that has rows."""

    @abstractmethod
    def rows(self) -> NDArray[np.int64]:
        """Return the rows of each group."""

    def curves(self) -> dict[str, Any]:
        """Return compact points for plots by role, over all rows; plain finite JSON."""
        return {}

    def merge(self, other: TaskState, places: NDArray[np.intp], size: int) -> None:
        """Add another's rows; its group g is group `places[g]` of the `size` groups here."""
        for name, part in self.parts.items():
            part.merge(other.parts[name], places, size)

    def pack(self) -> dict[str, Any]:
        """Return it as nested dictionaries of arrays, text and numbers."""
        return {name: part.pack() for name, part in self.parts.items()}

    def unpack(self, packed: Mapping[str, Any]) -> None:
        """Take the state of `pack`."""
        for name, part in self.parts.items():
            part.unpack(packed[name])


@dataclass(frozen=True)
class Question:
    """What does not change from batch to batch: the data's columns, and who is asked, by role."""

    data: DataSource
    label: str
    asked: Mapping[str, Respondent] = field(default_factory=dict)

    def ask(self, how: Callable[[str, Respondent], T]) -> dict[str, T]:
        """Return what `how` makes of each model by role; models in processes of their own work side by side."""
        asked = list(self.asked.items())
        if len(asked) < 2 or not all(respondent.isolated for _, respondent in asked):
            return {of: how(of, respondent) for of, respondent in asked}
        with ThreadPoolExecutor(len(asked), thread_name_prefix="penstock-asks") as pool:
            answers = [pool.submit(how, of, respondent) for of, respondent in asked]
            return {of: answer.result() for (of, _), answer in zip(asked, answers, strict=True)}

    def features(self, batch: pd.DataFrame, start: int) -> pd.DataFrame:
        """Return the columns a model may see; checked against what each needs with the first batch."""
        excluded = self.data.not_features
        if start == 0:
            for respondent in self.asked.values():
                respondent.check_features(batch, excluded)
        if all(respondent.given for respondent in self.asked.values()):
            return batch
        places = [place for place, name in enumerate(batch.columns) if name not in excluded]
        if places and places[-1] - places[0] == len(places) - 1:  # side by side: nothing need be copied
            return batch.iloc[:, places[0] : places[-1] + 1]
        return batch.iloc[:, places]

    def weights(self, batch: pd.DataFrame) -> Floats | None:
        """Return the rows' weights; `InvalidValue` for what is none."""
        if self.data.weight is None:
            return None
        column = batch[self.data.weight]
        try:
            weights: Floats = column.to_numpy(dtype=np.float64, na_value=np.nan)
        except (TypeError, ValueError) as error:
            raise InvalidValue(f"weight column {column.name!r}", str(column.dtype), "numbers") from error
        usable = np.isfinite(weights) & (weights >= 0)
        if not usable.all():
            given = f"{np.count_nonzero(~usable)} rows without one, the first {column.iloc[int(np.argmin(usable))]!r}"
            raise InvalidValue(f"weight column {column.name!r}", given, "a finite weight ≥ 0 in every row")
        return weights

    def beside(self, batch: pd.DataFrame) -> dict[str, Any]:
        """Return what `JudgedRows` takes of a batch beside truth and answers."""
        return {
            "weights": self.weights(batch),
            "groups": None if self.data.group is None else batch[self.data.group].to_numpy(),
            "ids": None if self.data.id is None else batch[self.data.id].to_numpy(),
        }


@dataclass(frozen=True)
class Settings:
    """What a state is made from, and what parts must have in common to be merged.

    `of` are the models' roles, `classes` the sorted classes or labels, `levels` the orders of quantiles, `metrics`
    what was asked for beyond the default, `cost` a matrix by true and predicted class. `bootstrap` is the number of
    replicates; `clustered` says that rows belong together by group and so are not independent; `plots`, that points
    for plots are wanted; `search_slices` are the columns by which the worst slices are searched for.
    """

    task: str
    of: tuple[str, ...]
    weighted: bool
    classes: tuple[Any, ...] = ()
    levels: tuple[float, ...] = ()
    metrics: tuple[str, ...] = ()
    cost: tuple[tuple[float, float], tuple[float, float]] | None = None
    exact_rows: int = EXACT_ROWS
    bootstrap: int = 0
    clustered: bool = False
    plots: bool = False
    search_slices: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        lists = {name: list(value) for name, value in self.__dict__.items() if isinstance(value, tuple)}
        return {**self.__dict__, **lists, "cost": None if self.cost is None else [list(row) for row in self.cost]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Settings:
        """Inverse of `to_json`."""
        cost = data["cost"]
        lists = {name: tuple(value) for name, value in data.items() if isinstance(value, list)}
        return cls(**{**data, **lists, "cost": None if cost is None else tuple(tuple(row) for row in cost)})


class Task(ABC):
    """A type of task, on this data with these models. `settings` are what its state is made from."""

    def __init__(self, question: Question, settings: Settings) -> None:
        self.question, self.settings = question, settings

    @abstractmethod
    def judge(self, batch: pd.DataFrame, start: int) -> JudgedRows:
        """Ask the models about a batch that begins with row `start`."""
