"""Load the checked batches of one window, exactly once, in one transaction."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from include.quality.contract import breaches
from include.warehouse import record
from include.warehouse.assess import Agreements, below, compare, record_quality
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
    from include.warehouse.change import Change


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
    covers : tuple of datetime, optional
        The times its rows may be about, UTC, the second excluded.
    profile_uri : str
        Where its profile lies; empty without one.
    newest_at : dict
        The newest `valid_at` of any accepted row (``*``), and with a value of columns that must be fresh, UTC.
    is_accepted : bool
        Whether somebody vouches for it, so that no breach stops it.
    fetched_at : datetime, optional
        When what it is made of had arrived, UTC; none where nobody noted it.
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
    covers: tuple[datetime, datetime] | None = None
    fetched_at: datetime | None = None
    profile_uri: str = ""
    newest_at: dict[str, datetime] = field(default_factory=dict)
    is_accepted: bool = False


class Disagreement(Exception):
    """A second source says something else than a batch; nothing of its load may stay.

    Attributes
    ----------
    batch : Batch
        With the results of the comparison among its own.
    broken : list of Result
        What stops it.
    """

    def __init__(self, batch: Batch, results: list[Result], broken: list[Result]) -> None:
        super().__init__("; ".join(record.said(result) for result in broken))
        self.batch, self.broken = replace(batch, results=[*batch.results, *results]), broken


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
    low : list of str
        Scores of quality that lie below their thresholds, in words; not those of a batch that an earlier run loaded.
    changes : list of Change
        The times of rows that are new or changed: features made from them are due.
    """

    counts: Counts = field(default_factory=Counts)
    touched: set[Window] = field(default_factory=set)
    low: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)


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
    Disagreement
        If a second source says something else and the contract stops the batch for it; roll back.
    psycopg2.Error
        If the database is gone or refuses; everything is rolled back and a retry is safe.
    """
    loaded = Loaded()
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(hashtext(%s))", (f"load:{pipeline.pipeline}",))
        loaded_at = _clock(cursor)
        every = [(batch, _merge(cursor, lake, pipeline, window, batch)) for batch in batches]
        for batch, merged in every:
            agreements = compare(cursor, pipeline, batch)  # now that the other sources are there, too
            refuse_disagreement(batch, agreements)
            judged = replace(batch, results=[*batch.results, *agreements.results])
            record.record_checks(cursor, lake, pipeline.pipeline, window, judged, run)
            found = record_quality(cursor, lake, pipeline, window, judged, run, agreements, merged.late)
            loaded.low += below(pipeline, batch.source, found)
            counts = _count(judged, merged)
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


def _merge(cursor: PgCursor, lake: Lake, pipeline: Pipeline, window: Window, batch: Batch) -> Merged:
    ensure_table(cursor, pipeline, batch.source)
    return merge(cursor, lake, pipeline, window, batch, _clock(cursor))


def refuse_disagreement(batch: Batch, agreements: Agreements) -> None:
    """Raise `Disagreement` if a second source says something else and the contract stops the batch for it."""
    broken = breaches(agreements.results)
    if broken and not batch.is_accepted:
        raise Disagreement(batch, agreements.results, broken)


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
    loaded.changes += merged.changes


def _clock(cursor: PgCursor) -> datetime:
    """Return the time, UTC; now() tells when the transaction began, perhaps before the load it had to wait for."""
    cursor.execute("select clock_timestamp()")
    [(clock,)] = cursor.fetchall()
    moment: datetime = clock
    return moment
