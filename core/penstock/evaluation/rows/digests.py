"""A digest of every cell of every row that does not depend on row order or on how the data was split.

A row's sum, in each of two lanes, is that of its cells' words times an odd number made from the lane and the column's
name (multilinear hashing: Carter and Wegman, "Universal Classes of Hash Functions", Journal of Computer and System
Sciences 18, 1979), so one changed number always changes it. A lane's digest is the sum of the scrambled row sums modulo
2^64, so partial digests add up (a multiset hash: Clarke et al., "Incremental Multiset Hash Functions and Their
Application to Memory Integrity Checking", ASIACRYPT 2003).

It tells apart data that differs by accident or by mistake. It is not meant to resist somebody who constructs two data
sets with one digest; where that matters the SHA-256 of the files is in the data's fingerprint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from penstock.evaluation.rows.cells import CellReader, Cells
from penstock.evaluation.rows.hashing import Words, mix, words_of_bytes
from penstock.evaluation.sharing import shared

Seen = Callable[[str, Cells, Words, np.uint64], None]

_MASK = 2**64 - 1


class RowDigest:
    """The digest of the rows seen so far: `update` with batches, `merge` with other digests, then `result`."""

    def __init__(self) -> None:
        self.rows = 0
        self._sums = [0, 0]
        self._readers = CellReader(), CellReader()

    def update(self, batch: pd.DataFrame, seen: Seen | None = None) -> tuple[Words, Words]:
        """Add the batch's rows; return the sums of each row's cells in the first lane, and `row_hashes` of them.

        `seen` is called with each column's name, its cells, their hashes in that lane, which the next column's
        overwrite, and the factor that made them of the cells' words; of many rows from two threads, which share the
        columns. Raises `InvalidValue` for a column of things that have no content to compare.
        """

        def summed(columns: Sequence[tuple[Any, pd.Series[Any]]], share: int) -> list[Words]:
            reader, totals = self._readers[share], [np.zeros(len(batch), dtype=np.uint64) for _ in self._sums]
            for name, column in columns:
                cells = reader.read(column)
                factors = words_of_bytes(str(name).encode("utf-8", "surrogatepass"), b"column")
                for lane, total in enumerate(totals):
                    factor = np.uint64(factors[lane] | 1)
                    hashes = cells.times(factor, lane, reader.room)
                    total += hashes
                    if seen is not None and lane == 0:
                        seen(str(name), cells, hashes, factor)
            return totals

        totals, *others = shared(summed, list(batch.items()), len(batch))
        for more in others:
            for total, added in zip(totals, more, strict=True):
                total += added
        rows = [mix(total, lane) for lane, total in enumerate(totals)]
        self._sums = [(old + int(new.sum(dtype=np.uint64))) & _MASK for old, new in zip(self._sums, rows, strict=True)]
        self.rows += len(batch)
        return totals[0], rows[0]

    def merge(self, other: RowDigest) -> None:
        """Add the rows of another digest."""
        self.rows += other.rows
        self._sums = [(mine + theirs) & _MASK for mine, theirs in zip(self._sums, other._sums, strict=True)]

    def result(self) -> str:
        """Return `rows:<count>:<32 hexadecimal characters>`."""
        return f"rows:{self.rows}:{self._sums[0]:016x}{self._sums[1]:016x}"

    @classmethod
    def from_result(cls, digest: str) -> RowDigest:
        """Return the digest that `result` spelled, to go on from. `ValueError` if it is not one."""
        _, rows, sums = digest.split(":")
        found = cls()
        found.rows, found._sums = int(rows), [int(sums[:16], 16), int(sums[16:], 16)]
        return found


def row_hashes(total: Words) -> Words:
    """Return hashes of rows from the sums of their cells' hashes: the first lane's."""
    return mix(total, 0)
