"""What is written to ``ops.quarantine``: rows, blocked batches, and what a load releases.

`pending` holds the times an entry may be about for which neither it nor a newer answer is loaded: one instant, or
for a row without a readable time and for a batch as a whole every time the batch covered. Each load takes its own
times out of it; when none is left the entry waits no more. Which entries wait says the column `is_waiting`.
"""

from __future__ import annotations

from typing import Any

from psycopg2.extensions import cursor as PgCursor

from include.lake.store import Lake
from include.quality.contract import Result
from include.warehouse.batch import Batch, RunRef
from include.warehouse.engine import one_value
from include.warehouse.record import record_verdicts
from include.warehouse.staging import QUARANTINED, refuse_short, stage_as
from include.windows import Window

UNREADABLE = "readable"  # the rule of a batch that could not even be parsed
# An entry that is recorded again waits again; what a person has overridden stays so.
OPEN_AGAIN = """
    fetched_at = excluded.fetched_at, run_id = excluded.run_id, loaded_at = null,
    status = case q.status when 'overridden' then q.status else 'open' end,
    status_at = case when q.is_waiting or q.status = 'overridden' then q.status_at else now() end,
    status_by = case q.status when 'overridden' then q.status_by end,
    status_reason = case q.status when 'overridden' then q.status_reason end
where not q.is_waiting
"""
RECORD_ROWS = f"""
insert into ops.quarantine as q (pipeline, source, window_start_at, window_end_at, payload_id, row_number, valid_at,
    rule, column_name, reason, raw_row, fetched_at, pending, run_id)
select %(pipeline)s, %(source)s, %(start)s, %(end)s, payload_id, row_number, valid_at, rule, column_name, reason,
    raw_row::jsonb, %(fetched_at)s, tstzmultirange(tstzrange(coalesce(valid_at, %(first)s),
    coalesce(valid_at, %(last)s), case when valid_at is null then '[)' else '[]' end)), %(run_id)s
from quarantined order by payload_id, row_number
on conflict (payload_id, row_number) do update set valid_at = excluded.valid_at, rule = excluded.rule,
    column_name = excluded.column_name, reason = excluded.reason, raw_row = excluded.raw_row,
    pending = excluded.pending, {OPEN_AGAIN} or (q.valid_at, q.rule, q.column_name, q.reason, q.raw_row)
       is distinct from (excluded.valid_at, excluded.rule, excluded.column_name, excluded.reason, excluded.raw_row)
"""
# Two parts of one payload, each with times of its own, are counted together; a part that comes again is not.
RECORD_BATCH = f"""
insert into ops.quarantine as q (pipeline, source, window_start_at, window_end_at, payload_id, row_count, rule,
    column_name, reason, fetched_at, pending, run_id)
values (%(pipeline)s, %(source)s, %(start)s, %(end)s, %(payload_id)s, %(row_count)s, %(rule)s, %(column)s, %(reason)s,
    %(fetched_at)s, tstzmultirange(tstzrange(%(first)s, %(last)s)), %(run_id)s)
on conflict {{index}} do update set rule = excluded.rule, column_name = excluded.column_name, reason = excluded.reason,
    row_count = excluded.row_count + case when q.is_waiting and not q.pending && excluded.pending then q.row_count
                                          else 0 end,
    pending = case when q.is_waiting then q.pending + excluded.pending else excluded.pending end, {OPEN_AGAIN}
    or not q.pending @> excluded.pending or (q.rule, q.column_name, q.reason, q.row_count)
       is distinct from (excluded.rule, excluded.column_name, excluded.reason, excluded.row_count)
"""
WITH_PAYLOAD = RECORD_BATCH.format(index="(payload_id) where row_number is null")
WITHOUT_PAYLOAD = RECORD_BATCH.format(
    index="(pipeline, source, window_start_at, window_end_at) where payload_id is null"
)
WAITING = """
q.pipeline = %(pipeline)s and q.source = %(source)s and q.is_waiting
    and q.pending && tstzmultirange(tstzrange(%(first)s, %(last)s))
"""
RELEASE = f"""
with loaded as (
    select quarantine_id, coalesce(q.payload_id = any(%(payload_ids)s::bigint[]), false) as is_own,
           pending - tstzmultirange(tstzrange(%(first)s, %(last)s)) as pending
    from ops.quarantine q left join quarantined s on (s.payload_id, s.row_number) = (q.payload_id, q.row_number)
    where {WAITING} and case when q.payload_id = any(%(payload_ids)s::bigint[]) then s.payload_id is null
                             else fetched_at < %(fetched_at)s end
)
update ops.quarantine q set
    pending = s.pending,
    loaded_at = case when isempty(s.pending) then now() end,
    status = case when not isempty(s.pending) or q.status = 'overridden' then q.status
                  when s.is_own then 'released' else 'superseded' end,
    status_at = case when not isempty(s.pending) or q.status = 'overridden' then q.status_at else now() end,
    status_by = case when not isempty(s.pending) or q.status = 'overridden' then q.status_by else %(run_id)s end
from loaded s where q.quarantine_id = s.quarantine_id
"""
REST_OF_A_BATCH = f"""
update ops.quarantine q set status = 'superseded', status_at = now(), status_by = %(run_id)s,
    status_reason = 'breaks no rule any more; it waits with its blocked batch'
where {WAITING} and q.status = 'open' and q.row_number is not null and q.payload_id = any(%(payload_ids)s::bigint[])
    and not exists (select from quarantined s where (s.payload_id, s.row_number) = (q.payload_id, q.row_number))
"""


def record_loaded(
    cursor: PgCursor, lake: Lake, pipeline: str, window: Window, batches: list[Batch], run: RunRef
) -> None:
    """Record the quarantined rows of loaded batches, and release entries whose times are loaded now.

    Rows of the batch itself are released, those of older answers superseded. In the transaction of the load.

    Raises
    ------
    PayloadLost
        The lake has not the rows that the check left there.
    """
    for batch in batches:
        values = _record_rows(cursor, lake, pipeline, window, batch, run)
        cursor.execute(RELEASE, values)


def record_blocked(
    cursor: PgCursor, lake: Lake, pipeline: str, window: Window, batch: Batch, broken: list[Result], run: RunRef
) -> None:
    """Record a blocked batch: its verdicts, its quarantined rows, and an entry for its rows that broke no rule.

    Parameters
    ----------
    broken : list of Result
        What blocked it, at least one.
    """
    record_verdicts(cursor, pipeline, window, batch, run)
    values = _record_rows(cursor, lake, pipeline, window, batch, run)
    cursor.execute(REST_OF_A_BATCH, values)
    reason = "; ".join(result.sentence for result in broken)
    _record_batch(cursor, values, broken[0].rule, broken[0].column, reason)


def record_unreadable(cursor: PgCursor, pipeline: str, window: Window, batch: Batch, reason: str, run: RunRef) -> None:
    """Record a batch that cannot be parsed: nobody knows how many rows it has."""
    _record_batch(cursor, _values(cursor, pipeline, window, batch, run), UNREADABLE, "*", reason)


def _record_rows(
    cursor: PgCursor, lake: Lake, pipeline: str, window: Window, batch: Batch, run: RunRef
) -> dict[str, Any]:
    """Record a batch's quarantined rows, which stay in the temporary table ``quarantined``; return the values asked."""
    rows = lake.reading(batch.quarantined_uri) if batch.quarantined_count else iter(())
    staged = stage_as(cursor, "quarantined", QUARANTINED, rows)
    refuse_short(batch.quarantined_uri, staged, batch.quarantined_count)
    values = _values(cursor, pipeline, window, batch, run)
    if batch.quarantined_count:
        cursor.execute(RECORD_ROWS, values)
    return values


def _record_batch(cursor: PgCursor, values: dict[str, Any], rule: str, column: str, reason: str) -> None:
    statement = WITHOUT_PAYLOAD if values["payload_id"] is None else WITH_PAYLOAD
    cursor.execute(statement, values | {"rule": rule, "column": column, "reason": reason})


def _values(cursor: PgCursor, pipeline: str, window: Window, batch: Batch, run: RunRef) -> dict[str, Any]:
    """Return what the statements ask; what a batch does not say itself is taken from its window and its payloads."""
    first, last = batch.covers or (window.start, window.end)
    query = "select coalesce(%s, max(fetched_at), now()) from raw.payload where payload_id = any(%s::bigint[])"
    return {
        **{"pipeline": pipeline, "source": batch.source, "start": window.start, "end": window.end},
        **{"first": first, "last": last, "row_count": batch.row_count, "run_id": run.run_id},
        **{"payload_ids": list(batch.payload_ids), "payload_id": next(iter(batch.payload_ids), None)},
        "fetched_at": one_value(cursor, query, (batch.fetched_at, list(batch.payload_ids))),
    }
