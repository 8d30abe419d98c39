"""Load the checked batches of one window, exactly once, in one transaction."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime
from itertools import groupby

from psycopg2.extensions import connection as PgConnection
from psycopg2.extensions import cursor as PgCursor

from include.lake.store import Lake
from include.quality.contract import Result, Rule, breaches, result
from include.spec.model import Pipeline
from include.warehouse import record
from include.warehouse.assess import below, compare, record_quality
from include.warehouse.batch import Batch, Counts, Loaded, RunRef
from include.warehouse.engine import one_value
from include.warehouse.merge import Merged, merge, tells_deletions
from include.warehouse.reread import covered, read_again
from include.warehouse.tables import ensure_table, has_rows
from include.windows import Window


class Disagreement(Exception):
    """A second source says something else than a batch; nothing of its load may stay.

    Attributes
    ----------
    batch : Batch
        With the results of the comparison among its own.
    broken : list of Result
        What blocks it.
    """

    def __init__(self, batch: Batch, results: list[Result], broken: list[Result]) -> None:
        super().__init__("; ".join(result.sentence for result in broken))
        self.batch, self.broken = replace(batch, results=[*batch.results, *results]), broken


def load_window(
    connection: PgConnection, lake: Lake, pipeline: Pipeline, window: Window, batches: list[Batch], run: RunRef
) -> Loaded:
    """Merge a window's batches into ``core`` in the caller's transaction, with verdicts and watermark.

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
        `received` = `inserted` + `revised` + `corrected` + `unchanged` + `quarantined` + `outside`.

    Raises
    ------
    ConfigError
        If a table's key or a column's type is another than the spec says; not retried.
    Disagreement
        If a second source says something else and the contract blocks the batch for it; roll back.
    psycopg2.Error
        If the database is gone or refuses; everything is rolled back and a retry is safe.
    """
    loaded = Loaded()
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(hashtext(%s))", (f"load:{pipeline.pipeline}",))
        loaded_at = _clock(cursor)
        every = [
            merged
            for source, own in groupby(batches, key=lambda batch: batch.source)
            for merged in _merge(cursor, lake, pipeline, source, window, list(own))
        ]
        for batch, merged in zip(batches, every, strict=True):
            agreements, results = compare(cursor, pipeline, batch)  # now that the other sources are there, too
            broken = breaches(results)
            if broken and not batch.is_overridden:
                raise Disagreement(batch, results, broken)
            results += deletions(pipeline, batch, merged.withdrawn)
            judged = replace(batch, results=[*batch.results, *results])
            record.record_verdicts(cursor, pipeline.pipeline, window, judged, run)
            scores = record_quality(cursor, lake, pipeline, window, judged, run, agreements, merged.late)
            loaded.low += below(pipeline, batch.source, scores)
            counts = _count(judged, merged)
            record.record_lineage(cursor, pipeline, window, batch, counts, run, loaded_at)
            _add(loaded, counts, merged)
        for source in dict.fromkeys(batch.source for batch in batches if batch.judged):
            record.advance(cursor, pipeline.pipeline, source, window)
        main = [batch for batch in batches if batch.source == pipeline.main]
        if loaded.counts.withdrawn or any(batch.judged for batch in main):  # otherwise there is nothing to monitor
            is_simulated = any(batch.is_simulated for batch in main)
            record.record_run(cursor, pipeline, window, loaded, run, is_simulated, loaded_at)
        loaded.touched |= record.touched_before(cursor, run)
    return loaded


def _merge(
    cursor: PgCursor, lake: Lake, pipeline: Pipeline, source: str, window: Window, batches: list[Batch]
) -> list[Merged]:
    ensure_table(cursor, pipeline, source)
    if any(batch.is_reread for batch in batches) and has_rows(cursor, pipeline.table(source), *covered(batches)):
        return read_again(cursor, lake, pipeline, window, batches, _clock(cursor))
    return [merge(cursor, lake, pipeline, window, batch, _clock(cursor)) for batch in batches]


def _count(batch: Batch, merged: Merged) -> Counts:
    changed = {name: getattr(merged, name) for name in ("inserted", "revised", "corrected")}
    judged = [result for result in batch.results if result.is_judged]
    return Counts(
        **changed,
        withdrawn=merged.withdrawn,
        received=batch.received,
        unchanged=batch.row_count - sum(changed.values()),
        quarantined=batch.quarantined_count,
        outside=batch.outside_count,
        checks_passed=sum(result.is_passed for result in judged),
        checks_total=len(judged),
    )


def deletions(pipeline: Pipeline, batch: Batch, withdrawn: int) -> list[Result]:
    """Return how many rows a batch showed to be deleted at the source, or why that cannot be told."""
    if not pipeline.sources[batch.source].complete:
        return []
    rule = Rule("deleted", "*", "warn", "an answer that holds every row of its window", False, "raw", "consistency")
    if tells_deletions(pipeline, batch):
        return [result(rule, True, batch.received, 0, f"{withdrawn} rows withdrawn")]
    reason = "it is no whole answer" if batch.row_count else "it has no row, and `empty_window` is not fine"
    if batch.quarantined_count:
        reason = f"{batch.quarantined_count} rows are quarantined"
    return [result(rule, False, batch.received, 0, f"not judged which rows were deleted at the source: {reason}")]


def _add(loaded: Loaded, counts: Counts, merged: Merged) -> None:
    for name, value in asdict(counts).items():
        setattr(loaded.counts, name, getattr(loaded.counts, name) + value)
    loaded.touched.update(merged.touched)
    loaded.changes += merged.changes


def _clock(cursor: PgCursor) -> datetime:
    """Return the time, UTC; now() tells when the transaction began, perhaps before the load it had to wait for."""
    moment: datetime = one_value(cursor, "select clock_timestamp()")
    return moment
