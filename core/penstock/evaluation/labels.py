"""Labels as 0 and 1: which class is the positive one, and which label is which class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from penstock.errors import InvalidValue
from penstock.ports import Predictor

Codes = NDArray[np.int8]


class ClassPair(NamedTuple):
    """The two classes in sorted order: the positive class is the larger one (True, 1)."""

    negative: Any
    positive: Any

    @property
    def kind(self) -> str:
        """The classes' type, as a message names it."""
        return type(self.positive).__name__

    def find(self, value: Any) -> int | None:
        """Return 0 or 1, or None for a value that is neither class. True is 1; the string '1' is not."""
        value = _plain(value)
        return next((code for code, c in enumerate(self) if _comparable(value, c) and value == c), None)


def classes_of(predictor: Predictor) -> ClassPair:
    """Return a model's classes; `InvalidValue` if it is not a classifier of two classes."""
    classes = [_plain(c) for c in predictor.classes or ()]
    if len(classes) != 2 or not _comparable(*classes):
        given = "no classes" if predictor.classes is None else classes
        raise InvalidValue(f"model {predictor.uri!r}", given, "a classifier of two classes", "Supported task: binary")
    return ClassPair(*sorted(classes))


def encode(values: Any, pair: ClassPair) -> tuple[Codes, list[Any]]:
    """Return one code per value (0, 1, or -1 for a null) and the distinct values that are neither class."""
    places, uniques = pd.factorize(values)
    found = [_plain(value) for value in uniques]
    codes = [pair.find(value) for value in found]
    unknown = [value for value, code in zip(found, codes, strict=True) if code is None]
    table = np.array([-1 if code is None else code for code in codes] + [-1], dtype=np.int8)
    return table[places], unknown


def encode_labels(column: pd.Series[Any], pair: ClassPair, predictor: Predictor) -> Codes:
    """Return the label column as 0 and 1; `InvalidValue` if a label is not one of the model's classes."""
    codes, unknown = encode(column, pair)
    if unknown:
        kinds = sorted({type(value).__name__ for value in unknown})
        typed = "" if any(_comparable(value, pair.positive) for value in unknown) else f"{' and '.join(kinds)} "
        raise InvalidValue(
            f"label column {column.name!r}",
            unknown[:10],
            f"the classes of model {predictor.uri!r}, {pair.kind} {pair.negative!r} and {pair.positive!r}",
            f"The labels are of type {typed}instead: convert the column" if typed else f"{len(unknown)} unknown labels",
        )
    return codes


def shown(values: Sequence[Any]) -> str:
    """Return a few values as a message shows them."""
    return ", ".join(repr(value) for value in values[:10]) + (", …" if len(values) > 10 else "")


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _comparable(one: Any, other: Any) -> bool:
    numbers = (bool, int, float)
    return (isinstance(one, numbers) and isinstance(other, numbers)) or type(one) is type(other)
