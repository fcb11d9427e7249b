"""Compact points for plots, never rows: plain finite JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.evaluation.scores import BinaryTable

MOST_POINTS = 200
BINS = 10
SCORE_BINS = 20
_DIGITS = 6


def binary_curves(
    table: BinaryTable | None, confusion: NDArray[np.int64] | None, *, plots: bool = False
) -> dict[str, Any]:
    """Return what can be drawn of a binary classifier.

    `roc`: `fpr` and `tpr`, at most 200 points, both classes needed. `calibration`: ten bins of about as many rows each,
    with `score` (mean), `rate` (observed) and `n` (rows, or their weight). `confusion`: the rows `tn`, `fp`, `fn` and
    `tp`. A part that the answers do not allow (no probabilities, not finite: no `table`; null predictions) is left out.

    With `plots` also `pr`: `recall` and `precision`, at most 200 points; `lift`: how many times the share of positives
    the first tenths of the rows have, by score; `scores`: the share of each class's rows in bins a twentieth wide.
    """
    found: dict[str, Any] = {}
    if table is not None and table.positives.sum() > 0 and table.negatives.sum() > 0:
        found["roc"] = _roc(table)
        if plots:
            found["pr"] = _pr(table)
            found["lift"] = _lift(table)
            if table.scores[0] >= 0 and table.scores[-1] <= 1:
                found["scores"] = _distributions(table)
    if table is not None and table.positives.sum() + table.negatives.sum() > 0:
        found["calibration"] = _calibration(table)
    if confusion is not None:
        found["confusion"] = dict(zip(("tn", "fp", "fn", "tp"), confusion.ravel().tolist(), strict=True))
    return found


def _roc(table: BinaryTable) -> dict[str, list[float]]:
    tpr = np.append(0.0, np.cumsum(table.positives[::-1])) / table.positives.sum()
    fpr = np.append(0.0, np.cumsum(table.negatives[::-1])) / table.negatives.sum()
    # Points evenly spaced along the curve: evenly spaced thresholds would crowd where the scores do.
    wanted = np.linspace(0.0, float(tpr[-1] + fpr[-1]), MOST_POINTS)
    kept = np.unique(np.append(np.searchsorted(tpr + fpr, wanted[:-1]), len(tpr) - 1))
    return {"fpr": _rounded(fpr[kept]), "tpr": _rounded(tpr[kept])}


def _pr(table: BinaryTable) -> dict[str, list[float]]:
    above = np.cumsum(table.positives[::-1].astype(np.float64))
    rows = above + np.cumsum(table.negatives[::-1].astype(np.float64))
    counted = rows > 0
    recall, precision = above[counted] / above[-1], above[counted] / rows[counted]
    kept = np.unique(np.searchsorted(recall, np.linspace(recall[0], 1.0, MOST_POINTS)).clip(0, len(recall) - 1))
    return {"recall": _rounded(recall[kept]), "precision": _rounded(precision[kept])}


def _lift(table: BinaryTable) -> dict[str, list[float]]:
    shares = np.arange(1, BINS + 1) / BINS
    return {"share": _rounded(shares), "lift": _rounded([table.gain(float(share))[0] / share for share in shares])}


def _distributions(table: BinaryTable) -> dict[str, list[float]]:
    found = {}
    for name, rows in (("positives", table.positives), ("negatives", table.negatives)):
        bins = np.minimum((table.scores * SCORE_BINS).astype(np.intp), SCORE_BINS - 1)
        counts = np.bincount(bins, rows.astype(np.float64), minlength=SCORE_BINS)
        found[name] = _rounded(counts / counts.sum())
    return found


def _calibration(table: BinaryTable) -> list[dict[str, float | int]]:
    weight = (table.positives + table.negatives).astype(np.float64)
    middle = np.cumsum(weight) - weight / 2
    bins = np.minimum((BINS * middle / weight.sum()).astype(np.intp), BINS - 1)
    totals, scores, positives = (
        np.bincount(bins, numbers, minlength=BINS) for numbers in (weight, table.scores * weight, table.positives)
    )
    return [
        {
            "score": round(float(scores[place] / totals[place]), _DIGITS),
            "rate": round(float(positives[place] / totals[place]), _DIGITS),
            "n": round(float(totals[place])),
        }
        for place in np.flatnonzero(totals).tolist()
    ]


def _rounded(values: Any) -> list[float]:
    return [round(float(value), _DIGITS) for value in values]
