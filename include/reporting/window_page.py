"""The page of a window: what the monitor measured and decided, drawn for people, linked from its run."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from include.windows import Window

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd
    from sqlalchemy.engine import Connection

    from include.decisions import Verdict
    from include.monitoring.grid import Grid
    from include.monitoring.reference import Subject
    from include.registry.mlflow_registry import Version
    from include.steps.run import Run

log = logging.getLogger(__name__)

SHOWN = 24  # windows before this one
BINS = 30
ERRORS = """
select distinct on (m.window_start_at) m.window_start_at, m.value, m.reference, m.model_version, l.losses
from ml.performance m join ml.look l using (pipeline, window_start_at, window_end_at)
where m.pipeline = %(pipeline)s and m.window_end_at <= %(end)s
    and (m.kind, m.subject, m.statistic, m.slice) = ('error', 'prediction', 'mae', '')
    and m.model_version = l.model_version
order by m.window_start_at desc, m.measured_at desc limit %(shown)s
"""
MEANS = """
select distinct on (subject, window_start_at) subject, window_start_at, value from ml.drift
where pipeline = %(pipeline)s and window_end_at <= %(end)s and statistic = 'mean' and kind = 'covariate'
order by subject, window_start_at, measured_at desc
"""
DECIDED = """
select window_end_at, verdict from ml.decision
where pipeline = %(pipeline)s and window_end_at <= %(end)s
    and verdict in ('retrain', 'investigate', 'promote', 'rollback')
order by decision_id
"""
SIMULATED = "select coalesce(bool_or(is_simulated), false) from ops.run where pipeline = %(pipeline)s"


def draw_report(run: Run, decision: dict[str, Any]) -> None:
    """Draw the page of the window that was decided on; again, and it is replaced."""
    from include.errors import writable
    from include.monitoring.record import read_decision, read_history
    from include.quality.data_docs.files import page_of_run
    from include.registry.mlflow_registry import by_number
    from include.reporting.window_report import WindowReport, page
    from include.settings import settings

    spec, name, window = run.pipeline, run.pipeline.pipeline, Window.from_dict(decision["decided_on"])
    look = read_history(run.engine, name, window, 1)[-1]
    version = by_number(name, look.champion) if look.champion is not None else None
    values = {"pipeline": name, "end": window.end, "shown": SHOWN}
    with run.engine.connect() as connection:
        verdict = read_decision(connection, decision["decision_id"])
        report = WindowReport(
            pipeline=name,
            title=spec.title,
            unit=spec.sources[spec.main].columns[spec.target.column].unit,
            window=window,
            verdict=verdict.verdict,
            reasons=verdict.reasons,
            **_lines(verdict),
            measures=look.measures,
            error_by_window=_errors(connection, values),
            feature_by_window=_means(connection, values),
            distributions=_distributions(run, window, version),
            decisions=[(row[0], row[1]) for row in connection.exec_driver_sql(DECIDED, values)],
            is_simulated=bool(connection.exec_driver_sql(SIMULATED, values).scalar_one()),
            importance=json.loads(version.tags.get("importance", "{}")) if version else {},
        )
    path = settings().var / "docs" / "monitoring" / name / page_of_run(window, run.ref.dag_id, run.ref.run_id)
    with writable(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page(report), encoding="utf-8")
    log.info("the report is %s", path)


def _lines(verdict: Verdict) -> dict[str, str]:
    """Return what is told of harm and worth, a line each; what moved the page tells by itself."""
    figures = verdict.evidence.get("figures", {})
    return {name: figures[name]["text"] if name in figures else "" for name in ("harm", "worth")}


def _errors(connection: Connection, values: Mapping[str, Any]) -> list[Any]:
    """Return the error of each window with two standard errors of its blocks on either side, oldest first."""
    points = []
    for at, error, promised, version, losses in connection.exec_driver_sql(ERRORS, values):
        off = 2 * float(np.std(losses, ddof=1)) / len(losses) ** 0.5 if error is not None and len(losses) > 1 else None
        ends = (None, None) if off is None else (error - off, error + off)
        points.append((at, error, *ends, promised, version))
    return points[::-1]


def _means(connection: Connection, values: Mapping[str, Any]) -> dict[str, list[tuple[datetime, float | None]]]:
    means: dict[str, list[tuple[datetime, float | None]]] = {}
    for subject, at, value in connection.exec_driver_sql(MEANS, values):
        means.setdefault(subject, []).append((at, value))
    return {subject: points[-SHOWN:] for subject, points in means.items()}


def _distributions(run: Run, window: Window, version: Version | None) -> dict[str, Any]:
    """Return each feature's outline in the champion's training data and in the window, on the same edges."""
    from include.steps.inputs import kept_reference
    from include.steps.look import seen_rows

    reference = kept_reference(run, version) if version is not None else None
    if reference is None:
        return {}
    rows = seen_rows(run, window, version)
    return {
        name: shape for name, one in reference.subjects.items() if name in rows and (shape := _shape(one, rows[name]))
    }


def _shape(subject: Subject, column: pd.Series) -> Any:
    """Return the edges of an outline, the reference's counts between them and the window's; None without a value."""
    values, grid = column.to_numpy("float64"), subject.grid
    if grid is None:
        return None
    ends, counts = _cells(grid, subject.whole.cells)
    edges = ends if len(ends) <= BINS + 1 else np.linspace(max(ends[0], grid.low), min(ends[-1], grid.high), BINS + 1)
    below = np.interp(edges, ends, np.concatenate([[0], counts.cumsum()]))
    seen, _ = np.histogram(np.clip(values[np.isfinite(values)], edges[0], edges[-1]), edges)
    return edges.tolist(), np.diff(below).tolist(), seen.tolist()


def _cells(grid: Grid, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the cells of a grid end, in the subject's unit, and their counts; a cell a value where few are."""
    if grid.is_exact:
        half = np.diff(grid.values).min() / 2 if len(grid.values) > 1 else 0.5
        middles = (grid.values[1:] + grid.values[:-1]) / 2
        return np.concatenate([[grid.values[0] - half], middles, [grid.values[-1] + half]]), cells[1::2]
    width = (grid.high - grid.low) / grid.places
    inner = grid.low + (grid.starts[1:] - 1) * width
    return np.concatenate([[min(grid.smallest, inner[0])], inner, [max(grid.largest, inner[-1])]]), cells
