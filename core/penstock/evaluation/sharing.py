"""Work on many rows shared by two threads: NumPy leaves the interpreter free in the meantime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Piece = TypeVar("Piece")
Answer = TypeVar("Answer")

MANY_ROWS = 2**15  # from which on two threads are faster than one


def shared(work: Callable[[Sequence[Piece], int], Answer], pieces: Sequence[Piece], rows: int) -> list[Answer]:
    """Return what `work` makes of the pieces: of all, or of many rows of every second one and of the others.

    Its second argument says whose share it is, 0 or 1. Two threads, as two share the steps of few rows well.
    """
    if rows < MANY_ROWS or len(pieces) < 2:
        return [work(pieces, 0)]
    with ThreadPoolExecutor(1, "penstock-sharing") as thread:
        others = thread.submit(work, pieces[1::2], 1)
        return [work(pieces[::2], 0), others.result()]
