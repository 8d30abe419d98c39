"""Load the checked batches of one window, exactly once, in one transaction."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from include.warehouse import record
from include.warehouse.merge import Merged, merge
from include.warehouse.tables import ensure_table
from include.windows import Window

if TYPE_CHECKING:
    from datetime import datetime

    from psycopg2.extensions import connection as PgConnection
    from psycopg2.extensions import cursor as PgCursor

    from include.lake.store import Lake
    from include.quality.contract import Result
    from include.spec.model import Pipeline


@dataclass(frozen=True)
class RunRef:
    """Which DAG run does the work."""

    dag_id: str
    run_id: str


@dataclass(frozen=True)
class Batch:
    """A source's checked rows for one window, waiting in the lake.

    Attributes
    ----------
    accepted_uri, rejected_uri : str
        Streams in the lake, in the shapes of `include.warehouse.staging`.
    spans : dict
        The smallest and largest `valid_at` and `available_at` of the accepted rows, UTC; empty without rows.
    row_count, rejected_count : int
        Accepted and rejected rows in them.
    results : list of Result
        What each check found.
    sha256 : str
        Hash of payloads, contract and window.
    """

    source: str
    accepted_uri: str
    rejected_uri: str
    row_count: int
    rejected_count: int
    results: list[Result]
    sha256: str
    spans: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)
    payload_ids: tuple[int, ...] = ()
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


@dataclass
class Loaded:
    """The outcome of a load.

    Attributes
    ----------
    touched : set of Window
        Windows loaded before that now have late or changed rows, by this load or an earlier try of its
        run: one that was killed after its commit told nobody.
    """

    counts: Counts = field(default_factory=Counts)
    touched: set[Window] = field(default_factory=set)


def load_window(
    connection: PgConnection, lake: Lake, pipeline: Pipeline, window: Window, batches: list[Batch], run: RunRef
) -> Loaded:
    """Merge a window's batches into ``core`` in the caller's transaction, with verdicts, quarantine and watermark.

    Idempotent: the same batches again change no row in ``core``. Loads of one pipeline wait
    for each other. Nothing is visible before the caller commits.

    Parameters
    ----------
    connection : psycopg2 connection
        Open, in a transaction of its own.
    batches : list of Batch
        Of one source in the order they were fetched; all of them or none are loaded.

    Returns
    -------
    Loaded
        `received` = `inserted` + `revised` + `unchanged` + `quarantined`.

    Raises
    ------
    ConfigError
        If a table's key or a column's type is another than the spec says; not retried.
    psycopg2.Error
        If the database is gone or refuses; everything is rolled back and a retry is safe.
    """
    loaded = Loaded()
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(hashtext(%s))", (f"load:{pipeline.pipeline}",))
        loaded_at = _clock(cursor)
        for batch in batches:
            ensure_table(cursor, pipeline, batch.source)
            merged = merge(cursor, lake, pipeline, window, batch, _clock(cursor))
            record.record_checks(cursor, lake, pipeline.pipeline, window, batch, run)
            counts = _count(batch, merged)
            record.record_lineage(cursor, pipeline, batch, counts, run, loaded_at)
            _add(loaded, counts, merged)
        for source in dict.fromkeys(batch.source for batch in batches if batch.row_count + batch.rejected_count):
            record.advance(cursor, pipeline.pipeline, source, window)
        main = [batch for batch in batches if batch.source == pipeline.main]
        if any(batch.row_count + batch.rejected_count for batch in main):  # otherwise there is nothing to monitor
            is_simulated = any(batch.is_simulated for batch in main)
            record.record_run(cursor, pipeline, window, loaded, run, is_simulated, loaded_at)
        loaded.touched |= record.touched_before(cursor, run)
    return loaded


def _count(batch: Batch, merged: Merged) -> Counts:
    return Counts(
        received=batch.row_count + batch.rejected_count,
        inserted=merged.inserted,
        revised=merged.revised,
        unchanged=batch.row_count - merged.inserted - merged.revised,
        quarantined=batch.rejected_count,
        checks_passed=sum(result.is_passed for result in batch.results),
        checks_total=len(batch.results),
    )


def _add(loaded: Loaded, counts: Counts, merged: Merged) -> None:
    for name, value in asdict(counts).items():
        setattr(loaded.counts, name, getattr(loaded.counts, name) + value)
    loaded.touched.update(merged.touched)


def _clock(cursor: PgCursor) -> datetime:
    """Return the time, UTC; now() tells when the transaction began, perhaps before the load it had to wait for."""
    cursor.execute("select clock_timestamp()")
    [(clock,)] = cursor.fetchall()
    moment: datetime = clock
    return moment
