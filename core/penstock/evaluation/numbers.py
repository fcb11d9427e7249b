"""An evaluation's numbers as tables of a page: values with 95 % intervals, and differences with theirs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from penstock.model.evaluations import ANCHOR, BASELINE, CANDIDATE, Evaluation, Measurement
from penstock.model.metrics import SPEED, Direction, find_metric
from penstock.statistics.bounds import confidence_of, interval
from penstock.statistics.evidence import Bounds, evidence_from_json, paired_from_json
from penstock.statistics.paired import contrast_bounds

NONE = "–"
LEVEL = 0.95


def metrics_table(evaluation: Evaluation, against: str) -> str:
    """Return every metric over all rows; `against` is what the baseline is called."""
    names = dict.fromkeys(m.metric for m in evaluation.measurements if not m.slice and m.metric not in SPEED)
    rows = [[escape(name), *_cells(evaluation, name, {}, causes=True)] for name in names]
    return table(["metric", *_columns(evaluation, against)], rows)


def speed_table(evaluation: Evaluation, against: str) -> str:
    """Return how fast the models answer and what memory they take; empty where it was not measured."""
    names = [name for name in SPEED if evaluation.find(name) is not None]
    of = _models(evaluation)
    shown = {CANDIDATE: "candidate", BASELINE: against, ANCHOR: "anchor"}
    rows = [[escape(name), *(_amount(evaluation.find(name, model)) for model in of)] for name in names]
    return table(["", *(shown[model] for model in of)], rows) if rows else ""


def slice_tables(evaluation: Evaluation, metric: str, against: str) -> str:
    """Return the metric on every slice, the worst value first: that is where a model is weak."""
    tables = []
    for columns in slicings(evaluation):
        found = [m for m in sliced(evaluation, metric) if tuple(m.slice) == columns]
        found.sort(key=lambda m: (m.value is not None, m.value == m.value, worst_first(metric) * (m.value or 0.0)))
        rows = [[escape(label(m)), *_cells(evaluation, metric, dict(m.slice)), f"{m.n:,}"] for m in found]
        named = escape(" × ".join(columns))
        head = [" × ".join(columns), *_columns(evaluation, against), "rows"]
        tables.append(f"<h3>{escape(metric)} by {named}</h3>{table(head, rows)}")
    return "".join(tables)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "cells") -> str:
    """Return a table whose first column is text and whose others are numbers; the cells are markup already.

    On a phone each row of a table of the kind `cells` becomes a block, its numbers named.
    """
    kinds = ["", *(' class="number"' for _ in head[1:])]
    first = "".join(f"<th{k}>{escape(name)}</th>" for k, name in zip(kinds, head, strict=True))
    body = "".join(
        "<tr>"
        + "".join(f'<td{k} data-name="{escape(n)}">{c}</td>' for k, n, c in zip(kinds, head, row, strict=True))
        + "</tr>"
        for row in rows
    )
    named = f' class="{kind}"' if kind else ""
    return f'<div class="scroll"><table{named}><thead><tr>{first}</tr></thead><tbody>{body}</tbody></table></div>'


def slicings(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """Return the columns of each way in which the rows were sliced."""
    return list(dict.fromkeys(tuple(m.slice) for m in evaluation.measurements if m.slice))


def sliced(evaluation: Evaluation, metric: str) -> list[Measurement]:
    """Return the candidate's measurements of a metric on slices."""
    return [m for m in evaluation.measurements if m.metric == metric and m.of == CANDIDATE and m.slice]


def worst_first(metric: str) -> int:
    """Return the sign by which values are multiplied so that the worst comes first."""
    known = find_metric(metric)
    return -1 if known is not None and known.better is Direction.LOWER else 1


def label(measurement: Measurement) -> str:
    """Return which slice a measurement is of."""
    return " × ".join(measurement.slice.values())


def interval_of(found: Measurement | None) -> Bounds | None:
    """Return a measurement's 95 % interval, widened by its own error; None where none can be stated."""
    if found is None or found.value is None or "evidence" not in found.stats:
        return None
    bounds = interval(evidence_from_json(found.stats["evidence"]), LEVEL)
    return _in_range(_widened(bounds, found), found.metric) if isinstance(bounds, Bounds) else None


def difference(new: Measurement | None, old: Measurement | None, pair: str = "paired") -> str:
    """Return candidate − baseline with its 95 % interval, as markup."""
    if new is None or old is None or new.value is None or old.value is None:
        return NONE
    shown = _number(new.value - old.value, signed=True)
    if pair not in new.stats:
        return shown
    bounds = contrast_bounds(paired_from_json(new.stats[pair]), 1.0, confidence_of(LEVEL))
    return shown + _between(_widened(bounds, new), signed=True) if isinstance(bounds, Bounds) else shown


def value(found: Measurement | None, *, cause: bool = False, bounds: bool = False) -> str:
    """Return a value as markup, with the cause why it is none and its interval if they are wanted."""
    if found is None:
        return NONE
    why = f' <span class="soft">({escape(found.cause)})</span>' if cause and found.cause else ""
    if found.value is None:
        return f'<span title="{escape(found.cause)}">undefined</span>{why}'
    own = interval_of(found) if bounds else None
    return _number(found.value) + why + ("" if own is None else _between(own))


def _cells(evaluation: Evaluation, metric: str, where: dict[str, str], *, causes: bool = False) -> list[str]:
    new = evaluation.find(metric, CANDIDATE, where)
    cells = [value(new, cause=causes, bounds=True)]
    for of, pair in ((BASELINE, "paired"), (ANCHOR, "paired_anchor")):
        if of in _models(evaluation):
            old = evaluation.find(metric, of, where)
            cells += [value(old, cause=causes), difference(new, old, pair)]
    return cells


def _columns(evaluation: Evaluation, against: str) -> list[str]:
    of = _models(evaluation)
    pairs = [(BASELINE, against), (ANCHOR, "anchor")]
    return ["candidate", *(name for model, known in pairs if model in of for name in (known, "difference"))]


def _models(evaluation: Evaluation) -> list[str]:
    there = {measurement.of for measurement in evaluation.measurements}
    return [of for of in (CANDIDATE, BASELINE, ANCHOR) if of in there]


def _widened(bounds: Bounds, found: Measurement) -> Bounds:
    error = float(found.stats.get("error_bound", 0.0))
    return bounds._replace(lower=bounds.lower - error, upper=bounds.upper + error)


def _in_range(bounds: Bounds, metric: str) -> Bounds:
    """Return bounds without what the metric cannot be, which a symmetric interval may reach into."""
    known = find_metric(metric)
    if known is None:
        return bounds
    return bounds._replace(lower=max(bounds.lower, known.low), upper=min(bounds.upper, known.high))


def _between(bounds: Bounds, *, signed: bool = False) -> str:
    ends = f"{_number(bounds.lower, signed=signed)} … {_number(bounds.upper, signed=signed)}"
    return f'<br><span class="soft">{ends}</span>'


def _number(number: float, *, signed: bool = False) -> str:
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else f"{number}"
    form = ".4f" if abs(number) < 100 else ",.1f" if abs(number) < 1_000_000 else ".4g"
    return f"{number:{'+' if signed else ''}{form}}"


def _amount(found: Measurement | None) -> str:
    if found is None or found.value is None:
        return NONE
    if found.unit == "bytes":
        return f"{found.value / 1e6:,.1f} MB"
    return f"{found.value:,.2f} ms"
