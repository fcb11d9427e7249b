"""How many held-out rows are also in training data, from samples of both sides' row hashes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from penstock.evaluation.rows.sketch import EVERYTHING, HashSample, RowSample
from penstock.model.data import Overlap
from penstock.ports import TrainingRows

Columns = frozenset[str]


class TrainedOn:
    """What is kept of the rows of training data. Raises `Corrupted` for a damaged file.

    Training data is compared over its own columns: held-out data may have more, and in any order. Several data sets
    with the same columns count as one; where their columns differ, the comparison that finds the larger share counts.
    """

    def __init__(self, training: Sequence[TrainingRows]) -> None:
        self._names = [data.dataset.name for data in training if data.path is None]
        self._samples: dict[Columns, list[tuple[TrainingRows, RowSample]]] = {}
        for data in training:
            if data.path is not None:
                sample = RowSample.read(data.path)
                self._samples.setdefault(frozenset(sample.columns), []).append((data, sample))

    def comparable(self, columns: Columns) -> list[Columns]:
        """Return the sets of columns over which data with `columns` can be compared."""
        return [compared for compared in self._samples if compared and compared <= columns]

    def overlap(self, held: Mapping[Columns, HashSample]) -> Overlap | None:
        """Return what `held`, samples of the held-out rows by columns, has in common; None without training data."""
        missing = [data.dataset.name for c, found in self._samples.items() if c not in held for data, _ in found]
        not_compared = tuple(sorted({*self._names, *missing}))
        found = [
            _found(compared, held[compared], samples, not_compared)
            for compared, samples in self._samples.items()
            if compared in held
        ]
        if found:
            return max(found, key=lambda overlap: (overlap.share is None, overlap.share or 0.0))
        return Overlap(0, 0, 0.0, (), 0, not_compared) if not_compared else None


def _found(
    columns: Columns, held: HashSample, training: list[tuple[TrainingRows, RowSample]], not_compared: tuple[str, ...]
) -> Overlap:
    bound = min(held.bound, *(sample.bound for _, sample in training))
    hashes, counts = held.hashes, held.counts
    if bound < EVERYTHING:
        chosen = hashes < np.uint64(bound)
        hashes, counts = hashes[chosen], counts[chosen]
    known = np.zeros(len(hashes), dtype=bool)
    for _, sample in training:
        known |= np.isin(hashes, sample.hashes, assume_unique=True)
    return Overlap(
        rows_found=int(counts[known].sum()),
        of_rows=int(counts.sum()),
        sampling_rate=bound / EVERYTHING,
        columns=tuple(sorted(columns)),
        training_rows=sum(data.dataset.rows for data, _ in training),
        not_compared=not_compared,
    )
