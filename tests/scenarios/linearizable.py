"""Whether what many saw of one alias can be put in one order: Wing and Gong's search, with a memory of where it was.

An operation has a beginning and an end, and took effect at some moment between. A history is linearizable if there is
an order that respects these times, and in which an alias that is moved by one at a time gives the same answers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

State = tuple[int | None, int]  # the version an alias points to, and its generation
NEVER: State = (None, 0)


@dataclass(frozen=True)
class Operation:
    """One call: `sees` is the state it reported before it did anything (None: it did not say), `leaves` the one after.

    A read, and a move that was refused, leave what they saw.
    """

    began: float
    ended: float
    sees: State | None
    leaves: State | None

    def applied(self, state: State) -> State | None:
        """Return the state after this operation; None if it cannot have answered so in this state."""
        if self.sees is not None and self.sees != state:
            return None
        if self.leaves is None:
            return state
        # A move goes from one generation to the next, wherever it started from.
        return self.leaves if self.leaves == state or self.leaves[1] == state[1] + 1 else None


@dataclass
class History:
    """What several threads did and saw."""

    operations: list[Operation] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def record(self, call: Callable[[], tuple[State | None, State | None]]) -> tuple[State | None, State | None]:
        """Make a call that returns (sees, leaves), and note when it began and ended."""
        began = time.monotonic()
        sees, leaves = call()
        with self._lock:
            self.operations.append(Operation(began, time.monotonic(), sees, leaves))
        return sees, leaves


def is_linearizable(operations: list[Operation], start: State = NEVER) -> bool:
    """Whether some order explains every answer."""
    pending = sorted(operations, key=lambda operation: operation.began)
    seen: set[tuple[frozenset[int], State]] = set()
    stack: list[tuple[frozenset[int], State]] = [(frozenset(range(len(pending))), start)]
    while stack:
        left, state = stack.pop()
        if not left:
            return True
        if (left, state) in seen:
            continue
        seen.add((left, state))
        first_end = min(pending[number].ended for number in left)
        for number in left:
            if pending[number].began <= first_end:
                after = pending[number].applied(state)
                if after is not None:
                    stack.append((left - {number}, after))
    return False
