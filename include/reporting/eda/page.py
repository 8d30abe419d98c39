"""The EDA report's HTML: one file that holds everything it shows and asks the network for nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.reporting.eda import drawing
from include.reporting.eda.figures import correlations
from include.reporting.eda.reading import DRAWN_OUTLIERS

if TYPE_CHECKING:
    from jinja2 import Environment

    from include.reporting.eda.reading import Portrait
    from include.spec.model import Pipeline

FOLDER = Path(__file__).parent
MOST_LABELS = 12


@dataclass(frozen=True)
class Report:
    """All that a page tells of a pipeline; `failed` and `quarantine` as `reading` returns them."""

    spec: Pipeline
    portraits: list[Portrait]
    failed: list[dict[str, Any]]
    quarantine: list[dict[str, Any]]

    @property
    def summary(self) -> dict[str, Any]:
        """What header and index say: name, window (UTC), rows, whether any of it is SIMULATED."""
        main = self.portraits[0]
        cells = sum(each.rows * len(each.columns) for each in self.portraits)
        values = sum(figures["n"] for each in self.portraits for figures in each.exact.values())
        return {
            "name": self.spec.pipeline,
            "spec": self.spec,
            "is_simulated": any(each.is_simulated for each in self.portraits),
            "rows": sum(each.rows for each in self.portraits),
            "first": main.first,
            "last": main.last,
            "column_count": sum(len(each.columns) for each in self.portraits),
            "complete": values / cells,
            "quarantined": sum(count for each in self.portraits for _, count in each.quarantined),
        }


def html(report: Report) -> str:
    """Return the page of a pipeline."""
    parts = {"sources": [_source(each) for each in report.portraits], "most_outliers": DRAWN_OUTLIERS}
    parts |= {"failed": report.failed, "quarantine": report.quarantine, "style": _style()}
    return _templates().get_template("page.html.j2").render(**report.summary, **parts)


def index(reports: list[dict[str, Any]]) -> str:
    """Return the page that leads to the others; `reports` are their summaries."""
    return _templates().get_template("index.html.j2").render(reports=reports, style=_style())


def _source(it: Portrait) -> dict[str, Any]:
    from markupsafe import Markup

    numbers = it.of_kind("number", "flag")
    matrix = correlations(it.sample[numbers]) if len(numbers) > 1 else None
    return {
        "it": it,
        "figures": [_figures(it, name) for name in it.columns],
        "missing": Markup(drawing.missing_map(it)) if it.has_holes else "",  # noqa: S704 - our own drawing, its texts escaped
        "cards": [_card(it, name) for name in it.columns],
        "correlation": Markup(drawing.correlation_matrix(matrix)) if matrix is not None and len(matrix) > 1 else "",  # noqa: S704
        "series": [
            {"name": name, "unit": it.columns[name].unit, "chart": Markup(drawing.series(it, name))}  # noqa: S704
            for name in numbers
            if it.exact[name]["n"]
        ],
    }


def _figures(it: Portrait, name: str) -> dict[str, Any]:
    spread, exact = it.spreads.get(name), it.exact[name]
    known = {key: exact.get(key) for key in ("min", "mean", "max", "iqr", "z")}
    complete = {"complete": exact["n"] / it.rows, "median": spread.median if spread else None}
    return {"name": name, "unit": it.columns[name].unit, **known, **complete}


def _card(it: Portrait, name: str) -> dict[str, Any]:
    from markupsafe import Markup

    column, (chart, caption) = it.columns[name], _shape(it, name)
    about = {"name": name, "unit": column.unit, "about": column.description}
    return {**about, "chart": Markup(chart) if chart else "", "said": caption}  # noqa: S704


def _shape(it: Portrait, name: str) -> tuple[str, str]:
    """Return a column's chart, or without one a sentence."""
    if not it.exact[name]["n"]:
        return "", "No row has a value."
    kind = it.kinds[name]
    if kind == "number":
        return drawing.distribution(it, name), ""
    if kind == "masked":
        return "", "Personal data: only how many rows have a value is told."
    values = it.sample[name].dropna()
    if kind == "flag":
        values = values.map({1.0: "true", 0.0: "false"})
    counts = values.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    if kind == "time" or len(counts) > max(MOST_LABELS, len(values) / 2):
        return "", f"{len(counts):,} different values in {len(values):,} rows, from {min(values)} to {max(values)}."
    return drawing.bars_of(counts.head(MOST_LABELS), name), ""


@cache
def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"count": _count, "number": _number, "share": _share}
    environment.filters |= {"day": "{:%Y-%m-%d}".format, "moment": "{:%Y-%m-%d %H:%M}".format}
    return environment


@cache
def _style() -> Any:
    from markupsafe import Markup

    return Markup((FOLDER / "page.css").read_text(encoding="utf-8"))  # noqa: S704 - ours


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def _share(value: float) -> str:
    """Return a share in %; what is not complete never reads as if it were."""
    shown = f"{value * 100:.1f}"
    return "100 %" if value == 1 else f"{'>99.9' if shown == '100.0' else shown} %"
