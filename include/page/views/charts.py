"""The charts of a pipeline, each with the same as a table for who does not see it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from include.reporting.window_chart import Panel, known, levels, number, panel, runs, times_below

DASHED = 'stroke-dasharray="5 4"'
Rows = Sequence[Mapping[str, Any]]


class Chart(NamedTuple):
    """A chart.

    Attributes
    ----------
    svg : str
        The drawing; empty where there is nothing to draw, then `caption` says why.
    key : list of (str, str)
        What each line is, by its style's name.
    table : list of dict
        What was drawn, newest first.
    """

    heading: str
    svg: str
    caption: str
    key: list[tuple[str, str]]
    table: list[dict[str, Any]]


def error_chart(rows: Rows, unit: str) -> Chart:
    """Return the live error of each window, with its limit and what was promised."""
    table = [
        _pick(row, "window_end_at", "value", "promised", "threshold", "row_count", "status") for row in reversed(rows)
    ]
    is_event = any(row["statistic"] == "brier" for row in rows)
    what = "Brier score" if is_event else f"Mean absolute error, {unit}"
    lines = {
        "value": ("main", 'stroke="var(--main)" stroke-width="1.8"'),
        "promised": ("promised", f'stroke="var(--good)" stroke-width="1.4" {DASHED}'),
        "threshold": ("limit", f'stroke="var(--bad)" stroke-width="1.4" {DASHED}'),
    }
    svg = _lines(rows, "window_end_at", {name: style for name, (_, style) in lines.items()}, what, "value")
    key = [("main", "live error"), ("promised", "promised on held-out rows"), ("limit", "limit")]
    return Chart("Live error", svg, "" if svg else "No prediction has met its truth yet.", key, table)


def truth_chart(rows: Rows, unit: str) -> Chart:
    """Return what was predicted, with its interval, beside what came."""
    table = [
        _pick(row, "target_at", "predicted", "lower_bound", "upper_bound", "actual", "model_version", "prediction_id")
        for row in reversed(rows[-20:])
    ]
    entity = f" of {rows[0]['entity']}" if rows and rows[0]["entity"] else ""
    what = f"Predicted and actual{entity}, {unit}"
    key = [("main", "predicted"), ("band", "interval"), ("actual", "what came")]
    known_rows = [row for row in rows if row["predicted"] is not None]
    styles = {
        "predicted": 'stroke="var(--main)" stroke-width="1.6"',
        "actual": 'stroke="var(--warm)" stroke-width="1.3"',
    }
    svg = _lines(known_rows, "valid_at", styles, what, "", ("lower_bound", "upper_bound"))
    return Chart(
        "Predicted and what came", svg, "" if svg else "No version that was live has predicted yet.", key, table
    )


def drift_chart(rows: Rows) -> Chart:
    """Return how far the feature that moved most is from the training data, in multiples of its limit."""
    table = [
        _pick(row, "window_end_at", "subject", "ratio", "value", "threshold", "breaches", "status")
        for row in reversed(rows)
    ]
    shown = [dict(row) | {"limit": 1.0} for row in rows]
    styles = {
        "ratio": 'stroke="var(--main)" stroke-width="1.8"',
        "limit": f'stroke="var(--bad)" stroke-width="1.4" {DASHED}',
    }
    svg = _lines(
        shown, "window_end_at", styles, "Joint shift of the feature that moved most, in multiples of its limit", "ratio"
    )
    key = [("main", "the feature that moved most"), ("limit", "limit")]
    return Chart("Drift", svg, "" if svg else "No window was compared with training data yet.", key, table)


def score_chart(rows: Rows, source: str) -> Chart:
    """Return the scores of a source, a line a dimension, a column a window; what is below its threshold is marked."""
    dimensions = sorted({row["dimension"] for row in rows})
    ends = sorted({row["window_end_at"] for row in rows})
    shown = [row for row in rows if row["window_end_at"] in ends[-3:]]
    table = [_pick(row, "window_end_at", "dimension", "score", "threshold", "basis") for row in shown]
    table.sort(key=lambda row: row["window_end_at"], reverse=True)
    if not rows:
        return Chart(f"Quality of {source}", "", "No batch was measured yet.", [], [])
    cell, left, high = 24.0, 96.0, 20.0
    parts = []
    for line, dimension in enumerate(dimensions):
        y = high * (line + 0.5) + 4
        parts.append(f'<text x="0" y="{y:g}" font-size="11.5" fill="var(--soft)">{escape(dimension)}</text>')
    for row in rows:
        x, y = left + cell * ends.index(row["window_end_at"]), high * dimensions.index(row["dimension"])
        is_low = row["score"] < row["threshold"]
        about = (
            f"{row['window_end_at']:%Y-%m-%d} {row['dimension']}: {row['score']:.1f}, threshold {row['threshold']:g}"
        )
        fill = 'fill="var(--bad)"' if is_low else f'fill="var(--good)" opacity="{0.25 + 0.6 * row["score"] / 100:.2f}"'
        sign = (
            f'<text x="{x + 11:g}" y="{y + 14:g}" text-anchor="middle" font-size="10" fill="var(--paper)">▲</text>'
            if is_low
            else ""
        )
        box = f'<rect x="{x:g}" y="{y + 1:g}" width="{cell - 2:g}" height="{high - 2:g}" rx="3" {fill}/>'
        parts.append(f"<g><title>{escape(about)}</title>{box}{sign}</g>")
    width, height = left + cell * len(ends), high * len(dimensions) + 16
    for end, anchor in ((ends[0], left), (ends[-1], width - 66)) if len(ends) > 3 else ((ends[0], left),):
        parts.append(f'<text x="{anchor:g}" y="{height - 2:g}" font-size="10" fill="var(--soft)">{end:%Y-%m-%d}</text>')
    low = sum(row["score"] < row["threshold"] for row in rows)
    about = f"Scores of {source} by dimension and window: {low} of {len(rows)} are below their threshold."
    size = f'viewBox="0 0 {width:g} {height:g}" style="max-width:{width:g}px"'
    svg = f'<svg {size} role="img" aria-label="{escape(about)}"><title>{escape(about)}</title>{"".join(parts)}</svg>'
    return Chart(f"Quality of {source}", svg, about, [("good", "reaches its threshold"), ("low", "below it")], table)


def _lines(
    rows: Rows, at: str, styles: Mapping[str, str], what: str, dots: str, band: tuple[str, str] | None = None
) -> str:
    """Return lines over time; empty where no value is known."""
    names = [*styles, *(band or ())]
    values = [value for row in rows for name in names if (value := known(row[name])) is not None]
    if not values:
        return ""
    times = [row[at] for row in rows]
    drawing = panel(1000, 230, (times[0].timestamp(), times[-1].timestamp()), values)
    parts = [*levels(drawing), *times_below(drawing, times)]
    parts += [_band(drawing, rows, at, band)] if band else []
    for name, style in styles.items():
        points = [(row[at].timestamp(), known(row[name])) for row in rows]
        parts += [drawing.line(stretch, style) for stretch in runs(points)]
    for row in rows if dots else ():
        value = known(row[dots])
        if value is None:
            parts.append(
                drawing.text(drawing.x(row[at].timestamp()), drawing.y.start - 6, "?", style='fill="var(--bad)"')
            )
        else:
            colour = "bad" if row["status"] == "breach" else "main"
            about = f"{row[at]:%Y-%m-%d}: {number(value)}{' ' + row['subject'] if 'subject' in row else ''}"
            parts.append(drawing.dot(row[at].timestamp(), value, about, f'fill="var(--{colour})"'))
    return drawing.svg(parts, f"{what}: {len(rows)} points from {times[0]:%Y-%m-%d} to {times[-1]:%Y-%m-%d}.")


def _band(drawing: Panel, rows: Rows, at: str, band: tuple[str, str]) -> str:
    inside = [row for row in rows if None not in (known(row[band[0]]), known(row[band[1]]))]
    upper = [f"{drawing.x(row[at].timestamp())},{drawing.y(row[band[1]])}" for row in inside]
    lower = [f"{drawing.x(row[at].timestamp())},{drawing.y(row[band[0]])}" for row in reversed(inside)]
    return f'<polygon points="{" ".join([*upper, *lower])}" fill="var(--main)" opacity=".16"/>' if inside else ""


def _pick(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: row[name] for name in names}
