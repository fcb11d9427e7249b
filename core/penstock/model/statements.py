"""What the ledger says of the present and what is stored, in the same words, so that they can be compared."""

from __future__ import annotations

from typing import Any, NamedTuple


class Statement(NamedTuple):
    """That something is so: of the thing of this kind that `key` names, its `what` is `said`.

    Of two statements about the same, the later one holds. `said` is plain JSON; None says that nothing is so any more.
    """

    kind: str
    what: str
    key: str | tuple[str | int, ...]
    said: Any
