"""Plots as inline SVG, coloured by CSS variables so that one page is right in light and in dark. Text is escaped."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from penstock.model.decisions import Verdict

SIZE = 320  # a square plot's side, in CSS pixels; plots shrink with a narrow screen but never grow
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 12, 40
# The plot over partitions fills a wide screen; with more partitions than fit it grows, and scrolls.
_WIDE, _NARROWEST = 1000, 40


@dataclass(frozen=True)
class PartitionPoint:
    """One run in the plot over partitions. Values are None or not finite where there is nothing to draw."""

    partition: str
    candidate: float | None
    champion: float | None
    verdict: str
    promoted: str


@dataclass(frozen=True)
class Axes:
    """The map from values to pixels, and what is drawn along it."""

    x: tuple[float, float]
    y: tuple[float, float]
    width: float = SIZE
    height: float = SIZE
    top: float = _TOP
    left: float = _LEFT

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the pixels of a point."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        left, low = self.left + across * (self.width - self.left - _RIGHT), self.height - _BOTTOM
        return round(left, 1), round(low - up * (low - self.top), 1)

    def path(self, points: Sequence[tuple[float, float]]) -> str:
        """Return a line through points, for the attribute `d`."""
        return "M" + "L".join("{},{}".format(*self.at(x, y)) for x, y in points)

    def horizontal(self, ticks: Sequence[float]) -> Iterator[str]:
        """Yield a grid line and its number for every tick of y."""
        digits = _digits(ticks)
        for tick in ticks:
            left, y = self.at(self.x[0], tick)
            yield f'<path class="grid" d="M{left},{y}H{self.width - _RIGHT}"/>'
            yield f'<text class="end" x="{left - 6}" y="{y + 4}">{tick:.{digits}f}</text>'

    def vertical(self, ticks: Sequence[float]) -> Iterator[str]:
        """Yield a number for every tick of x."""
        digits = _digits(ticks)
        for tick in ticks:
            x, low = self.at(tick, self.y[0])
            yield f'<text class="mid" x="{x}" y="{low + 16}">{tick:.{digits}f}</text>'

    def titles(self, x: str, y: str) -> Iterator[str]:
        """Yield what the axes show."""
        yield f'<text class="mid" x="{(self.width + self.left) / 2}" y="{self.height - 6}">{escape(x)}</text>'
        middle = (self.height - _BOTTOM + self.top) / 2
        yield f'<text class="mid" transform="translate(11,{middle}) rotate(-90)">{escape(y)}</text>'


def over_partitions(points: Sequence[PartitionPoint], metric: str) -> str:
    """Draw candidate and champion by partition, promotions marked; empty when there is no finite value."""
    values = [v for p in points for v in (p.candidate, p.champion) if v is not None and math.isfinite(v)]
    if not values:
        return ""
    ticks = nice_ticks(min(values), max(values))
    room = min(max(_WIDE / len(points), _NARROWEST), _WIDE / 8)
    width, height = max(SIZE, _LEFT + _RIGHT + room * len(points)), 300.0
    axes = Axes((-0.5, len(points) - 0.5), (ticks[0], ticks[-1]), width, height, top=26)
    parts = [*axes.horizontal(ticks), *axes.titles("", metric)]
    widest = max(len(p.partition) for p in points)
    every = max(1, math.ceil(min(widest, 12) * 7.5 / ((width - _LEFT - _RIGHT) / len(points))))
    for place, point in enumerate(points):
        x, low = axes.at(place, ticks[0])
        if place % every == 0:
            label = point.partition if len(point.partition) <= 12 else point.partition[:11] + "…"
            parts.append(f'<text class="mid" x="{x}" y="{low + 16}">{escape(label)}</text>')
        if point.promoted:
            parts.append(f'<path class="promotion" d="M{x},{axes.top - 7}V{low}"/>')
            parts.append(f'<text class="mid strong" x="{x}" y="{axes.top - 12}">{escape(point.promoted)}</text>')
    for name in ("champion", "candidate"):
        numbers = [getattr(p, name) for p in points]
        for stretch in _stretches(numbers):
            parts.append(f'<path class="line {name}" d="{axes.path(stretch)}"/>')
        for place, value in enumerate(numbers):
            if value is not None and math.isfinite(value):
                x, y = axes.at(place, value)
                shown = f"{points[place].partition}: {name} {metric} {value:.5f} {points[place].verdict}"
                mark = (
                    _mark(x, y, points[place].verdict)
                    if name == "candidate"
                    else f'<circle cx="{x}" cy="{y}" r="2.5"/>'
                )
                parts.append(f'<g class="{name}"><title>{escape(shown)}</title>{mark}</g>')
    return svg(parts, width, height, f"{metric} by partition, candidate and champion")


def roc(curves: Mapping[str, Any]) -> str:
    """Draw the ROC curves of the models that have one; empty when none has."""
    drawn = [(name, c["roc"]) for name, c in models(curves) if "roc" in c]
    axes = Axes((0, 1), (0, 1))
    lines = [
        f'<path class="line {name}" d="{axes.path(list(zip(c["fpr"], c["tpr"], strict=True)))}"/>' for name, c in drawn
    ]
    chance = f'<path class="chance" d="{axes.path([(0, 0), (1, 1)])}"/>'
    labels = axes.titles("false positive rate", "true positive rate")
    return svg([*unit_grid(axes), *labels, chance, *lines], SIZE, SIZE, "ROC curve") if drawn else ""


def calibration(curves: Mapping[str, Any]) -> str:
    """Draw observed rates against mean scores, ten bins of equal size; empty when no model has scores."""
    drawn = [(name, c["calibration"]) for name, c in models(curves) if c.get("calibration")]
    axes = Axes((0, 1), (0, 1))
    parts = [*unit_grid(axes), *axes.titles("mean score of the bin", "observed rate")]
    parts.append(f'<path class="chance" d="{axes.path([(0, 0), (1, 1)])}"/>')
    for name, bins in drawn:
        inside = [b for b in bins if 0 <= b["score"] <= 1]
        if len(inside) > 1:
            parts.append(f'<path class="line {name}" d="{axes.path([(b["score"], b["rate"]) for b in inside])}"/>')
        for b in inside:
            x, y = axes.at(b["score"], b["rate"])
            title = escape(f"{name}: mean score {b['score']:.3f}, observed {b['rate']:.3f}, {b['n']:,} rows")
            parts.append(f'<g class="{name}"><title>{title}</title><circle cx="{x}" cy="{y}" r="3.5"/></g>')
    return svg(parts, SIZE, SIZE, "calibration") if drawn else ""


def models(curves: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the baseline first, so that the candidate is drawn over it, under the names the page uses."""
    for of, name in (("baseline", "champion"), ("candidate", "candidate")):
        if of in curves:
            yield name, curves[of]


def _mark(x: float, y: float, verdict: str) -> str:
    """Return a shape that says the verdict without colour: disc, cross, ring; a dot where there is none."""
    if verdict == Verdict.FAIL:
        return f'<path class="cross" d="M{x - 5},{y - 5}l10,10m0,-10l-10,10"/>'
    if verdict == Verdict.INCONCLUSIVE:
        return f'<circle class="ring" cx="{x}" cy="{y}" r="5"/>'
    return f'<circle cx="{x}" cy="{y}" r="{5.5 if verdict == Verdict.PASS else 3}"/>'


def _stretches(values: Sequence[float | None]) -> Iterator[list[tuple[float, float]]]:
    """Yield the runs of finite values: a line is broken where a number is missing, never drawn across."""
    stretch: list[tuple[float, float]] = []
    for place, value in enumerate([*values, None]):
        if value is not None and math.isfinite(value):
            stretch.append((place, value))
        else:
            if len(stretch) > 1:
                yield stretch
            stretch = []


def nice_ticks(low: float, high: float) -> list[float]:
    """Return about five round ticks that enclose both numbers."""
    span = high - low or abs(high) * 0.02 or 0.02
    raw = span / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= raw)
    first, last = math.floor((low - span * 0.05) / step), math.ceil((high + span * 0.05) / step)
    return [round(place * step, 12) for place in range(first, last + 1)]


def _digits(ticks: Sequence[float]) -> int:
    return max(0, min(6, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9)))


def unit_grid(axes: Axes) -> Iterator[str]:
    """Yield the grid of shares from 0 to 1 in both directions."""
    ticks = (0, 0.2, 0.4, 0.6, 0.8, 1)
    yield from axes.horizontal(ticks)
    yield from axes.vertical(ticks)


def svg(parts: Sequence[str], width: float, height: float, title: str) -> str:
    """Return a drawing of these parts, with a title for who cannot see it."""
    return (
        f'<svg role="img" aria-label="{escape(title)}" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}">{"".join(parts)}</svg>'
    )
