"""The charts of a window's report, as SVG that takes its colours from the page: one file for light and dark. Pure.

They are written by hand, without a library: the monitor draws them for every window, and importing Matplotlib alone
takes longer than all of them together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from itertools import groupby, pairwise
from typing import NamedTuple

LETTER = 6.2  # width of one in a tick's label, about
BELOW, ABOVE, RIGHT = 22.0, 12.0, 8.0


class Scale(NamedTuple):
    """Where the values from `low` to `high` lie, from `start` to `end` of the drawing."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the place of a value; one outside lies on the edge."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + min(max(share, 0.0), 1.0) * (self.end - self.start), 1)


@dataclass(frozen=True)
class Panel:
    """A drawing of a size, with its two axes."""

    width: float
    height: float
    x: Scale
    y: Scale

    def line(self, points: Sequence[tuple[float, float]], style: str) -> str:
        """Return a line through points of the data."""
        places = " ".join(f"{self.x(x)},{self.y(y)}" for x, y in points)
        return f'<polyline points="{places}" fill="none" {style}/>'

    def level(self, value: float, style: str) -> str:
        """Return a line across the panel."""
        return self.line([(self.x.low, value), (self.x.high, value)], style)

    def upright(self, at: float, style: str) -> str:
        """Return a line from top to bottom."""
        return self.line([(at, self.y.low), (at, self.y.high)], style)

    def area(self, left: float, right: float, low: float, high: float, style: str) -> str:
        """Return a filled rectangle between values of the data."""
        x, y = self.x(left), self.y(high)
        return f'<rect x="{x}" y="{y}" width="{self.x(right) - x:.1f}" height="{self.y(low) - y:.1f}" {style}/>'

    def dot(self, x: float, y: float, title: str, style: str) -> str:
        """Return a dot that says what it is when one points at it."""
        about = f"<title>{escape(title)}</title>"
        return f'<circle cx="{self.x(x)}" cy="{self.y(y)}" r="3.2" {style}>{about}</circle>'

    def text(self, x: float, y: float, text: str, anchor: str = "middle", style: str = 'fill="var(--soft)"') -> str:
        """Return a text at a place of the drawing, not of the data."""
        return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="10" {style}>{escape(text)}</text>'

    def svg(self, parts: Sequence[str], alternative: str) -> str:
        """Return the drawing, with what it shows in words."""
        head = (
            f'<svg viewBox="0 0 {self.width:g} {self.height:g}" style="max-width:{self.width * 1.4:.0f}px" role="img"'
        )
        words = escape(alternative)
        return f'{head} aria-label="{words}"><title>{words}</title>{"".join(parts)}</svg>'


def panel(width: float, height: float, xs: tuple[float, float], ys: Sequence[float], has_levels: bool = True) -> Panel:
    """Return a panel that shows these values, with room for the labels of its levels on the left."""
    low, high = _span(ys)
    room = 4.0 + (LETTER * max(len(number(tick)) for tick in ticks(low, high)) if has_levels else 4.0)
    across = Scale(*(xs if xs[0] < xs[1] else (xs[0] - 1, xs[1] + 1)), room, width - RIGHT)
    return Panel(width, height, across, Scale(low, high, height - BELOW, ABOVE))


def levels(shown: Panel) -> Iterator[str]:
    """Yield a thin line and a label for each round value."""
    for tick in ticks(shown.y.low, shown.y.high):
        yield shown.level(tick, 'stroke="var(--line)" stroke-width=".6" opacity=".6"')
        yield shown.text(shown.x.start - 5, shown.y(tick) + 3.5, number(tick), "end")


def values_below(shown: Panel) -> Iterator[str]:
    """Yield the axis at the bottom with its round values."""
    yield shown.level(shown.y.low, 'stroke="var(--line)" stroke-width=".8"')
    for tick in ticks(shown.x.low, shown.x.high):
        yield shown.text(shown.x(tick), shown.height - 8, number(tick))


def times_below(shown: Panel, starts: Sequence[datetime]) -> Iterator[str]:
    """Yield the axis at the bottom with as many times as have room."""
    yield shown.level(shown.y.low, 'stroke="var(--line)" stroke-width=".8"')
    days = (starts[-1] - starts[0]).days
    form = "%b %Y" if days > 150 else "%d %b %Y" if days > 5 else "%d %b %H:%M"
    step = -(-len(starts) // max(1, int((shown.x.end - shown.x.start) / 80)))
    for at in starts[::step]:
        place = min(max(shown.x(at.timestamp()), shown.x.start + 14), shown.x.end - 24)
        yield shown.text(place, shown.height - 8, at.astimezone(UTC).strftime(form))


def steps(shown: Panel, bins: Sequence[tuple[float, float, float]], style: str) -> str:
    """Return the outline of a histogram; a bin is left edge, right edge and height."""
    corners = [(x, height) for left, right, height in bins for x in (left, right)]
    return shown.line([(bins[0][0], 0.0), *corners, (bins[-1][1], 0.0)], style).replace('fill="none" ', "", 1)


def runs(points: Sequence[tuple[float, float | None]]) -> Iterator[list[tuple[float, float]]]:
    """Yield the stretches of points that have a value: a line must not bridge what is unknown."""
    for is_known, stretch in groupby(points, key=lambda point: point[1] is not None):
        if is_known:
            yield [(x, y) for x, y in stretch if y is not None]


TINY = 1e-290  # a smaller width has a density beyond what a number can hold


def density(edges: Sequence[float], counts: Sequence[float]) -> list[tuple[float, float, float]]:
    """Return a histogram's bins, each with its share of rows per unit of width; open ends and single values get one.

    Examples
    --------
    >>> density([0.0, 1.0, 3.0], [1, 1])
    [(0.0, 1.0, 0.5), (1.0, 3.0, 0.25)]
    """
    total, mended = math.fsum(counts), list(edges)
    if not any(map(math.isfinite, mended)):
        mended = [0.0, 1.0]
    if not math.isfinite(mended[0]):  # as wide as its neighbour
        mended[0] = 2 * mended[1] - mended[2] if len(mended) > 3 else mended[1] - 1
    if not math.isfinite(mended[-1]):
        mended[-1] = 2 * mended[-2] - mended[-3] if len(mended) > 3 else mended[-2] + 1
    bins = []
    for (left, right), count in zip(pairwise(mended), counts, strict=True):
        low, high = (left, right) if left < right else _around(left)
        bins.append((low, high, count / total / max(high - low, TINY) if total else 0.0))
    return bins


def quantile(edges: Sequence[float], counts: Sequence[float], share: float) -> float | None:
    """Return the value below which a share of a histogram's rows lies; None without rows.

    Examples
    --------
    >>> quantile([0.0, 1.0, 3.0], [1, 1], 0.75)
    2.0
    """
    total, passed = math.fsum(counts), 0.0
    for (low, high, _), count in zip(density(edges, counts), counts, strict=True):
        if count and passed + count >= share * total:
            return low + (high - low) * (share * total - passed) / count
        passed += count
    return None


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return round values from `low` to `high`, at most `most` and one.

    Examples
    --------
    >>> ticks(0.0, 0.93)
    [0.0, 0.2, 0.4, 0.6, 0.8]
    """
    rough = (high - low) / most
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * unit for factor in (1, 2, 2.5, 5, 10, 20) if factor * unit >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first + 1
    return [float(f"{(first + n) * step:.12g}") for n in range(max(count, 0))]


def known(value: float | None) -> float | None:
    """Return a value, or None where it is undefined."""
    return value if value is not None and math.isfinite(value) else None


def number(value: float) -> str:
    """Return a number as people write it, with four digits that matter."""
    return f"{value + 0:,.0f}" if 10_000 <= abs(value) < 1e9 else f"{value + 0:.4g}"


def _around(value: float) -> tuple[float, float]:
    """Return a narrow range with a value in its middle."""
    half = abs(value) * 0.005 if abs(value) > TINY else 0.005
    return value - half, value + half


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Return a range that holds all values and is not empty, with some air."""
    low, high = min(values), max(values)
    air = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    return low - air, high + air
