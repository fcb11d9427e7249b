"""Bootstrap weights that are the same wherever and whenever a row is seen.

A row's weights follow from its key alone: never from its content, as equal rows would then be drawn together, and not
from its place in a batch, so that any splitting gives the same replicates. Rows with one key are drawn together: that
is how groups are resampled.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from penstock.evaluation.rows.digests import RowDigest
from penstock.evaluation.rows.hashing import mix

Keys = NDArray[np.uint64]

REPLICATES = 200
LEAST_REPLICATES, MOST_REPLICATES = 20, 2_000
_GOLDEN = 0x9E3779B97F4A7C15
# A byte u is the weight k where _STEPS[k - 1] ≤ u < _STEPS[k]: of 256 bytes 94, 95, 46, 16, 4, 1 are 0, 1, 2, 3, 4, 5.
_STEPS = (94, 189, 235, 251, 255)


def keys_of_rows(source: str, first: int, rows: int) -> Keys:
    """Return keys of `rows` rows of `source` (a digest, or a name: whatever tells parts apart) from row `first` on."""
    salt = int.from_bytes(hashlib.blake2b(source.encode(), digest_size=8, person=b"bootstrap").digest(), "little")
    return mix(np.arange(first + 1, first + rows + 1, dtype=np.uint64) * np.uint64(_GOLDEN) ^ np.uint64(salt), 0)


def keys_of_values(values: NDArray[Any]) -> Keys:
    """Return keys of the rows' ids, or of the groups they belong to: one key for each distinct value."""
    return mix(RowDigest().update(pd.DataFrame({"key": values}))[1], 0)


def parts_of(keys: Keys, parts: int) -> NDArray[np.intp]:
    """Return in which of `parts` equally likely parts each row is: rows with one key together."""
    return (mix(keys, 0) % np.uint64(parts)).astype(np.intp)


def poisson_weights(keys: Keys, replicates: int = REPLICATES) -> NDArray[np.float64]:
    """Return the weight of each row in each replicate, of shape (rows, replicates): whole numbers from 0 to 5.

    Drawn from Poisson(1), rounded to 1/256 such that mean and variance are exactly 1; what a bootstrap of large n draws
    (Chamandy et al., "Estimating Uncertainty for Massive Data Streams", Google 2012). Each byte of SplitMix64's output
    for (key, block of eight replicates) is one draw.
    """
    blocks = np.arange(1, -(-replicates // 8) + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
    draws = mix(keys[:, None] + blocks, 0).astype("<u8", copy=False).view(np.uint8)[:, :replicates]
    weights = (draws >= _STEPS[0]).view(np.uint8)
    for step in _STEPS[1:]:
        weights += draws >= step
    return weights.astype(np.float64)
