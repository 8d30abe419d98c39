"""
**Makes** a backup of everything (warehouse, MLflow, Airflow's metadata, lake, artifacts, secrets) in the folder that
`ciclo backup --to` named last: an increment on the one before, a full one each week.

**Rehearses** the restore: `rehearse_restore` puts the newest backup together in a server of its own, compares every
table with what was noted, every file with its hash, the chains of decisions and the champions' answers, and keeps
outcome and time in `ops.drill`; nothing else moves. What cannot be tried, because no folder was named or the server
gives no backup, is kept there as unknown, with the reason.

**Params**: `keep`, full backups with their increments: `airflow dags trigger backup --conf '{"keep":4}'`

**Rerun**: start a new run at any time; it harms nothing that runs.

**It matters** when it fails: what is lost then is lost for good. See docs/runbooks/backup.md.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import CronTriggerTimetable, Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from include.errors import NothingToDo
from include.steps.connections import warehouse


@task
def take_backup() -> str:
    """Back everything up."""
    from include.steps.backup import take_backup

    try:
        with warehouse() as engine:
            return take_backup(engine, get_current_context()["params"]["keep"])
    except NothingToDo as reason:
        raise AirflowSkipException(str(reason)) from None


@task(trigger_rule="all_done", retries=0)
def rehearse_restore() -> str:
    """Restore the newest backup into a server of its own and compare."""
    from include.steps.backup import rehearse_restore

    try:
        return rehearse_restore()
    except NothingToDo as reason:
        raise AirflowSkipException(str(reason)) from None


@dag(
    dag_id="backup",
    description="Back everything up and rehearse the restore",
    doc_md=__doc__,
    tags={"impact/tier_1", "rerun/now"},
    schedule=CronTriggerTimetable("30 2 * * *", timezone="UTC"),
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    is_paused_upon_creation=False,
    params={"keep": Param(2, type="integer", minimum=1, description="Full backups to keep, with their increments.")},
    default_args={"owner": "platform", "retries": 1, "execution_timeout": timedelta(hours=6)},
)
def backup() -> None:
    """Register ``backup``."""
    take_backup() >> rehearse_restore()


backup()
