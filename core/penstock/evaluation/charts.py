"""Plots of one evaluation as inline SVG, in the manner of `plots`: empty where there is nothing to draw."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from html import escape
from typing import Any

from penstock.evaluation.numbers import interval_of, label, sliced, slicings, worst_first
from penstock.evaluation.plots import SIZE, Axes, models, nice_ticks, svg, unit_grid
from penstock.model.evaluations import BASELINE, Evaluation, Measurement

_MOST_SLICES = 40
_ROW = 26.0  # pixels of a slice in the forest plot
_WIDE = 350.0  # what a phone has room for
Curves = Mapping[str, Any]


def precision_recall(curves: Curves) -> str:
    """Draw precision against recall."""
    drawn = [(name, c["pr"]) for name, c in models(curves) if "pr" in c]
    axes = Axes((0, 1), (0, 1))
    lines = [_line(axes, name, list(zip(c["recall"], c["precision"], strict=True))) for name, c in drawn]
    parts = [*unit_grid(axes), *axes.titles("recall", "precision"), *lines]
    return svg(parts, SIZE, SIZE, "precision and recall") if drawn else ""


def lift(curves: Curves) -> str:
    """Draw how many times as many positives the highest scores have, by the share of rows taken."""
    drawn = [(name, c["lift"]) for name, c in models(curves) if "lift" in c]
    if not drawn:
        return ""
    highest = max(max(c["lift"]) for _, c in drawn)
    ticks = nice_ticks(0, max(highest, 1.0))
    axes = Axes((0, 1), (0, ticks[-1]))
    parts = [*axes.horizontal([t for t in ticks if t >= 0]), *axes.vertical((0, 0.2, 0.4, 0.6, 0.8, 1))]
    parts += [*axes.titles("share of rows, highest scores first", "lift"), _chance(axes, [(0, 1), (1, 1)])]
    for name, c in drawn:
        points = list(zip(c["share"], c["lift"], strict=True))
        parts.append(_line(axes, name, points))
        parts += [_dot(axes, name, x, y, f"{name}: {y:.2f} × in the first {x:.0%}") for x, y in points]
    return svg(parts, SIZE, SIZE, "lift")


def score_distributions(curves: Curves, of: str) -> str:
    """Draw how one model's scores are distributed over the rows of either class: positives filled, negatives a line."""
    if "scores" not in curves.get(of, {}):
        return ""
    found = curves[of]["scores"]
    positives, negatives = found["positives"], found["negatives"]
    ticks = [tick for tick in nice_ticks(0, max(*positives, *negatives)) if tick >= 0]
    axes = Axes((0, 1), (0, ticks[-1]))
    edges = [place / len(positives) for place in range(len(positives) + 1)]
    parts = [*axes.horizontal(ticks), *axes.vertical((0, 0.2, 0.4, 0.6, 0.8, 1))]
    parts += [*axes.titles("score", "share of the class")]
    name = "champion" if of == BASELINE else "candidate"
    parts.append(f'<path class="area {name}" d="{axes.path([(0, 0), *_steps(edges, positives), (1, 0)])}Z"/>')
    parts.append(f'<path class="outline" d="{axes.path(_steps(edges, negatives))}"/>')
    return svg(parts, SIZE, SIZE, "distribution of scores by class")


def residuals(curves: Curves) -> str:
    """Draw how far predictions are off: the middle 99 % of prediction − truth."""
    drawn = [(name, c["residuals"]) for name, c in models(curves) if "residuals" in c]
    if not drawn:
        return ""
    low, high = min(c["edges"][0] for _, c in drawn), max(c["edges"][-1] for _, c in drawn)
    # Per unit, so that models whose bars are of different widths can be compared.
    heights = {name: [s / (c["edges"][1] - c["edges"][0]) for s in c["shares"]] for name, c in drawn}
    top = max(max(shares) for shares in heights.values())
    across = nice_ticks(low, high)
    axes = Axes((across[0], across[-1]), (0, top * 1.05))
    x, y_low = axes.at(0.0, 0.0)
    parts = [*axes.vertical(_few(across)), *axes.titles("prediction − truth", "density")]
    if across[0] < 0 < across[-1]:
        parts.append(f'<path class="chance" d="M{x},{axes.top}V{y_low}"/>')
    for name, c in drawn:
        points = [(c["edges"][0], 0.0), *_steps(c["edges"], heights[name]), (c["edges"][-1], 0.0)]
        parts.append(_line(axes, name, points))
    return svg(parts, SIZE, SIZE, "distribution of errors")


def predicted_against_actual(curves: Curves, of: str) -> str:
    """Draw one model's predictions by what was true: the more rows, the darker the cell."""
    found = curves.get(of, {}).get("predicted")
    if not found or not found["cells"]:
        return ""
    (wide, tall), cells = found["widths"], found["cells"]
    across = nice_ticks(min(c[0] for c in cells), max(c[0] for c in cells) + wide)
    up = nice_ticks(min(c[1] for c in cells), max(c[1] for c in cells) + tall)
    axes, most = Axes((across[0], across[-1]), (up[0], up[-1])), max(c[2] for c in cells)
    name = "champion" if of == BASELINE else "candidate"
    parts = [*axes.horizontal(up), *axes.vertical(_few(across)), *axes.titles("actual", "predicted")]
    for truth, predicted, share in cells:
        (left, top), (right, low) = axes.at(truth, predicted + tall), axes.at(truth + wide, predicted)
        shade = 0.12 + 0.88 * math.sqrt(share / most)
        size = f'width="{right - left:.1f}" height="{low - top:.1f}" opacity="{shade:.2f}"'
        parts.append(f'<rect class="cell {name}" x="{left}" y="{top}" {size}><title>{share:.2%} of rows</title></rect>')
    first, last = max(across[0], up[0]), min(across[-1], up[-1])
    if first < last:
        parts.append(_chance(axes, [(first, first), (last, last)]))
    return svg(parts, SIZE, SIZE, "predicted against actual")


def forest(evaluation: Evaluation, metric: str, columns: tuple[str, ...], against: str) -> str:
    """Draw a metric on each slice with its 95 % interval, and the baseline's beside it; a line at that of all rows."""
    found = [m for m in sliced(evaluation, metric) if tuple(m.slice) == columns and _finite(m)]
    found.sort(key=lambda m: worst_first(metric) * (m.value or 0.0))
    if not found:
        return ""
    found = found[:_MOST_SLICES]
    everywhere = evaluation.find(metric)
    old = {label(m): evaluation.find(metric, BASELINE, m.slice) for m in found}
    others = [*old.values(), everywhere]
    ends = [end for m in found for end in _ends(m)] + [number for m in others for number in _numbers(m)]
    ticks = nice_ticks(min(ends), max(ends))
    room = min(130.0, 18 + 7.2 * max(len(label(m)) for m in found))
    width, height = _WIDE, 60 + _ROW * len(found)
    axes = Axes((ticks[0], ticks[-1]), (0, len(found)), width, height, left=room)
    parts = [*axes.vertical(_few(ticks, 4)), *axes.titles(metric, "")]
    parts += [f'<path class="grid" d="M{axes.at(t, 0)[0]},{axes.top}V{axes.at(t, 0)[1]}"/>' for t in ticks]
    if everywhere is not None and everywhere.value is not None and _finite(everywhere):
        x, low = axes.at(everywhere.value, 0)
        parts.append(f'<path class="chance" d="M{x},{axes.top}V{low}"><title>all rows</title></path>')
    for place, m in enumerate(found):
        y, name = len(found) - place - 0.5, label(m)
        shown = name if len(name) <= 16 else name[:15] + "…"
        parts.append(f'<text class="end" x="{room - 8}" y="{axes.at(ticks[0], y)[1] + 4}">{escape(shown)}</text>')
        other = old[name]
        if other is not None and other.value is not None and _finite(other):
            text = f"{name}: {against} {other.value:.4f}"
            parts.append(_dot(axes, "champion", other.value, y - 0.18, text))
        low_end, high_end = _ends(m)
        parts.append(f'<path class="line candidate solid" d="{axes.path([(low_end, y), (high_end, y)])}"/>')
        parts.append(_dot(axes, "candidate", float(m.value or 0), y, f"{name}: {m.value:.4f}, {m.n:,} rows", 4.5))
    return svg(parts, width, height, f"{metric} by {' × '.join(columns)}, with intervals")


def by_time(evaluation: Evaluation, metric: str, column: str) -> str:
    """Draw a metric over slices whose values are dates, months or years, with 95 % intervals."""
    found = sorted((m for m in sliced(evaluation, metric) if tuple(m.slice) == (column,)), key=label)
    if len(found) < 2 or not all(_is_time(label(m)) for m in found):
        return ""
    series: dict[str, list[Measurement | None]] = {}
    series["champion"] = [evaluation.find(metric, BASELINE, m.slice) for m in found]
    series["candidate"] = list(found)
    ends = [end for m in found if _finite(m) for end in _ends(m)]
    ends += [number for m in series["champion"] for number in _numbers(m)]
    if not ends:
        return ""
    ticks, width, height = nice_ticks(min(ends), max(ends)), _WIDE, 260.0
    axes = Axes((-0.5, len(found) - 0.5), (ticks[0], ticks[-1]), width, height)
    parts = [*axes.horizontal(ticks), *axes.titles("", metric)]
    every = max(1, math.ceil(len(found) * 66 / (width - 60)))
    for place in range(0, len(found), every):
        x, low = axes.at(place, ticks[0])
        parts.append(f'<text class="mid" x="{x}" y="{low + 16}">{escape(label(found[place])[:10])}</text>')
    for name, measured in series.items():
        points = [(float(place), number) for place, m in enumerate(measured) for number in _numbers(m)]
        if len(points) > 1:
            parts.append(_line(axes, name, points))
        for x, y in points:
            m = found[int(x)]
            if name == "candidate":
                parts.append(f'<path class="line candidate solid" d="{axes.path([(x, e) for e in _ends(m)])}"/>')
            parts.append(_dot(axes, name, x, y, f"{label(m)}: {name} {y:.4f}, {m.n:,} rows"))
    return svg(parts, width, height, f"{metric} by {column}")


def drawn(evaluation: Evaluation, metric: str, against: str) -> dict[str, tuple[str, str]]:
    """Return every plot there is of an evaluation: name → (caption, SVG)."""
    from penstock.evaluation import plots

    curves = evaluation.curves
    by_model: list[tuple[str, str, Callable[[Curves, str], str]]] = [
        ("scores", "Scores by class", score_distributions),
        ("predicted", "Predicted against actual", predicted_against_actual),
    ]
    found = {
        "roc": ("ROC", plots.roc(curves)),
        "precision-recall": ("Precision and recall", precision_recall(curves)),
        "calibration": ("Calibration", plots.calibration(curves)),
        "lift": ("Lift", lift(curves)),
        "residuals": ("Errors", residuals(curves)),
    }
    for name, caption, draw in by_model:
        for of, shown in (("candidate", "candidate"), (BASELINE, against)):
            found[f"{name}-{of}"] = (f"{caption}, {shown}", draw(curves, of))
    for place, columns in enumerate(slicings(evaluation), 1):
        named = " × ".join(columns)
        found[f"slices-{place}"] = (f"{metric} by {named}", forest(evaluation, metric, columns, against))
        if len(columns) == 1:
            found[f"time-{place}"] = (f"{metric} over {named}", by_time(evaluation, metric, columns[0]))
    return {name: plot for name, plot in found.items() if plot[1]}


def _is_time(text: str) -> bool:
    """Whether a text is a date, a month or a year, as ISO 8601 writes them."""
    whole = f"{text}-01-01" if len(text) == 4 else f"{text}-01" if len(text) == 7 else text[:10]
    try:
        date.fromisoformat(whole)
    except ValueError:
        return False
    return True


def _finite(found: Measurement | None) -> bool:
    return found is not None and found.value is not None and math.isfinite(found.value)


def _numbers(found: Measurement | None) -> list[float]:
    """Return the value, if it is one that can be drawn."""
    return [float(found.value)] if found is not None and found.value is not None and _finite(found) else []


def _ends(found: Measurement) -> tuple[float, float]:
    bounds = interval_of(found)
    own = float(found.value or 0.0)
    return (own, own) if bounds is None else (bounds.lower, bounds.upper)


def _line(axes: Axes, name: str, points: Sequence[tuple[float, float]]) -> str:
    return f'<path class="line {name}" d="{axes.path(points)}"/>' if points else ""


def _chance(axes: Axes, points: Sequence[tuple[float, float]]) -> str:
    return f'<path class="chance" d="{axes.path(points)}"/>'


def _dot(axes: Axes, name: str, x: float, y: float, title: str, radius: float = 3.5) -> str:
    across, up = axes.at(x, y)
    return f'<g class="{name}"><title>{escape(title)}</title><circle cx="{across}" cy="{up}" r="{radius}"/></g>'


def _steps(edges: Sequence[float], heights: Sequence[float]) -> list[tuple[float, float]]:
    return [point for place, h in enumerate(heights) for point in ((edges[place], h), (edges[place + 1], h))]


def _few(ticks: Sequence[float], most: int = 6) -> Sequence[float]:
    return ticks if len(ticks) <= most else ticks[:: math.ceil(len(ticks) / most)]
