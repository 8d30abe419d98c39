"""What is neither input nor error: how old the champion is, and the outcome that people care for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from psycopg2 import sql

from include.monitoring.measure import NO_LIMIT, Measure
from include.warehouse.engine import transaction

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from include.spec.model import Pipeline
    from include.windows import Window

DAY = timedelta(days=1)


def age_of(window: Window, trained_at: datetime, allowed: timedelta | None) -> Measure:
    """Return how many days the champion's data are older than a window's end: a breach of more than is allowed."""
    place, age = ("staleness", "champion", "age_days"), (window.end - trained_at) / DAY
    if allowed is None:
        return Measure(*place, age, "ok", f"{NO_LIMIT}: monitoring.stale_after")
    most = allowed / DAY
    is_stale = age > most
    reason = f"the champion's data end {age:.0f} days before the window's end, {most:g} may" if is_stale else ""
    return Measure(*place, age, "breach" if is_stale else "ok", reason, threshold=most)


def outcome_of(engine: Engine, pipeline: Pipeline, window: Window) -> Measure:
    """Return the mean of the column that stands for the business outcome, over a window.

    Raises
    ------
    ValueError
        The spec names none.
    """
    wanted = pipeline.monitoring.business
    if wanted is None:
        raise ValueError("no business outcome is declared")
    source, _, column = wanted.column.rpartition(".")
    source = source or pipeline.main
    kind = pipeline.sources[source].columns[column].type
    with transaction(engine) as connection, connection.cursor() as cursor:
        cast = sql.SQL("{}::int").format(sql.Identifier(column)) if kind == "boolean" else sql.Identifier(column)
        cursor.execute(
            sql.SQL(
                "select avg(({0})::float8), count({0}) from core.{1} where valid_at >= %s and valid_at < %s"
            ).format(cast, sql.Identifier(pipeline.table(source))),
            (window.start, window.end),
        )
        [(mean, count)] = cursor.fetchall()
    limit = wanted.min if wanted.min is not None else wanted.max
    if mean is None:
        return Measure("business", wanted.column, "mean", None, "unknown", "the window has no value", threshold=limit)
    is_low, is_high = wanted.min is not None and mean < wanted.min, wanted.max is not None and mean > wanted.max
    reason = f"{wanted.column} is {mean:.4g}, {'least' if is_low else 'most'} is {limit:g}" if is_low or is_high else ""
    status = "breach" if is_low or is_high else "ok"
    return Measure("business", wanted.column, "mean", mean, status, reason, threshold=limit, rows=count)
