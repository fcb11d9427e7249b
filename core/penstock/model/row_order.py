"""Which row and which class an answer is about, where a model answers with an index or with named columns."""

from __future__ import annotations

from collections.abc import Sequence
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


def in_class_order(answer: Any, classes: Sequence[Any] | None) -> tuple[Any, str]:
    """Return probabilities (rows, classes) with their columns in the order of `classes`, and what is wrong with them.

    A DataFrame's columns name the classes, as they are or as text; columns that are just numbered, and arrays, are in
    that order already. What is wrong is said in words that list the classes, and is empty where nothing is.
    """
    columns: Any = getattr(answer, "columns", None)
    if classes is None or not hasattr(answer, "loc") or columns is None or type(columns).__name__ == "RangeIndex":
        return answer, ""
    names, known = list(columns), list(classes)
    wanted = {**{str(value): place for place, value in enumerate(known)}, **{v: place for place, v in enumerate(known)}}
    places = [wanted.get(name) for name in names]
    missing = [value for place, value in enumerate(known) if place not in places]
    unknown = [name for name, place in zip(names, places, strict=True) if place is None]
    if missing or unknown or len(names) != len(known):
        listed = [f"no {missing}" if missing else "", f"unknown {unknown}" if unknown else ""]
        odd = ", ".join(part for part in listed if part) or "one of them twice"
        return answer, f"predict_proba returned the columns {names}, expected one for each class {known}: {odd}"
    return answer.iloc[:, [places.index(place) for place in range(len(known))]], ""
