"""
**Makes** people know: looks in every pipeline for what is overdue (a stretch of time that the clock's runs should have
loaded, a prediction that is not there by `predictions.due`, a run that has not ended in time), watches the health of
each pipeline, of one whose file is broken, too, and tells of what changed (`ops.incident`: once when it turns bad,
again when it turns worse, and when it is over), and delivers the alerts that wait in `ops.alert` to the webhooks and
addresses under `alerts.to` in pipeline.yaml.

One that cannot be delivered is tried again, eight times within half a day, then it is given up; `ciclo status` shows
both. Alerts that say the same go out as one.

**Params**: none.

**Rerun**: start a new run at any time; what was delivered is not sent again.

**It matters** as much as the pipelines do: while it fails, nobody hears of them except in the web UI and the logs.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import Connection, CronTriggerTimetable, dag, task

from include.spec.load import load_runnable
from include.steps.connections import warehouse


@task
def find_overdue() -> int:
    """Raise an alert for whatever should be there by now."""
    from include.steps.alert import find_overdue

    with warehouse() as engine:
        return find_overdue(engine, load_runnable(), datetime.now(UTC))


@task(trigger_rule="all_done")
def find_late() -> int:
    """Raise an alert for each run that has not ended in time."""
    from include.steps.connections import postgres_url
    from include.steps.late import find_late
    from include.warehouse.engine import connect_engine

    metadata = connect_engine(postgres_url(Connection.get("airflow_metadata")))
    try:
        with warehouse() as engine:
            return find_late(engine, metadata, load_runnable(), datetime.now(UTC))
    finally:
        metadata.dispose()


@task(trigger_rule="all_done")
def watch_health() -> dict:
    """Look how each pipeline is, and tell of what changed."""
    import os

    from include.local.validation import faults_of_all
    from include.steps.alert import watch_health

    faults = faults_of_all(environ=None)
    with warehouse() as engine:
        return watch_health(engine, load_runnable(), faults, os.environ["MLFLOW_TRACKING_URI"], datetime.now(UTC))


@task(trigger_rule="all_done", retries=0)
def deliver() -> int:
    """Send what waits; what fails is tried again by the runs to come."""
    from include.alerts.deliver import deliver

    with warehouse() as engine:
        return deliver(engine, load_runnable())


@dag(
    dag_id="alert",
    description="Notice what is overdue and deliver alerts",
    doc_md=__doc__,
    tags={"impact/tier_1", "rerun/now"},
    schedule=CronTriggerTimetable("*/5 * * * *", timezone="UTC"),
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    is_paused_upon_creation=False,
    default_args={"owner": "platform", "retries": 1, "execution_timeout": timedelta(minutes=15)},
)
def alert() -> None:
    """Register ``alert``."""
    [find_overdue(), find_late()] >> watch_health() >> deliver()


alert()
