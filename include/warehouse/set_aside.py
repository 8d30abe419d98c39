"""What is set aside in ``ops.quarantine``, row by row and batch by batch, and what a load brings back from there.

An entry waits as long as its status is open or accepted and `loaded_at` is null. `pending` holds the
times it may be about for which neither it nor a newer answer is loaded: one instant, or for a row
without a readable time and for a batch as a whole every time the batch covered. Each load takes
its own times out of it; when none is left the entry waits no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.warehouse.staging import REJECTED, refuse_short, stage_as
from include.windows import Window

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as PgCursor

    from include.lake.store import Lake
    from include.warehouse.batch import Batch, RunRef

UNREADABLE = "readable"  # the rule of a batch that could not even be parsed
RECORD_ROWS = """
insert into ops.quarantine as q (pipeline, source, window_start_at, window_end_at, payload_id, row_number, valid_at,
    rule, column_name, reason, raw_row, fetched_at, pending, run_id)
select %(pipeline)s, %(source)s, %(start)s, %(end)s, payload_id, row_number, valid_at, rule, column_name, reason,
    raw_row::jsonb, %(fetched_at)s, tstzmultirange(tstzrange(coalesce(valid_at, %(first)s),
    coalesce(valid_at, %(last)s), case when valid_at is null then '[)' else '[]' end)), %(run_id)s
from set_aside order by payload_id, row_number
on conflict (payload_id, row_number) do update set valid_at = excluded.valid_at, rule = excluded.rule,
    column_name = excluded.column_name, reason = excluded.reason, raw_row = excluded.raw_row,
    fetched_at = excluded.fetched_at, pending = excluded.pending, run_id = excluded.run_id, loaded_at = null,
    status = case q.status when 'accepted' then 'accepted' else 'open' end,
    status_at = case when q.status in ('open', 'accepted') then q.status_at else now() end,
    status_by = case q.status when 'accepted' then q.status_by end,
    status_reason = case q.status when 'accepted' then q.status_reason end
where q.loaded_at is not null or q.status not in ('open', 'accepted')
    or (q.valid_at, q.rule, q.column_name, q.reason, q.raw_row)
       is distinct from (excluded.valid_at, excluded.rule, excluded.column_name, excluded.reason, excluded.raw_row)
"""
IS_NOT_SET_ASIDE = (
    "not exists (select from set_aside s where (s.payload_id, s.row_number) = (q.payload_id, q.row_number))"
)
WAITING = """
q.pipeline = %(pipeline)s and q.source = %(source)s and q.loaded_at is null and q.status in ('open', 'accepted')
    and q.pending && tstzmultirange(tstzrange(%(first)s, %(last)s))
"""
SETTLE = f"""
with settled as (
    select quarantine_id, coalesce(q.payload_id = any(%(payload_ids)s::bigint[]), false) as is_own,
           pending - tstzmultirange(tstzrange(%(first)s, %(last)s)) as pending
    from ops.quarantine q left join set_aside s on (s.payload_id, s.row_number) = (q.payload_id, q.row_number)
    where {WAITING} and case when q.payload_id = any(%(payload_ids)s::bigint[]) then s.payload_id is null
                             else fetched_at < %(fetched_at)s end
)
update ops.quarantine q set
    pending = s.pending,
    loaded_at = case when isempty(s.pending) then now() end,
    status = case when not isempty(s.pending) or q.status = 'accepted' then q.status
                  when s.is_own then 'released' else 'superseded' end,
    status_at = case when not isempty(s.pending) or q.status = 'accepted' then q.status_at else now() end,
    status_by = case when not isempty(s.pending) or q.status = 'accepted' then q.status_by else %(run_id)s end
from settled s where q.quarantine_id = s.quarantine_id
"""
REST_OF_A_BATCH = f"""
update ops.quarantine q set status = 'superseded', status_at = now(), status_by = %(run_id)s,
    status_reason = 'breaks no rule any more; it waits with its stopped batch'
where {WAITING} and q.status = 'open' and q.row_number is not null and q.payload_id = any(%(payload_ids)s::bigint[])
    and {IS_NOT_SET_ASIDE}
"""
FIND_WHOLE = """
select quarantine_id from ops.quarantine
where row_number is null and payload_id is not distinct from %(payload_id)s
    and (%(payload_id)s is not null or (pipeline, source, window_start_at, window_end_at)
                                       = (%(pipeline)s, %(source)s, %(start)s, %(end)s))
"""
ADD_WHOLE = """
insert into ops.quarantine (pipeline, source, window_start_at, window_end_at, payload_id, row_count, rule, column_name,
    reason, fetched_at, pending, run_id)
values (%(pipeline)s, %(source)s, %(start)s, %(end)s, %(payload_id)s, %(row_count)s, %(rule)s, %(column)s, %(reason)s,
    %(fetched_at)s, tstzmultirange(tstzrange(%(first)s, %(last)s)), %(run_id)s)
"""
# Two parts of one payload, each with times of its own, are counted together; a part that comes again is not.
CHANGE_WHOLE = """
update ops.quarantine q set rule = %(rule)s, column_name = %(column)s, reason = %(reason)s, fetched_at = %(fetched_at)s,
    row_count = new.row_count, pending = new.pending, run_id = %(run_id)s, loaded_at = null,
    status = case status when 'accepted' then status else 'open' end,
    status_at = case when status in ('open', 'accepted') then status_at else now() end,
    status_by = case status when 'accepted' then status_by end,
    status_reason = case status when 'accepted' then status_reason end
from (
    select case when is_waiting and not pending && own then row_count else 0 end + %(row_count)s as row_count,
           case when is_waiting then pending + own else own end as pending, is_waiting
    from (select *, loaded_at is null and status in ('open', 'accepted') as is_waiting,
                 tstzmultirange(tstzrange(%(first)s, %(last)s)) as own
          from ops.quarantine where quarantine_id = %(id)s) old
) new
where quarantine_id = %(id)s and (not new.is_waiting or (q.rule, q.column_name, q.reason, q.row_count, q.pending)
    is distinct from (%(rule)s, %(column)s, %(reason)s, new.row_count, new.pending))
"""


@dataclass(frozen=True)
class Answer:
    """What a batch was made of: where its rows came from, and what times they may be about.

    Attributes
    ----------
    covers : Window
        The times.
    fetched_at : datetime
        When its last payload had arrived, UTC: of two answers the later one counts.
    """

    source: str
    covers: Window
    payload_ids: tuple[int, ...]
    fetched_at: datetime


def answer_of(cursor: PgCursor, window: Window, batch: Batch) -> Answer:
    """Return what a batch was made of; what it does not say itself is taken from its window and its payloads."""
    covers = Window(*batch.covers) if batch.covers else window
    fetched_at = batch.fetched_at
    if fetched_at is None:
        cursor.execute(
            "select max(fetched_at) from raw.payload where payload_id = any(%s::bigint[])", (list(batch.payload_ids),)
        )
        [(fetched_at,)] = cursor.fetchall()
    return Answer(batch.source, covers, batch.payload_ids, fetched_at or datetime.now(UTC))


def record_rows(cursor: PgCursor, lake: Lake, pipeline: str, window: Window, batch: Batch, run: RunRef) -> None:
    """Write a batch's rejected rows; one that is recorded already is opened again, if anything about it differs.

    They stay in the temporary table ``set_aside``, for `settle` or `record_stopped` after it.

    Raises
    ------
    PayloadLost
        The lake has not the rows that the check left there.
    """
    rows = lake.reading(batch.rejected_uri) if batch.rejected_count else iter(())
    refuse_short(batch.rejected_uri, stage_as(cursor, "set_aside", REJECTED, rows), batch.rejected_count)
    if batch.rejected_count:
        cursor.execute(RECORD_ROWS, _values(pipeline, window, answer_of(cursor, window, batch), run))


def settle(cursor: PgCursor, pipeline: str, window: Window, batch: Batch, run: RunRef) -> None:
    """Let what waits go on that a batch has loaded: its own rows are released, those of older answers superseded.

    Comes after `record_rows` and the merge, in the same transaction.
    """
    cursor.execute(SETTLE, _values(pipeline, window, answer_of(cursor, window, batch), run))


def record_stopped(
    cursor: PgCursor, pipeline: str, window: Window, batch: Batch, rule: str, column: str, reason: str, run: RunRef
) -> None:
    """Write an entry for a stopped batch as a whole, which stands for its rows that broke no rule themselves.

    Comes after `record_rows`, in the same transaction.
    """
    answer = answer_of(cursor, window, batch)
    cursor.execute(REST_OF_A_BATCH, _values(pipeline, window, answer, run))
    _record_whole(cursor, pipeline, window, answer, run, rule, column, reason, batch.row_count)


def record_unreadable(
    cursor: PgCursor, pipeline: str, window: Window, answer: Answer, reason: str, run: RunRef
) -> None:
    """Write an entry for a batch that cannot be parsed: nobody knows how many rows it has."""
    _record_whole(cursor, pipeline, window, answer, run, UNREADABLE, "*", reason, 0)


def _record_whole(
    cursor: PgCursor,
    pipeline: str,
    window: Window,
    answer: Answer,
    run: RunRef,
    rule: str,
    column: str,
    reason: str,
    row_count: int,
) -> None:
    values = _values(pipeline, window, answer, run)
    values |= {"rule": rule, "column": column, "reason": reason, "row_count": row_count}
    cursor.execute(FIND_WHOLE, values)
    found = cursor.fetchone()
    cursor.execute(CHANGE_WHOLE if found else ADD_WHOLE, values | {"id": found[0] if found else None})


def _values(pipeline: str, window: Window, answer: Answer, run: RunRef) -> dict[str, Any]:
    return {
        "pipeline": pipeline,
        "source": answer.source,
        "start": window.start,
        "end": window.end,
        "first": answer.covers.start,
        "last": answer.covers.end,
        "payload_ids": list(answer.payload_ids),
        "payload_id": answer.payload_ids[0] if answer.payload_ids else None,
        "fetched_at": answer.fetched_at,
        "run_id": run.run_id,
    }
