"""Which row an answer is about, where a model answers with an index."""

from __future__ import annotations

from typing import Any


def in_row_order(answer: Any, rows: Any) -> Any:
    """Return a model's answer about `rows` (a DataFrame) in their order: moved if it names the same rows in another.

    With any other index, or none, answers are in the order of the rows: models number theirs as they like.
    """
    index: Any = getattr(answer, "index", None)
    if not hasattr(answer, "loc") or index.equals(rows.index) or len(index) != len(rows):
        return answer
    if not (index.is_unique and rows.index.is_unique and index.isin(rows.index).all()):
        return answer
    return answer.loc[rows.index]
