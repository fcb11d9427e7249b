"""A sample of hashes, chosen by the hashes themselves: the smallest distinct ones of all that were seen.

The same value is in every sample that reaches as far, so samples of two data sets can be compared; and a sample does
not depend on the order of what was seen or on how it was split. With k hashes below a bound of θ·2^64, k/θ estimates
how many distinct values there were, with a relative standard error of about 1/√(k − 1) (Bar-Yossef et al., "Counting
Distinct Elements in a Data Stream", RANDOM 2002; the form with a bound: Dasgupta et al., "A Framework for Estimating
Stream Expression Cardinalities", ICDT 2016). Written here because a library's sketch takes one value per call, and a
million rows of twenty columns are twenty million calls.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from penstock.errors import Corrupted, InvalidValue
from penstock.evaluation.rows.hashing import Words

EVERYTHING = 2**64
# Of how many distinct rows a hash is kept; up to here comparisons are exact. Eight bytes each.
ROWS_KEPT = 1_000_000

_LOOKED_AT, _FEW = 1000, 900  # of some 5,000 distinct hashes, 1,000 drawn are 900
_FORMAT = "penstock rows 2"  # 1: cells were hashed otherwise
_HEADER_BYTES = 2**26


class HashSample:
    """The `limit` smallest distinct hashes of those seen, and how often each was seen."""

    def __init__(self, limit: int = ROWS_KEPT) -> None:
        self._limit = limit
        self._bound = EVERYTHING
        self._hashes: Words = np.empty(0, dtype=np.uint64)
        self._counts: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._waiting: list[Words] = []
        self._waiting_hashes = 0

    def update(self, hashes: Words) -> None:
        """Add hashes; the array must not change afterwards."""
        chosen = self.chosen(hashes)
        self._waiting.append(chosen)
        self._waiting_hashes += len(chosen)
        if self._waiting_hashes > self._limit:
            self._settle()

    def chosen(self, hashes: Words) -> Words:
        """Return those of `hashes` that may still get into the sample."""
        return hashes if self._bound == EVERYTHING else hashes[np.flatnonzero(hashes < np.uint64(self._bound))]

    def merge(self, other: HashSample) -> None:
        """Add what another sample has seen; its limit must be the same."""
        if other._limit != self._limit:
            raise InvalidValue("sample of hashes", f"a limit of {other._limit}", f"the same limit, {self._limit}")
        other._settle()
        self._settle()
        self._bound = min(self._bound, other._bound)
        self._take(
            np.concatenate([self._hashes, other._hashes]),
            np.concatenate([self._counts, other._counts]),
        )

    def _settle(self) -> None:
        if self._waiting:
            added, self._waiting, self._waiting_hashes = np.concatenate(self._waiting), [], 0
            if (added[1:] < added[:-1]).any():
                added.sort()
            starts = _starts(added)
            hashes, counts = added[starts], np.diff(starts, append=len(added))
            if len(self._hashes):
                self._take(np.concatenate([self._hashes, hashes]), np.concatenate([self._counts, counts]))
            else:
                self._keep(hashes, counts)

    def _take(self, hashes: Words, counts: NDArray[np.int64]) -> None:
        """Keep the smallest of `hashes`, in which one may stand twice."""
        order = np.argsort(hashes, kind="stable")
        hashes, counts = hashes[order], counts[order]
        starts = _starts(hashes)
        self._keep(hashes[starts], np.add.reduceat(counts, starts) if len(starts) else counts)

    def _keep(self, hashes: Words, counts: NDArray[np.int64]) -> None:
        """Keep the smallest of `hashes`, which are distinct and rise."""
        if len(hashes) > self._limit:
            self._bound = min(self._bound, int(hashes[self._limit]))
        kept = len(hashes) if self._bound == EVERYTHING else int(np.searchsorted(hashes, np.uint64(self._bound)))
        self._hashes, self._counts = hashes[:kept].copy(), counts[:kept].copy()

    @property
    def bound(self) -> int:
        """Every hash seen that is below it is in the sample: 2^64 if all are."""
        self._settle()
        return self._bound

    @property
    def hashes(self) -> Words:
        """The hashes in the sample, each once, rising."""
        self._settle()
        return self._hashes

    @property
    def counts(self) -> NDArray[np.int64]:
        """How often each of `hashes` was seen."""
        self._settle()
        return self._counts

    @property
    def distinct(self) -> int:
        """How many distinct hashes were seen: exactly if the sample has them all, else estimated."""
        kept = len(self.hashes)
        return kept if self._bound == EVERYTHING else round(kept * EVERYTHING / self._bound)

    def pack(self) -> dict[str, Any]:
        """Return the state as arrays and plain values."""
        return {"bound": str(self.bound), "hashes": self.hashes, "counts": self.counts}

    def unpack(self, packed: Mapping[str, Any]) -> None:
        """Take the state of `pack`."""
        self._bound, self._waiting, self._waiting_hashes = int(packed["bound"]), [], 0
        self._hashes = np.asarray(packed["hashes"], dtype=np.uint64)
        self._counts = np.asarray(packed["counts"], dtype=np.int64)


def distinct_hashes(hashes: Words, limit: int) -> Words:
    """Return every distinct hash, once if there are many; of more than `limit` at least the `limit` + 1 smallest.

    In an array of its own: `hashes` may change afterwards.
    """
    if len(hashes) <= limit:
        return hashes.copy()
    if len(pd.unique(hashes[:_LOOKED_AT])) < _FEW:
        return pd.unique(hashes)  # few values, many times each: sorting would take longer
    # Hashes are spread evenly: those below 5/4 of the share wanted hold enough, unless many stand there repeatedly.
    if len(hashes) > 2 * limit:
        low = _once(hashes[np.flatnonzero(hashes < np.uint64(5 * limit * EVERYTHING // (4 * len(hashes))))])
        if len(low) > limit:
            return low[: limit + 1]
    return _once(hashes)[: limit + 1]


def _once(hashes: Words) -> Words:
    rising = np.sort(hashes)
    return rising[_starts(rising)]


def _starts(rising: Words) -> NDArray[np.intp]:
    """Return where in rising hashes each one stands first."""
    return np.flatnonzero(np.concatenate([np.ones(min(1, len(rising)), dtype=bool), rising[1:] != rising[:-1]]))


class RowSample:
    """Hashes of a data set's rows over `columns`, as kept in a file: a line of JSON, then the hashes, rising."""

    def __init__(self, columns: Sequence[str], bound: int, hashes: Words) -> None:
        self.columns = tuple(columns)
        self.bound = bound
        self.hashes = hashes

    def write(self, path: Path) -> None:
        """Write the file; equal samples have equal bytes."""
        header = {"format": _FORMAT, "columns": self.columns, "bound": str(self.bound), "hashes": len(self.hashes)}
        with path.open("wb") as file:
            file.write(json.dumps(header).encode() + b"\n")
            file.write(self.hashes.astype("<u8").tobytes())

    @classmethod
    def read(cls, path: Path) -> RowSample:
        """Read what `write` wrote; `Corrupted` for anything else."""
        with path.open("rb") as file:
            try:
                header = json.loads(file.readline(_HEADER_BYTES))
                columns, bound, count = header["columns"], int(header["bound"]), int(header["hashes"])
                known = header["format"] == _FORMAT
            except (ValueError, KeyError, TypeError) as error:
                raise Corrupted("rows of a data set", path.name, _FORMAT, "something else") from error
            content = file.read()
        if not known or len(content) != 8 * count:
            found = f"{header['format']}, {len(content)} bytes"
            raise Corrupted("rows of a data set", path.name, f"{_FORMAT}, {8 * count} bytes", found)
        return cls(columns, bound, np.frombuffer(content, dtype="<u8").astype(np.uint64))
