"""Datasets on record: what is kept of a run's inputs, and what a model was trained on."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from penstock.model.data import Dataset, DataSource
from penstock.model.versions import FileEntry
from penstock.ports import TrainingRows
from penstock.services.wiring import Wiring


def describe(wiring: Wiring, data: DataSource, role: str) -> tuple[Dataset, FileEntry]:
    """Read data once; return what is to be put on record of it, and the artifact that holds hashes of its rows.

    The bytes are stored by then; the record of the dataset is to be written last.
    """
    with tempfile.TemporaryDirectory(prefix="penstock-") as scratch:
        rows = Path(scratch) / "rows"
        dataset = wiring.reader().describe(data, role, rows)
        sha256, size = wiring.artifacts.put_file(rows)
    return replace(dataset, rows_sha256=sha256), FileEntry(f"datasets/{sha256[:32]}.rows", sha256, size)


def training_data(wiring: Wiring, run_id: str) -> Sequence[Dataset]:
    """Return the datasets that a run has logged as training data."""
    return [data for data in wiring.store.get_run_details(run_id).inputs if data.role == "train"]


@contextmanager
def training_rows(wiring: Wiring, training: Sequence[Dataset]) -> Iterator[Sequence[TrainingRows]]:
    """Fetch what was kept of the rows of training data, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="penstock-") as scratch:
        kept = {data.rows_sha256: Path(scratch) / data.rows_sha256 for data in training if data.rows_sha256}
        wiring.artifacts.fetch_all(list(kept.items()))
        yield [TrainingRows(data, kept.get(data.rows_sha256)) for data in training]
