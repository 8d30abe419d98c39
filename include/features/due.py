"""Which rows' features a load makes due: those it wrote and those whose recipes or target reach into them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from psycopg2 import sql

from include.features.reach import longest_delay, main_rows, reaches
from include.windows import Window

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as PgCursor

    from include.spec.model import Pipeline
    from include.warehouse.batch import Change

# The bounds leave room for arithmetic with delays.
FIRST, LAST = datetime(1000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
NEIGHBOURS = """
select min(before_at), max(after_at) from (
    select {key} from core.{table} where valid_at between %(first)s and %(last)s
    union select {key} from core.{history} where valid_at between %(first)s and %(last)s
) e, lateral (
    select min(valid_at) as before_at from (
        select valid_at from core.{table} t where {same} and t.valid_at < %(first)s
        order by t.valid_at desc limit %(before)s) b
) before, lateral (
    select max(valid_at) as after_at from (
        select valid_at from core.{table} t where {same} and t.valid_at > %(last)s
        order by t.valid_at limit %(after)s) a
) after
"""
NEXT_PUBLISHED = """
select available_at from core.{table} where {column} is not null and valid_at > %(last)s
order by valid_at offset %(rows)s limit 1
"""


def due_window(cursor: PgCursor, pipeline: Pipeline, change: Change) -> Window | None:
    """Return the times of the main source whose features a change reaches; None where no feature reads it.

    Runs after the change, in its transaction; a few index scans.
    """
    if change.source == pipeline.main:
        return _in_main(cursor, pipeline, change)
    ends = []
    for reach in reaches(pipeline):
        if reach.source == change.source:
            if reach.days:
                ends.append(change.available_last + timedelta(days=reach.days))
            else:
                ends.append(_next_published(cursor, pipeline, change, reach.column, reach.rows))
    if not ends:
        return None
    start = change.available_first - longest_delay(pipeline.sources[pipeline.main].published)
    return Window(start, min(max(ends) + INSTANT, LAST))


def _in_main(cursor: PgCursor, pipeline: Pipeline, change: Change) -> Window:
    names = key_names(pipeline, pipeline.main)  # of rows that were taken away the history tells whose they were
    values: dict[str, Any] = {"first": change.valid_first, "last": change.valid_last}
    values |= {"before": pipeline.target.horizon, "after": main_rows(pipeline)}
    cursor.execute(sql.SQL(NEIGHBOURS).format(**names), values)
    [(before_at, after_at)] = cursor.fetchall()
    return Window(before_at or change.valid_first, (after_at or change.valid_last) + INSTANT)


def _next_published(cursor: PgCursor, pipeline: Pipeline, change: Change, column: str, rows: int) -> datetime:
    """Return when a value stops being among those a recipe reads: further ones have been published."""
    names = {"table": sql.Identifier(pipeline.table(change.source)), "column": sql.Identifier(column)}
    cursor.execute(sql.SQL(NEXT_PUBLISHED).format(**names), {"last": change.valid_last, "rows": rows})
    row = cursor.fetchone()
    return row[0] if row else LAST


def key_names(pipeline: Pipeline, source: str) -> dict[str, sql.Composable]:
    """Return the pieces of statements that go through a table entity by entity; `t` is the table, `e` the entity."""
    keys = pipeline.sources[source].key
    same = sql.SQL(" and ").join(sql.SQL("t.{0} = e.{0}").format(sql.Identifier(key)) for key in keys)
    return {
        "table": sql.Identifier(pipeline.table(source)),
        "history": sql.Identifier(f"{pipeline.table(source)}_history"),
        "key": sql.SQL(", ").join(map(sql.Identifier, keys)) if keys else sql.SQL("true as is_alone"),
        "same": same if keys else sql.SQL("true"),
    }
