"""Write the EDA reports from a warehouse: files that hold everything they show and ask the network for nothing."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.reporting.eda import drawing
from include.reporting.eda.figures import correlations
from include.reporting.eda.reading import DRAWN_OUTLIERS, failed_checks, portraits, quarantine_by_rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2 import Environment

    from include.reporting.eda.reading import Portrait
    from include.spec.model import Pipeline

FOLDER = Path(__file__).parent
MOST_LABELS = 12


def write(url: str, pipelines: Mapping[str, Pipeline], folder: Path) -> list[Path]:
    """Write ``<pipeline>.html`` for each pipeline that has rows, and ``index.html``; return what was written.

    Where no pipeline has any, nothing is written and no folder made. Running it again replaces the pages.

    Parameters
    ----------
    url : str
        The warehouse, ``postgresql://…``. It is only read, each pipeline's rows as they stood at one moment.

    Raises
    ------
    sqlalchemy.exc.OperationalError
        If the warehouse does not answer. A retry may help.
    """
    from include.warehouse.engine import connect_engine

    written, summaries = [], []
    for name, spec in pipelines.items():
        with connect_engine(url).connect() as connection:
            connection.exec_driver_sql("set transaction isolation level repeatable read, read only")
            if not (every := portraits(connection, spec)):
                continue
            waiting = {"failed": failed_checks(connection, name), "quarantine": quarantine_by_rule(connection, name)}
        folder.mkdir(parents=True, exist_ok=True)
        summaries.append(_summary(spec, every))
        written.append(folder / f"{name}.html")
        about = {"sources": [_source(each) for each in every], "most_outliers": DRAWN_OUTLIERS}
        written[-1].write_text(_html("page", **summaries[-1], **waiting, **about), encoding="utf-8")
    if written:
        written.append(folder / "index.html")
        written[-1].write_text(_html("index", reports=summaries), encoding="utf-8")
    return written


def main(url: str, pipelines: Mapping[str, Pipeline], folder: Path) -> int:
    """Write the reports and say where they are, or why there are none; return the exit code, always 0.

    A machine on which nothing runs has no data to show, which is no fault of its pages.
    """
    from sqlalchemy.exc import OperationalError, ProgrammingError

    try:
        written = write(url, pipelines, folder)
    except (OperationalError, ProgrammingError) as error:
        if isinstance(error, ProgrammingError) and getattr(error.orig, "pgcode", "") not in ("3F000", "42P01"):
            raise  # neither schema nor table missing, so not a warehouse that was never migrated
        print("No EDA report: the warehouse does not answer or was never filled; make run starts and fills it.")
        return 0
    print(f"EDA reports: {written[-1]}" if written else "No EDA report: nothing is loaded yet; make run loads it.")
    return 0


def _summary(spec: Pipeline, every: list[Portrait]) -> dict[str, Any]:
    """Return what header and index say: name, window (UTC), rows, whether any of it is SIMULATED."""
    cells = sum(each.rows * len(each.columns) for each in every)
    return {
        "name": spec.pipeline,
        "spec": spec,
        "is_simulated": any(each.is_simulated for each in every),
        "rows": sum(each.rows for each in every),
        "first": every[0].first,
        "last": every[0].last,
        "column_count": sum(len(each.columns) for each in every),
        "complete": sum(figures["n"] for each in every for figures in each.exact.values()) / cells,
        "quarantined": sum(count for each in every for _, count in each.quarantined),
    }


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
    known, exact = it.distributions.get(name), it.exact[name]
    figures = {key: exact.get(key) for key in ("min", "mean", "max", "iqr", "z")}
    figures |= {"complete": exact["n"] / it.rows, "median": known.quantile(0.5) if known else None}
    return {"name": name, "unit": it.columns[name].unit, **figures}


def _card(it: Portrait, name: str) -> dict[str, Any]:
    from markupsafe import Markup

    column, (chart, caption) = it.columns[name], _shape(it, name)
    about = {"name": name, "unit": column.unit, "about": column.description}
    return {**about, "chart": Markup(chart) if chart else "", "caption": caption}  # noqa: S704


def _shape(it: Portrait, name: str) -> tuple[str, str]:
    """Return a column's chart, or without one a sentence."""
    if not it.exact[name]["n"]:
        return "", "No row has a value."
    kind = it.kinds[name]
    if kind == "masked":
        return "", "Personal data: only how many rows have a value is told."
    values = it.sample[name].dropna()
    if values.empty:
        return "", "No sampled row has a value."
    if kind == "number":
        return drawing.distribution(it, name), ""
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


def _html(template: str, **values: Any) -> str:
    """Return a page as one file, with its style in it."""
    from markupsafe import Markup

    style = Markup((FOLDER / "page.css").read_text(encoding="utf-8"))  # noqa: S704 - ours
    return _templates().get_template(f"{template}.html.j2").render(style=style, **values)


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
