"""What the report of an evaluation draws: a learning curve, residuals over time, promised and covered shares. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from include.reporting.window_chart import Panel, levels, number, panel, times_below, values_below

LINE = 'stroke="var(--main)" stroke-width="1.8"'
DOT = 'fill="var(--main)"'
DASHED = 'stroke="var(--good)" stroke-width="1.6" stroke-dasharray="5 4"'
MOST_DOTS = 400  # of residuals; more make one blot


def learning_curve(points: Sequence[tuple[int, float]], unit: str) -> str:
    """Return the error by how many rows were fitted on; empty with fewer than two points."""
    if len(points) < 2:
        return ""
    drawing = panel(430, 190, (0, points[-1][0]), [0.0, *(error for _, error in points)])
    drawing = Panel(drawing.width, drawing.height, drawing.x, drawing.y._replace(low=0.0))
    parts = [*levels(drawing), *values_below(drawing), drawing.line([(float(x), y) for x, y in points], LINE)]
    parts += [drawing.dot(rows, error, f"{rows:,} rows: {number(error)} {unit}", DOT) for rows, error in points]
    told = f"from {number(points[0][1])} with {points[0][0]:,} rows to {number(points[-1][1])} with {points[-1][0]:,}"
    return drawing.svg(parts, f"Error in {unit} on held-out rows: {told}.")


def residuals(times: Sequence[datetime], errors: np.ndarray, half_width: float, unit: str) -> str:
    """Return what was left over in time, with the interval as a band if there is one; many rows are thinned evenly."""
    has_band = bool(np.isfinite(half_width))
    half_width = half_width if has_band else 1.0  # no probability is off by more
    shown = np.linspace(0, len(errors) - 1, min(MOST_DOTS, len(errors))).astype(int)
    at = [times[place] for place in shown]
    ends = (at[0].timestamp(), at[-1].timestamp())
    drawing = panel(1000, 250, ends, [float(errors.min()), float(errors.max()), half_width, -half_width])
    across = (drawing.x.low, drawing.x.high)
    parts = [drawing.area(*across, -half_width, half_width, 'fill="var(--line)" opacity=".35"'), *levels(drawing)]
    parts += [drawing.level(0.0, 'stroke="var(--soft)" stroke-width="1"'), *times_below(drawing, at)]
    for time, error in zip(at, errors[shown].tolist(), strict=True):
        colour = "main" if abs(error) <= half_width else "warm"
        about = f"{time:%Y-%m-%d %H:%M}: {number(error)} {unit}"
        parts.append(drawing.dot(time.timestamp(), error, about, f'fill="var(--{colour})" opacity=".7"'))
    outside = float((np.abs(errors) > half_width).mean())
    told = f"{outside:.0%} lie outside the interval" if has_band else "truth is 0 or 1, so each side is one outcome"
    return drawing.svg(parts, f"Residuals of {len(errors)} held-out rows in {unit}; {told}.")


def calibration(points: Sequence[tuple[float, float]]) -> str:
    """Return the share that came true by the share that was promised; empty where it is unknown."""
    if not points:
        return ""
    lowest = min(min(point) for point in points)
    drawing = panel(430, 190, (points[0][0], 1.0), [lowest, 1.0])
    ideal = [(points[0][0], points[0][0]), (1.0, 1.0)]
    parts = [*levels(drawing), *values_below(drawing), drawing.line(ideal, DASHED), drawing.line(points, LINE)]
    parts += [drawing.dot(x, y, f"promised {x:.0%}, came true {y:.0%}", DOT) for x, y in points]
    worst = max(points, key=lambda point: abs(point[1] - point[0]))
    told = f"{worst[1]:.0%} where {worst[0]:.0%} is promised"
    return drawing.svg(parts, f"Share that came true by share promised; farthest off is {told}.")
