"""The profiles of batches in ``ops.column_profile``."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from psycopg2 import Binary
from psycopg2.extensions import cursor as PgCursor
from psycopg2.extras import execute_values
from sqlalchemy.engine import Connection

from include.lake.store import Lake
from include.warehouse.batch import Batch, RunRef
from include.windows import Window

BEFORE = """
with batch as (
    select window_start_at, window_end_at, batch_sha256, max(profiled_at) as profiled_at
    from ops.column_profile p
    where pipeline = %(pipeline)s and source = %(source)s and window_end_at < %(end)s and row_count > 0
      and exists (select from ops.quality_score s where s.pipeline = p.pipeline and s.source = p.source
                  and s.batch_sha256 = p.batch_sha256 and s.is_loaded)
    group by 1, 2, 3
), newest as (
    select distinct on (window_start_at, window_end_at) * from batch
    order by window_start_at, window_end_at, profiled_at desc
), last as (select * from newest order by window_end_at desc, window_start_at desc limit %(most)s)
select l.window_end_at, p.column_name, p.facts
from last l join ops.column_profile p using (window_start_at, window_end_at, batch_sha256)
where p.pipeline = %(pipeline)s and p.source = %(source)s
order by l.window_end_at, l.window_start_at
"""


def record_profile(
    cursor: PgCursor, lake: Lake, pipeline: str, window: Window, batch: Batch, run: RunRef
) -> dict[str, dict[str, Any]]:
    """Write a batch's profile, once, and return its figures by column."""
    if not batch.profile_uri:
        return {}
    rows = lake.get_frame(batch.profile_uri).to_dict("records")
    facts = {str(row["column_name"]): json.loads(row["facts"]) for row in rows}
    place = (pipeline, batch.source, window.start, window.end, batch.sha256)
    execute_values(
        cursor,
        "insert into ops.column_profile (pipeline, source, window_start_at, window_end_at, batch_sha256, column_name,"
        " row_count, null_count, facts, state, run_id) values %s on conflict do nothing",
        [
            (*place, row["column_name"], facts[row["column_name"]]["rows"], facts[row["column_name"]]["null_count"],
             row["facts"], Binary(row["state"]), run.run_id)
            for row in rows
        ],
    )  # fmt: skip
    return facts


def facts_before(
    connection: Connection, pipeline: str, source: str, end: datetime, most: int
) -> list[dict[str, dict[str, Any]]]:
    """Return the figures by column of the newest loaded batches whose window ended before a time, UTC; oldest first."""
    rows = connection.exec_driver_sql(BEFORE, {"pipeline": pipeline, "source": source, "end": end, "most": most})
    batches: dict[Any, dict[str, dict[str, Any]]] = {}
    for ended, column, facts in rows:
        batches.setdefault(ended, {})[column] = facts
    return list(batches.values())
