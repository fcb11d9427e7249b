"""What the records of every noun share: one state, one lock, one copy of everything per change."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from penstock.stores.memory.state import State, copied


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class InMemory:
    """Records in this process's memory; `now_ms` is the clock."""

    def __init__(self, now_ms: Callable[[], int] = _wall_clock_ms) -> None:
        self._now_ms = now_ms
        self._state = State()
        self._lock = threading.Lock()

    @contextmanager
    def _changing(self) -> Iterator[tuple[State, int]]:
        """A copy to change: it becomes the state if nothing was raised, and else is forgotten."""
        with self._lock:
            changed: State = copied(self._state)
            yield changed, self._now_ms()
            self._state = changed
