"""Describing data (digest, profile, hashes of rows) against merely reading the same Parquet file.

The floor is `pyarrow.parquet` decoding every column in the same batches and throwing them away. A share of 0.25 means
that describing takes four times as long as reading does. CPU seconds count where other work runs on the machine.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from penstock.evaluation.describing import SourceReader
from penstock.evaluation.reading import BATCH_ROWS
from penstock.model.data import DataSource
from tests.benchmarks.processes import Timing

ROWS = 1_000_000


def measure(folder: Path, rows: int = ROWS, repeats: int = 5) -> dict[str, dict[str, Timing]]:
    """Return title → name → timing, the floor first."""
    found = {}
    for title, table in _tables(rows).items():
        path = folder / "data.parquet"
        pq.write_table(table, path, row_group_size=131_072)
        found[f"Data: {title}, {rows:,} rows"] = _compared(path, repeats)
        path.unlink()
    return found


def _tables(rows: int) -> dict[str, pa.Table]:
    random = np.random.default_rng(1)
    columns: dict[str, np.ndarray] = {f"x{i}": random.normal(size=rows) for i in range(14)}
    columns |= {f"i{i}": random.integers(0, most, rows) for i, most in enumerate((2, 10, 1000, 10**9))}
    columns["carrier"] = random.choice(["AA", "UA", "DL", "WN", "B6"], rows)
    names = np.char.add("N", random.integers(0, rows, rows).astype(str))
    return {"19 columns": pa.table(columns), "and one of names": pa.table({**columns, "name": names})}


def _compared(path: Path, repeats: int) -> dict[str, Timing]:
    def read() -> None:
        with pq.ParquetFile(path) as file:
            for _ in file.iter_batches(batch_size=BATCH_ROWS):
                pass

    def describe() -> None:
        SourceReader().describe(DataSource(path, label="i0"), "train", path.with_suffix(".rows"))

    programs: dict[str, Callable[[], None]] = {"floor": read, "penstock": describe}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
    for repeat in range(repeats + 1):
        for name, program in programs.items():
            wall, cpu = time.perf_counter(), time.process_time()
            program()
            if repeat > 0:
                taken[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {
        name: Timing(statistics.median(w for w, _ in times), statistics.median(c for _, c in times), repeats)
        for name, times in taken.items()
    }
