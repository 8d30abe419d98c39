"""What the report of a window draws: two distributions, a mean over time, and the error over time. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise

from include.reporting.window_chart import (
    Panel,
    density,
    known,
    levels,
    number,
    panel,
    quantile,
    runs,
    steps,
    times_below,
    values_below,
)
from include.windows import Window

# Start of a window (UTC), error, low and high end of its interval, promised error, version; None is unknown.
ErrorPoint = tuple[datetime, float | None, float | None, float | None, float | None, int | None]
Distribution = tuple[Sequence[float], Sequence[float], Sequence[float]]  # edges, counts of training data and window
UNKNOWN = 'fill="var(--bad)" font-weight="700"'
HERE = 'fill="var(--mark)" opacity=".6"'
TRAINED, NOW = 'stroke="var(--soft)" stroke-width="1.2"', 'stroke="var(--warm)" stroke-width="2"'
DASHED, DOTTED = 'stroke-dasharray="5 4"', 'stroke-dasharray="1.5 3"'
MARKS = {"retrain": "training asked for", "investigate": "a person was asked", "rollback": "rolled back"}


def distribution(name: str, shown: Distribution, means: Sequence[float | None]) -> str:
    """Return the outlines of a feature in the training data and in the window, each of area one, and both means."""
    edges, reference, window = shown
    trained, now = density(edges, reference), density(edges, window)
    drawing = panel(430, 170, _filled(trained, now), [0.0, *(bin_[2] for bin_ in (*trained, *now))], has_levels=False)
    drawing = Panel(drawing.width, drawing.height, drawing.x, drawing.y._replace(low=0.0))
    parts = [*values_below(drawing), steps(drawing, trained, f'fill="var(--line)" fill-opacity=".4" {TRAINED}')]
    parts.append(steps(drawing, now, f'fill="var(--warm)" fill-opacity=".12" {NOW}'))
    for mean, style in zip(means, (TRAINED, NOW), strict=True):
        parts += [] if mean is None else [drawing.upright(mean, f"{style} {DASHED}")]
    told = ["unknown" if mean is None else number(mean) for mean in means]
    return drawing.svg(parts, f"Distribution of {name}: mean of the training data {told[0]}, of this window {told[1]}.")


def mean_over_time(
    name: str,
    means: Sequence[tuple[datetime, float | None]],
    trained: Distribution | None,
    before: float | None,
    window: Window,
) -> str:
    """Return a feature's mean in each window over the training data's mean and middle half; empty where none is known.

    Parameters
    ----------
    before : float or None
        Mean of the training data; None is unknown.
    """
    values = [known(value) for _, value in means]
    told = [value for value in values if value is not None]
    if not told:
        return ""
    quarters = [quantile(trained[0], trained[1], share) for share in (0.25, 0.75)] if trained else []
    band = sorted(value for value in quarters if value is not None)  # ranges about equal edges overlap
    usual = [] if before is None else [before]
    drawing = panel(430, 170, _times(means, window), [*told, *band, *usual])
    parts = [_here(drawing, window), *levels(drawing)]
    if band:
        parts.append(drawing.area(drawing.x.low, drawing.x.high, band[0], band[1], 'fill="var(--line)" opacity=".45"'))
    parts += [drawing.level(mean, f"{TRAINED} {DASHED}") for mean in usual]
    parts += times_below(drawing, [at for at, _ in means])
    points = list(zip(_middles(means, window), values, strict=True))
    parts += [drawing.line(run, 'stroke="var(--main)" stroke-width="1.6"') for run in runs(points)]
    parts += [
        drawing.dot(x, y, f"{at:%Y-%m-%d}: {number(y)}", _fill(at, window))
        for (at, _), (x, y) in zip(means, points, strict=True)
        if y is not None
    ]
    learnt = f", in the training data {number(before)}" if before is not None else ""
    return drawing.svg(parts, f"Mean of {name} in each window, at last {number(told[-1])}{learnt}.")


def error_over_time(
    points: Sequence[ErrorPoint], decisions: Sequence[tuple[datetime, str]], window: Window, unit: str
) -> str:
    """Return the error in each window with its interval, what was promised, champions and trainings."""
    points = [(at, known(e), known(low), known(high), known(p), version) for at, e, low, high, p, version in points]
    figures = [value for point in points for value in point[1:5] if value is not None]
    if not figures:
        return ""
    drawing = panel(1000, 270, _times(points, window), [0.0, *figures])
    drawing = Panel(drawing.width, drawing.height, drawing.x, drawing.y._replace(low=min(0.0, *figures)))
    parts = [_here(drawing, window), *levels(drawing), *times_below(drawing, [point[0] for point in points])]
    parts += [*_promises(drawing, points), *_champions(drawing, points), *_decided(drawing, decisions)]
    places = _middles(points, window)
    line = list(zip(places, (point[1] for point in points), strict=True))
    parts += [drawing.line(run, 'stroke="var(--main)" stroke-width="1.8"') for run in runs(line)]
    for x, (at, error, low, high, promised, version) in zip(places, points, strict=True):
        if error is None:
            parts.append(
                drawing.text(drawing.x(x), drawing.y.start - 6, "?", style='fill="var(--bad)" font-weight="700"')
            )
            continue
        if low is not None and high is not None:
            parts.append(drawing.line([(x, low), (x, high)], 'stroke="var(--main)" stroke-width="5" opacity=".35"'))
        about = f"{at:%Y-%m-%d}: {number(error)} {unit}, version {version}"
        about += "" if promised is None else f", promised {number(promised)}"
        parts.append(drawing.dot(x, error, about, _fill(at, window)))
    unknown = sum(point[1] is None for point in points)
    return drawing.svg(parts, f"Error in {unit} in each of {len(points)} windows; in {unknown} it is unknown.")


def _promises(drawing: Panel, points: Sequence[ErrorPoint]) -> Iterator[str]:
    """Yield the promised level of each window, until the next one begins."""
    ends = [*(point[0].timestamp() for point in points[1:]), drawing.x.high]
    for (at, _, _, _, promised, _), end in zip(points, ends, strict=True):
        if promised is not None:
            ends_of_it = [(at.timestamp(), promised), (end, promised)]
            yield drawing.line(ends_of_it, f'stroke="var(--good)" stroke-width="1.6" {DASHED}')


def _champions(drawing: Panel, points: Sequence[ErrorPoint]) -> Iterator[str]:
    """Yield a line where another version begins to stand, with its number."""
    changes = [new for old, new in pairwise(points) if new[5] is not None and new[5] != old[5]]
    first = points[:1] if points[0][5] is not None else ()
    for point in (*first, *changes):
        x = point[0].timestamp()
        yield drawing.upright(x, f'stroke="var(--cool)" stroke-width="1" {DOTTED}')
        yield drawing.text(drawing.x(x) + 3, drawing.y.end + 8, f"v{point[5]}", "start", 'fill="var(--cool)"')


def _decided(drawing: Panel, decisions: Sequence[tuple[datetime, str]]) -> Iterator[str]:
    """Yield a mark on the lower edge for each decision that asked for something: a triangle, or a square."""
    for at, verdict in decisions:
        if verdict in MARKS and drawing.x.low <= at.timestamp() <= drawing.x.high:
            x, y = drawing.x(at.timestamp()), drawing.y.start
            corners = [(x - 5, y), (x + 5, y), (x, y - 9)]
            if verdict != "retrain":
                corners = [(x - 4, y), (x + 4, y), (x + 4, y - 8), (x - 4, y - 8)]
            shape = " ".join(f"{left:.1f},{top:.1f}" for left, top in corners)
            colour, about = "warm" if verdict == "retrain" else "bad", f"{at:%Y-%m-%d}: {MARKS[verdict]}"
            yield f'<polygon points="{shape}" fill="var(--{colour})"><title>{about}</title></polygon>'


def _here(drawing: Panel, window: Window) -> str:
    bounds = (window.start.timestamp(), window.end.timestamp())
    return drawing.area(*bounds, drawing.y.low, drawing.y.high, HERE)


def _fill(at: datetime, window: Window) -> str:
    colour = "warm" if window.contains(at) else "main"
    return f'fill="var(--{colour})"'


def _times(points: Sequence[tuple[datetime, *tuple[object, ...]]], window: Window) -> tuple[float, float]:
    """Return from when to when the windows last, the newest included."""
    starts = [point[0].timestamp() for point in points]
    return min(*starts, window.start.timestamp()), max(*starts, window.end.timestamp())


def _middles(points: Sequence[tuple[datetime, *tuple[object, ...]]], window: Window) -> list[float]:
    """Return the middle of each window, which lasts until the next one begins."""
    starts = [point[0].timestamp() for point in points]
    return [(start + end) / 2 for start, end in pairwise([*starts, max(window.end.timestamp(), starts[-1])])]


def _filled(*histograms: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """Return the range in which some row of any of the histograms lies."""
    full = [bin_ for bins in histograms for bin_ in bins if bin_[2] > 0] or list(histograms[0])
    return min(bin_[0] for bin_ in full), max(bin_[1] for bin_ in full)
