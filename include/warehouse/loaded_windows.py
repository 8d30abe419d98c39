"""Which windows of a source are loaded, and which of them were read by another contract than pipeline.yaml has now."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.engine import Connection

from include.spec.model import Pipeline
from include.windows import Window, midnight

# What counts is how a window was read last.
OUTDATED = """
with newest as (
    select distinct on (window_start_at, window_end_at) window_start_at, window_end_at, contract_sha256, lineage_id
    from ops.lineage where (pipeline, source) = (%(pipeline)s, %(source)s) and window_start_at is not null
    order by window_start_at, window_end_at, lineage_id desc
)
select window_start_at, window_end_at from newest l
where contract_sha256 is distinct from %(contract)s
    and not tstzrange(window_start_at, window_end_at) <@ coalesce((
        select range_agg(tstzrange(n.window_start_at, n.window_end_at)) from newest n
        where n.contract_sha256 = %(contract)s and n.lineage_id > l.lineage_id), '{}')
order by 1, 2
"""

# A window whose batch waits in quarantine was answered: a person has to decide about it, not the clock.
GAPS = """
with asked(source, stretch) as (
    select source, tstzrange(window_start_at, window_end_at) from ops.lineage
    where pipeline = %(pipeline)s and window_start_at is not null
    union all
    select s, tstzrange(window_start_at, window_end_at) from ops.quarantine, unnest(%(sources)s::text[]) s
    where pipeline = %(pipeline)s and is_waiting and row_number is null
), gaps as (
    select tstzmultirange(tstzrange(%(start)s, %(end)s)) - coalesce((
        select range_agg(stretch) from asked a where a.source = s), '{}') as stretches
    from unnest(%(sources)s::text[]) s
)
select lower(gap), upper(gap) from unnest((select range_agg(g) from gaps, unnest(stretches) g)) gap order by 1
"""


def gaps(connection: Connection, pipeline: Pipeline, until: datetime) -> list[Window]:
    """Return the stretches from the schedule's start until an instant that some source was not asked for, in order.

    A load counts for the sources it read, also where they had no rows; one that failed or was refused does not.
    """
    start = midnight(pipeline.schedule.start, pipeline.zone)
    if until <= start:
        return []
    values = {"pipeline": pipeline.pipeline, "sources": list(pipeline.sources), "start": start, "end": until}
    return [Window(start, end) for start, end in connection.exec_driver_sql(GAPS, values)]


def loaded_span(connection: Connection, pipeline: Pipeline, source: str) -> tuple[datetime, datetime] | None:
    """Return where a source's first loaded window starts and its last one ends, UTC; None before the first load."""
    first, last = connection.exec_driver_sql(
        "select min(window_start_at), max(window_end_at) from ops.lineage where (pipeline, source) = (%s, %s)",
        (pipeline.pipeline, source),
    ).one()
    return None if first is None else (first, last)


def payload_counts(connection: Connection, pipeline: Pipeline, window: Window) -> dict[str, int]:
    """Return how many payloads of each source loads of an overlapping window have read; empty where there is none."""
    rows = connection.exec_driver_sql(
        "select source, sum(cardinality(payload_ids))::bigint from ops.lineage where pipeline = %s"
        " and window_start_at < %s and window_end_at > %s group by source",
        (pipeline.pipeline, window.end, window.start),
    )
    return {source: int(count) for source, count in rows}


def rows_outside(connection: Connection, pipeline: Pipeline) -> dict[str, tuple[int, int]]:
    """Return how many rows of a source's newest file lie before the first window and after the last, where any do."""
    rows = connection.exec_driver_sql(
        "select distinct on (source) source, before_count, after_count from ops.lineage where pipeline = %s"
        " order by source, lineage_id desc",
        (pipeline.pipeline,),
    )
    return {source: (before, after) for source, before, after in rows if before + after}


def outdated_windows(connection: Connection, pipeline: Pipeline, source: str) -> list[Window]:
    """Return a source's windows that were loaded under an older contract, or before contracts were recorded."""
    contract = pipeline.sources[source].contract_sha256()
    values = {"pipeline": pipeline.pipeline, "source": source, "contract": contract}
    rows = connection.exec_driver_sql(OUTDATED, values)
    return [Window(start, end) for start, end in rows]


def windows_to_read_again(connection: Connection, pipeline: Pipeline) -> list[Window]:
    """Return the windows of any source that were loaded under an older contract, without those inside of others."""
    every = {window for source in pipeline.sources for window in outdated_windows(connection, pipeline, source)}
    widest: list[Window] = []
    for window in sorted(every, key=lambda window: (window.start, -window.end.timestamp())):
        if not widest or window.end > widest[-1].end:
            widest.append(window)
    return widest
