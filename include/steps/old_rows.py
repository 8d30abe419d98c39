"""Delete rows of the warehouse that are older than policy allows, and nothing that anything else rests on.

What stays for ever: the ledger, `core` with its histories, payloads, loads and their lineage, how windows were closed
and what the monitor saw of each (``ml.look``, ``ml.performance``), what people told (labels, exclusions, overrides,
feedback with the answers it is about), profiles of versions, and the record of what was deleted.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from include.steps.run import Run

log = logging.getLogger(__name__)
KEPT_WINDOWS = 50  # of each source, the newest stay however old: batches are compared with those before them

# An answer with feedback stays, and what was answered beside it.
PREDICTIONS = """
delete from ml.prediction p
where p.pipeline = %(pipeline)s and p.predicted_at < %(before)s and coalesce(p.target_at, p.predicted_at) < %(before)s
    and p.model_version <> all(%(versions)s)
    and not exists (select from ml.feedback f where (f.request_id, f.row_number) = (p.request_id, p.row_number))
"""
COMPARED = "select unnest(array[version, champion]) from mart.challenger_in_shadow where pipeline = %s"
# Figures of batches and windows that are neither young nor among the newest of their series.
BY_WINDOW = """
with newest as materialized (
    select {series}, min(window_end_at) as first_at from (
        select {series}, window_end_at, dense_rank() over (partition by {series} order by window_end_at desc) as place
        from (select distinct {series}, window_end_at from {table}) w
    ) ranked where place <= {windows} group by {series}
)
delete from {table} t using newest n
where ({of_row}) = ({of_newest}) and t.window_end_at < n.first_at and t.{age} < %(before)s
"""
TABLES = (
    ("ops.quality_result", ("pipeline", "source"), "checked_at"),
    ("ops.quality_score", ("pipeline", "source"), "measured_at"),
    ("ops.column_profile", ("pipeline", "source"), "profiled_at"),
    ("ml.drift", ("pipeline",), "measured_at"),
)
OTHERS = {
    "ops.quarantine": "delete from ops.quarantine where status in ('released', 'superseded')"
    " and status_at < %(before)s",
    "ops.alert": "delete from ops.alert where status <> 'pending' and raised_at < %(before)s",
    "ops.incident": "delete from ops.incident i where closed_at < %(before)s"
    " and not exists (select from ops.alert a where a.incident_id = i.incident_id)",
    "ops.silence": "delete from ops.silence where until_at < %(before)s",
    "ops.drill": "delete from ops.drill d where drilled_at < %(before)s"
    " and exists (select from ops.drill n where n.drilled_at > d.drilled_at)",
    "ops.task_run": "delete from ops.task_run where started_at < %(before)s",
    "ml.drill": "delete from ml.drill d where drilled_at < %(before)s"
    " and exists (select from ml.drill n where (n.pipeline, n.kind) = (d.pipeline, d.kind)"
    " and n.drilled_at > d.drilled_at)",
    "ml.interval": "delete from ml.interval i where as_of < %(before)s and exists (select from ml.interval n"
    " where (n.pipeline, n.model_version) = (i.pipeline, i.model_version) and n.as_of > i.as_of)",
}


def prune_history(engine: Engine, keep: timedelta) -> dict[str, int]:
    """Delete figures of checks, drift, alerts and tasks older than `keep`; return how many rows of each table."""
    statements = {table: _by_window(table, series, age) for table, series, age in TABLES} | OTHERS
    values = {"before": datetime.now(UTC) - keep}
    with engine.begin() as connection:
        removed = {name: connection.exec_driver_sql(each, values).rowcount for name, each in statements.items()}
    log.info("deleted rows older than %s: %s", keep, removed)
    return removed


def prune_predictions(run: Run) -> int:
    """Delete a pipeline's predictions older than ``predictions.keep_days``, but those that something rests on.

    Predictions of the versions that have an alias or are compared in shadow stay, so do answers with feedback and
    what speaks of a later time.
    """
    from include.registry.mlflow_registry import CHALLENGER, CHAMPION, PREVIOUS, by_alias

    name, keep = run.pipeline.pipeline, timedelta(days=run.pipeline.predictions.keep_days)
    named = [by_alias(name, alias) for alias in (CHAMPION, CHALLENGER, PREVIOUS)]
    with run.engine.begin() as connection:
        compared = connection.exec_driver_sql(COMPARED, (name,)).scalars()
        versions = [*compared, *(version.number for version in named if version)]
        place = {"pipeline": name, "before": run.run_after - keep, "versions": versions}
        removed = connection.exec_driver_sql(PREDICTIONS, place).rowcount
    log.info("%s: deleted %d predictions older than %s", name, removed, keep)
    return removed


def _by_window(table: str, series: tuple[str, ...], age: str) -> str:
    """Return the deletion of a table's figures by window."""
    names = {"of_row": "t.", "of_newest": "n."}
    columns = {key: ", ".join(prefix + name for name in series) for key, prefix in names.items()}
    return BY_WINDOW.format(table=table, series=", ".join(series), age=age, windows=KEPT_WINDOWS, **columns)
