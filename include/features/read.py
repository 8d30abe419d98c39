"""Read features as they were known at a time: what training, scoring and monitoring see."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO

import pandas as pd
from psycopg2 import sql

from include.errors import NothingToDo
from include.features.context import has_corrections
from include.features.due import FIRST
from include.features.sets import FeatureSet, set_id, sets
from include.spec.fields import span
from include.warehouse.copied_frames import copy_frame, copy_frames, frame_of
from include.warehouse.engine import transaction
from include.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from psycopg2.extensions import cursor as PgCursor
    from sqlalchemy.engine import Engine

    from include.spec.model import Pipeline

# What a person told is the newest version of a target: it keeps the time at which the target was first known.
ROWS = """
select {columns}, coalesce(l.value, r.target), f.target_at,
    case when r.target is not null then f.target_known_at else l.answered_at end
from feature.{table} f left join lateral (
    select f.target where f.target_since_at < %(known_before)s
    union all
    select (
        select {told}::float8 from core.{history} h
        where h.valid_at = f.target_at and {entity} = f.entity and h.available_at < %(known_before)s {is_told}
        order by h.recorded_at desc limit 1
    ) where f.target_since_at >= %(known_before)s and f.target_known_at < %(known_before)s
) r on true
left join ops.label_request l on l.pipeline = {pipeline} and l.target in ('', {target})
    and l.entity = f.entity and l.valid_at = f.valid_at
    and l.answered_at < %(known_before)s
where f.valid_at >= %(start)s and f.valid_at < %(end)s
order by f.entity, f.valid_at
"""


def feature_rows(engine: Engine, pipeline: Pipeline, window: Window | None, known_before: datetime) -> pd.DataFrame:
    """Return the features of the rows about a time in a window, with each target's newest version known by then.

    Parameters
    ----------
    window : Window or None
        Of the rows' `valid_at`; None for all rows about a time before `known_before`.
    known_before : datetime
        UTC, excluded: a target that became known later is left out.

    Returns
    -------
    DataFrame
        Sorted by entity and time: `entity`, `valid_at`, `available_at`, the features in the spec's order,
        `target`, `target_at`, `target_known_at`; NaN and NaT where a target is not known.

    Raises
    ------
    sqlalchemy.exc.OperationalError
        If the warehouse does not answer; a retry may help.
    """
    with transaction(engine) as connection, connection.cursor() as cursor:
        about = window or Window(FIRST, known_before)
        return next(_frames(cursor, _set(cursor, pipeline), about, known_before, None))


def feature_frames(
    engine: Engine, pipeline: Pipeline, known_before: datetime, spool: BinaryIO
) -> Iterator[pd.DataFrame]:
    """Yield all rows as `feature_rows` returns them, some thousand at a time, by way of a file on the disk."""
    with transaction(engine) as connection, connection.cursor() as cursor:
        return _frames(cursor, _set(cursor, pipeline), Window(FIRST, known_before), known_before, spool)


def newest_rows(engine: Engine, pipeline: Pipeline, entity: str, instant: datetime) -> pd.DataFrame:
    """Return the newest features of an entity that were known at an instant (UTC): one row, or none; one index scan."""
    with transaction(engine) as connection, connection.cursor() as cursor:
        feature_set = _set(cursor, pipeline)
        query = sql.SQL(
            "select {} from feature.{} where entity = %(entity)s and available_at <= %(instant)s"
            " order by valid_at desc limit 1"
        ).format(sql.SQL(", ").join(map(sql.Identifier, _types(feature_set))), sql.Identifier(feature_set.table))
        return copy_frame(cursor, query, {"entity": entity, "instant": instant}, _types(feature_set))


def usable_rows(engine: Engine, pipeline: Pipeline, cut: datetime) -> int:
    """Return how many rows a training at `cut` (UTC) could read, their target known before it; many are not counted.

    Beyond 100,000, or what the spec asks for where that is more, it does not matter how many there are.
    """
    with transaction(engine) as connection, connection.cursor() as cursor:
        one = next((one for one in sets(cursor, pipeline) if one.set_id == set_id(pipeline)), None)
        if one is None:
            return 0
        lookback, anchor = pipeline.training.lookback, pipeline.target.anchor
        has_anchor = sql.SQL("and {} is not null").format(sql.Identifier(anchor)) if anchor else sql.SQL("")
        cursor.execute(
            sql.SQL(
                "select count(*) from"
                " (select from feature.{} where target_known_at < %s and valid_at >= %s {} limit %s) r"
            ).format(sql.Identifier(one.table), has_anchor),
            (cut, cut - span(lookback) if lookback else FIRST, max(pipeline.training.min_rows, 100_000)),
        )
        [(count,)] = cursor.fetchall()
    return int(count)


def _set(cursor: PgCursor, pipeline: Pipeline) -> FeatureSet:
    """Return the set that the spec defines.

    Raises
    ------
    NothingToDo
        It is not built yet.
    """
    for one in sets(cursor, pipeline):
        if one.set_id == set_id(pipeline):
            return one
    name = pipeline.pipeline
    raise NothingToDo(f"{name}: no features are built yet: ingest_{name} builds them after its load")


def _types(feature_set: FeatureSet) -> dict[str, str]:
    times = {"entity": "text", "valid_at": "timestamp", "available_at": "timestamp"}
    target = {"target": "number", "target_at": "timestamp", "target_known_at": "timestamp"}
    return times | dict.fromkeys(feature_set.pipeline.feature_names(), "number") | target


def _frames(
    cursor: PgCursor, feature_set: FeatureSet, window: Window, known_before: datetime, spool: BinaryIO | None
) -> Iterator[pd.DataFrame]:
    """Read rows of a set, at once or by way of a file.

    A target that changed at `known_before` or later is read from the history of its row.
    """
    pipeline, types = feature_set.pipeline, _types(feature_set)
    key, table = pipeline.sources[pipeline.main].key, pipeline.table(pipeline.main)
    cursor.execute("select to_regclass(%s) is not null", (f'core."{table}"',))
    if not cursor.fetchone()[0]:  # type: ignore[index]
        return iter([frame_of(io.BytesIO(), types)])
    if not feature_set.is_filled:
        raise NothingToDo(
            f"{pipeline.pipeline}: its features are still being built (set {feature_set.set_id}):"
            f" the task build_features of ingest_{pipeline.pipeline} goes on where it stopped"
        )
    columns = [sql.SQL("f.{}").format(sql.Identifier(name)) for name in list(types)[:-3]]
    cursor.execute("select to_regclass(%s) is not null", (f'core."{table}_history"',))
    entity = sql.SQL("concat_ws('|', {})").format(
        sql.SQL(", ").join(sql.SQL("h.{}").format(sql.Identifier(k)) for k in key)
    )
    # What several rows made together is left out where one was revised since: no single row of the history tells it.
    told = sql.SQL("null" if pipeline.target.above is not None else "h.{}").format(
        sql.Identifier(pipeline.target.column)
    )
    query = sql.SQL(ROWS).format(
        columns=sql.SQL(", ").join(columns),
        table=sql.Identifier(feature_set.table),
        pipeline=sql.Literal(pipeline.pipeline),
        target=sql.Literal(pipeline.target.identity),
        history=sql.Identifier(f"{table}_history"),
        told=told,
        entity=entity if key else sql.SQL("''"),
        is_told=sql.SQL("and not h.is_corrected") if has_corrections(cursor, table) else sql.SQL(""),
    )
    values = {"start": window.start, "end": window.end, "known_before": known_before}
    if spool is None:
        return iter([copy_frame(cursor, query, values, types)])
    return copy_frames(cursor, query, values, types, spool)


def read_marks(engine: Engine, pipeline: Pipeline) -> list[Window]:
    """Return the times of the main source that somebody excluded with ``ops.flag`` and nobody took back."""
    query = (
        "select start_at, end_at from ops.excluded where withdrawn_at is null and pipeline = %s and source in ('*', %s)"
        " order by start_at, end_at"
    )
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(query, (pipeline.pipeline, pipeline.main))
        return [Window(start, end) for start, end in rows]
