"""Counting in a thread of its own, while the next batch is read and predicted."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import pandas as pd

from penstock.evaluation.answers import JudgedRows
from penstock.evaluation.partial import Partial


class CountedBehind:
    """A context manager around a state: `add` batches in order; when it is left, all of them have been counted.

    At most one batch is being counted and one more waits. What counting raises is raised here, before whatever a later
    batch raises. One thread, not more: NumPy's steps are too short for several to gain anything. `at_once`: counted
    where it is called from, for code that is not ours and may depend on its thread.
    """

    def __init__(self, state: Partial, *, at_once: bool = False) -> None:
        self._state = state
        self._thread = None if at_once else ThreadPoolExecutor(1, "penstock-counting")
        self._pending: list[Future[None]] = []

    def add(self, batch: pd.DataFrame, rows: JudgedRows) -> None:
        """Count a batch and what the models said about it."""
        if self._thread is None:
            self._state.update(batch, rows)
            return
        if len(self._pending) > 1:
            self._pending.pop(0).result()
        self._pending.append(self._thread.submit(self._state.update, batch, rows))

    def __enter__(self) -> CountedBehind:
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
