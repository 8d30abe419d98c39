"""Load checked batches of one window, exactly once, in one transaction."""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from psycopg2.extras import execute_values

from include.warehouse.merge import merge, stage
from include.warehouse.tables import ensure_table

if TYPE_CHECKING:
    import pandas as pd
    from psycopg2.extensions import connection as PgConnection
    from psycopg2.extensions import cursor as PgCursor

    from include.quality.contract import Result
    from include.spec.model import Pipeline
    from include.windows import Window

REJECTED = ["payload_id", "row_number", "rule", "column_name", "reason", "raw_row"]


@dataclass(frozen=True)
class RunRef:
    """Which DAG run does the work."""

    dag_id: str
    run_id: str


@dataclass(frozen=True)
class Batch:
    """A source's rows for one window, checked.

    Attributes
    ----------
    accepted : DataFrame
        `valid_at`, `available_at` (UTC), `payload_id` and the spec's columns, typed.
    rejected : DataFrame
        `REJECTED`; `raw_row` is JSON text.
    results : list of Result
        What each check found.
    sha256 : str
        Hash of payloads and contract.
    """

    source: str
    accepted: pd.DataFrame
    rejected: pd.DataFrame
    results: list[Result]
    sha256: str
    is_simulated: bool = False


@dataclass
class Counts:
    """What a load did to the rows it received."""

    received: int = 0
    inserted: int = 0
    revised: int = 0
    unchanged: int = 0
    quarantined: int = 0
    checks_passed: int = 0
    checks_total: int = 0


def load_window(
    connection: PgConnection, pipeline: Pipeline, window: Window, batches: list[Batch], run: RunRef
) -> Counts:
    """Merge a window's batches into ``core`` in the caller's transaction, with verdicts, quarantine and watermark.

    Idempotent: the same batches again change no row in ``core``. Loads of one pipeline wait
    for each other. Nothing is visible before the caller commits.

    Parameters
    ----------
    connection : psycopg2 connection
        Open, in a transaction of its own.
    batches : list of Batch
        One a source; all of them or none are loaded.

    Returns
    -------
    Counts
        `received` = `inserted` + `revised` + `unchanged` + `quarantined`.

    Raises
    ------
    ConfigError
        If a table's key or a column's type is another than the spec says; not retried.
    psycopg2.Error
        If the database is gone or refuses; everything is rolled back and a retry is safe.
    """
    counts = Counts()
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(hashtext(%s))", (f"load:{pipeline.pipeline}",))
        # Not now(): that is when the transaction began, perhaps before the load it had to wait for.
        cursor.execute("select clock_timestamp()")
        [(loaded_at,)] = cursor.fetchall()
        for batch in batches:
            _load(cursor, pipeline, batch, loaded_at, counts)
            record_checks(cursor, pipeline.pipeline, window, batch, run)
            _advance(cursor, pipeline.pipeline, batch.source, window)
        is_simulated = any(batch.is_simulated for batch in batches if batch.source == pipeline.main)
        _record_run(cursor, pipeline, window, counts, run, is_simulated, loaded_at)
    return counts


def record_checks(cursor: PgCursor, pipeline: str, window: Window, batch: Batch, run: RunRef) -> None:
    """Write a batch's verdicts and quarantined rows; what is there already stays as it is."""
    place = (pipeline, batch.source, window.start, window.end)
    execute_values(
        cursor,
        "insert into ops.quality_result (pipeline, source, window_start_at, window_end_at, batch_sha256, rule,"
        " column_name, severity, is_passed, row_count, unexpected_count, observed, expected, run_id)"
        " values %s on conflict do nothing",
        [(*place, batch.sha256, *astuple(result), run.run_id) for result in batch.results],
    )
    execute_values(
        cursor,
        "insert into ops.quarantine (pipeline, source, window_start_at, window_end_at, payload_id, row_number, rule,"
        " column_name, reason, raw_row, run_id) values %s on conflict do nothing",
        [(*place, *row, run.run_id) for row in batch.rejected[REJECTED].itertuples(index=False, name=None)],
        page_size=1000,
    )


def _load(cursor: PgCursor, pipeline: Pipeline, batch: Batch, loaded_at: datetime, counts: Counts) -> None:
    """Merge one batch and add to the counts."""
    ensure_table(cursor, pipeline, batch.source)
    stage(cursor, pipeline, batch.source, batch.accepted)
    inserted, revised = merge(cursor, pipeline, batch.source, loaded_at)
    counts.received += len(batch.accepted) + len(batch.rejected)
    counts.inserted += inserted
    counts.revised += revised
    counts.unchanged += len(batch.accepted) - inserted - revised
    counts.quarantined += len(batch.rejected)
    counts.checks_passed += sum(result.is_passed for result in batch.results)
    counts.checks_total += len(batch.results)


def _advance(cursor: PgCursor, pipeline: str, source: str, window: Window) -> None:
    cursor.execute(
        "insert into ops.watermark as w (pipeline, source, loaded_until_at) values (%s, %s, %s)"
        " on conflict (pipeline, source) do update set loaded_until_at = excluded.loaded_until_at, updated_at = now()"
        " where excluded.loaded_until_at > w.loaded_until_at",
        (pipeline, source, window.end),
    )


def _record_run(
    cursor: PgCursor,
    pipeline: Pipeline,
    window: Window,
    counts: Counts,
    run: RunRef,
    is_simulated: bool,
    loaded_at: datetime,
) -> None:
    """Record the load; a retried or cleared run adds a further record only if it changed rows."""
    cursor.execute(
        "insert into ops.run (dag_id, run_id, pipeline, window_start_at, window_end_at, received_count, inserted_count,"
        " revised_count, unchanged_count, quarantined_count, checks_passed_count, checks_total_count, is_simulated,"
        " loaded_at) select %(dag_id)s, %(run_id)s, %(pipeline)s, %(start)s, %(end)s, %(received)s, %(inserted)s,"
        " %(revised)s, %(unchanged)s, %(quarantined)s, %(checks_passed)s, %(checks_total)s, %(is_simulated)s,"
        " %(loaded_at)s where %(inserted)s + %(revised)s > 0"
        " or not exists (select from ops.run where dag_id = %(dag_id)s and run_id = %(run_id)s)",
        {
            **asdict(run),
            **asdict(counts),
            "pipeline": pipeline.pipeline,
            "start": window.start,
            "end": window.end,
            "is_simulated": is_simulated,
            "loaded_at": loaded_at,
        },
    )
