"""Load checked batches of one window, exactly once: COPY into staging, then one merge transaction."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from psycopg2 import sql
from psycopg2.extras import Json, execute_values

from include.warehouse.tables import ensure_table, stored_columns

if TYPE_CHECKING:
    import pandas as pd
    from psycopg2.extensions import connection as PgConnection
    from psycopg2.extensions import cursor as PgCursor

    from include.quality.contract import Result
    from include.spec.model import Pipeline
    from include.windows import Window


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
        `payload_id`, `row_number`, `rule`, `column_name`, `reason`, `raw_row` (JSON text).
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
    tables: dict[str, int] = field(default_factory=dict)


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
    psycopg2.Error
        If the database is gone or refuses; everything is rolled back and a retry is safe.
    """
    counts = Counts()
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(hashtext(%s))", (f"load:{pipeline.pipeline}",))
        # Not now(): that is when the transaction began, perhaps before the load it had to wait for.
        cursor.execute("select clock_timestamp()")
        loaded_at = one(cursor)
        for batch in batches:
            ensure_table(cursor, pipeline, batch.source)
            _stage(cursor, pipeline, batch)
            _merge(cursor, pipeline, batch, loaded_at, counts)
            record_checks(cursor, pipeline.pipeline, window, batch, run)
            counts.quarantined += len(batch.rejected)
            counts.checks_passed += sum(result.is_passed for result in batch.results)
            counts.checks_total += len(batch.results)
            _advance(cursor, pipeline.pipeline, batch.source, window)
        counts.received = counts.inserted + counts.revised + counts.unchanged + counts.quarantined
        _record_run(cursor, pipeline, window, counts, run, any(b.is_simulated for b in batches if b.source == pipeline.main))
    return counts


def record_checks(cursor: PgCursor, pipeline: str, window: Window, batch: Batch, run: RunRef) -> None:
    """Write a batch's verdicts and quarantined rows; what is there already stays as it is."""
    place = (pipeline, batch.source, window.start, window.end)
    execute_values(
        cursor,
        "insert into ops.quality_result (pipeline, source, window_start_at, window_end_at, batch_sha256, rule,"
        " column_name, severity, is_passed, row_count, unexpected_count, observed, expected, run_id)"
        " values %s on conflict do nothing",
        [
            (*place, batch.sha256, r.rule, r.column, r.severity, r.is_passed, r.row_count, r.unexpected_count)
            + (r.observed, r.expected, run.run_id)
            for r in batch.results
        ],
    )
    if len(batch.rejected):
        execute_values(
            cursor,
            "insert into ops.quarantine (pipeline, source, window_start_at, window_end_at, payload_id, row_number, rule,"
            " column_name, reason, raw_row, run_id) values %s on conflict do nothing",
            [
                (*place, int(r.payload_id), int(r.row_number), r.rule, r.column_name, r.reason)
                + (Json(json.loads(r.raw_row)), run.run_id)
                for r in batch.rejected.itertuples()
            ],
        )


def _stage(cursor: PgCursor, pipeline: Pipeline, batch: Batch) -> None:
    """COPY the rows into a temporary table of the target's shape; it is gone with the transaction."""
    columns = ["valid_at", "available_at", "payload_id", *stored_columns(pipeline, batch.source)]
    cursor.execute("drop table if exists staging")
    cursor.execute(
        sql.SQL("create temporary table staging on commit drop as select {} from core.{} with no data").format(
            _identifiers(columns), sql.Identifier(pipeline.table(batch.source))
        )
    )
    copy = sql.SQL("copy staging ({}) from stdin with (format csv, null '')").format(_identifiers(columns))
    cursor.copy_expert(copy, _csv(batch.accepted[columns]))


def _csv(frame: pd.DataFrame) -> io.BytesIO:
    """Write a frame as CSV for COPY: pyarrow does it several times faster than pandas."""
    import pyarrow as pa
    import pyarrow.csv

    buffer = io.BytesIO()
    table = pa.Table.from_pandas(frame, preserve_index=False)
    for index, item in enumerate(table.schema):
        if pa.types.is_timestamp(item.type):  # Postgres reads ISO text with an offset whatever its settings
            text = pa.compute.strftime(table.column(index).cast(pa.timestamp("us", "UTC")), "%Y-%m-%dT%H:%M:%S+00")
            table = table.set_column(index, item.name, text)
    pyarrow.csv.write_csv(table, buffer, pyarrow.csv.WriteOptions(include_header=False))
    buffer.seek(0)
    return buffer


def _merge(cursor: PgCursor, pipeline: Pipeline, batch: Batch, counts: Counts) -> None:
    """Insert what is new, move what changed to the history and update it, leave the rest untouched."""
    table = pipeline.table(batch.source)
    own = list(stored_columns(pipeline, batch.source))
    key = (*pipeline.sources[batch.source].key, "valid_at")
    names: dict[str, Any] = {
        "table": sql.Identifier(table),
        "history": sql.Identifier(f"{table}_history"),
        "all": _identifiers(["valid_at", "available_at", "payload_id", *own]),
        "kept": _identifiers(["valid_at", "available_at", "recorded_at", "payload_id", *own]),
        "kept_t": _identifiers(["valid_at", "available_at", "recorded_at", "payload_id", *own], "t"),
        "same_key": sql.SQL(" and ").join(sql.SQL("t.{0} = s.{0}").format(sql.Identifier(k)) for k in key),
        "differs": sql.SQL("({}) is distinct from ({})").format(_identifiers(own, "t"), _identifiers(own, "s")),
        "sets": sql.SQL(", ").join(sql.SQL("{0} = s.{0}").format(sql.Identifier(c)) for c in (*own, "payload_id")),
        "key": _identifiers(list(key)),
    }
    cursor.execute(
        sql.SQL(
            "insert into core.{history} ({kept}) select {kept_t} from core.{table} t join staging s on {same_key}"
            " where {differs}"
        ).format(**names)
    )
    cursor.execute(
        sql.SQL(  # a revision could be known only once it was fetched, whatever the publication rule says
            "update core.{table} t set {sets}, recorded_at = now(),"
            " available_at = greatest(s.available_at, (select fetched_at from raw.payload p"
            " where p.payload_id = s.payload_id))"
            " from staging s where {same_key} and {differs}"
        ).format(**names)
    )
    revised = cursor.rowcount
    cursor.execute(
        sql.SQL("insert into core.{table} ({all}) select {all} from staging on conflict ({key}) do nothing").format(**names)
    )
    counts.inserted += cursor.rowcount
    counts.revised += revised
    counts.unchanged += len(batch.accepted) - cursor.rowcount - revised
    counts.tables[table] = cursor.rowcount


def _advance(cursor: PgCursor, pipeline: str, source: str, window: Window) -> None:
    cursor.execute(
        "insert into ops.watermark as w (pipeline, source, loaded_until_at) values (%s, %s, %s)"
        " on conflict (pipeline, source) do update set loaded_until_at = excluded.loaded_until_at, updated_at = now()"
        " where excluded.loaded_until_at > w.loaded_until_at",
        (pipeline, source, window.end),
    )


def _record_run(
    cursor: PgCursor, pipeline: Pipeline, window: Window, counts: Counts, run: RunRef, is_simulated: bool
) -> None:
    cursor.execute(
        "insert into ops.run (dag_id, run_id, pipeline, window_start_at, window_end_at, received_count, inserted_count,"
        " revised_count, unchanged_count, quarantined_count, checks_passed_count, checks_total_count, is_simulated)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict (dag_id, run_id) do nothing",
        (run.dag_id, run.run_id, pipeline.pipeline, window.start, window.end, counts.received, counts.inserted)
        + (counts.revised, counts.unchanged, counts.quarantined, counts.checks_passed, counts.checks_total)
        + (is_simulated,),
    )


def _identifiers(names: list[str], alias: str | None = None) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(alias, n) if alias else sql.Identifier(n) for n in names)
