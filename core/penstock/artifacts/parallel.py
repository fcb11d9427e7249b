"""Doing many things at once, in order, with a bound on how far ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

FILE_THREADS = 8

T = TypeVar("T")
R = TypeVar("R")


def in_order(work: Callable[[T], R], items: Iterable[T], threads: int = FILE_THREADS, ahead: int = 64) -> Iterator[R]:
    """Yield `work(item)` in the items' order, done by `threads`, at most `ahead` results at a time not yet taken.

    The first error is raised when its turn comes, and when the caller stops: what has not begun is not begun any more.
    """
    pending: deque[Future[R]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="penstock") as pool:
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) >= ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
