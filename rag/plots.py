"""Small plots as SVG text: means with intervals, a histogram, a curve. No library, no script.

Colours come from the page's style sheet by class (`ink`, `soft`, `mark`, `line`), so that they
follow it into the dark. Every plot has a title and a description for those who do not see it.
Knows nothing of what is plotted; texts are escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from rag.measures import Interval, mean

_WIDTH, _LABELS, _ROW = 640, 230, 26
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 12, 40  # margins of plots with two axes
_HEIGHT = 240
_MOST_BARS = 24


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a plot of shares: 0..1, where it lies with confidence, and what it was before."""

    label: str
    mean: float
    interval: Interval | None = None
    before: float | None = None


def shares_plot(rows: Sequence[Row], *, title: str) -> str:
    """A dot for each share on an axis from 0 to 1, its interval as a line, before as a ring."""
    height = _ROW * len(rows) + 34

    def x(value: float) -> float:
        return _LABELS + value * (_WIDTH - _LABELS - 60)

    parts = []
    for tick in (0, 0.25, 0.5, 0.75, 1):
        parts.append(_line(x(tick), 6, x(tick), height - 26, "soft"))
        parts.append(_text(x(tick), height - 8, f"{tick:g}", "middle"))
    for number, row in enumerate(rows):
        y = 20 + _ROW * number
        parts.append(_text(_LABELS - 12, y + 4, row.label, "end"))
        if row.interval:
            parts.append(_line(x(row.interval[0]), y, x(row.interval[1]), y, "line"))
        if row.before is not None:
            parts.append(f'<circle class="ring" cx="{x(row.before):.1f}" cy="{y}" r="6"/>')
        parts.append(f'<circle class="mark" cx="{x(row.mean):.1f}" cy="{y}" r="4"/>')
        parts.append(_text(_WIDTH, y + 4, f"{row.mean:.3f}", "end"))
    told = "; ".join(f"{row.label} {row.mean:.3f}" for row in rows)
    return _svg(parts, height, title, told)


def histogram(values: Sequence[float], *, title: str, unit: str) -> str:
    """How many of the values (at least one) lie in each of some equal steps from 0."""
    step = nice(max(values) / min(_MOST_BARS, 4 + len(values) // 2)) if max(values) > 0 else 1.0
    bars = [0] * (int(max(values) / step) + 1)
    for value in values:
        bars[int(value / step)] += 1
    x, y = _axes(len(bars) * step, max(bars))
    parts = [_line(x(0), y(0), _WIDTH - _RIGHT, y(0), "soft")]
    width = x(step) - x(0)
    for number, count in enumerate(bars):
        if count:
            top, left = y(count), x(number * step) + 1
            size = f'width="{max(width - 2, 1):.1f}" height="{y(0) - top:.1f}"'
            parts.append(f'<rect class="mark" x="{left:.1f}" y="{top:.1f}" {size}/>')
            parts.append(_text(left + width / 2 - 1, top - 3, str(count), "middle"))
    every = math.ceil(len(bars) / 8)
    for number in range(0, len(bars) + 1, every):
        parts.append(_text(x(number * step), y(0) + 16, f"{number * step:.4g}", "middle"))
    parts.append(_text(_WIDTH / 2, _HEIGHT - 4, unit, "middle"))
    told = f"{len(values)} values from {min(values):.3g} to {max(values):.3g} {unit}"
    return _svg(parts, _HEIGHT, title, f"{told}, on average {mean(values):.3g}")


def curve(
    points: Sequence[tuple[float, float]],
    *,
    here: tuple[float, float],
    title: str,
    across: str,
    up: str,
) -> str:
    """Points between (0, 0) and (1, 1) joined by a line; `here` is marked among them."""
    x, y = _axes(1, 1)
    parts = []
    for tick in (0, 0.25, 0.5, 0.75, 1):
        parts.append(_line(x(tick), y(0), x(tick), y(1), "soft"))
        parts.append(_line(x(0), y(tick), x(1), y(tick), "soft"))
        parts.append(_text(x(tick), y(0) + 16, f"{tick:g}", "middle"))
        parts.append(_text(x(0) - 6, y(tick) + 4, f"{tick:g}", "end"))
    path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points)
    parts.append(f'<polyline class="line" fill="none" points="{path}"/>')
    parts.append(f'<circle class="mark" cx="{x(here[0]):.1f}" cy="{y(here[1]):.1f}" r="5"/>')
    parts.append(_text(_WIDTH / 2, _HEIGHT - 4, across, "middle"))
    told = f"up: {up}; across: {across}; now at {here[1]:.2f} up and {here[0]:.2f} across"
    return _svg(parts, _HEIGHT, title, told)


def nice(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is at least this much (above 0)."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(times * power for times in (1, 2, 5, 10) if times * power >= least * (1 - 1e-9))


@dataclass(frozen=True, slots=True)
class _Scale:
    """Values 0..most as pixels from `start` to `end`."""

    most: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (self.end - self.start) * value / self.most


def _axes(across: float, up: float) -> tuple[_Scale, _Scale]:
    return _Scale(across, _LEFT, _WIDTH - _RIGHT), _Scale(up, _HEIGHT - _BOTTOM, _TOP + 8)


def _svg(parts: Sequence[str], height: int, title: str, told: str) -> str:
    head = f"<title>{escape(title)}</title><desc>{escape(told)}</desc>"
    label = escape(f"{title}. {told}", quote=True)
    view = f'viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{label}"'
    return f"<svg {view}>{head}{''.join(parts)}</svg>"


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text class="ink" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
