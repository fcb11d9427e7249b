"""What an evaluation says about a metric, read so that nothing unusable can be taken for a number.

A `Reading` either is usable (no cause, a finite value) or carries the cause why not, in one word and in a sentence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penstock.model.evaluations import BASELINE, CANDIDATE, Evaluation, Measurement
from penstock.model.metrics import METRICS
from penstock.model.runs import split_value

# Scores summed in floating point may leave their range by rounding; anything further is not that metric.
_ROUNDING = 1e-9

Slice = Mapping[str, str]


@dataclass(frozen=True)
class Reading:
    """One number as the gate sees it. `label` names it in sentences; `compared` is its plain JSON."""

    label: str
    value: float
    cause: str
    problem: str
    compared: Mapping[str, Any]

    @property
    def usable(self) -> bool:
        """Whether there is a finite number to compare."""
        return self.cause == "" and math.isfinite(self.value)


class Readings:
    """An evaluation's measurements, indexed once, so that a policy of many rules reads them quickly."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._found: dict[tuple[str, str, frozenset[tuple[str, str]]], list[Measurement]] = {}
        self._rows: dict[tuple[str, str], list[int]] = {}
        for measurement in evaluation.measurements:
            key = (measurement.metric, measurement.of, frozenset(measurement.slice.items()))
            self._found.setdefault(key, []).append(measurement)
            if len(measurement.slice) == 1:
                rows = self._rows.setdefault(next(iter(measurement.slice.items())), [])
                if measurement.of == CANDIDATE:
                    rows.append(measurement.n)

    def slices(self, column: str) -> list[tuple[str, int]]:
        """Return each value of `column` that was measured, with its rows: the fewest any measurement of it saw.

        A slice that only the baseline was measured on is there too, with no rows: it must not go missing.
        """
        found = [(value, min(rows, default=0)) for (name, value), rows in self._rows.items() if name == column]
        return sorted(found, key=lambda item: str(item[0]))

    def candidate(self, metric: str, slice: Slice) -> Reading:
        """Return the candidate's value of `metric` on `slice` (empty: all rows)."""
        return self._read(metric, CANDIDATE, slice, metric)

    def baseline(self, metric: str, slice: Slice, name: str) -> Reading:
        """Return the baseline's value of `metric` on the same rows; `name` is the alias it is known by."""
        return self._read(metric, BASELINE, slice, f"{name}'s {metric}")

    def _read(self, metric: str, of: str, slice: Slice, name: str) -> Reading:
        label = name + "".join(f" on {column}={value}" for column, value in slice.items())
        found = self._found.get((metric, of, frozenset(slice.items())), [])
        if not found:
            return Reading(label, math.nan, "missing", f"{label} was not measured", {"kind": "missing", "value": None})
        first = found[0]
        value = math.nan if first.value is None else float(first.value)
        kind, finite = split_value(value)
        compared = {"kind": "undefined" if first.value is None else kind.value, "value": finite, "n": first.n}
        cause, problem = _objection(metric, label, found, value)
        return Reading(label, value, cause, problem, compared)


def _objection(metric: str, label: str, found: list[Measurement], value: float) -> tuple[str, str]:
    first = found[0]
    if any(other.to_json() != first.to_json() for other in found[1:]):
        return "ambiguous", f"{label} was measured {len(found)} times with different results"
    if first.value is None:
        return "undefined", f"{label} is undefined" + (f" ({first.cause})" if first.cause else "")
    if not math.isfinite(value):
        return "not_finite", f"{label} is {'NaN' if math.isnan(value) else f'{value:+}'}"
    if first.n < 1:
        return "too_few_rows", f"{label} was measured on no rows"
    known = METRICS[metric]
    if known.low - _ROUNDING <= value <= known.high + _ROUNDING:
        return "", ""
    return "out_of_range", f"{label} is {value:g}, which {metric} {known.range_text} cannot be"
