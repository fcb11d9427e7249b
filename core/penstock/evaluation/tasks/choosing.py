"""Which task it is, where the caller leaves that to the data and the model; and the tasks there are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from penstock.errors import InvalidValue
from penstock.evaluation.labels import same_kind, shown
from penstock.evaluation.predicting import GivenPredictions
from penstock.evaluation.tasks.binary import BinaryState, BinaryTask
from penstock.evaluation.tasks.multiclass import MulticlassState, MulticlassTask
from penstock.evaluation.tasks.multilabel import MultilabelState, MultilabelTask
from penstock.evaluation.tasks.quantile import QuantileState, QuantileTask
from penstock.evaluation.tasks.ranking import RankingState, RankingTask
from penstock.evaluation.tasks.regression import RegressionState, RegressionTask
from penstock.evaluation.tasks.task import Settings, Task, TaskState
from penstock.model.data import DataSource
from penstock.ports import Predictor

TASKS: Mapping[str, tuple[type[Task], type[TaskState]]] = {
    "binary": (BinaryTask, BinaryState),
    "multiclass": (MulticlassTask, MulticlassState),
    "regression": (RegressionTask, RegressionState),
    "quantile": (QuantileTask, QuantileState),
    "ranking": (RankingTask, RankingState),
    "multilabel": (MultilabelTask, MultilabelState),
}
AUTO = "auto"
_LEVELS = re.compile(r"quantile\[(?P<levels>[^]]+)\]")
_MOST_CLASSES = 100


class Chosen(NamedTuple):
    """A task, the orders of its quantiles, and why it was chosen: empty where the caller said so."""

    task: str
    levels: tuple[float, ...] = ()
    because: str = ""


def read_task(task: str) -> Chosen:
    """Read what a caller may write: a task's name, `auto`, or `quantile[0.1,0.5,0.9]`; `InvalidValue` otherwise."""
    if found := _LEVELS.fullmatch(task):
        try:
            levels = tuple(float(level) for level in found["levels"].split(","))
        except ValueError:
            levels = ()
        if not levels or not all(0 < level < 1 for level in levels) or sorted(set(levels)) != list(levels):
            raise InvalidValue("task", task, "quantiles in (0, 1) that ascend, such as quantile[0.1,0.5,0.9]")
        return Chosen("quantile", levels)
    if task not in (*TASKS, AUTO):
        raise InvalidValue("task", task, f"one of {', '.join((*TASKS, AUTO))}", "Quantiles: quantile[0.1,0.5,0.9]")
    return Chosen(task, (0.5,) if task == "quantile" else ())


def choose(candidate: Predictor, data: DataSource, label: str, batch: pd.DataFrame) -> Chosen:
    """Infer the task from the model, the columns' roles and the first batch, in this order.

    Labels that are lists: multilabel. A classifier: binary for two classes, multiclass for more. A model that is none,
    or predictions of it: ranking where the data names a group, else regression.
    """
    column = batch[label]
    if column.dtype == object and isinstance(column.iloc[0], list | tuple | set | frozenset | np.ndarray):
        return Chosen("multilabel", because=f"the labels in {label!r} are lists")
    classes = candidate.classes
    if classes is None and isinstance(candidate, GivenPredictions):
        classes = _given_classes(data, column)
    if classes is not None:
        what = f"the model has {len(classes)} classes ({shown(classes)})"
        return Chosen("binary" if len(classes) == 2 else "multiclass", because=what)
    if data.group is not None:
        return Chosen("ranking", because=f"the data has groups ({data.group!r}) and the model is no classifier")
    return Chosen("regression", because="the model is no classifier")


def given_classes(data: DataSource, label: str, batch: pd.DataFrame, task: str) -> tuple[Any, ...] | None:
    """Return the classes of predictions that the data brings with it: those of its first batch."""
    if task not in ("binary", "multiclass"):
        return None
    values = _distinct(batch[label])
    if values and not same_kind(values):
        raise InvalidValue(f"label column {label!r}", _types(values), "labels of one type")
    if data.prediction is not None:
        predicted = _distinct(batch[data.prediction])
        if not same_kind([*values, *predicted]):
            given = f"label type {_types(values)}, prediction type {_types(predicted)}"
            hint = "No prediction could be right. Convert one of the columns"
            raise InvalidValue(f"columns {label!r} and {data.prediction!r}", given, "one type", hint)
        values = list({*values, *predicted})
    if task == "binary" and set(values) <= {0, 1}:
        return (False, True) if all(isinstance(value, bool) for value in values) else (0, 1)
    return tuple(sorted(values))


def _distinct(column: pd.Series[Any]) -> list[Any]:
    found: list[Any] = pd.unique(column.dropna()).tolist()
    return found


def _types(values: Sequence[Any]) -> str:
    return " and ".join(sorted({type(value).__name__ for value in values}))


def _given_classes(data: DataSource, column: pd.Series[Any]) -> tuple[Any, ...] | None:
    wide = isinstance(data.scores, tuple) and len(data.scores) > 1
    values = sorted(
        {value.item() if isinstance(value, np.generic) else value for value in pd.unique(column.dropna())}, key=str
    )
    if all(isinstance(value, bool | int | float) for value in values) and set(values) <= {0, 1}:
        return (0, 1) if data.scores is not None or data.prediction is not None else None
    text = all(isinstance(value, str) for value in values)
    return tuple(values) if (wide or text) and 2 <= len(values) <= _MOST_CLASSES else None


def build(chosen: Chosen, settings: dict[str, Any]) -> Settings:
    """Return the settings of a chosen task."""
    return Settings(task=chosen.task, levels=chosen.levels, **settings)
