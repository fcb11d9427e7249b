"""A metric's history in columns: a million points are three arrays, not a million objects."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import overload

Point = tuple[int, int, float]


def _integers() -> array[int]:
    return array("q")


def _numbers() -> array[float]:
    return array("d")


@dataclass(frozen=True, eq=False)
class MetricHistory(Sequence[Point]):
    """The current points of one metric, by training step and time: a sequence of (step, time in ms, value).

    The columns are `array.array`s of 8-byte items, which numpy, pandas and Arrow read without copying:
    `numpy.asarray(history.values)`, `pandas.DataFrame(history.columns)`, `pyarrow.table(history.columns)` after
    `numpy.asarray`. NaN and the infinities are values like others.
    """

    steps: array[int] = field(default_factory=_integers)
    times_ms: array[int] = field(default_factory=_integers)
    values: array[float] = field(default_factory=_numbers)

    @property
    def columns(self) -> dict[str, array[int] | array[float]]:
        """The columns by name: `step`, `time_ms`, `value`."""
        return {"step": self.steps, "time_ms": self.times_ms, "value": self.values}

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[Point]:
        return zip(self.steps, self.times_ms, self.values, strict=True)

    @overload
    def __getitem__(self, at: int) -> Point: ...

    @overload
    def __getitem__(self, at: slice) -> MetricHistory: ...

    def __getitem__(self, at: int | slice) -> Point | MetricHistory:
        if isinstance(at, slice):
            return MetricHistory(self.steps[at], self.times_ms[at], self.values[at])
        return self.steps[at], self.times_ms[at], self.values[at]

    def __repr__(self) -> str:
        return f"<metric history of {len(self):,} points>"
