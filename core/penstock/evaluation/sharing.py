"""Work on many rows that two threads share where nothing else runs: NumPy leaves the interpreter free meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Piece = TypeVar("Piece")
Answer = TypeVar("Answer")

_MANY_ROWS = 2**15  # from which on two threads are faster than one
_ALONE: ContextVar[bool] = ContextVar("penstock_alone", default=False)


@contextmanager
def alone() -> Iterator[None]:
    """Say that nothing else runs beside this thread's work inside the block, so that a second core is free."""
    before = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(before)


def shared(work: Callable[[Sequence[Piece], int], Answer], pieces: Sequence[Piece], rows: int) -> list[Answer]:
    """Return what `work` makes of the pieces: of all of them, or of every second one and, in a thread, of the others.

    Its second argument says whose share it is, 0 or 1.
    """
    if not _ALONE.get() or rows < _MANY_ROWS or len(pieces) < 2:
        return [work(pieces, 0)]
    with ThreadPoolExecutor(1, "penstock-sharing") as thread:
        others = thread.submit(work, pieces[1::2], 1)
        return [work(pieces[::2], 0), others.result()]
