"""The page of a replay: the error of each policy over time, when it trained, and the table of costs. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from include.reporting.replays import Played, notes
from include.reporting.window_chart import Panel, levels, panel, runs, times_below

if TYPE_CHECKING:
    from rich.table import Table

    from include.monitoring.replay import Walk

FOLDER = Path(__file__).parent
COLOURS = ("var(--main)", "var(--warm)", "var(--bad)", "var(--ink)", "var(--cool)", "var(--soft)")
DASHES = ("", ' stroke-dasharray="7 4"', ' stroke-dasharray="2 3"')


def page(played: Played, table: Table) -> str:
    """Return one HTML file that needs nothing else, in light and dark.

    Parameters
    ----------
    table : rich.table.Table
        As `include.reporting.replays.table` makes it.
    """
    style = (FOLDER / "eda" / "page.css").read_text(encoding="utf-8")
    name = escape(played.pipeline)
    badge = ' <span class="badge">SIMULATED</span>' if played.simulated else ""
    told = "".join(f'<p class="caption">{escape(line)}</p>' for line in notes(played))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{name} replayed</title><style>{style}</style></head><body>"
        f'<header class="top"><p class="eyebrow">Replay</p><h1>{name}{badge}</h1></header>'
        f'<section><h2>Error over time</h2><p class="meta">Mean absolute error in {escape(played.unit)}; a dot is a'
        f' training at the end of that window.</p><figure class="wide">{chart(played)}</figure>{_key(played)}</section>'
        f'<section><h2>What each policy cost</h2><div class="scroll">{_html(table)}</div>{told}</section>'
        "</body></html>\n"
    )


def chart(played: Played) -> str:
    """Return the mean absolute error of each policy in each window as an SVG, with a dot where it trained."""
    windows = [period.window for period in played.matrix.periods]
    spots = [(window.start.timestamp() + window.end.timestamp()) / 2 for window in windows]
    errors = {name: _errors(walk) for name, walk in played.walks.items()}
    values = [value for of in errors.values() for value in of if value is not None]
    drawing = panel(1100, 320, (windows[0].start.timestamp(), windows[-1].end.timestamp()), [0.0, *values])
    parts = [*levels(drawing), *times_below(drawing, [window.start for window in windows])]
    for number, (name, walk) in enumerate(played.walks.items()):
        style = f'stroke="{COLOURS[number % len(COLOURS)]}" stroke-width="2"{_dash(number)}'
        parts += [drawing.line(line, style) for line in runs(list(zip(spots, errors[name], strict=True)))]
        parts += _dots(played, drawing, number, name, walk, spots)
    prices = played.prices
    told = "; ".join(f"{name} {prices.excess_pct(walk.schedule):+.1f} %" for name, walk in played.walks.items())
    return drawing.svg(
        parts, f"Error of {len(errors)} policies in {len(windows)} windows, against every_window: {told}."
    )


def _dots(played: Played, drawing: Panel, number: int, name: str, walk: Walk, spots: list[float]) -> Iterator[str]:
    errors, colour = _errors(walk), COLOURS[number % len(COLOURS)]
    for place in walk.trainings:
        if (value := errors[place]) is not None:
            title = f"{name} trained after {played.label(place)}: {'; '.join(walk.steps[place].reasons)}"
            yield drawing.dot(spots[place], value, title, f'fill="{colour}"')


def _errors(walk: Walk) -> list[float | None]:
    return [step.error / step.rows if step.rows else None for step in walk.steps]


def _dash(number: int) -> str:
    return DASHES[number // len(COLOURS) % len(DASHES)]


def _key(played: Played) -> str:
    """Return which line is whose."""
    items = "".join(
        f'<svg viewBox="0 0 30 10" style="display:inline-block;width:30px;vertical-align:middle"><line x1="0" y1="5"'
        f' x2="30" y2="5" stroke="{COLOURS[number % len(COLOURS)]}" stroke-width="2"{_dash(number)}/></svg>'
        f" {escape(name)} &emsp;"
        for number, name in enumerate(played.walks)
    )
    return f'<p class="caption">{items}</p>'


def _html(table: Table) -> str:
    """Return the table that people see in the terminal, for a browser."""
    columns = [list(column.cells) for column in table.columns]
    numbers = [column.justify == "right" for column in table.columns]
    head = "".join(f"<th{_side(n)}>{escape(str(c.header))}</th>" for c, n in zip(table.columns, numbers, strict=True))
    body = "".join(
        f"<tr>{''.join(f'<td{_side(n)}>{escape(str(cell))}</td>' for cell, n in zip(row, numbers, strict=True))}</tr>"
        for row in zip(*columns, strict=True)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _side(is_number: bool) -> str:
    return ' class="n"' if is_number else ""
