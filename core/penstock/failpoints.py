"""Named places at which a test may end this process: inside transactions, around renames, between the parts of uploads.

A place costs one comparison and does nothing until a test arms it in its own process; nothing from outside (no
variable, no option, no record) can. A test sweeps over every name: SIGKILL there, run again, the same final state.
"""

from __future__ import annotations

from collections.abc import Callable

_armed: Callable[[str], None] | None = None


def failpoint(name: str) -> None:
    """Say that this place has been reached."""
    if _armed is not None:
        _armed(name)


def arm(action: Callable[[str], None] | None) -> None:
    """Call `action` with the name of every place that is reached from now on; None: do nothing again."""
    global _armed
    _armed = action
