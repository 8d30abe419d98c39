"""
**Makes** room: deletes checked batches and half-written files older than `keep_days` from the lake, and
drops staging tables older than `staging_hours` from the warehouse, left behind by loads that never ended.
Payloads, snapshots and every loaded row stay.

**Params**: `keep_days` and `staging_hours`:
`airflow dags trigger keep_house --conf '{"keep_days":7,"staging_hours":2}'`

**Rerun**: start a new run at any time; it harms nothing that runs.

**It matters** little when it fails once; the disk fills when it fails for weeks.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import CronTriggerTimetable, Param, dag, get_current_context, task


@task
def clean_lake() -> int:
    """Delete old leftovers from the lake."""
    from include.lake.store import Lake
    from include.settings import settings
    from include.steps.keep_house import clean_lake

    keep = timedelta(days=get_current_context()["params"]["keep_days"])
    return clean_lake(Lake(settings().lake), keep)


@task
def sweep_staging() -> int:
    """Drop old staging tables from the warehouse."""
    from airflow.sdk import Connection

    from include.steps.keep_house import sweep_staging
    from include.steps.wiring import postgres_url
    from include.warehouse.engine import connect_engine

    keep = timedelta(hours=get_current_context()["params"]["staging_hours"])
    return sweep_staging(connect_engine(postgres_url(Connection.get("warehouse"))), keep)


@dag(
    dag_id="keep_house",
    description="Delete what interrupted and finished work left behind",
    doc_md=__doc__,
    tags={"impact/tier_3", "rerun/now"},
    schedule=CronTriggerTimetable("0 3 * * *", timezone="UTC"),
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    is_paused_upon_creation=False,
    params={
        "keep_days": Param(14, type="integer", minimum=1, description="Days to keep leftovers in the lake."),
        "staging_hours": Param(24, type="integer", minimum=0, description="Hours to keep staging tables."),
    },
    default_args={"owner": "platform", "retries": 1},
)
def keep_house() -> None:
    """Register ``keep_house``."""
    clean_lake()
    sweep_staging()


keep_house()
