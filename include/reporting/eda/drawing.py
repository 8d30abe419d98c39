"""The charts of the EDA report, as SVG that takes its colours from the page: one file for light and dark.

Matplotlib draws; every colour it is given is a stand-in that `_svg` turns into a variable of the page's style.
"""

from __future__ import annotations

import io
import re
from html import escape
from itertools import combinations, groupby, pairwise, product
from math import isnan
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from include.quality.profiling.distribution import Distribution
    from include.reporting.eda.reading import Portrait

NAMES = ("ink", "soft", "main", "warm", "cool", "bad", "line")
INK, SOFT, MAIN, WARM, COOL, BAD, LINE = STAND_INS = tuple(f"#00000{n}" for n in range(1, 8))
MOST_CELLS = 130  # of the missing-value map, over time
STYLE: dict[Any, Any] = {
    **{"svg.fonttype": "none", "svg.hashsalt": "ciclo", "font.family": "sans-serif", "font.size": 10},
    **{"axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": LINE, "axes.labelcolor": SOFT},
    **{"xtick.color": LINE, "ytick.color": LINE, "xtick.labelcolor": SOFT, "ytick.labelcolor": SOFT},
    **{"text.color": INK, "axes.facecolor": "none", "figure.facecolor": "none", "axes.linewidth": 0.8},
    **{"axes.formatter.useoffset": False, "axes.formatter.limits": (-4, 6), "savefig.facecolor": "none"},
}


def distribution(portrait: Portrait, name: str) -> str:
    """Return box plot above histogram of a number, over the same axis."""
    known, exact = portrait.distributions[name], portrait.exact[name]
    bins = min(60, max(8, int(2 * known.size**0.4)))
    shape = known.histogram(exact["min"], exact["max"], bins)
    middles = [(low + high) / 2 for low, high in pairwise(shape["edges"])]
    figure, (box, bars) = _figure((4.4, 2.3), 2, height_ratios=[1, 4], sharex=True)
    bars.hist(middles, bins, range=(exact["min"], exact["max"]), weights=shape["counts"], color=MAIN, alpha=0.75)
    parts = {"boxprops": "facecolor", "whiskerprops": "color", "capprops": "color", "medianprops": "color"}
    looks: dict[str, Any] = {part: {key: INK, "linewidth": 1} for part, key in parts.items()}
    looks["boxprops"] = {"facecolor": "none", "edgecolor": INK, "linewidth": 1}
    looks["medianprops"] = {"color": WARM, "linewidth": 2}
    dots = {"marker": "o", "markersize": 2.2, "markerfacecolor": BAD, "markeredgecolor": "none", "alpha": 0.5}
    spread = _box(known)
    box.bxp([spread], orientation="horizontal", widths=0.55, patch_artist=True, flierprops=dots, **looks)
    box.axis("off")
    bars.set_yticks([])
    bars.spines["left"].set_visible(False)
    bars.xaxis.set_major_locator(_locator(5))
    quartiles = f"median {spread['med']:.4g}, middle half {spread['q1']:.4g} to {spread['q3']:.4g}"
    return _svg(figure, f"Distribution of {name} in {portrait.columns[name].unit}; {quartiles}.")


def _box(known: Distribution) -> dict[str, Any]:
    """Return what a box plot shows: quartiles, the farthest values inside the fences, and those outside, thinned."""
    q1, median, q3 = (known.quantile(share) for share in (0.25, 0.5, 0.75))
    fences, values = known.outliers()["outliers_iqr"], known.values
    is_outside = values != values if fences["low"] is None else (values < fences["low"]) | (values > fences["high"])
    inside = values[~is_outside]
    ends = {"whislo": min(inside[0], q1), "whishi": max(inside[-1], q3)}
    return {"q1": q1, "med": median, "q3": q3, **ends, "fliers": _thinned(values[is_outside])}


def bars_of(counts: pd.Series, name: str) -> str:
    """Return the most frequent values of a label, the largest on top; counts are rows."""
    figure, (axes,) = _figure((4.4, max(0.9, 0.5 + 0.24 * len(counts))), 1)
    axes.barh([str(value)[:24] for value in counts.index][::-1], counts.to_numpy()[::-1], color=MAIN, alpha=0.75)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(_locator(5))
    top = ", ".join(f"{value} {count:,} rows" for value, count in counts.head(3).items())
    return _svg(figure, f"Most frequent values of {name}: {top}.")


def missing_map(portrait: Portrait) -> str:
    """Return the share of rows without a value, by column and time: the darker the more; hatched where no row is."""
    names = list(portrait.columns)
    group = -(-len(portrait.bins) // MOST_CELLS)
    cells = portrait.bins.groupby(portrait.bins.index // group).agg(
        {"at": "first", "rows": "sum", **{f"n_{name}": "sum" for name in names}}
    )
    figure, (axes,) = _figure((11, 0.7 + 0.27 * len(names)), 1)
    absent = cells["rows"] == 0
    for row, name in enumerate(names):
        axes.broken_barh([(0, len(cells))], (row - 0.42, 0.84), facecolor=LINE, alpha=0.25)
        share = (1 - cells[f"n_{name}"] / cells["rows"].where(~absent)).fillna(0).mul(20).round().div(20)
        # a share that rounds to nothing is still shown: a single hole in a long bin must not vanish
        share = share.mask((cells[f"n_{name}"] < cells["rows"]) & (share == 0), 0.05)
        for start, length, value in _runs(share.tolist()):
            axes.broken_barh([(start, length)], (row - 0.42, 0.84), facecolor=BAD, alpha=0.15 + 0.85 * value)
    for start, length, _ in _runs([float(each) for each in absent]):
        axes.broken_barh([(start, length)], (-0.5, len(names)), facecolor="none", edgecolor=LINE, hatch="////", lw=0)
    axes.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5), xlim=(0, len(cells)))
    axes.tick_params(axis="y", length=0)
    places = range(0, len(cells), max(1, len(cells) // 8))
    axes.set_xticks([place + 0.5 for place in places], [_day(cells["at"].iloc[place], portrait) for place in places])
    worst = min(names, key=lambda name: portrait.exact[name]["n"])
    share = 100 * (1 - portrait.exact[worst]["n"] / portrait.rows)
    return _svg(figure, f"Missing values by column and time; most are missing in {worst}: {share:.3g} % of its rows.")


def correlation_matrix(matrix: pd.DataFrame) -> str:
    """Return the matrix as coloured cells with their numbers."""
    names, size = list(matrix.columns), 0.52 * len(matrix) + 1.6
    figure, (axes,) = _figure((max(size * 1.5, 4), size), 1)
    cells: list[list[float]] = matrix.to_numpy().tolist()
    for y, x in product(range(len(names)), repeat=2):
        if not isnan(value := cells[y][x]):  # too few rows have both values
            colour = WARM if value > 0 else COOL
            axes.broken_barh([(x - 0.48, 0.96)], (y - 0.48, 0.96), facecolor=colour, alpha=abs(value) * 0.85)
            axes.text(x, y, f"{round(value, 2) + 0:.2f}", ha="center", va="center", fontsize=8, color=INK)
    axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(names) - 0.5, -0.5), yticks=range(len(names)), yticklabels=names)
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    pairs = [(cells[y][x], x, y) for x, y in combinations(range(len(names)), 2) if not isnan(cells[y][x])]
    value, x, y = max(pairs, key=lambda pair: abs(pair[0]), default=(0.0, 0, 0))
    strongest = f" The strongest is {names[x]} with {names[y]}: {value:.2f}." if pairs else ""
    return _svg(figure, f"Spearman's rank correlations of {len(names)} columns.{strongest}")


def series(portrait: Portrait, name: str) -> str:
    """Return mean and range in each step of time, outliers as dots; below them the quarantined rows."""
    bins, quarantined = portrait.bins, portrait.quarantined
    figure, panels = _figure((11, 2.3), 2, [5, 1], True) if quarantined else _figure((11, 1.9), 1)
    axes = panels[0]
    mean, at = bins[f"mean_{name}"], bins["at"]
    axes.fill_between(at, bins[f"min_{name}"], bins[f"max_{name}"], color=MAIN, alpha=0.2, linewidth=0)
    axes.plot(at, mean, color=MAIN, linewidth=1.2, marker="o" if mean.count() < 60 else None, markersize=2.5)
    if outliers := portrait.outliers.get(name, []):
        axes.plot(*zip(*outliers, strict=True), "o", color=BAD, markersize=3, alpha=0.7, markeredgecolor="none")
    axes.yaxis.set_major_locator(_locator(4))
    if len(at) > 1:
        axes.set_xlim(at.iloc[0], at.iloc[-1] + (at.iloc[-1] - at.iloc[-2]))
    if quarantined:
        times, counts = zip(*quarantined, strict=True)
        panels[1].bar(times, counts, width=at.iloc[1] - at.iloc[0] if len(at) > 1 else 0.8, color=BAD, align="edge")
        panels[1].yaxis.set_major_locator(_locator(2))
        panels[1].set_ylabel("quarantined", rotation=0, ha="right", va="center", fontsize=8)
    caption = f"{name} over time, one {portrait.step.name} a step; {len(outliers)} outliers are marked"
    return _svg(figure, f"{caption}; {sum(count for _, count in quarantined)} rows of the source are quarantined.")


def _figure(
    size: tuple[float, float], rows: int, height_ratios: Any = None, sharex: bool = False
) -> tuple[Figure, list[Axes]]:
    """Return a figure of its own: none of pyplot's state, so nothing to close."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(rows, 1, sharex=sharex, squeeze=False, gridspec_kw={"height_ratios": height_ratios})
    return figure, list(panels[:, 0])


def _svg(figure: Figure, alternative: str) -> str:
    """Return the figure as an inline SVG with an alternative text, its colours as the page's variables."""
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text).replace("xlink:href", "href")
    for colour, name in zip(STAND_INS, NAMES, strict=True):
        text = text.replace(colour, f"var(--{name})")
    text = re.sub(r"font: (\d+\.?\d*)px [^;\"]*", r"font-size: \1px", text)
    width, height = (72 * inches for inches in figure.get_size_inches())
    opening = f'<svg viewBox="0 0 {width:g} {height:g}" style="max-width:{width * 1.4:.0f}px" role="img"'
    opening += f' aria-label="{escape(alternative)}"><title>{escape(alternative)}</title>'
    return re.sub(r"<svg[^>]*>", lambda _: opening, text, count=1).strip()


def _runs(values: list[float]) -> list[tuple[int, int, float]]:
    """Return start, length and value of each run of equal values above nought."""
    runs, start = [], 0
    for value, run in groupby(values):
        length = len(list(run))
        runs += [(start, length, value)] if value > 0 else []
        start += length
    return runs


def _thinned(values: np.ndarray, most: int = 300) -> np.ndarray:
    """Keep the two ends and every n-th between: a million dots make one blot and a page nobody can open."""
    import numpy as np

    return values[np.linspace(0, len(values) - 1, min(most, len(values))).astype(int)]


def _locator(count: int) -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(count, min_n_ticks=2)


def _day(at: Any, portrait: Portrait) -> str:
    days = (portrait.last - portrait.first).days
    return at.strftime("%b %Y" if days > 700 else "%d %b %Y" if days > 5 else "%d %b %H:%M")
