"""Metrics of one's own: a plain function, or an accumulator that works on rows larger than memory.

>>> def mean_overstatement(y_true, y_pred, weights):
...     return float(sum(p - t for t, p in zip(y_true, y_pred)) / len(y_true))
>>> overstated = FunctionMetric("overstatement", mean_overstatement, better="lower")
>>> overstated.function([1.0, 2.0], [2.0, 2.0], None)
0.5

>>> class Revenue:
...     name, low, high, better = "revenue", 0, float("inf"), "higher"
...     def init(self):
...         return {"total": 0.0}
...     def update(self, state, y_true, y_pred, weights):
...         return {"total": state["total"] + float(sum(t for t, p in zip(y_true, y_pred) if p))}
...     def merge(self, state, other):
...         return {"total": state["total"] + other["total"]}
...     def result(self, state):
...         return state["total"]
>>> revenue = Revenue()
>>> revenue.result(revenue.update(revenue.init(), [10, 20], [1, 0], None))
10.0

With a bootstrap (`bootstrap=200` is the default) both have bounds, alone and against the baseline, so a gate may ask
for them with `confidence`: they are computed again from rows drawn anew, 200 times, where there are 20 to 131,072 rows.
That is as honest as the bootstrap is for such a metric: good for what changes little with a single row; not for a
largest value, a share of the worst, or a mean of which a few huge rows make up much. Say `bootstrap=0` where a metric
takes long.

Both are given as `metrics=[overstated, Revenue()]`. `y_true` and `y_pred` are NumPy arrays of labels as the data has
them and of predictions; `weights` is an array or None. A function is called with all rows at once (and with those of
each slice), at most as many as are held row by row. An accumulator's state is a dictionary of numbers, text, lists and
NumPy arrays, so that it can travel. Their code is part of the evaluation's declared inputs: other code, another
evaluation.
"""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from penstock.errors import InvalidValue
from penstock.model.metrics import Cost, Direction, GateMetric, find_metric


@dataclass(frozen=True)
class FunctionMetric:
    """A metric as a function `(y_true, y_pred, weights) -> float`, with its name, range and which way is better."""

    name: str
    function: Callable[[Any, Any, Any], float]
    low: float = -math.inf
    high: float = math.inf
    better: str | None = None


@runtime_checkable
class AccumulatorMetric(Protocol):
    """A metric that is computed from batches. States are never changed in place: every method returns one."""

    name: str
    low: float
    high: float
    better: str | None

    def init(self) -> Mapping[str, Any]:
        """Return the state of no rows."""
        ...

    def update(self, state: Mapping[str, Any], y_true: Any, y_pred: Any, weights: Any) -> Mapping[str, Any]:
        """Return the state with a batch added."""
        ...

    def merge(self, state: Mapping[str, Any], other: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the state of both states' rows."""
        ...

    def result(self, state: Mapping[str, Any]) -> float:
        """Return the metric."""
        ...


CustomMetric = FunctionMetric | AccumulatorMetric
MetricSpec = str | Cost | CustomMetric


def declared(metric: MetricSpec) -> Any:
    """Return what identifies a metric as plain JSON: of one's own, its name, range, direction and code."""
    if isinstance(metric, str):
        return metric
    if isinstance(metric, Cost):
        return {"cost": [list(row) for row in metric.matrix]}
    known = described(metric)
    shape = {"low": repr(known.low), "high": repr(known.high), "better": known.better}
    return {"name": known.name, **shape, "code": code_digest(metric)}


def described(metric: CustomMetric) -> GateMetric:
    """Return name, range and direction of a metric of one's own; `InvalidValue` for a name that is taken."""
    if find_metric(metric.name) is not None:
        raise InvalidValue("metric name", metric.name, "a name that no other metric has")
    better = None if metric.better is None else Direction(metric.better)
    return GateMetric(metric.name, float(metric.low), float(metric.high), better)


def code_digest(metric: CustomMetric) -> str:
    """Return the SHA-256 of the source of a function or of an accumulator's class.

    Without source (typed into a prompt) it is of the compiled code. What the code calls is not part of it.
    """
    made = metric.function if isinstance(metric, FunctionMetric) else type(metric)
    try:
        text = inspect.getsource(made)
    except (OSError, TypeError):
        functions = [made] if inspect.isfunction(made) else [f for f in vars(made).values() if inspect.isfunction(f)]
        text = repr(
            [(f.__qualname__, f.__code__.co_code, f.__code__.co_names, repr(f.__code__.co_consts)) for f in functions]
        )
    extra = "" if isinstance(metric, FunctionMetric) else repr(sorted(vars(metric).items(), key=lambda item: item[0]))
    return hashlib.sha256((text + extra).encode()).hexdigest()
