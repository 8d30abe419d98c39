"""What happened in a pipeline, in the order it happened; and what one run did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.page.data.reading import Row, first, rows

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.engine import Connection

NEWEST = 40  # of each kind
# The first reason tells why, but of a challenger that was rejected or held, where the last says what was missing.
EVENTS = """
with events as (
    (select 'load' as kind, loaded_at as at, dag_id, run_id, window_start_at, window_end_at,
        null::bigint as decision_id, null::int as version, '' as verdict, received_count as row_count,
        quarantined_count, '' as text, false as is_void
    from ops.run where pipeline = %(pipeline)s and loaded_at < %(before)s order by loaded_at desc limit %(newest)s)
    union all
    (select 'decision', decided_at, dag_id, run_id, window_start_at, window_end_at, decision_id, model_version, verdict,
        0, 0, reasons[case when evidence ? 'rules' and verdict <> 'promote' then cardinality(reasons) else 1 end],
        exists (select from ml.decision v where v.voids = d.decision_id)
    from ml.decision d where pipeline = %(pipeline)s and decided_at < %(before)s
    order by position desc limit %(newest)s)
    union all
    (select 'alert', min(raised_at), '', run_id, null, null, null, null, kind, 0, 0, message, false
    from ops.alert where pipeline = %(pipeline)s and raised_at < %(before)s
    group by kind, run_id, message order by min(raised_at) desc limit %(newest)s)
)
select * from events order by at desc, kind limit %(newest)s
"""
LOADS = "select * from ops.run where dag_id = %s and run_id = %s order by loaded_at"
LINEAGE = "select * from ops.lineage where dag_id = %s and run_id = %s order by lineage_id limit 500"
DECISIONS = """
select decision_id, verdict, model_version, reasons, decided_at from ml.decision
where dag_id = %s and run_id = %s and pipeline = %s order by decision_id
"""
ALERTS = """
select kind, message, min(raised_at) as raised_at, array_agg(distinct status order by status) as statuses from ops.alert
where pipeline = %s and run_id = %s group by kind, message order by 3 limit 50
"""
# No index leads from a run to what it predicted: the newest are looked through.
LOOKED_THROUGH = 200_000
PREDICTED = f"""
select count(*) over () as total, prediction_id, entity, valid_at, target_at, predicted, lower_bound, upper_bound,
    model_version, kind
from (select * from ml.prediction order by prediction_id desc limit {LOOKED_THROUGH}) newest
where pipeline = %s and run_id = %s order by valid_at desc, prediction_id limit 25
"""


def events(connection: Connection, pipeline: str, before: datetime) -> list[Row]:
    """Return the newest events of a pipeline before a time, newest first: loads, decisions and alerts."""
    return rows(connection, EVENTS, {"pipeline": pipeline, "before": before, "newest": NEWEST})


def of_run(connection: Connection, pipeline: str, dag_id: str, run_id: str) -> dict[str, Any]:
    """Return what a run left: `loads`, `lineage`, `decisions`, `alerts` and some of what it predicted."""
    return {
        "loads": rows(connection, LOADS, (dag_id, run_id)),
        "lineage": rows(connection, LINEAGE, (dag_id, run_id)),
        "decisions": rows(connection, DECISIONS, (dag_id, run_id, pipeline)),
        "alerts": rows(connection, ALERTS, (pipeline, run_id)),
        "predicted": rows(connection, PREDICTED, (pipeline, run_id)) if dag_id.startswith("score_") else [],
    }


def is_known(connection: Connection, pipeline: str) -> bool:
    """Tell whether anything was ever loaded or decided of a pipeline."""
    query = (
        "select 1 where exists (select from ops.run where pipeline = %(name)s)"
        " or exists (select from ml.decision where pipeline = %(name)s)"
    )
    return first(connection, query, {"name": pipeline}) is not None
