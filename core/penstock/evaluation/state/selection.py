"""Quantiles of groups of magnitudes by selection: bins say in which few rows they are, and those are put in order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.evaluation.state.bins import magnitude_prefixes
from penstock.evaluation.state.groups import Codes, GroupCodes, by_group, grouped

Floats = NDArray[np.float64]
Quantiles = dict[float, float]

_BITS = 5  # 32 bins an octave
_BINS = 512  # 16 octaves below the largest magnitude; all below them are in the first bin
_FEW_ROWS = 2**14  # up to which counting them in bins takes longer


def quantile(values: NDArray[Any], level: float, weights: Floats | None = None) -> float:
    """Return the quantile of `values` at `level` as scikit-learn's median does: the middle, or the mean of two.

    Unweighted: NumPy's "averaged_inverted_cdf" (for the median the usual one). With weights: the mean of the lowest
    value at which at least that share of the weight is reached and the lowest at which more is; NaN if all are 0.
    """
    values = values.astype(np.float64)
    if weights is None:
        low, high = _ranks(len(values), level)
        values.partition([low, high])
        return float((values[low] + values[high]) / 2 if low < high else values[high])
    order = np.argsort(values, kind="stable")
    return _of_ascending(values[order], weights[order], level)


def _of_ascending(values: NDArray[Any], weights: Floats, level: float) -> float:
    """Return the weighted quantile of values that ascend."""
    kept = weights > 0
    if not kept.any():
        return math.nan
    values, weights = values[kept].astype(np.float64), weights[kept]
    reached = np.cumsum(weights)
    wanted = level * reached[-1]
    low = min(int(np.searchsorted(reached, wanted * (1 - 1e-15))), len(values) - 1)
    high = min(int(np.searchsorted(reached, wanted * (1 + 1e-15), side="right")), len(values) - 1)
    return float((values[low] + values[high]) / 2)


def _ranks(count: int, level: float) -> tuple[int, int]:
    """Return the ranks, from 0, of the two values whose mean is the quantile; often they are one."""
    wanted = count * level
    high = min(math.floor(wanted), count - 1)
    return (high - 1 if 0 < high == wanted else high), high


def quantiles_by_group(
    values: NDArray[Any],
    weights: Floats | None,
    columns: Sequence[Codes],
    size: int,
    levels: Sequence[float],
) -> dict[int, Quantiles]:
    """Return the `quantile` at each level of every group that has rows; `columns` are the groups as in `GroupCodes`.

    `values` are finite numbers ≥ 0.
    """
    columns = [np.zeros(len(values), dtype=np.int32), *columns]
    if weights is not None:
        return _weighted(values, weights, columns, size, levels)
    if len(values) <= _FEW_ROWS:
        return {
            group: {level: quantile(values[rows], level) for level in levels}
            for codes in columns
            for group, rows in by_group(codes, size)
        }
    prefixes = magnitude_prefixes(values, _BITS)
    bins = np.maximum(prefixes - (int(prefixes.max()) - _BINS + 1), 0).astype(np.intp)
    reached = GroupCodes(len(values), columns[1:], size).cells(bins, _BINS).cumsum(axis=1)
    found: dict[int, Quantiles] = {group: {} for group in np.flatnonzero(reached[:, -1]).tolist()}
    for level in levels:
        ranks = np.array([_ranks(count, level) for count in reached[:, -1].tolist()])
        first, last = (np.count_nonzero(reached <= ranks[:, [end]], axis=1) for end in (0, 1))
        needed = (np.arange(_BINS) >= first[:, None]) & (np.arange(_BINS) <= last[:, None])
        rows = np.flatnonzero(needed[list(found)].any(axis=0)[bins])
        for codes in columns:
            own = codes[rows]
            chosen = np.flatnonzero(needed[own, bins[rows]])
            order, groups = grouped(own[chosen], size)
            near = values[rows[chosen[order]]].astype(np.float64)
            for group, part in groups:
                begin = first[group]
                low, high = (ranks[group] - (reached[group, begin - 1] if begin else 0)).tolist()
                among = near[part]
                among.partition([low, high])
                found[group][level] = float((among[low] + among[high]) / 2 if low < high else among[high])
    return found


def _weighted(
    values: NDArray[Any], weights: Floats, columns: Sequence[Codes], size: int, levels: Sequence[float]
) -> dict[int, Quantiles]:
    """Return the weighted quantiles: sorted once, as to put what is in order into groups takes a tenth as long."""
    ascending = np.argsort(values, kind="stable")
    found: dict[int, Quantiles] = {}
    for codes in columns:
        order, groups = grouped(codes[ascending], size)
        rows = ascending[order]
        own, own_weights = values[rows], weights[rows]
        for group, part in groups:
            found[group] = {level: _of_ascending(own[part], own_weights[part], level) for level in levels}
    return found
