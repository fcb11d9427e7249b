"""DeLong's variances of ROC AUCs in every slice of a column at once: sorted once per model, not once per slice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.statistics.evidence import PairedEstimates

# Sums of products of doubled placements of up to as many rows fit in 64 bits: at most 16/27 rows³.
_EXACT_ROWS = 2**20


class _Ranked(NamedTuple):
    """Rows by group, then score. `starts` is where each group begins, `placed` the doubled placement of each row."""

    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    placed: NDArray[np.int64]


def paired_areas(
    labels: NDArray[np.integer[Any]],
    scores: Mapping[str, NDArray[np.floating[Any]]],
    columns: Sequence[NDArray[np.int32]],
) -> Iterator[tuple[int, PairedEstimates]]:
    """Yield each group with the comparison of two models' ROC AUCs on its rows, of finite scores.

    `labels` are 0 and 1, `scores` those of the candidate and the baseline, `columns` the rows' groups by slicing
    column. Groups with fewer than two rows of a class are left out. DeLong's structural components in the O(n log n)
    form of Sun & Xu (IEEE Signal Processing Letters 21, 2014), counted in whole numbers: the result does not depend on
    the rows' order.
    """
    positive = labels == 1
    ascending = [(np.argsort(values, kind="stable"), values) for values in scores.values()] if columns else []
    for codes in columns:
        one, other = (_ranked(order, values, positive, codes) for order, values in ascending)
        yield from _compared(one, other, positive, codes)


def _compared(
    one: _Ranked, other: _Ranked, positive: NDArray[np.bool_], codes: NDArray[np.int32]
) -> Iterator[tuple[int, PairedEstimates]]:
    there = np.empty(len(codes), dtype=np.int64)
    there[other.order] = other.placed
    theirs, mine, hit = there[one.order], one.placed, positive[one.order]
    if len(codes) > _EXACT_ROWS:
        theirs, mine = theirs.astype(np.float64), mine.astype(np.float64)
    counts = [np.add.reduceat(kind, one.starts, dtype=np.int64).tolist() for kind in (hit, ~hit)]
    sums = [
        [np.add.reduceat(values * kind, one.starts).tolist() for values in _moments(mine, theirs)]
        for kind in (hit, ~hit)
    ]
    groups = codes[one.order[one.starts]].tolist()
    for place, group in enumerate(groups):
        rows = counts[0][place], counts[1][place]
        if min(rows) < 2:
            continue
        variances = np.zeros(3)
        for kind, count in enumerate(rows):
            a, b, aa, bb, ab = (column[place] for column in sums[kind])
            unit = 4 * count * count * (count - 1) * rows[1 - kind] ** 2
            for moment, (product, x, y) in enumerate(((aa, a, a), (bb, b, b), (ab, a, b))):
                variances[moment] += (count * product - x * y) / unit
        area, against = (sums[0][moment][place] / (2 * rows[0] * rows[1]) for moment in (0, 1))
        new, old, both = variances.tolist()
        yield group, PairedEstimates("auc", area, against, max(new, 0.0), max(old, 0.0), both)


def _moments(mine: NDArray[Any], theirs: NDArray[Any]) -> Iterator[NDArray[Any]]:
    yield mine
    yield theirs
    yield mine * mine
    yield theirs * theirs
    yield mine * theirs


def _ranked(
    order: NDArray[np.intp], scores: NDArray[np.floating[Any]], positive: NDArray[np.bool_], codes: NDArray[np.int32]
) -> _Ranked:
    """Rank the rows of each group; `order` sorts all of them by score.

    A positive is placed by the negatives below, twice, and those beside it; a negative by the positives above, twice,
    and those beside it.
    """
    by_score = codes[order]
    order = order[np.argsort(by_score.astype(np.int16) if by_score.max() < 2**15 else by_score, kind="stable")]
    groups, ascending, hit = codes[order], scores[order], positive[order]
    begins = np.append(True, groups[1:] != groups[:-1])
    starts = np.flatnonzero(begins)
    ties = np.flatnonzero(begins | np.append(True, ascending[1:] != ascending[:-1]))
    sizes = np.diff(ties, append=len(order))
    hits = np.add.reduceat(hit, ties, dtype=np.int64)
    misses = sizes - hits
    of_group = np.searchsorted(ties, starts)  # every group begins with a tie of its own
    lengths = np.diff(of_group, append=len(ties))
    missed, found = np.cumsum(misses) - misses, np.cumsum(hits)
    below = missed - np.repeat(missed[of_group], lengths)
    above = np.repeat(found[np.append(of_group[1:], len(ties)) - 1], lengths) - found
    placed = np.where(hit, np.repeat(2 * below + misses, sizes), np.repeat(2 * above + hits, sizes))
    return _Ranked(order, starts, placed)
