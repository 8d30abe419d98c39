"""
**Makes** room: deletes checked batches and half-written files older than `keep_days` from the lake, and pages of
quality reports as old, but the newest of each source.
Payloads stay, and everything in the warehouse but counts of refused requests (`ops.service_audit`) older than
`audit_days`. `prune_versions` deletes the models and snapshots that `training.keep` allows to go, and records each in
`ml.pruned`; what ever served stays.

**Params**: `keep_days`, `audit_days`: `airflow dags trigger keep_house --conf '{"keep_days":7}'`

**Rerun**: start a new run at any time; it harms nothing that runs.

**It matters** little when it fails once; the disk fills when it fails for weeks.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import CronTriggerTimetable, Param, dag, get_current_context, task

from include.spec.load import load_named, load_runnable
from include.steps.connections import warehouse
from include.steps.run import open_run


@task
def clean_lake() -> int:
    """Delete old leftovers from the lake."""
    from include.lake.store import Lake
    from include.settings import settings
    from include.steps.keep_house import clean_lake

    keep = timedelta(days=get_current_context()["params"]["keep_days"])
    return clean_lake(Lake(settings().lake), keep)


@task
def sweep_pages() -> int:
    """Delete old pages of Data Docs."""
    from include.settings import settings
    from include.steps.keep_house import sweep_pages

    keep = timedelta(days=get_current_context()["params"]["keep_days"])
    return sweep_pages(settings().var / "docs", keep)


@task
def prune_audit() -> int:
    """Delete old counts of refused requests."""
    from include.steps.keep_house import prune_audit

    with warehouse() as engine:
        return prune_audit(engine, timedelta(days=get_current_context()["params"]["audit_days"]))


@task(map_index_template="{{ pipeline }}")
def prune_versions(pipeline: str) -> dict:
    """Delete old models and snapshots of one pipeline."""
    from include.steps.retention import prune

    context = get_current_context()
    context["pipeline"] = pipeline
    with open_run(load_named(pipeline), context) as run:
        return prune(run)


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
        "keep_days": Param(14, type="integer", minimum=1, description="Days to keep leftovers."),
        "audit_days": Param(365, type="integer", minimum=1, description="Days to keep counts of refused requests."),
    },
    default_args={"owner": "platform", "retries": 1},
)
def keep_house() -> None:
    """Register ``keep_house``."""
    clean_lake()
    sweep_pages()
    prune_audit()
    prune_versions.expand(pipeline=list(load_runnable()))


keep_house()
