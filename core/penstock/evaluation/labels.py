"""Labels as numbers 0, 1, …: which classes there are, and which label is which class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from penstock.errors import InvalidValue

Codes = NDArray[np.int32]
_NO_NUMBERS = "USTMmcV"  # text, dates, durations, complex numbers, records


class Classes:
    """Classes of one type in sorted order. Of two, the positive class is the larger one (True, 1)."""

    def __init__(self, values: Iterable[Any]) -> None:
        self.values: tuple[Any, ...] = tuple(sorted(_plain(value) for value in values))
        whole = all(isinstance(value, bool | int) for value in self.values)
        self._counting = whole and [int(value) for value in self.values] == list(range(len(self.values)))

    def __len__(self) -> int:
        return len(self.values)

    @property
    def kind(self) -> str:
        """The classes' type, as a message names it."""
        return type(self.values[-1]).__name__

    @property
    def names(self) -> list[str]:
        """The classes as text, in order."""
        return [str(value) for value in self.values]

    def find(self, value: Any) -> int | None:
        """Return a value's number, or None for a value that is no class. True is 1; the string '1' is not."""
        value = _plain(value)
        return next((code for code, c in enumerate(self.values) if _comparable(value, c) and value == c), None)

    def encode(self, values: Any) -> tuple[Codes, list[Any]]:
        """Return one number per value (-1 for a null) and the distinct values that are no class."""
        array = values.to_numpy() if isinstance(values, pd.Series) else np.asarray(values)
        whole = self._counting and array.dtype.kind in "biu" and array.size > 0
        if whole and (array.dtype.kind == "b" or (array.min() >= 0 and array.max() < len(self.values))):
            return array.astype(np.int32), []
        places, uniques = pd.factorize(values)
        found = [_plain(value) for value in uniques]
        codes = [self.find(value) for value in found]
        unknown = [value for value, code in zip(found, codes, strict=True) if code is None]
        table = np.array([-1 if code is None else code for code in codes] + [-1], dtype=np.int32)
        return table[places], unknown

    def encode_labels(self, column: pd.Series[Any], model: str) -> Codes:
        """Return the label column as numbers; `InvalidValue` if a label is not one of the classes of `model`."""
        codes, unknown = self.encode(column)
        if not unknown:
            return codes
        kinds = sorted({type(value).__name__ for value in unknown})
        typed = "" if any(_comparable(value, self.values[-1]) for value in unknown) else f"{' and '.join(kinds)} "
        raise InvalidValue(
            f"label column {column.name!r}",
            unknown[:10],
            f"the classes of {model}, {self.kind} {_listed(self.values)}",
            f"The labels are of type {typed}instead: convert the column" if typed else f"{len(unknown)} unknown labels",
        )


def refuse_other_than_numbers(values: Any) -> None:
    """Raise `TypeError` for text, dates and the like, which NumPy would turn into numbers without a word."""
    kind = np.dtype(object) if isinstance(values.dtype, pd.StringDtype) else values.dtype
    if kind.kind in _NO_NUMBERS:
        raise TypeError(f"they are {values.dtype}")
    if kind.kind == "O" and (odd := [value for value in np.ravel(values) if isinstance(value, str | bytes)]):
        raise TypeError(f"{odd[0]!r} is of type {type(odd[0]).__name__}")


def same_kind(values: Sequence[Any]) -> bool:
    """Whether values can be classes of one model: all comparable with each other."""
    return all(_comparable(_plain(values[0]), _plain(value)) for value in values)


def shown(values: Sequence[Any]) -> str:
    """Return a few values as a message shows them."""
    return ", ".join(repr(value) for value in values[:10]) + (", …" if len(values) > 10 else "")


def _listed(values: Sequence[Any]) -> str:
    return f"{values[0]!r} and {values[1]!r}" if len(values) == 2 else shown(values)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _comparable(one: Any, other: Any) -> bool:
    numbers = (bool, int, float)
    return (isinstance(one, numbers) and isinstance(other, numbers)) or type(one) is type(other)
