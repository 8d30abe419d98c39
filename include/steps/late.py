"""Notice runs that have not ended in time, while they still run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from include.spec.dag_ids import VERBS

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

    from include.spec.model import Pipeline

RUNNING = """
select dag_id, run_id, queued_at from dag_run
where state in ('queued', 'running') and queued_at is not null and dag_id = any(%s) order by queued_at
"""


def find_late(warehouse: Engine, metadata: Engine, pipelines: Mapping[str, Pipeline], now: datetime) -> int:
    """Raise an alert for each run that has not ended `alerts.late_after_minutes` after it was queued; return how many.

    A training that may wait for a person is none of them. What goes on is told once a run.

    Parameters
    ----------
    metadata : Engine
        Of Airflow's own database, which is only read.
    """
    from include.alerts.record import raise_alert
    from include.warehouse.batch import RunRef

    count = 0
    with metadata.connect() as airflow, warehouse.begin() as connection:
        for pipeline in pipelines.values():
            for dag_id, run_id, queued_at in _late(airflow, pipeline, now):
                message = (
                    f"{dag_id} {run_id}: it was queued at {queued_at:%Y-%m-%d %H:%M} UTC and has not ended"
                    f" {pipeline.alerts.late_after_minutes:g} minutes later; see which of its tasks runs or waits"
                )
                raise_alert(connection, pipeline, "overdue", message, RunRef(dag_id, run_id))
                count += 1
    return count


def _late(airflow: Connection, pipeline: Pipeline, now: datetime) -> list[tuple[str, str, datetime]]:
    waits = {f"train_{pipeline.pipeline}"} if pipeline.promotion.approval == "manual" else set()
    names = [f"{verb}_{pipeline.pipeline}" for verb in VERBS]
    before = now - timedelta(minutes=pipeline.alerts.late_after_minutes)
    rows = airflow.exec_driver_sql(RUNNING, ([name for name in names if name not in waits],))
    return [(dag_id, run_id, at) for dag_id, run_id, at in rows if at <= before]
