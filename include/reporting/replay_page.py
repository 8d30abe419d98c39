"""The page of a replay: the error of each policy over time, when it trained, and the table of costs. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from include.reporting.replays import Played, notes
from include.reporting.window_chart import LETTER, Panel, Scale, levels, panel, runs, times_below

if TYPE_CHECKING:
    from rich.table import Table

    from include.monitoring.replay import Walk

FOLDER = Path(__file__).parent
# After Okabe and Ito: colour-blind people tell them apart, and from the ink, which is the sixth colour.
LIGHT = ("#0072b2", "#d55e00", "#009e73", "#7a2d62", "#5c4400")
DARK = ("#56b4e9", "#d55e00", "#00cc94", "#a3558a", "#f0e442")
COLOURS = (*(f"var(--policy-{number})" for number in range(len(LIGHT))), "var(--ink)")
# Width and dashes: where lines lie on each other, the wide ones show beside the narrow and between the dashes.
STYLES = ((6.0, ""), (3.5, ""), (2.0, "9 6"), (3.0, "0.1 6"), (1.5, ""), (2.0, "14 5 2 5"))
LANE = 18.0  # height of a policy's row of trainings


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
        f"<title>{name} replayed</title><style>{style}{_palette()}</style></head><body>"
        f'<header class="top"><p class="eyebrow">Replay</p><h1>{name}{badge}</h1></header>'
        f'<section><h2>Error over time</h2><p class="meta">Mean absolute error in {escape(played.unit)}; a dot below'
        " is a training at the end of a window.</p>"
        f'<figure class="wide">{chart(played)}</figure>{_key(played)}</section>'
        f'<section><h2>What each policy cost</h2><div class="scroll">{_html(table)}</div>{told}</section>'
        "</body></html>\n"
    )


def chart(played: Played) -> str:
    """Return the mean absolute error of each policy in each window as an SVG, and when it trained in a row below."""
    windows = [period.window for period in played.matrix.periods]
    spots = [(window.start.timestamp() + window.end.timestamp()) / 2 for window in windows]
    errors = {name: _errors(walk) for name, walk in played.walks.items()}
    values = [value for of in errors.values() for value in of if value is not None]
    drawing = panel(1100, 320, (windows[0].start.timestamp(), windows[-1].end.timestamp()), [0.0, *values])
    room = max(drawing.x.start, 10 + LETTER * max(map(len, played.walks)))
    drawing = replace(drawing, x=drawing.x._replace(start=room))
    parts = [*levels(drawing), *times_below(drawing, [window.start for window in windows])]
    # Policies of one style, of which there are none among the first six, may still hide each other.
    for number, name in sorted(enumerate(played.walks), key=lambda pair: _is_above(pair[0])):
        lines = runs(list(zip(spots, errors[name], strict=True)))
        parts += [drawing.line(line, style_of(number)) for line in lines]
    for number, (name, walk) in enumerate(played.walks.items()):
        parts += _trainings(played, drawing, number, name, walk)
    drawing = replace(drawing, height=drawing.height + LANE * len(played.walks))
    prices = played.prices
    told = "; ".join(f"{name} {prices.excess_pct(walk.schedule):+.1f} %" for name, walk in played.walks.items())
    return drawing.svg(
        parts, f"Error of {len(errors)} policies in {len(windows)} windows, against every_window: {told}."
    )


def _trainings(played: Played, drawing: Panel, number: int, name: str, walk: Walk) -> Iterator[str]:
    """Yield a policy's row below the drawing, with a dot for each training."""
    middle = drawing.height + LANE * (number + 0.4)
    row, colour = replace(drawing, y=Scale(0, 1, middle, middle)), f'fill="{_colour(number)}"'
    yield row.text(row.x.start - 8, middle + 3.5, name, "end", colour)
    yield row.level(0, 'stroke="var(--line)" stroke-width=".6"')
    for place in walk.trainings:
        title = f"{name} trained after {played.label(place)}: {'; '.join(walk.steps[place].reasons)}"
        yield row.dot(played.matrix.periods[place].window.end.timestamp(), 0, title, colour)


def _errors(walk: Walk) -> list[float | None]:
    return [step.error / step.rows if step.rows else None for step in walk.steps]


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _look(number: int) -> tuple[float, str]:
    """Return a line's width and dashes; after as many policies as there are colours, each colour gets another."""
    return STYLES[(number + number // len(COLOURS)) % len(STYLES)]


def _is_above(number: int) -> tuple[bool, float]:
    """Return what sorts lines from the lowest to the topmost: narrow above wide, dashes above all."""
    width, dashes = _look(number)
    return bool(dashes), -width


def style_of(number: int) -> str:
    """Return how the line of the policy at a place among all is drawn."""
    width, dashes = _look(number)
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'stroke="{_colour(number)}" stroke-width="{width:g}" stroke-linecap="round"{dashed}'


def _palette() -> str:
    light, dark = (";".join(f"--policy-{n}:{one}" for n, one in enumerate(colours)) for colours in (LIGHT, DARK))
    return f":root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"


def _key(played: Played) -> str:
    """Return which line is whose."""
    items = "".join(
        f'<svg viewBox="0 0 44 10" style="display:inline-block;width:44px;vertical-align:middle"><line x1="0" y1="5"'
        f' x2="44" y2="5" {style_of(number)}/></svg>'
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
