"""What was measured: a model, a baseline, the same rows, and the numbers with what later decisions need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from penstock.model.data import Dataset
from penstock.model.runs import join_value, split_value

CANDIDATE = "candidate"
BASELINE = "baseline"
ANCHOR = "anchor"


@dataclass(frozen=True)
class Measurement:
    """One number: a metric of the candidate, the baseline or the anchor, over all rows or over one slice.

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
        given = dict(data)
        kind, value = given.pop("kind"), given["value"]
        given["value"] = None if kind == "undefined" else join_value(kind, value)
        if given.keys() != _MEASURED:
            return cls(**given)  # which says what is missing or unknown
        # An evaluation has thousands: at one go, where a frozen dataclass would set field after field.
        measurement = object.__new__(cls)
        measurement.__dict__.update(given)
        return measurement


_MEASURED = {field.name for field in fields(Measurement)}


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
    """A model measured on a dataset, with its baseline (and an anchor) on the same rows where one was asked for.

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
    anchor: BaselineRef | None = None

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
            "dataset": self.dataset.to_json(),
            "measurements": [m.to_json() for m in self.measurements],
            "baseline": None if self.baseline is None else self.baseline.to_json(),
            "curves": dict(self.curves),
            "model_facts": dict(self.model_facts),
            **({} if self.anchor is None else {"anchor": self.anchor.to_json()}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], created_at: datetime | None = None) -> Evaluation:
        """Inverse of `to_json`."""
        baseline, anchor = data["baseline"], data.get("anchor")
        return cls(
            **{
                **data,
                "dataset": Dataset.from_json(data["dataset"]),
                "measurements": tuple(Measurement.from_json(m) for m in data["measurements"]),
                "baseline": None if baseline is None else BaselineRef(**baseline),
                "anchor": None if anchor is None else BaselineRef(**anchor),
                "created_at": created_at,
            }
        )
