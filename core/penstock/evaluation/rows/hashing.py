"""64-bit hashes of words and of texts that are the same in every process, on every machine and in every version."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

Words = NDArray[np.uint64]

# (shift, multiplier, shift, multiplier, shift) of the finalisers of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) and
# MurmurHash3.
_MIXERS = (
    (30, 0xBF58476D1CE4E5B9, 27, 0x94D049BB133111EB, 31),
    (33, 0xFF51AFD7ED558CCD, 33, 0xC4CEB9FE1A85EC53, 33),
)
_SHORT = 256  # bytes: texts up to there are hashed all at once
_AT_ONCE = 2**17  # bytes whose products stay in the processor's cache


def mix(words: Words, lane: int) -> Words:
    """Scramble each 64-bit word thoroughly; a bijection, so distinct words stay distinct."""
    first, multiply_first, second, multiply_second, third = _MIXERS[lane]
    mixed = words ^ (words >> np.uint64(first))
    mixed *= np.uint64(multiply_first)
    mixed ^= mixed >> np.uint64(second)
    mixed *= np.uint64(multiply_second)
    mixed ^= mixed >> np.uint64(third)
    return mixed


def words_of_bytes(content: bytes, kind: bytes) -> tuple[int, int]:
    """Return two 64-bit words of the 128-bit BLAKE2b hash of `content`; `kind` (≤ 16 bytes) separates the domains."""
    value = hashlib.blake2b(content, digest_size=16, person=kind).digest()
    return int.from_bytes(value[:8], "little"), int.from_bytes(value[8:], "little")


_TEXT = words_of_bytes(b"", b"text")
# Of each lane a number for the length and one for every place.
_KEYS = tuple(
    mix(np.arange(1, _SHORT + 2, dtype=np.uint64) * np.uint64(key | 1), lane) for lane, key in enumerate(_TEXT)
)


def words_of_texts(texts: pd.Index[Any] | NDArray[Any]) -> tuple[Words, Words]:
    """Return a word of each text for each lane, of their UTF-8.

    Short ones: the sum of each byte, and of the length, times a number that belongs to its place (multilinear hashing:
    Carter and Wegman, "Universal Classes of Hash Functions", Journal of Computer and System Sciences 18, 1979),
    scrambled; all of them together, as a column of names has millions. Others: of their BLAKE2b.
    """
    try:
        spelled = pa.array(texts, type=pa.large_string()).cast(pa.large_binary())
    except UnicodeEncodeError:  # halves of a surrogate pair, which are no UTF-8
        spelled = pa.array([text.encode("utf-8", "surrogatepass") for text in texts], pa.large_binary())
    if isinstance(spelled, pa.ChunkedArray):
        spelled = spelled.combine_chunks()
    _, ends, content = spelled.buffers()
    edges = np.frombuffer(ends, dtype=np.int64)[spelled.offset : spelled.offset + len(spelled) + 1]
    every_byte = np.frombuffer(content if content is not None else b"", dtype=np.uint8)
    lengths = np.diff(edges)
    long = lengths > _SHORT
    first, second = (lengths.astype(np.uint64) * keys[0] for keys in _KEYS)
    for part in _parts(edges, np.flatnonzero((lengths > 0) & ~long)):
        starts = np.cumsum(lengths[part]) - lengths[part]
        places = np.arange(int(lengths[part].sum())) - np.repeat(starts, lengths[part])
        values = every_byte[np.repeat(edges[part], lengths[part]) + places].astype(np.uint64)
        places += 1
        for sums, keys in zip((first, second), _KEYS, strict=True):
            sums[part] += np.add.reduceat(values * keys[places], starts)
    words = mix(first ^ np.uint64(_TEXT[0]), 0), mix(second ^ np.uint64(_TEXT[1]), 1)
    for place in np.flatnonzero(long).tolist():
        words[0][place], words[1][place] = words_of_bytes(spelled[place].as_py(), b"text")
    return words


def _parts(edges: NDArray[np.int64], chosen: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    """Yield the chosen texts in order, of so many bytes together."""
    upto = np.cumsum((edges[1:] - edges[:-1])[chosen])
    start = 0
    while start < len(chosen):
        begun = int(upto[start - 1]) if start else 0
        end = max(start + 1, int(np.searchsorted(upto, begun + _AT_ONCE, side="right")))
        yield chosen[start:end]
        start = end
