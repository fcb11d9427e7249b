"""How quickly a model answers and how much memory it takes, measured in its own process."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

BATCH_ROWS = 1000
_WARM_UP = 5
_BATCHES = 20
_STATUS = Path("/proc/self/status")


def latency(ask: Callable[[pd.DataFrame], Any], rows: pd.DataFrame, repeats: int) -> dict[str, float]:
    """Time `ask` on single rows (`repeats` of them, taken in turn) and on batches of up to 1,000 rows.

    Returns milliseconds: `latency_p50_ms`, `latency_p95_ms`, `latency_p99_ms` of one row, `batch_latency_p50_ms`,
    `batch_latency_p95_ms` and `batch_latency_p99_ms` of `batch_rows` rows. Percentiles by linear interpolation
    (Hyndman and Fan 1996, definition 7). The first answers, which also load code, are not counted.
    """
    singles = [rows.iloc[[i % len(rows)]] for i in range(repeats + _WARM_UP)]
    batch = rows.iloc[np.resize(np.arange(len(rows)), min(BATCH_ROWS, max(len(rows), 1)))].reset_index(drop=True)
    single_ms = [_timed(ask, row) for row in singles][_WARM_UP:]
    batch_ms = [_timed(ask, batch) for _ in range(_BATCHES + 2)][2:]
    return {**_percentiles("latency", single_ms), **_percentiles("batch_latency", batch_ms), "batch_rows": len(batch)}


def _timed(ask: Callable[[pd.DataFrame], Any], rows: pd.DataFrame) -> float:
    started = time.perf_counter()
    ask(rows)
    return (time.perf_counter() - started) * 1000


def _percentiles(name: str, values_ms: list[float]) -> dict[str, float]:
    found = np.percentile(values_ms, [50, 95, 99])
    return {f"{name}_p{which}_ms": float(value) for which, value in zip((50, 95, 99), found, strict=True)}


def peak_memory_bytes() -> int:
    """Return the most memory this process has held (resident set size)."""
    # What the kernel counts for `getrusage` begins with what the parent held; the high-water mark is our own.
    for line in _STATUS.read_text().splitlines() if _STATUS.exists() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
