"""Counting in a thread of its own, while the next batch is read and predicted; or in turn with predicting."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

import pandas as pd

from penstock.evaluation.answers import JudgedRows
from penstock.evaluation.partial import Partial
from penstock.evaluation.sharing import alone

Answer = TypeVar("Answer")
_SEVERAL = 1.5  # processor seconds per second from which on several cores were used
_TELLING_S = 0.005  # what is over sooner says nothing: threads that do something else would count as much


class Counting:
    """A context manager around a state: `add` batches in order; when it is left, all of them have been counted.

    At most one batch is being counted and one more waits. What counting raises is raised here, before whatever a later
    batch raises. One thread, as predicting or reading takes the other core. `at_once`: counted where it is called
    from, for models that would be held up and for code that is not ours and may depend on its thread.
    """

    def __init__(self, state: Partial, *, at_once: bool = False) -> None:
        self._state = state
        self._thread = None if at_once else ThreadPoolExecutor(1, "penstock-counting")
        self._pending: list[Future[None]] = []

    def add(self, batch: pd.DataFrame, rows: JudgedRows) -> None:
        """Count a batch and what the models said about it."""
        if self._thread is None:
            with alone():
                self._state.update(batch, rows)
            return
        if len(self._pending) > 1:
            self._pending.pop(0).result()
        self._pending.append(self._thread.submit(self._state.update, batch, rows))

    def __enter__(self) -> Counting:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Any:
        try:
            if error is None or isinstance(error, Exception):
                while self._pending:  # an earlier batch that cannot be counted is the reason to name
                    self._pending.pop(0).result()
        finally:
            if self._thread is not None:
                self._thread.shutdown(cancel_futures=True)


def on_several_cores(work: Callable[[], Answer]) -> tuple[Answer, bool]:
    """Return what `work` returns, and whether it kept several cores busy; nothing else may run beside it.

    OpenMP's threads wait for each other at every step: on a core that counts as well, one of them holds up all.
    """
    began, cpu = time.perf_counter(), time.process_time()
    answer = work()
    taken = time.perf_counter() - began
    return answer, time.process_time() - cpu > _SEVERAL * taken > _SEVERAL * _TELLING_S
