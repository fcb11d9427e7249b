"""A digest of every cell of every row that does not depend on row order or on how the data was split.

Each row becomes two 64-bit hashes from two independent lanes; a lane's digest is the sum of its row hashes modulo 2^64,
so partial digests add up (a multiset hash: Clarke et al., "Incremental Multiset Hash Functions and Their Application to
Memory Integrity Checking", ASIACRYPT 2003). The mixing functions are the 64-bit finalisers of SplitMix64 (Steele, Lea
and Flood, OOPSLA 2014) and MurmurHash3. Nothing depends on how a version of pandas or NumPy hashes.

It tells apart data that differs by accident or by mistake. It is not meant to resist somebody who constructs two data
sets with one digest; where that matters the SHA-256 of the files is in the data's fingerprint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from penstock.errors import InvalidValue

Words = NDArray[np.uint64]
Nulls = NDArray[np.bool_] | None
Seen = Callable[[str, "pd.Series[Any]", Words, Nulls], None]

_MASK = 2**64 - 1
_CHUNK = 16_384  # words that stay in the processor's cache
# (shift, multiplier, shift, multiplier, shift) of the two finalisers.
_MIXERS = (
    (30, 0xBF58476D1CE4E5B9, 27, 0x94D049BB133111EB, 31),
    (33, 0xFF51AFD7ED558CCD, 33, 0xC4CEB9FE1A85EC53, 33),
)


def _words(text: bytes, kind: bytes) -> tuple[int, int]:
    """Return two 64-bit words of the 128-bit BLAKE2b hash of `text`; `kind` (≤ 16 bytes) separates the domains."""
    value = hashlib.blake2b(text, digest_size=16, person=kind).digest()
    return int.from_bytes(value[:8], "little"), int.from_bytes(value[8:], "little")


_NULL = _words(b"", b"null")
_FLOAT, _UNSIGNED, _NAIVE, _AWARE, _DURATION, _NANOSECONDS = (
    np.uint64(_words(name, b"kind")[0])
    for name in (b"float", b"unsigned", b"timestamp", b"timestamp utc", b"duration", b"nanoseconds")
)


def _mix(words: Words, lane: int, key: int = 0) -> Words:
    """Scramble each 64-bit word, after an exclusive or with `key`; a bijection, so distinct words stay distinct."""
    mixed = np.empty(len(words), dtype=np.uint64)
    spare = np.empty(min(len(words), _CHUNK), dtype=np.uint64)
    for start in range(0, len(words), _CHUNK):
        _mix_part(words[start : start + _CHUNK], lane, np.uint64(key), mixed[start : start + _CHUNK], spare)
    return mixed


def _mix_part(words: Words, lane: int, key: np.uint64, mixed: Words, spare: Words) -> None:
    """Write the scrambled words into `mixed`; `spare` is overwritten."""
    first, multiply_first, second, multiply_second, third = _MIXERS[lane]
    shifted = spare[: len(words)]
    np.bitwise_xor(words, key, out=mixed)
    for shift, multiply in ((first, multiply_first), (second, multiply_second)):
        np.right_shift(mixed, np.uint64(shift), out=shifted)
        mixed ^= shifted
        mixed *= np.uint64(multiply)
    np.right_shift(mixed, np.uint64(third), out=shifted)
    mixed ^= shifted


class RowDigest:
    """The digest of the rows seen so far: `update` with batches, `merge` with other digests, then `result`."""

    def __init__(self) -> None:
        self.rows = 0
        self._sums = [0, 0]
        self._categories: dict[Any, tuple[Any, _Lanes]] = {}  # of the batch before, by column

    def update(self, batch: pd.DataFrame, seen: Seen | None = None) -> tuple[Words, Words]:
        """Add the batch's rows; return the sums of each row's cells in the first lane, and `row_hashes` of them.

        `seen` is called with each column's name, the column, its cells' hashes in that lane and which are null. Raises
        `InvalidValue` for a column of things that have no content to compare.
        """
        totals = [np.zeros(len(batch), dtype=np.uint64) for _ in _MIXERS]
        for name, column in batch.items():
            keys = _words(str(name).encode("utf-8", "surrogatepass"), b"column")
            coded = isinstance(column.dtype, pd.CategoricalDtype)
            nulls = None if coded else nulls_of(column)
            words = self._coded(column) if coded else _cells(column, nulls)
            for lane, total in enumerate(totals):
                mixed = words.mixed(lane, keys[lane])
                total += mixed
                if seen is not None and lane == 0:
                    seen(str(name), column, mixed, nulls)
        rows = [_mix(total, lane) for lane, total in enumerate(totals)]
        self._sums = [(old + int(new.sum(dtype=np.uint64))) & _MASK for old, new in zip(self._sums, rows, strict=True)]
        self.rows += len(batch)
        return totals[0], rows[0]

    def _coded(self, column: pd.Series[Any]) -> _Lanes:
        """Return the cells of categories; whose words are known where the batch before had the same ones."""
        categories = column.cat.categories
        known, words = self._categories.get(column.name, (None, None))
        if words is None or known is not categories:
            words = _cells(pd.Series(categories), None)
            self._categories[column.name] = categories, words
        return words.coded(column.cat.codes.to_numpy())

    def merge(self, other: RowDigest) -> None:
        """Add the rows of another digest."""
        self.rows += other.rows
        self._sums = [(mine + theirs) & _MASK for mine, theirs in zip(self._sums, other._sums, strict=True)]

    def result(self) -> str:
        """Return `rows:<count>:<32 hexadecimal characters>`."""
        return f"rows:{self.rows}:{self._sums[0]:016x}{self._sums[1]:016x}"

    @classmethod
    def from_result(cls, digest: str) -> RowDigest:
        """Return the digest that `result` spelled, to go on from. `ValueError` if it is not one."""
        _, rows, sums = digest.split(":")
        found = cls()
        found.rows, found._sums = int(rows), [int(sums[:16], 16), int(sums[16:], 16)]
        return found


def row_hashes(total: Words) -> Words:
    """Return hashes of rows from the sums of their cells' hashes: the first lane's."""
    return _mix(total, 0)


def nulls_of(column: pd.Series[Any]) -> Nulls:
    """Return which cells are null; None where none is."""
    kind = column.dtype
    if isinstance(kind, np.dtype) and kind.kind in "biu":
        return None
    found: NDArray[np.bool_] = (
        np.isnan(column.to_numpy()) if isinstance(kind, np.dtype) and kind.kind == "f" else (column.isna().to_numpy())
    )
    return found if found.any() else None


class _Lanes(NamedTuple):
    """One word per cell for each lane; the same array twice where the word is the value itself.

    With `codes`, one word per distinct value, and the place of each cell's: -1 is a null.
    """

    first: Words
    second: Words
    codes: NDArray[Any] | None = None

    def coded(self, codes: NDArray[Any]) -> _Lanes:
        """Return the words as those of distinct values, which stand where `codes` say."""
        first, second = (np.append(self._at(lane), np.uint64(null)) for lane, null in enumerate(_NULL))
        return _Lanes(first, second, codes)

    def _at(self, lane: int) -> Words:
        words = self.second if lane else self.first
        return words if self.codes is None else words[self.codes]

    def mixed(self, lane: int, key: int) -> Words:
        """Return each cell's word scrambled with its column's key."""
        words = _mix(self.second if lane else self.first, lane, key)
        return words if self.codes is None else words[self.codes]


def _cells(column: pd.Series[Any], nulls: Nulls) -> _Lanes:
    """Return each cell's value as words: equal values give equal words, whatever type holds them.

    1, 1.0 and True are equal, -0.0 is 0, and a timestamp is its instant whatever its unit; "1" is not 1.
    """
    kind = column.dtype
    types = pd.api.types
    if types.is_bool_dtype(kind) or types.is_integer_dtype(kind):
        unsigned = types.is_unsigned_integer_dtype(kind)
        words = _integers(column.to_numpy(dtype=np.uint64 if unsigned else np.int64, na_value=0))
    elif types.is_float_dtype(kind):
        words = _floats(column.to_numpy(dtype=np.float64, na_value=np.nan))
    elif types.is_datetime64_any_dtype(kind) or types.is_timedelta64_dtype(kind):
        words = _instants(column)
    else:
        return _objects(column)
    if nulls is None:
        return _Lanes(words, words)
    return _Lanes(*(np.where(nulls, np.uint64(null), words) for null in _NULL))


def _integers(values: NDArray[Any]) -> Words:
    words = np.ascontiguousarray(values).view(np.uint64)
    if values.dtype == np.uint64 and (large := words >= 2**63).any():  # not the negative number with the same bits
        return np.where(large, _mix(words, 0, int(_UNSIGNED)), words)
    return words


def _floats(values: NDArray[np.float64]) -> Words:
    words = np.empty(len(values), dtype=np.uint64)
    spare = np.empty(min(len(values), _CHUNK), dtype=np.uint64)
    for start in range(0, len(values), _CHUNK):
        numbers, part = values[start : start + _CHUNK], words[start : start + _CHUNK]
        _mix_part(np.ascontiguousarray(numbers).view(np.uint64), 0, _FLOAT, part, spare)
        whole = numbers == np.trunc(numbers)
        if whole.any():
            whole &= np.abs(numbers) < 2.0**63
            part[whole] = numbers[whole].astype(np.int64).view(np.uint64)
    return words


def _instants(column: pd.Series[Any]) -> Words:
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
        words = _mix((counts // 1000).view(np.uint64) ^ tag, 0)
        rest = (counts % 1000).view(np.uint64)
        return np.where(rest > 0, words ^ _mix(rest ^ _NANOSECONDS, 0), words)
    per_unit = {"s": 1_000_000, "ms": 1000, "us": 1}[unit]
    return _mix((counts * per_unit).view(np.uint64) ^ tag, 0)


def _objects(column: pd.Series[Any]) -> _Lanes:
    """Hash each distinct value once: strings, and objects by their type and content."""
    try:
        codes, uniques = pd.factorize(column)
    except TypeError:  # lists, arrays and dictionaries cannot be looked up
        values = column.to_numpy(dtype=object)
        return _hashed(values, column.name).coded(np.arange(len(values)))
    return _hashed(np.asarray(uniques, dtype=object), column.name).coded(codes)


def _hashed(values: Sequence[Any] | NDArray[Any], name: Any) -> _Lanes:
    if pd.api.types.infer_dtype(values, skipna=False) == "string":
        spelled = b"".join([_text(value) for value in values])
        table = np.frombuffer(spelled, dtype="<u8").astype(np.uint64).reshape(-1, 2)
        return _Lanes(table[:, 0].copy(), table[:, 1].copy())
    try:
        words = [_object(value) for value in values]
    except TypeError as error:
        raise InvalidValue(f"data column {name!r}", str(error), "numbers, text, times or lists of them") from error
    table = np.array(words, dtype=np.uint64).reshape(-1, 2)
    return _Lanes(table[:, 0].copy(), table[:, 1].copy())


# Copying a prepared hasher takes a third of the time of making one; columns of names have millions of values.
_text_hasher = hashlib.blake2b(digest_size=16, person=b"text").copy


def _text(value: str) -> bytes:
    hasher = _text_hasher()
    hasher.update(value.encode("utf-8", "surrogatepass"))
    return hasher.digest()


def _object(value: Any) -> tuple[int, int]:
    if isinstance(value, str):
        return _words(value.encode("utf-8", "surrogatepass"), b"text")
    if isinstance(value, Decimal) and value.is_finite():
        value = int(value) if value == value.to_integral_value() else value
        value = float(value) if isinstance(value, Decimal) and Decimal(float(value)) == value else value
    if isinstance(value, bool | int | np.bool_ | np.integer) and -(2**63) <= int(value) < 2**63:
        word = int(value) & _MASK
        return word, word
    if isinstance(value, float | np.floating):
        word = int(_floats(np.array([value], dtype=np.float64))[0])
        return word, word
    if isinstance(value, bytes):
        return _words(value, b"bytes")
    return _words(_spelled(value).encode("utf-8", "surrogatepass"), b"object")


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
