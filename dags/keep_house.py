"""
**Makes** room: deletes checked batches and half-written files older than `keep_days` from the lake, and pages of
quality reports as old, but the newest of each source.
Payloads stay. `prune_versions` deletes the models and snapshots that `training.keep` allows to go, and records each in
`ml.pruned`; what ever served stays. `prune_predictions` deletes predictions older than `predictions.keep_days`, but
those of versions that stand, answers with feedback and what speaks of a later time. `prune_history` deletes figures of
checks and drift, alerts and times of tasks older than `history_days`, and of each series leaves the newest;
`prune_audit` counts of refused requests (`ops.service_audit`) older than `audit_days`. `sweep_logs` deletes task logs
older than `log_days`, `clean_metadata` what Airflow's own database holds of runs older than `metadata_days`, and its
audit log older than `audit_days`. What stays for ever, above all the ledger, stands in docs/warehouse.md.

**Params**: `keep_days`, `audit_days`, `history_days`, `log_days`, `metadata_days`:
`airflow dags trigger keep_house --conf '{"keep_days":7}'`

**Rerun**: start a new run at any time; it harms nothing that runs.

**It matters** little when it fails once; the disk fills when it fails for weeks.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.sdk import Connection, CronTriggerTimetable, Param, dag, get_current_context, task

from include.spec.load import load_named, load_runnable
from include.steps.connections import postgres_url, warehouse
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


@task
def prune_history() -> dict:
    """Delete old figures of checks and drift, old alerts and times of tasks."""
    from include.steps.old_rows import prune_history

    with warehouse() as engine:
        return prune_history(engine, timedelta(days=get_current_context()["params"]["history_days"]))


@task
def sweep_logs() -> int:
    """Delete old task logs."""
    from airflow.configuration import conf

    from include.steps.keep_house import sweep_logs

    keep = timedelta(days=get_current_context()["params"]["log_days"])
    return sweep_logs(Path(conf.get_mandatory_value("logging", "base_log_folder")), keep)


@task
def clean_metadata() -> None:
    """Delete old runs from Airflow's own database."""
    from include.steps.keep_house import clean_metadata

    params = get_current_context()["params"]
    keep, keep_audit = (timedelta(days=params[name]) for name in ("metadata_days", "audit_days"))
    clean_metadata(postgres_url(Connection.get("airflow_metadata")), keep, keep_audit)


@task(map_index_template="{{ pipeline }}")
def prune_predictions(pipeline: str) -> int:
    """Delete old predictions of one pipeline."""
    from include.steps.old_rows import prune_predictions

    context = get_current_context()
    context["pipeline"] = pipeline
    with open_run(load_named(pipeline), context) as run:
        return prune_predictions(run)


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
        "audit_days": Param(
            365, type="integer", minimum=1, description="Days to keep who was refused, and who did what."
        ),
        "history_days": Param(730, type="integer", minimum=1, description="Days to keep figures of checks and drift."),
        "log_days": Param(30, type="integer", minimum=1, description="Days to keep task logs."),
        "metadata_days": Param(90, type="integer", minimum=1, description="Days to keep Airflow's runs."),
    },
    default_args={"owner": "platform", "retries": 1, "execution_timeout": timedelta(hours=6)},
)
def keep_house() -> None:
    """Register ``keep_house``."""
    clean_lake()
    sweep_pages()
    prune_audit()
    prune_history()
    sweep_logs()
    clean_metadata()
    names = list(load_runnable())
    prune_predictions.expand(pipeline=names)
    prune_versions.expand(pipeline=names)


keep_house()
