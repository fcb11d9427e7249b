"""Compact points for plots, never rows: plain finite JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from penstock.evaluation.answers import Answers, JudgedRows
from penstock.evaluation.counts import Confusion
from penstock.evaluation.scores import ScoreTable

MOST_POINTS = 200
BINS = 10
_DIGITS = 6


def curves(rows: JudgedRows, tables: Mapping[str, ScoreTable]) -> dict[str, Any]:
    """Return for each model what can be drawn of it.

    `roc`: `fpr` and `tpr`, at most 200 points, both classes needed. `calibration`: ten bins of about as many rows each,
    with `score` (mean), `rate` (observed) and `n`. `confusion`: the rows `tn`, `fp`, `fn`, `tp`. A part that the
    answers do not allow (no probabilities, not finite) is left out.
    """
    return {of: _model_curves(rows, answers, tables.get(of)) for of, answers in rows.answers.items()}


def _model_curves(rows: JudgedRows, answers: Answers, table: ScoreTable | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if table is not None:
        if table.positives.sum() > 0 and table.negatives.sum() > 0:
            found["roc"] = _roc(table)
        if table.positives.sum() + table.negatives.sum() > 0:
            found["calibration"] = _calibration(table)
    if (answers.predicted >= 0).all():
        cells = Confusion.of(rows.labels, answers.predicted, None).rows
        found["confusion"] = dict(zip(("tn", "fp", "fn", "tp"), cells, strict=True))
    return found


def _roc(table: ScoreTable) -> dict[str, list[float]]:
    tpr = np.append(0.0, np.cumsum(table.positives[::-1])) / table.positives.sum()
    fpr = np.append(0.0, np.cumsum(table.negatives[::-1])) / table.negatives.sum()
    # Points evenly spaced along the curve: evenly spaced thresholds would crowd where the scores do.
    wanted = np.linspace(0.0, float(tpr[-1] + fpr[-1]), MOST_POINTS)
    kept = np.unique(np.append(np.searchsorted(tpr + fpr, wanted[:-1]), len(tpr) - 1))
    return {"fpr": _rounded(fpr[kept]), "tpr": _rounded(tpr[kept])}


def _calibration(table: ScoreTable) -> list[dict[str, float | int]]:
    weight = table.positives + table.negatives
    middle = np.cumsum(weight) - weight / 2
    bins = np.minimum((BINS * middle / weight.sum()).astype(np.intp), BINS - 1)
    points: list[dict[str, float | int]] = []
    for bin_ in np.unique(bins[weight > 0]):
        inside = bins == bin_
        total = weight[inside].sum()
        points.append(
            {
                "score": round(float((table.scores[inside] * weight[inside]).sum() / total), _DIGITS),
                "rate": round(float(table.positives[inside].sum() / total), _DIGITS),
                "n": int(table.rows[inside].sum()),
            }
        )
    return points


def _rounded(values: Any) -> list[float]:
    return [round(float(value), _DIGITS) for value in values]
