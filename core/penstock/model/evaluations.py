"""What was measured: a model, a baseline, the same rows, and the numbers with what later decisions need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from penstock.model.data import Dataset
from penstock.model.runs import join_value, split_value

CANDIDATE = "candidate"
BASELINE = "baseline"


@dataclass(frozen=True)
class Measurement:
    """One number: a metric of the candidate or the baseline, over all rows or over one slice.

    `value` is None where the metric is undefined, and `cause` then says why (one class only, no probabilities).
    A value may also be NaN or infinite when a model's output made it so; no gate passes on it. `n` counts the rows,
    `slice` is empty for all rows, else column → value. `stats` holds sufficient statistics by name, for example
    `standard_error`.
    """

    metric: str
    of: str
    value: float | None
    n: int
    slice: Mapping[str, str] = field(default_factory=dict)
    unit: str = "1"
    cause: str = ""
    stats: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; a non-finite value is written by its kind."""
        kind, value = ("undefined", None) if self.value is None else split_value(self.value)
        return {
            "metric": self.metric,
            "of": self.of,
            "kind": getattr(kind, "value", kind),
            "value": value,
            "n": self.n,
            "slice": dict(self.slice),
            "unit": self.unit,
            "cause": self.cause,
            "stats": dict(self.stats),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Measurement:
        """Inverse of `to_json`."""
        value = None if data["kind"] == "undefined" else join_value(data["kind"], data["value"])
        rest = {k: v for k, v in data.items() if k not in {"kind", "value"}}
        return cls(value=value, **rest)


@dataclass(frozen=True)
class BaselineRef:
    """Which version the candidate was compared with, and where the alias stood at that moment.

    `declared` is the URI as the caller wrote it. `version` is None where the alias pointed nowhere: there was no
    champion. `generation` counts the alias's moves (0: it never existed).
    """

    declared: str
    model: str = ""
    alias: str = ""
    version: int | None = None
    generation: int | None = None
    payload_digest: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class Evaluation:
    """A model measured on a dataset, with its baseline on the same rows where one was asked for.

    `curves` holds compact points for plots (never rows): ROC, calibration bins, confusion counts.
    """

    evaluation_id: str
    run_id: str
    model_id: str
    payload_digest: str
    task: str
    dataset: Dataset
    measurements: tuple[Measurement, ...]
    baseline: BaselineRef | None = None
    curves: Mapping[str, Any] = field(default_factory=dict)
    model_facts: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None

    def find(self, metric: str, of: str = CANDIDATE, slice: Mapping[str, str] | None = None) -> Measurement | None:
        """Return the measurement of `metric`, or None if it was not taken."""
        wanted = dict(slice or {})
        return next(
            (m for m in self.measurements if m.metric == metric and m.of == of and dict(m.slice) == wanted),
            None,
        )

    def value(self, metric: str, of: str = CANDIDATE) -> float | None:
        """Return the value of `metric` over all rows, or None if it is undefined or was not taken."""
        found = self.find(metric, of)
        return None if found is None else found.value

    @property
    def ref(self) -> dict[str, Any]:
        """A small JSON reference, to hand from step to step."""
        return {"evaluation_id": self.evaluation_id, "run_id": self.run_id}

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON without the time, which the store keeps."""
        return {
            "evaluation_id": self.evaluation_id,
            "run_id": self.run_id,
            "model_id": self.model_id,
            "payload_digest": self.payload_digest,
            "task": self.task,
            "dataset": {**self.dataset.__dict__, "schema": dict(self.dataset.schema)},
            "measurements": [m.to_json() for m in self.measurements],
            "baseline": None if self.baseline is None else self.baseline.to_json(),
            "curves": dict(self.curves),
            "model_facts": dict(self.model_facts),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], created_at: datetime | None = None) -> Evaluation:
        """Inverse of `to_json`."""
        baseline = data["baseline"]
        return cls(
            **{
                **data,
                "dataset": Dataset(**data["dataset"]),
                "measurements": tuple(Measurement.from_json(m) for m in data["measurements"]),
                "baseline": None if baseline is None else BaselineRef(**baseline),
                "created_at": created_at,
            }
        )
