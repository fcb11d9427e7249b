"""The metrics an evaluation measures and a gate may name: the range each can take and which direction is better.

How a metric is written, in policies, in `metrics=` and in an evaluation's measurements:

    name              accuracy, roc_auc, mean_absolute_error         as scikit-learn calls it
    name_average      recall_macro, roc_auc_ovo_weighted             averaged over classes or labels
    name_number       fbeta_0.5, pinball_loss_0.9                    a number that is part of the definition
    name@cut          ndcg@10, top_k_accuracy@5, lift@0.1            of the first 10, of the first tenth of the rows
    name[class]       recall[cat], roc_auc[3]                        of one class against all others, or one label
    best_threshold_f1, f1_at_best_threshold                          where f1 (accuracy, balanced_accuracy,
                                                                     matthews_corrcoef, cost) is best, and how good

`find_metric` reads every such name. `METRICS` lists the names without cut, number or class.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from penstock.errors import InvalidValue


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

    def __post_init__(self) -> None:
        if not self.name or self.name != self.name.strip():
            raise InvalidValue("metric name", self.name, "a name without blanks around it")
        if not self.low <= self.high:
            raise InvalidValue(f"range of metric {self.name!r}", [self.low, self.high], "low ≤ high")

    @property
    def range_text(self) -> str:
        """The range as people write it, for example `[0, 1]`."""
        low = f"[{self.low:g}" if math.isfinite(self.low) else "(-infinity"
        return f"{low}, {self.high:g}]" if math.isfinite(self.high) else f"{low}, infinity)"


HIGHER, LOWER = Direction.HIGHER, Direction.LOWER
_UNBOUNDED = math.inf

# Of predicted classes; each also as an average over classes and for one class.
_OF_A_CLASS = ("precision", "recall", "f1", "jaccard")
# Of the model itself, in milliseconds and bytes: measured where an evaluation is asked for its latency.
SPEED = (
    "load_ms",
    *(f"{of}_p{which}_ms" for of in ("latency", "batch_latency") for which in (50, 95, 99)),
    "peak_memory_bytes",
)
_AVERAGES = ("macro", "weighted", "micro", "samples")


def _metrics() -> Iterator[GateMetric]:
    for name in ("accuracy", "balanced_accuracy", *_OF_A_CLASS, "average_precision", "roc_auc"):
        yield GateMetric(name, 0, 1, HIGHER)
    for name in (*_OF_A_CLASS, "average_precision", "roc_auc"):
        for average in _AVERAGES:
            yield GateMetric(f"{name}_{average}", 0, 1, HIGHER)
    for name in ("roc_auc_ovr", "roc_auc_ovr_weighted", "roc_auc_ovo", "roc_auc_ovo_weighted"):
        yield GateMetric(name, 0, 1, HIGHER)
    for name in ("matthews_corrcoef", "cohen_kappa"):
        yield GateMetric(name, -1, 1, HIGHER)
    yield GateMetric("log_loss", 0, _UNBOUNDED, LOWER)
    yield GateMetric("brier_score", 0, 1, LOWER)
    yield GateMetric("calibration_error", 0, 1, LOWER)
    yield GateMetric("ks_statistic", 0, 1, HIGHER)
    yield GateMetric("positive_rate", 0, 1, None)
    yield GateMetric("cost", -_UNBOUNDED, _UNBOUNDED, LOWER)
    yield GateMetric("hamming_loss", 0, 1, LOWER)
    for name in ("mean_absolute_error", "mean_squared_error", "root_mean_squared_error", "median_absolute_error"):
        yield GateMetric(name, 0, _UNBOUNDED, LOWER)
    yield GateMetric("mean_absolute_percentage_error", 0, _UNBOUNDED, LOWER)
    yield GateMetric("max_error", 0, _UNBOUNDED, LOWER)
    yield GateMetric("mean_error", -_UNBOUNDED, _UNBOUNDED, None)
    yield GateMetric("pinball_loss", 0, _UNBOUNDED, LOWER)
    yield GateMetric("r2", -_UNBOUNDED, 1, HIGHER)
    yield GateMetric("explained_variance", -_UNBOUNDED, 1, HIGHER)
    yield GateMetric("interval_coverage", 0, 1, None)
    yield GateMetric("interval_width", -_UNBOUNDED, _UNBOUNDED, LOWER)
    yield GateMetric("quantile_crossing_rate", 0, 1, LOWER)
    for name in ("ndcg", "map", "mrr"):
        yield GateMetric(name, 0, 1, HIGHER)
    for name in SPEED:
        yield GateMetric(name, 0, _UNBOUNDED, LOWER)


METRICS: Mapping[str, GateMetric] = MappingProxyType({metric.name: metric for metric in _metrics()})

_FAMILIES: Mapping[str, GateMetric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            # name@cut: the first k of a ranking or of the classes
            GateMetric("top_k_accuracy@", 0, 1, HIGHER),
            GateMetric("ndcg@", 0, 1, HIGHER),
            GateMetric("map@", 0, 1, HIGHER),
            GateMetric("mrr@", 0, 1, HIGHER),
            GateMetric("precision@", 0, 1, HIGHER),
            GateMetric("recall@", 0, 1, HIGHER),
            # name@cut: the share of rows with the highest scores
            GateMetric("lift@", 0, _UNBOUNDED, HIGHER),
            GateMetric("gain@", 0, 1, HIGHER),
            # name_number
            GateMetric("fbeta_", 0, 1, HIGHER),
            GateMetric("pinball_loss_", 0, _UNBOUNDED, LOWER),
            GateMetric("absolute_error_quantile_", 0, _UNBOUNDED, LOWER),
            GateMetric("quantile_coverage_", 0, 1, None),
        )
    }
)
_SHARES = ("lift", "gain")  # their cut is a share of the rows; every other cut counts places
_ORDERS = ("pinball_loss", "absolute_error_quantile", "quantile_coverage")  # their number is a quantile's order
_BY_CLASS = (*_OF_A_CLASS, "average_precision", "roc_auc")
_GOALS = "f1|accuracy|balanced_accuracy|matthews_corrcoef|cost"
_BEST = re.compile(rf"best_threshold_(?P<goal>{_GOALS})")
_AT_BEST = re.compile(rf"(?P<goal>{_GOALS})_at_best_threshold")
_PARAMETRIC = re.compile(r"(?P<name>[a-z0-9_]*?[a-z0-9])(?P<mark>[@_])(?P<number>[0-9]+(?:\.[0-9]+)?)")
_CLASS = re.compile(r"(?P<name>[a-z0-9_.]+)\[(?P<class_>.+)\]", re.DOTALL)


@dataclass(frozen=True)
class MetricName:
    """A metric's name taken apart: `recall[cat]` is base `recall` of class `cat`, `ndcg@10` base `ndcg` at cut 10."""

    base: str
    cut: float | None = None
    number: float | None = None
    class_: str | None = None


def read_name(name: str) -> MetricName:
    """Take a name apart; what is in no form above is a base of its own, known or not.

    >>> read_name("fbeta_0.5")
    MetricName(base='fbeta', cut=None, number=0.5, class_=None)
    >>> read_name("recall[cat]").class_
    'cat'
    """
    if found := _CLASS.fullmatch(name):
        inner = read_name(found["name"])
        return replace(inner, class_=found["class_"])
    found = _PARAMETRIC.fullmatch(name)
    if found is None or found["name"] + found["mark"] not in _FAMILIES:
        return MetricName(name)
    number = float(found["number"])
    return MetricName(found["name"], cut=number) if found["mark"] == "@" else MetricName(found["name"], number=number)


def find_metric(name: str) -> GateMetric | None:
    """Return what is known of a metric by any name that the module describes; None for any other name.

    >>> find_metric("ndcg@10").better
    <Direction.HIGHER: 'higher'>
    >>> find_metric("recall[cat]").range_text
    '[0, 1]'
    >>> find_metric("ndcg@0") is None
    True
    """
    if name in METRICS:
        return METRICS[name]
    if found := _BEST.fullmatch(name):
        return GateMetric(name, -_UNBOUNDED, _UNBOUNDED, None)
    if found := _AT_BEST.fullmatch(name):
        return replace(METRICS[found["goal"]], name=name)
    parts = read_name(name)
    if parts.class_ is not None and parts.base not in (*_BY_CLASS, "fbeta"):
        return None
    if parts.cut is None and parts.number is None:
        known = METRICS.get(parts.base)
    else:
        known = _FAMILIES[parts.base + ("_" if parts.cut is None else "@")] if _in_range(parts) else None
    return None if known is None else replace(known, name=name)


def _in_range(parts: MetricName) -> bool:
    if parts.cut is not None:
        return 0 < parts.cut <= 1 if parts.base in _SHARES else parts.cut >= 1 and parts.cut == int(parts.cut)
    if parts.number is None:
        return True
    return 0 < parts.number < 1 if parts.base in _ORDERS else parts.number > 0


@dataclass(frozen=True)
class Cost:
    """What the four outcomes of a binary decision cost, in any unit; a gain is a negative cost.

    Asked for as `metrics=[Cost(false_positive=5, false_negative=50)]`, it is measured as `cost`, the mean per row, and
    with `"best_threshold_cost"` as the threshold at which it is lowest.

    >>> Cost(false_positive=5, false_negative=50).matrix
    ((0, 5), (50, 0))
    """

    false_positive: float
    false_negative: float
    true_negative: float = 0
    true_positive: float = 0

    def __post_init__(self) -> None:
        if not all(math.isfinite(cost) for cost in self.__dict__.values()):
            raise InvalidValue("cost", self.__dict__, "finite numbers")

    @property
    def matrix(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Costs by true class (rows) and predicted class (columns), negative first."""
        return (self.true_negative, self.false_positive), (self.false_negative, self.true_positive)
