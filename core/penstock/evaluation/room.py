"""Room to work in that is kept from one batch to the next."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Room:
    """Arrays by what they are for: to ask the system for new ones would take as long as a step of the work."""

    def __init__(self) -> None:
        self._arrays: dict[tuple[str, Any], NDArray[Any]] = {}

    def take(self, what: str, length: int, dtype: Any = np.uint64) -> NDArray[Any]:
        """Return the array for `what`, with whatever stood in it."""
        found = self._arrays.get((what, dtype))
        if found is None or len(found) < length:
            found = self._arrays[what, dtype] = np.empty(length, dtype=dtype)
        return found[:length]
