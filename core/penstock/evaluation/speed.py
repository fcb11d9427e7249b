"""How fast the models of an evaluation answer, and what memory they take, as measurements a gate can use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from penstock.errors import InvalidValue
from penstock.model.evaluations import CANDIDATE, Measurement
from penstock.ports import Measured

REPEATS = 200  # single rows asked about
BATCHES = 20
_BYTES_PER_MB = 1_000_000


def with_speed(measured: Measured, models: Mapping[str, Any], rows: pd.DataFrame) -> Measured:
    """Return `measured` with how fast each model answers about `rows`; of the candidate also as facts.

    `InvalidValue` for a model that is not in a process of its own: here nothing tells its memory from ours.
    """
    found, facts = [], dict(measured.facts)
    for of, model in models.items():
        if model is None:
            continue
        if not hasattr(model, "measure_latency"):
            expected = "a model in a process of its own"
            raise InvalidValue(f"latency of {model.uri!r}", "a model in this process", expected, "Say sandbox=True")
        figures = model.measure_latency(rows, repeats=REPEATS)
        found += [_measurement(of, name, value) for name, value in figures.items() if name != "batch_rows"]
        if of == CANDIDATE:
            facts |= {name: figures[name] for name in ("load_ms", "latency_p95_ms", "batch_rows")}
            facts["peak_memory_mb"] = figures["memory_bytes"] / _BYTES_PER_MB
    return replace(measured, measurements=(*measured.measurements, *found), facts=facts)


def _measurement(of: str, name: str, value: float) -> Measurement:
    if name == "memory_bytes":
        return Measurement("peak_memory_bytes", of, value, 1, unit="bytes")
    count = 1 if name == "load_ms" else BATCHES if name.startswith("batch_") else REPEATS
    return Measurement(name, of, value, count, unit="ms")
