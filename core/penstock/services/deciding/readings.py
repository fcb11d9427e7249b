"""What an evaluation says about a metric, read so that nothing unusable can be taken for a number.

A `Reading` either is usable (no cause, a finite value) or carries the cause why not, in one word and in a sentence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from penstock.model.evaluations import BASELINE, CANDIDATE, Evaluation, Measurement
from penstock.model.metrics import GateMetric
from penstock.model.policies import GatePolicy
from penstock.model.runs import split_value

# Scores summed in floating point may leave their range by rounding; anything further is not that metric.
_ROUNDING = 1e-9

Slice = Mapping[str, str]


@dataclass(frozen=True)
class Reading:
    """One number as the gate sees it. `label` names it in sentences; `compared` is its plain JSON.

    `rows` were measured; `stats` are the measurement's sufficient statistics, `parsed` what was read of them already.
    """

    label: str
    value: float
    cause: str
    problem: str
    compared: Mapping[str, Any]
    rows: int = 0
    stats: Mapping[str, Any] = field(default_factory=dict)
    parsed: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def usable(self) -> bool:
        """Whether there is a finite number to compare."""
        return self.cause == "" and math.isfinite(self.value)


class Readings:
    """An evaluation's measurements, indexed once, so that a policy of many rules reads them quickly."""

    def __init__(self, evaluation: Evaluation, policy: GatePolicy) -> None:
        self._policy = policy
        self._overall: dict[tuple[str, str], list[Measurement]] = {}
        self._known: dict[tuple[str, str, frozenset[tuple[str, str]]], Reading] = {}
        self._measurements = evaluation.measurements
        for measurement in self._measurements:
            if not measurement.slice:
                self._overall.setdefault((measurement.metric, measurement.of), []).append(measurement)

    @cached_property
    def _sliced(self) -> dict[tuple[str, str, frozenset[tuple[str, str]]], list[Measurement]]:
        # There may be thousands, and most policies ask for none.
        found: dict[tuple[str, str, frozenset[tuple[str, str]]], list[Measurement]] = {}
        for measurement in self._measurements:
            if measurement.slice:
                key = (measurement.metric, measurement.of, frozenset(measurement.slice.items()))
                found.setdefault(key, []).append(measurement)
        return found

    @cached_property
    def _slices(self) -> dict[frozenset[str], dict[tuple[tuple[str, str], ...], list[int]]]:
        found: dict[frozenset[str], dict[tuple[tuple[str, str], ...], list[int]]] = {}
        for measurement in self._measurements:
            if measurement.slice:
                where = tuple(sorted(measurement.slice.items()))
                rows = found.setdefault(frozenset(measurement.slice), {}).setdefault(where, [])
                if measurement.of == CANDIDATE:
                    rows.append(measurement.n)
        return found

    def slices(self, columns: tuple[str, ...]) -> list[tuple[Slice, int]]:
        """Return each slice of the crossed columns that was measured, with its rows: the fewest any measurement saw.

        A slice that only the baseline was measured on is there too, with no rows: it must not go missing.
        """
        found = self._slices.get(frozenset(columns), {})
        named = [({column: dict(where)[column] for column in columns}, rows) for where, rows in found.items()]
        return [(where, min(rows, default=0)) for where, rows in sorted(named, key=lambda item: _order(item[0]))]

    def candidate(self, metric: str, slice: Slice) -> Reading:
        """Return the candidate's value of `metric` on `slice` (empty: all rows)."""
        return self._read(metric, CANDIDATE, slice, metric)

    def baseline(self, metric: str, slice: Slice, name: str, of: str = BASELINE) -> Reading:
        """Return the baseline's (or the anchor's) value on the same rows; `name` is what it is known by."""
        return self._read(metric, of, slice, f"{name}'s {metric}")

    def _read(self, metric: str, of: str, slice: Slice, name: str) -> Reading:
        key = (metric, name, frozenset(slice.items()))
        if key not in self._known:
            self._known[key] = self._reading(metric, of, slice, name)
        return self._known[key]

    def _reading(self, metric: str, of: str, slice: Slice, name: str) -> Reading:
        label = name + "".join(f" on {column}={value}" for column, value in slice.items())
        where = frozenset(slice.items())
        found = self._sliced.get((metric, of, where)) if where else self._overall.get((metric, of))
        if not found:
            return Reading(label, math.nan, "missing", f"{label} was not measured", {"kind": "missing", "value": None})
        first = found[0]
        value = math.nan if first.value is None else float(first.value)
        kind, finite = split_value(value)
        compared = {"kind": "undefined" if first.value is None else kind.value, "value": finite, "n": first.n}
        cause, problem = _objection(self._policy.find_metric(metric), label, found, value)
        return Reading(label, value, cause, problem, compared, first.n, first.stats)


def _order(slice: Slice) -> list[str]:
    return [str(value) for value in slice.values()]


def _objection(known: GateMetric | None, label: str, found: list[Measurement], value: float) -> tuple[str, str]:
    first = found[0]
    if any(other.to_json() != first.to_json() for other in found[1:]):
        return "ambiguous", f"{label} was measured {len(found)} times with different results"
    if first.value is None:
        return "undefined", f"{label} is undefined" + (f" ({first.cause})" if first.cause else "")
    if not math.isfinite(value):
        return "not_finite", f"{label} is {'NaN' if math.isnan(value) else f'{value:+}'}"
    if first.n < 1:
        return "too_few_rows", f"{label} was measured on no rows"
    if known is None:
        return "unknown_metric", f"{first.metric!r} is no metric this version knows"
    measured_as = first.stats.get("declared", {}).get("better")
    if known.better is not None and measured_as not in (None, known.better.value):
        problem = f"{label} is better {measured_as} as it was measured, and better {known.better} in the policy"
        return "declared_otherwise", problem
    if known.low - _ROUNDING <= value <= known.high + _ROUNDING:
        return "", ""
    return "out_of_range", f"{label} is {value:g}, which {known.name} {known.range_text} cannot be"
