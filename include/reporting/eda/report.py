"""Write the EDA reports from a warehouse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.reporting.eda.page import Report, html, index
from include.reporting.eda.reading import failed_checks, portraits, quarantine_by_rule

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from include.spec.model import Pipeline


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
            report = Report(spec, every, failed_checks(connection, name), quarantine_by_rule(connection, name))
        folder.mkdir(parents=True, exist_ok=True)
        summaries.append(report.summary)
        written.append(folder / f"{name}.html")
        written[-1].write_text(html(report), encoding="utf-8")
    if written:
        written.append(folder / "index.html")
        written[-1].write_text(index(summaries), encoding="utf-8")
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
