"""Bytes first, then the record that refers to them; and what to do when nobody's bytes were deleted in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from penstock.errors import BlobsCollected

_LONGEST_S = 120.0
_LONGEST_PAUSE_S = 2.0

Stored = TypeVar("Stored")
T = TypeVar("T")


def referred_to(put: Callable[[], Stored], refer: Callable[[Stored, Sequence[str]], T]) -> T:
    """Store bytes by `put` and return `refer(stored, sweeps)`, the transaction that refers to them.

    Storing bytes that are there already is only a hash, so `penstock gc` may have been about to delete them. Then they
    are stored again, once that deletion is over; `sweeps` tells the store which deletions that was after.
    `BlobsCollected`, which may be tried again, if it is not over in two minutes.
    """
    sweeps: tuple[str, ...] = ()
    until, pause = time.monotonic() + _LONGEST_S, 0.05
    while True:
        stored = put()
        try:
            return refer(stored, sweeps)
        except BlobsCollected as error:
            if time.monotonic() >= until:
                raise
            sweeps = error.sweeps
            if error.sweeping:
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
