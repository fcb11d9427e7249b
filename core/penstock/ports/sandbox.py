"""How far a model may go that predicts in a process of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass

from penstock.errors import InvalidValue

DEFAULT_TIME_S = 600.0


@dataclass(frozen=True)
class Limits:
    """`time_s` bounds all predictions together, in seconds; `memory_bytes` what the model may allocate.

    Loading has two minutes, or `time_s` if that is more.
    Without `memory_bytes` it is three quarters of what this machine (or this container) has.
    """

    time_s: float = DEFAULT_TIME_S
    memory_bytes: int | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.time_s) and self.time_s > 0):
            raise InvalidValue("sandbox time_s", self.time_s, "a positive number of seconds")
        if self.memory_bytes is not None and self.memory_bytes < 1:
            raise InvalidValue("sandbox memory_bytes", self.memory_bytes, "a positive number of bytes")
