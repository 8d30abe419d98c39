"""What the charts of a pipeline are drawn from; the newest windows of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.page.data.reading import Row, rows

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

WINDOWS = 36
ROWS = 160
# The loss that is watched: of an event the Brier score, else the mean absolute error.
ERRORS = f"""
select * from (
    select distinct on (window_start_at) window_start_at, window_end_at, statistic, value, reference as promised,
        threshold, status, reason, row_count, model_version
    from ml.performance where pipeline = %s and kind = 'error' and subject = 'prediction' and slice = ''
        and statistic in ('mae', 'brier')
    order by window_start_at desc, statistic = 'brier' desc, measured_at desc limit {WINDOWS}
) newest order by window_start_at
"""
# Of each window the feature that moved farthest for its limit; the limit makes all features one family.
DRIFT = f"""
select * from (
    select distinct on (window_start_at) window_start_at, window_end_at, subject, value, threshold,
        value / threshold as ratio, status, model_version,
        count(*) filter (where status = 'breach') over (partition by window_start_at, run_id) as breaches
    from ml.drift where pipeline = %s and kind = 'joint' and statistic = 'shift' and slice = ''
    order by window_start_at desc, measured_at desc, value / threshold desc nulls last limit {WINDOWS}
) newest order by window_start_at
"""
SCORES = f"""
with windows as (
    select distinct window_end_at from ops.quality_score where pipeline = %(pipeline)s and source = %(source)s
    order by window_end_at desc limit {WINDOWS}
)
select distinct on (dimension, window_end_at) dimension, window_start_at, window_end_at, score, threshold, basis
from ops.quality_score where pipeline = %(pipeline)s and source = %(source)s and column_name = '*'
    and window_end_at in (select window_end_at from windows)
order by dimension, window_end_at, measured_at desc
"""
# The newest rows of one entity that met their truth, as the version that was live predicted them.
TRUTHS = f"""
with newest as (
    select p.prediction_id, p.entity, p.valid_at, p.target_at, p.predicted, p.lower_bound, p.upper_bound,
        p.model_version
    from ml.prediction p join mart.live_version l on l.pipeline = p.pipeline and l.version = p.model_version
        and p.valid_at >= l.from_at and (l.to_at is null or p.valid_at < l.to_at)
    where p.pipeline = %(pipeline)s and p.kind = 'batch' and p.is_honest and p.valid_at is not null
    order by p.valid_at desc limit 5 * {ROWS}
)
select * from (
    select n.*, t.target as actual from newest n
    left join feature.target t on t.pipeline = %(pipeline)s and t.entity = n.entity and t.valid_at = n.valid_at
    where n.entity = (select entity from newest order by valid_at desc, entity limit 1)
    order by n.valid_at desc limit {ROWS}
) shown order by valid_at
"""


def errors(connection: Connection, pipeline: str) -> list[Row]:
    """Return the live error of each window, oldest first."""
    return rows(connection, ERRORS, (pipeline,))


def drift(connection: Connection, pipeline: str) -> list[Row]:
    """Return the feature that moved most in each window, oldest first."""
    return rows(connection, DRIFT, (pipeline,))


def scores(connection: Connection, pipeline: str, source: str) -> list[Row]:
    """Return the scores of a source by dimension and window."""
    return rows(connection, SCORES, {"pipeline": pipeline, "source": source})


def truths(connection: Connection, pipeline: str) -> list[Row]:
    """Return predictions of the live versions beside what came, oldest first, of one entity."""
    return rows(connection, TRUTHS, {"pipeline": pipeline})
