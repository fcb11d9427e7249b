"""The metrics a gate may name: the range each can take and which direction is better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Direction(StrEnum):
    """Which way a metric gets better."""

    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True)
class GateMetric:
    """A metric with its range, both ends included; `better` is None where neither way is better."""

    name: str
    low: float
    high: float
    better: Direction | None

    @property
    def range_text(self) -> str:
        """The range as people write it, for example `[0, 1]`."""
        return f"[{self.low:g}, {self.high:g}]" if math.isfinite(self.high) else f"[{self.low:g}, infinity)"


METRICS: Mapping[str, GateMetric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            GateMetric("accuracy", 0, 1, Direction.HIGHER),
            GateMetric("balanced_accuracy", 0, 1, Direction.HIGHER),
            GateMetric("precision", 0, 1, Direction.HIGHER),
            GateMetric("recall", 0, 1, Direction.HIGHER),
            GateMetric("f1", 0, 1, Direction.HIGHER),
            GateMetric("roc_auc", 0, 1, Direction.HIGHER),
            GateMetric("average_precision", 0, 1, Direction.HIGHER),
            GateMetric("matthews_corrcoef", -1, 1, Direction.HIGHER),
            GateMetric("log_loss", 0, math.inf, Direction.LOWER),
            GateMetric("brier_score", 0, 1, Direction.LOWER),
            GateMetric("positive_rate", 0, 1, None),
        )
    }
)
