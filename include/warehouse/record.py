"""What a load leaves on record in ``ops``, in its own transaction: verdicts, lineage, run and watermark."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from psycopg2.extras import DateTimeTZRange, execute_values

from include.windows import Window

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as PgCursor

    from include.spec.model import Pipeline
    from include.warehouse.batch import Batch, Counts, Loaded, RunRef


RESULT = (
    *("rule", "column", "severity", "is_passed", "row_count", "unexpected_count", "observed", "expected"),
    *("stage", "dimension", "note"),
)


def record_verdicts(cursor: PgCursor, pipeline: str, window: Window, batch: Batch, run: RunRef) -> None:
    """Write a batch's verdicts; one that is there already stays as it is."""
    place = (pipeline, batch.source, window.start, window.end, batch.sha256)
    execute_values(
        cursor,
        "insert into ops.quality_result (pipeline, source, window_start_at, window_end_at, batch_sha256, rule,"
        " column_name, severity, is_passed, row_count, unexpected_count, observed, expected, stage, dimension, note,"
        " run_id) values %s on conflict do nothing",
        [(*place, *(getattr(result, name) for name in RESULT), run.run_id) for result in batch.results],
    )


def advance(cursor: PgCursor, pipeline: str, source: str, window: Window) -> None:
    """Move a source's watermark to the end of a window, unless it is further already."""
    cursor.execute(
        "insert into ops.watermark as w (pipeline, source, loaded_until_at) values (%s, %s, %s)"
        " on conflict (pipeline, source) do update set loaded_until_at = excluded.loaded_until_at, updated_at = now()"
        " where excluded.loaded_until_at > w.loaded_until_at",
        (pipeline, source, window.end),
    )


def record_lineage(
    cursor: PgCursor, pipeline: Pipeline, window: Window, batch: Batch, counts: Counts, run: RunRef, loaded_at: datetime
) -> None:
    """Record what a batch was made of and what became of it, where it changed rows or is new to the run."""
    values: dict[str, Any] = {
        **asdict(run),
        **asdict(counts),
        "pipeline": pipeline.pipeline,
        "source": batch.source,
        "start": window.start,
        "end": window.end,
        "sha256": batch.sha256,
        "contract": batch.contract_sha256 or None,
        "table": f"core.{pipeline.table(batch.source)}",
        "payload_ids": list(batch.payload_ids),
        "loaded_at": loaded_at,
    }
    cursor.execute(
        "insert into ops.lineage (dag_id, run_id, loaded_at, pipeline, source, window_start_at, window_end_at,"
        " batch_sha256, contract_sha256, table_name, payload_ids, received_count, inserted_count, revised_count,"
        " corrected_count, withdrawn_count, unchanged_count, quarantined_count) select %(dag_id)s, %(run_id)s,"
        " %(loaded_at)s, %(pipeline)s, %(source)s, %(start)s, %(end)s, %(sha256)s, %(contract)s, %(table)s,"
        " %(payload_ids)s::bigint[], %(received)s, %(inserted)s, %(revised)s, %(corrected)s, %(withdrawn)s,"
        " %(unchanged)s, %(quarantined)s where %(inserted)s + %(revised)s + %(corrected)s + %(withdrawn)s > 0"
        " or not exists (select from ops.lineage where dag_id = %(dag_id)s and run_id = %(run_id)s"
        " and source = %(source)s and batch_sha256 = %(sha256)s)",
        values,
    )


def record_run(
    cursor: PgCursor,
    pipeline: Pipeline,
    window: Window,
    loaded: Loaded,
    run: RunRef,
    is_simulated: bool,
    loaded_at: datetime,
) -> None:
    """Record the load; a retried or cleared run adds a further record only if it changed rows."""
    cursor.execute(
        "insert into ops.run (dag_id, run_id, pipeline, window_start_at, window_end_at, received_count, inserted_count,"
        " revised_count, corrected_count, withdrawn_count, unchanged_count, quarantined_count, checks_passed_count,"
        " checks_total_count, is_simulated, loaded_at, reopened) select %(dag_id)s, %(run_id)s, %(pipeline)s,"
        " %(start)s, %(end)s, %(received)s, %(inserted)s, %(revised)s, %(corrected)s, %(withdrawn)s, %(unchanged)s,"
        " %(quarantined)s, %(checks_passed)s, %(checks_total)s, %(is_simulated)s, %(loaded_at)s,"
        " %(reopened)s::tstzrange[] where %(inserted)s + %(revised)s + %(corrected)s + %(withdrawn)s > 0"
        " or not exists (select from ops.run where dag_id = %(dag_id)s and run_id = %(run_id)s)",
        {
            **asdict(run),
            **asdict(loaded.counts),
            "reopened": [DateTimeTZRange(touched.start, touched.end) for touched in loaded.touched],
            "pipeline": pipeline.pipeline,
            "start": window.start,
            "end": window.end,
            "is_simulated": is_simulated,
            "loaded_at": loaded_at,
        },
    )


def touched_before(cursor: PgCursor, run: RunRef) -> set[Window]:
    """Return the windows that the records of a run say it touched."""
    cursor.execute(
        "select distinct lower(w), upper(w) from ops.run, unnest(reopened) w where dag_id = %s and run_id = %s",
        (run.dag_id, run.run_id),
    )
    return {Window(start, end) for start, end in cursor.fetchall()}
