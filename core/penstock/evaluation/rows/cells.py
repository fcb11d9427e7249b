"""The cells of columns as 64-bit words: equal values give equal words, whatever type holds them.

1, 1.0 and True are equal, -0.0 is 0, and a timestamp is its instant whatever its unit; "1" is not 1. Numbers and times
have a word made from the value itself, and no two of one kind have the same; everything else has two words of a hash
over its type and content. Nothing depends on how a version of pandas or NumPy hashes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from penstock.errors import InvalidValue
from penstock.evaluation.room import Room
from penstock.evaluation.rows.hashing import Words, mix, words_of_bytes, words_of_texts

Nulls = NDArray[np.bool_] | None
Numbers = NDArray[Any] | None

_SCRAMBLER = (32, 0xBF58476D1CE4E5B9, 29)  # (shift, multiplier, shift) for the words of numbers


_NULL = np.uint64(words_of_bytes(b"", b"null")[0])
_WHOLE, _FLOAT, _UNSIGNED, _NAIVE, _AWARE, _DURATION, _NANOSECONDS = (
    np.uint64(words_of_bytes(name, b"kind")[0])
    for name in (b"whole", b"float", b"unsigned", b"timestamp", b"timestamp utc", b"duration", b"nanoseconds")
)


class Coded(NamedTuple):
    """Cells of repeated values: of each its place among `values`; -1 is a null."""

    codes: NDArray[Any]
    values: pd.Index[Any]


class Cells(NamedTuple):
    """A column of a batch, with a word of each cell for each lane. The next column's may overwrite all but `column`.

    `numbers` is the column as an array, if it is of NumPy's numbers, and `nulls` says which cells are null, None if
    none is. If `coded`, the words are those of its values, and then of null.
    """

    column: pd.Series[Any]
    words: tuple[Words, Words]
    numbers: Numbers = None
    nulls: Nulls = None
    coded: Coded | None = None

    def times(self, factor: np.uint64, lane: int, room: Room) -> Words:
        """Return the words of a lane times an odd `factor`, so that distinct ones stay distinct, of shape (rows,)."""
        words, products = self.words[lane], room.take("products", len(self.column))
        if self.coded is None:
            np.multiply(words, factor, out=products)
        else:
            np.take(words * factor, self.coded.codes, out=products, mode="wrap")
        return products


class CellReader:
    """Reads columns, batch by batch."""

    def __init__(self) -> None:
        self.room = Room()
        self._categories: dict[Any, tuple[Any, tuple[Words, Words]]] = {}  # of the batch before, by column

    def read(self, column: pd.Series[Any]) -> Cells:
        """Return a column's cells. Raises `InvalidValue` for things that have no content to compare."""
        kind, types = column.dtype, pd.api.types
        if isinstance(kind, pd.CategoricalDtype):
            words = self._words_of_categories(column.name, kind.categories)
            return Cells(column, words, coded=Coded(column.array.codes, kind.categories))
        real = types.is_float_dtype(kind)
        if real or types.is_bool_dtype(kind) or types.is_integer_dtype(kind):
            numbers = self._numbers(column)
            nulls = nulls_of(column if numbers is None else numbers)
            held: Any = np.float64 if real else np.uint64 if types.is_unsigned_integer_dtype(kind) else np.int64
            missing = np.nan if real else 0
            values = column.to_numpy(held, na_value=missing) if numbers is None else numbers.astype(held, copy=False)
            found = _words_of_reals(values, self.room) if real else _words_of_integers(values, self.room)
        elif types.is_datetime64_any_dtype(kind) or types.is_timedelta64_dtype(kind):
            numbers, nulls, found = None, nulls_of(column), _words_of_instants(column)
        else:
            return _coded(column)
        if nulls is not None:
            found[nulls] = _NULL
        return Cells(column, (found, found), numbers, nulls)

    def _words_of_categories(self, name: Any, categories: pd.Index[Any]) -> tuple[Words, Words]:
        """Return the words of categories; known where the batch before had the same ones."""
        known, words = self._categories.get(name, (None, None))
        if words is None or known is not categories:
            if isinstance(categories.dtype, pd.StringDtype) or categories.dtype == object:
                words = _hashed(categories, name)
            else:
                cells = CellReader().read(pd.Series(categories))
                words = cells.words if cells.coded is None else _placed(cells.words, cells.coded.codes)
            words = _with_null(*words)
            self._categories[name] = categories, words
        return words

    def _numbers(self, column: pd.Series[Any]) -> Numbers:
        """Return NumPy's numbers side by side; in a frame made of rows they are not, and every step would wait."""
        if not isinstance(column.dtype, np.dtype):
            return None
        numbers = column.to_numpy()
        if not numbers.flags.c_contiguous:
            apart, numbers = numbers, self.room.take("numbers", len(numbers), numbers.dtype)
            numbers[:] = apart
        return numbers


def nulls_of(column: pd.Series[Any] | NDArray[Any]) -> Nulls:
    """Return which cells, or numbers, are null; None where none is."""
    kind = column.dtype
    if isinstance(kind, np.dtype) and kind.kind in "biu":
        return None
    numbers = isinstance(kind, np.dtype) and kind.kind == "f"
    found: NDArray[np.bool_] = np.isnan(np.asarray(column)) if numbers else np.asarray(pd.isna(column))
    return found if found.any() else None


def _scrambled(words: Words, tag: np.uint64, room: Room) -> Words:
    """Scramble each 64-bit word in the room for words, after an exclusive or with `tag`; a bijection."""
    first, multiply, second = _SCRAMBLER
    scrambled, shifted = room.take("words", len(words)), room.take("shifted", len(words))
    np.bitwise_xor(words, tag, out=scrambled)
    np.right_shift(scrambled, np.uint64(first), out=shifted)
    scrambled ^= shifted
    scrambled *= np.uint64(multiply)
    np.right_shift(scrambled, np.uint64(second), out=shifted)
    scrambled ^= shifted
    return scrambled


def _words_of_integers(values: NDArray[Any], room: Room) -> Words:
    words = np.ascontiguousarray(values).view(np.uint64)
    if values.dtype == np.uint64 and (large := words >= 2**63).any():  # not the negative number with the same bits
        words = np.where(large, mix(words ^ _UNSIGNED, 0), words)
    return _scrambled(words, _WHOLE, room)


def _words_of_reals(values: NDArray[np.float64], room: Room) -> Words:
    words = np.ascontiguousarray(values).view(np.uint64)
    whole = values == np.trunc(values, out=room.take("whole", len(values), np.float64))
    if whole.any():
        whole &= np.abs(values) < 2.0**63
        with np.errstate(invalid="ignore"):  # what is not whole is cast to anything, and not taken
            integers = values.astype(np.int64).view(np.uint64)
        words = np.where(whole, integers ^ (_WHOLE ^ _FLOAT), words)
    return _scrambled(words, _FLOAT, room)


def _words_of_instants(column: pd.Series[Any]) -> Words:
    """Return microseconds since 1970, or of a duration, and what is left of nanoseconds."""
    tag = _NAIVE
    if pd.api.types.is_timedelta64_dtype(column.dtype):
        tag = _DURATION
    elif getattr(column.dtype, "tz", None) is not None or "tz=" in str(column.dtype):
        tag, column = _AWARE, column.dt.tz_convert("UTC").dt.tz_localize(None)
    values = column.to_numpy()
    unit = np.datetime_data(values.dtype)[0]
    counts = values.view(np.int64)
    if unit == "ns":
        words = mix((counts // 1000).view(np.uint64) ^ tag, 0)
        rest = (counts % 1000).view(np.uint64)
        return np.where(rest > 0, words ^ mix(rest ^ _NANOSECONDS, 0), words)
    per_unit = {"s": 1_000_000, "ms": 1000, "us": 1}[unit]
    return mix((counts * per_unit).view(np.uint64) ^ tag, 0)


def _coded(column: pd.Series[Any]) -> Cells:
    """Hash each distinct value once: strings, and objects by their type and content."""
    try:
        codes, uniques = pd.factorize(column)
    except TypeError:  # lists, arrays and dictionaries cannot be looked up
        values, nulls = column.to_numpy(dtype=object), nulls_of(column)
        words = _hashed(values if nulls is None else values[~nulls], column.name)
        if nulls is not None:
            places = np.where(nulls, -1, np.cumsum(~nulls) - 1)
            words = _placed(_with_null(*words), places)
        return Cells(column, words, nulls=nulls)
    words = _hashed(uniques, column.name)
    return Cells(column, _with_null(*words), coded=Coded(codes, uniques))


def _with_null(first: Words, second: Words) -> tuple[Words, Words]:
    return np.append(first, _NULL), np.append(second, _NULL)


def _placed(words: tuple[Words, Words], places: NDArray[Any]) -> tuple[Words, Words]:
    return words[0][places], words[1][places]


def _hashed(values: pd.Index[Any] | NDArray[Any], name: Any) -> tuple[Words, Words]:
    if isinstance(values, pd.Index) and isinstance(values.dtype, pd.StringDtype):
        return words_of_texts(values)
    values = np.asarray(values, dtype=object)
    if pd.api.types.infer_dtype(values, skipna=False) == "string":
        return words_of_texts(values)
    try:
        words = [_object(value) for value in values]
    except TypeError as error:
        raise InvalidValue(f"data column {name!r}", str(error), "numbers, text, times or lists of them") from error
    table = np.array(words, dtype=np.uint64).reshape(-1, 2)
    return table[:, 0].copy(), table[:, 1].copy()


def _object(value: Any) -> tuple[int, int]:
    if isinstance(value, str):
        first, second = words_of_texts(np.array([value], dtype=object))
        return int(first[0]), int(second[0])
    if isinstance(value, Decimal) and value.is_finite():
        value = int(value) if value == value.to_integral_value() else value
        value = float(value) if isinstance(value, Decimal) and Decimal(float(value)) == value else value
    if isinstance(value, bool | int | np.bool_ | np.integer) and -(2**63) <= int(value) < 2**63:
        word = int(_words_of_integers(np.array([value], dtype=np.int64), Room())[0])
        return word, word
    if isinstance(value, float | np.floating):
        word = int(_words_of_reals(np.array([value], dtype=np.float64), Room())[0])
        return word, word
    if isinstance(value, bytes):
        return words_of_bytes(value, b"bytes")
    return words_of_bytes(_spelled(value).encode("utf-8", "surrogatepass"), b"object")


def _spelled(value: Any) -> str:
    """Write a value with its type and its whole content. Raises `TypeError` for what has no such form."""
    if isinstance(value, np.ndarray | list | tuple):
        return "[" + ",".join(_spelled(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ",".join(sorted(f"{_spelled(k)}:{_spelled(v)}" for k, v in value.items())) + "}"
    if isinstance(value, np.generic):
        return _spelled(value.item())
    if isinstance(value, datetime | date | time):
        return f"{type(value).__name__} {value.isoformat()}"
    if value is None or isinstance(value, str | bytes | int | float | complex | Decimal | timedelta):
        return f"{type(value).__name__} {value!r}"
    raise TypeError(f"values of type {type(value).__name__}")
