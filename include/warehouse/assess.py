"""How good a batch is: its profile, its agreement with other sources and its scores, written with the load."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg2.extensions import cursor as PgCursor
from psycopg2.extras import execute_values

from include.lake.store import Lake
from include.quality.contract import MIN_ROWS_FOR_SHARES, Result
from include.quality.dimensions import scores
from include.quality.score import BATCH, Agreement, BatchFacts, Score
from include.spec.fields import span
from include.spec.model import Pipeline
from include.spec.quality import Agrees
from include.warehouse.agreement import judge_agreement, measure
from include.warehouse.batch import Batch, RunRef
from include.warehouse.profiles import record_profile
from include.windows import Window

LOOK_BACK = span("31 days")  # a window of one day has too few rows to compare


def compare(cursor: PgCursor, pipeline: Pipeline, batch: Batch) -> tuple[dict[str, Agreement], list[Result]]:
    """Compare what a batch brought with the second sources its checks name, after all batches are merged.

    Where the batch covers little time, the 31 days up to its end are compared.

    Returns
    -------
    dict of str to Agreement, list of Result
        What was found, by the name of the check, and the verdicts on it.
    """
    measured: dict[str, Agreement] = {}
    checks = [check for check in pipeline.sources[batch.source].checks if isinstance(check, Agrees)]
    if batch.row_count and batch.covers is not None:
        start, end = batch.covers
        for check in checks:
            for first in (start, min(start, end - LOOK_BACK)):
                measured[check.name] = measure(cursor, pipeline, batch.source, check, Window(first, end))
                if measured[check.name].compared >= MIN_ROWS_FOR_SHARES:
                    break
    return measured, [judge_agreement(check, measured[check.name]) for check in checks if check.name in measured]


def record_quality(
    cursor: PgCursor,
    lake: Lake,
    pipeline: Pipeline,
    window: Window,
    batch: Batch,
    run: RunRef,
    agreements: Mapping[str, Agreement] | None = None,
    late: int | None = None,
) -> list[Score]:
    """Write a batch's profile and scores, and return those of the scores that this run was the first to find.

    Parameters
    ----------
    agreements : mapping of str to Agreement, optional
        None for a blocked batch.
    late : int, optional
        Rows that were new or changed although they were due in an earlier window; None for a blocked batch.
    """
    profile = record_profile(cursor, lake, pipeline.pipeline, window, batch, run)
    facts = BatchFacts(
        received=batch.judged,
        late=late,
        traced=batch.judged,  # reading a payload to its end compares its bytes with their hash, or raises
        covers=batch.covers,
        newest_at=batch.newest_at,
        agreements=agreements or {},
    )
    measured = scores(pipeline.sources[batch.source], batch.results, profile, facts)
    place = (pipeline.pipeline, batch.source, window.start, window.end, batch.sha256)
    rows = [
        (*place, one.dimension, one.column, one.score, pipeline.quality.threshold(one.dimension), one.measured_count,
         one.basis, agreements is not None, batch.is_simulated, run.run_id)
        for one in measured
    ]  # fmt: skip
    execute_values(
        cursor,
        "insert into ops.quality_score (pipeline, source, window_start_at, window_end_at, batch_sha256, dimension,"
        " column_name, score, threshold, measured_count, basis, is_loaded, is_simulated, run_id) values %s"
        " on conflict (pipeline, source, window_start_at, window_end_at, batch_sha256, dimension, column_name)"
        " do update set score = excluded.score, threshold = excluded.threshold, basis = excluded.basis,"
        " measured_count = excluded.measured_count, is_loaded = excluded.is_loaded, run_id = excluded.run_id,"
        " measured_at = excluded.measured_at"
        " where not ops.quality_score.is_loaded and excluded.is_loaded",
        rows,
    )
    cursor.execute(
        "select dimension, column_name from ops.quality_score where (pipeline, source, window_start_at, window_end_at,"
        " batch_sha256, run_id) = (%s, %s, %s, %s, %s, %s)",
        (*place, run.run_id),
    )
    own = set(cursor.fetchall())  # the same batch again, by another run, is no news; by a retry of this one it may be
    return [one for one in measured if (one.dimension, one.column) in own]


def below(pipeline: Pipeline, source: str, scores_: list[Score]) -> list[str]:
    """Return in words which scores of a batch as a whole lie below their thresholds."""
    return [
        f"{source} {one.dimension} {one.score:.1f} is below {pipeline.quality.threshold(one.dimension):g}: {one.basis}"
        for one in scores_
        if one.column == BATCH and one.score < pipeline.quality.threshold(one.dimension)
    ]
