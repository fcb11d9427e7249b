"""What plots of numbers need beside metrics: how far predictions are off, and predictions against what was true.

Kept only where plots are wanted; compact, mergeable, and never rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from penstock.evaluation.answers import JudgedRows
from penstock.evaluation.state.grid import Grid
from penstock.evaluation.tasks.task import Settings
from penstock.model.evaluations import ANCHOR

_FINE = 512  # cells from the smallest error to the largest
_PAIR = 128
_MOST_BARS, _MOST_CELLS = 40, 24


class RegressionDrawing:
    """Errors (prediction − truth), and predictions by truth, of each model over all rows."""

    def __init__(self, settings: Settings) -> None:
        of = [model for model in settings.of if model != ANCHOR]
        self._errors = {model: Grid(1, _FINE) for model in of}
        self._pairs = {model: Grid(2, _PAIR) for model in of}

    def update(self, rows: JudgedRows) -> None:
        """Add a batch."""
        for model, answers in rows.answers.items():
            with np.errstate(over="ignore", invalid="ignore"):
                self._errors[model].update([answers.predicted - rows.truth], rows.weights)
            self._pairs[model].update([rows.truth, answers.predicted], rows.weights)

    def merge(self, other: RegressionDrawing) -> None:
        """Add another's rows."""
        for model, grid in self._errors.items():
            grid.merge(other._errors[model])
            self._pairs[model].merge(other._pairs[model])

    def curves(self) -> dict[str, dict[str, Any]]:
        """Return `residuals` and `predicted` by role, of the middle 99 % of the rows.

        `residuals` has `edges`, the `shares` of rows between them, and the share `outside`. `predicted` has `cells`,
        each [lowest truth, lowest prediction, share of rows], their `widths` in both directions, and `outside`.
        """
        found = {}
        for model, errors in self._errors.items():
            if len(errors.cells):
                found[model] = {"residuals": _bars(errors), "predicted": _cells(self._pairs[model])}
        return found

    def pack(self) -> dict[str, Any]:
        """Return the state as arrays."""
        return {
            "errors": {model: grid.pack() for model, grid in self._errors.items()},
            "pairs": {model: grid.pack() for model, grid in self._pairs.items()},
        }

    def unpack(self, packed: Mapping[str, Any]) -> None:
        """Take the state of `pack`."""
        for model in self._errors:
            self._errors[model].unpack(packed["errors"][model])
            self._pairs[model].unpack(packed["pairs"][model])


def drawing_of(settings: Settings) -> RegressionDrawing | None:
    """Return what is kept for a task's plots; None where its metrics' own state is enough."""
    return RegressionDrawing(settings) if settings.task == "regression" else None


def _bars(grid: Grid) -> dict[str, Any]:
    first, last = grid.window(0)
    shift = _shift(last - first + 1, _MOST_BARS)
    places = (grid.cells[:, 0] >> shift) - (first >> shift)
    bars = (last >> shift) - (first >> shift) + 1
    inside = (places >= 0) & (places < bars)
    shares = np.bincount(places[inside], grid.counts[inside], minlength=bars) / grid.counts.sum()
    exponent = int(grid.exponents[0]) + shift
    edges = np.ldexp(np.arange((first >> shift), (first >> shift) + bars + 1, dtype=np.float64), exponent)
    outside = float(grid.counts[~inside].sum() / grid.counts.sum())
    return {"edges": edges.tolist(), "shares": [round(float(s), 6) for s in shares], "outside": round(outside, 6)}


def _cells(grid: Grid) -> dict[str, Any]:
    cells, inside, widths = grid.cells, np.ones(len(grid.cells), dtype=bool), []
    moved = np.empty_like(cells)
    for dimension in range(2):
        first, last = grid.window(dimension)
        inside &= (cells[:, dimension] >= first) & (cells[:, dimension] <= last)
        shift = _shift(last - first + 1, _MOST_CELLS)
        moved[:, dimension] = cells[:, dimension] >> shift
        widths.append(float(np.ldexp(1.0, int(grid.exponents[dimension]) + shift)))
    places, which = np.unique(moved[inside], axis=0, return_inverse=True)
    shares = np.bincount(which.ravel(), grid.counts[inside]) / grid.counts.sum()
    found = [
        [float(truth * widths[0]), float(predicted * widths[1]), round(float(share), 6)]
        for (truth, predicted), share in zip(places.tolist(), shares, strict=True)
    ]
    return {"widths": widths, "cells": found, "outside": round(1 - float(shares.sum()), 6)}


def _shift(cells: int, most: int) -> int:
    shift = 0
    while cells >> shift > most:
        shift += 1
    return shift
