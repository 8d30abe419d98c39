"""What a load leaves on record in ``ops``, in its own transaction: verdicts, lineage, run and watermark."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor
from psycopg2.extras import DateTimeTZRange, execute_values

from include.spec.model import Pipeline
from include.warehouse.batch import Batch, Counts, Loaded, RunRef
from include.windows import Window

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
    facts = {
        **_load_facts(pipeline, window, counts, run, loaded_at),
        "source": batch.source,
        "batch_sha256": batch.sha256,
        "contract_sha256": batch.contract_sha256 or None,
        "table_name": f"core.{pipeline.table(batch.source)}",
        "payload_ids": list(batch.payload_ids),
        "before_count": batch.before_count,
        "after_count": batch.after_count,
    }
    _record_once(cursor, "ops.lineage", facts, ("dag_id", "run_id", "source", "batch_sha256"), counts)


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
    facts = {
        **_load_facts(pipeline, window, loaded.counts, run, loaded_at),
        "checks_passed_count": loaded.counts.checks_passed,
        "checks_total_count": loaded.counts.checks_total,
        "is_simulated": is_simulated,
        "reopened": [DateTimeTZRange(touched.start, touched.end) for touched in loaded.touched],
    }
    _record_once(cursor, "ops.run", facts, ("dag_id", "run_id"), loaded.counts)


def _load_facts(pipeline: Pipeline, window: Window, counts: Counts, run: RunRef, loaded_at: datetime) -> dict[str, Any]:
    """Return what is said of a whole load and of each of its batches."""
    kinds = ("received", "inserted", "revised", "corrected", "withdrawn", "unchanged", "quarantined", "outside")
    facts = {"window_start_at": window.start, "window_end_at": window.end, "loaded_at": loaded_at}
    facts |= {f"{kind}_count": getattr(counts, kind) for kind in kinds}
    return asdict(run) | {"pipeline": pipeline.pipeline} | facts


def _record_once(cursor: PgCursor, table: str, facts: dict[str, Any], same: tuple[str, ...], counts: Counts) -> None:
    """Insert a row, unless nothing changed and there is one with the same values in some columns."""
    cursor.execute(
        sql.SQL("insert into {table} ({names}) select {values} where %(is_changed)s or not exists ({before})").format(
            table=sql.Identifier(*table.split(".")),
            names=sql.SQL(", ").join(map(sql.Identifier, facts)),
            values=sql.SQL(", ").join(map(sql.Placeholder, facts)),
            before=sql.SQL("select from {} where {}").format(
                sql.Identifier(*table.split(".")),
                sql.SQL(" and ").join(sql.SQL("{} = {}").format(sql.Identifier(n), sql.Placeholder(n)) for n in same),
            ),
        ),
        facts | {"is_changed": bool(counts.inserted + counts.revised + counts.corrected + counts.withdrawn)},
    )


def touched_before(cursor: PgCursor, run: RunRef) -> set[Window]:
    """Return the windows that the records of a run say it touched."""
    cursor.execute(
        "select distinct lower(w), upper(w) from ops.run, unnest(reopened) w where dag_id = %s and run_id = %s",
        (run.dag_id, run.run_id),
    )
    return {Window(start, end) for start, end in cursor.fetchall()}
