"""Metrics of one's own, in every group: functions of all rows, and accumulators.

With a bootstrap they are computed again from rows drawn anew, each as often as its weight says: so a metric need know
nothing of weights. That takes its time as often as there are replicates, so it is done for up to 131,072 rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import InvalidValue
from penstock.evaluation.answers import JudgedRows
from penstock.evaluation.inference import replicates
from penstock.evaluation.inference.weights import Keys, poisson_weights
from penstock.evaluation.state.groups import GroupCodes, by_group
from penstock.evaluation.tasks.task import Found, Settings
from penstock.model.custom_metrics import CustomMetric, FunctionMetric, described
from penstock.model.evaluations import BASELINE, CANDIDATE

MOST_DRAWN = 2**17  # rows
_FEWEST_DRAWN = 20  # rows: fewer differ too much from one draw to the next
_MOST_GROUPS = 64  # slices whose rows are drawn anew
_CHUNK = 4096
_State = Mapping[str, Any]


class CustomState:
    """What metrics of one's own need: rows for functions, as long as there are few enough; states of accumulators."""

    def __init__(self, metrics: Sequence[CustomMetric], settings: Settings) -> None:
        self.names = [metric.name for metric in metrics]
        self._settings = settings
        self._functions = [metric for metric in metrics if isinstance(metric, FunctionMetric)]
        self._accumulators = [metric for metric in metrics if not isinstance(metric, FunctionMetric)]
        self._classes = np.array(settings.classes) if settings.classes and settings.task != "multilabel" else None
        self._states: dict[tuple[str, str, int], _State] = {}
        self._parts: list[dict[str, NDArray[Any]]] = []
        self._rows, self._size = 0, 1

    @property
    def _most_held(self) -> int:
        drawn = min(MOST_DRAWN, self._settings.exact_rows) if self._settings.bootstrap else 0
        return self._settings.exact_rows if self._functions else drawn

    def update(self, rows: JudgedRows, groups: GroupCodes, keys: Keys | None = None) -> None:
        """Add a batch; with the rows' `keys` they can be drawn anew."""
        self._size = max(self._size, groups.size)
        truth = self._labels(rows.truth)
        predicted = {of: self._labels(rows.answers[of].predicted) for of in self._settings.of}
        self._rows += len(rows)
        if self._rows > self._most_held:
            self._parts = []
        else:
            columns = {f"slice {place}": codes for place, codes in enumerate(groups.columns)}
            weights = {} if rows.weights is None else {"weights": rows.weights}
            drawn = {} if keys is None else {"keys": keys}
            answered = {f"of {of}": answers for of, answers in predicted.items()}
            self._parts.append({"truth": truth, **answered, **weights, **drawn, **columns})
        for metric in self._accumulators:
            for of, answers in predicted.items():
                for group, chosen in _groups(len(rows), groups.columns, groups.size):
                    weights_of = None if rows.weights is None else rows.weights[chosen]
                    key = (metric.name, of, group)
                    state = self._states.get(key)
                    state = _of(metric, metric.init) if state is None else state
                    self._states[key] = _of(metric, metric.update, state, truth[chosen], answers[chosen], weights_of)

    def _labels(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Return classes as the data has them; None for a null prediction."""
        if self._classes is None:
            return codes
        found: NDArray[Any] = self._classes[codes]
        if (codes < 0).any():
            found = found.astype(object)
            found[codes < 0] = None
        return found

    def merge(self, other: CustomState, places: NDArray[np.intp], size: int) -> None:
        """Add another's rows; its group g is group `places[g]` of the `size` groups here."""
        self._size = size
        by_name = {metric.name: metric for metric in self._accumulators}
        for (name, of, group), state in other._states.items():
            key = (name, of, int(places[group]))
            mine, metric = self._states.get(key), by_name[name]
            self._states[key] = state if mine is None else _of(metric, metric.merge, mine, state)
        self._rows += other._rows
        for part in other._parts:
            moved = {n: places[v].astype(np.int32) if n.startswith("slice ") else v for n, v in part.items()}
            self._parts.append(moved)
        if self._rows > self._most_held:
            self._parts = []

    def measure(self, drawable: bool = False) -> Iterator[tuple[int, str, Found]]:
        """Yield each metric of every model in every group; bounded where rows are `drawable` and few enough."""
        found = list(self._measure())
        if not drawable or not self._parts or "keys" not in self._parts[0] or self._rows > MOST_DRAWN:
            yield from found
            return
        values = {(metric.metric, of, group): metric.value for group, of, metric in found}
        stats = self._drawn(values)
        for group, of, metric in found:
            yield group, of, metric._replace(stats={**metric.stats, **stats.get((metric.metric, of, group), {})})

    def _drawn(self, values: Mapping[tuple[str, str, int], float | None]) -> dict[tuple[str, str, int], dict[str, Any]]:
        """Return what bounds each metric, by its name, model and group."""
        held, count = self._joined(), self._settings.bootstrap
        keys: Keys = held["keys"]
        starts = range(0, len(keys), _CHUNK)
        # How often a row is drawn is 5 at most.
        times = np.concatenate([poisson_weights(keys[s : s + _CHUNK], count).astype(np.uint8) for s in starts])
        columns = [held[name] for name in held if name.startswith("slice ")] if self._size <= _MOST_GROUPS + 1 else []
        metrics: list[CustomMetric] = [*self._accumulators, *self._functions]
        found: dict[tuple[str, str, int], dict[str, Any]] = {}
        for group, rows in _groups(len(keys), columns, self._size):
            drawn = times[rows]
            if len(drawn) < _FEWEST_DRAWN:
                continue
            again = np.full((len(metrics), len(self._settings.of), count), np.nan)
            truth, weights = held["truth"][rows], held["weights"][rows] if "weights" in held else None
            answers = [held[f"of {of}"][rows] for of in self._settings.of]
            for replicate in range(count):
                places = np.repeat(np.arange(len(drawn)), drawn[:, replicate])
                own = None if weights is None else weights[places]
                for number, metric in enumerate(metrics):
                    for model, said in enumerate(answers):
                        again[number, model, replicate] = _again(metric, truth[places], said[places], own)
            for metric, by_model in zip(metrics, again, strict=True):
                one = dict(zip(self._settings.of, by_model, strict=True))
                value = {of: values.get((metric.name, of, group)) for of in one}
                for of in one:
                    found[metric.name, of, group] = replicates.evidence(value[of], one[of])
                if BASELINE in one:
                    pair = replicates.paired(value[CANDIDATE], value[BASELINE], one[CANDIDATE], one[BASELINE])
                    found[metric.name, CANDIDATE, group] |= pair
        return found

    def _measure(self) -> Iterator[tuple[int, str, Found]]:
        for metric in self._accumulators:
            for (name, of, group), state in self._states.items():
                if name == metric.name:
                    yield group, of, _found(metric, _of(metric, metric.result, state))
        if not self._functions:
            return
        if self._rows > self._settings.exact_rows:
            cause = f"a function needs all rows at once, at most {self._settings.exact_rows}: use an accumulator"
            for function in self._functions:
                for of in self._settings.of:
                    yield 0, of, Found(function.name, None, cause)
            return
        held = self._joined()
        columns = [held[name] for name in held if name.startswith("slice ")]
        for group, rows in _groups(len(held["truth"]), columns, self._size):
            weights = held["weights"][rows] if "weights" in held else None
            for function in self._functions:
                for of in self._settings.of:
                    value = _of(function, function.function, held["truth"][rows], held[f"of {of}"][rows], weights)
                    yield group, of, _found(function, value)

    def _joined(self) -> dict[str, NDArray[Any]]:
        if len(self._parts) > 1:
            self._parts = [{n: np.concatenate([part[n] for part in self._parts]) for n in self._parts[0]}]
        return self._parts[0]

    def pack(self) -> dict[str, Any]:
        """Return the state as arrays and plain values."""
        states = [{"key": list(key), "state": state} for key, state in self._states.items()]
        return {"names": self.names, "states": states, "rows": self._rows, "size": self._size, "parts": self._parts}

    def unpack(self, packed: Mapping[str, Any]) -> None:
        """Take the state of `pack`."""
        self._states = {(k[0], k[1], int(k[2])): found["state"] for found in packed["states"] for k in [found["key"]]}
        self._rows, self._size, self._parts = packed["rows"], packed["size"], packed["parts"]


def _groups(rows: int, columns: Sequence[NDArray[np.int32]], size: int) -> Iterator[tuple[int, Any]]:
    yield 0, slice(0, rows)
    for codes in columns:
        yield from by_group(codes, size)


def _of(metric: CustomMetric, function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Exception as error:  # whatever somebody's metric raises is that metric's failure
        expected = "a metric that can be computed from these rows"
        raise InvalidValue(f"metric {metric.name!r}", f"{type(error).__name__}: {error}", expected) from error


def _again(metric: CustomMetric, truth: NDArray[Any], said: NDArray[Any], weights: NDArray[Any] | None) -> float:
    """Return a metric of rows that were drawn anew; NaN where it is undefined of them."""
    try:
        if isinstance(metric, FunctionMetric):
            return float(metric.function(truth, said, weights))
        return float(metric.result(metric.update(metric.init(), truth, said, weights)))
    except Exception:  # noqa: BLE001 - it was computed of the rows themselves; of some draws it may be undefined
        return math.nan


def _found(metric: CustomMetric, value: Any) -> Found:
    """Return a metric with what was declared of it, by which a gate checks it."""
    known = described(metric)
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise InvalidValue(f"metric {metric.name!r}", value, "a number")
    limits = {"low": known.low, "high": known.high}
    finite = {name: limit if math.isfinite(limit) else None for name, limit in limits.items()}
    better = None if known.better is None else known.better.value
    number = float(value)
    if math.isfinite(number) and not known.low <= number <= known.high:
        raise InvalidValue(f"metric {metric.name!r}", number, f"a number in its range {known.range_text}")
    return Found(metric.name, number, "", {"declared": {**finite, "better": better}})
