"""The tasks of ``keep_house``: remove what interrupted work left behind, and what is kept for a time only."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from include.errors import CicloError

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from include.lake.store import Lake

log = logging.getLogger(__name__)
# What grows with Airflow's runs; triggers are not in it, for one that listens may be older than any run.
METADATA = "dag_run,task_instance,xcom,asset_event,job,import_error,callback,deadline"
IS_OLD = """
select exists (select from dag_run where start_date < %(before)s) or exists (select from log where dttm < %(audited)s)
    or exists (select from job where latest_heartbeat < %(before)s)
"""
CLEAN = """
import sys
from datetime import datetime
from airflow.utils.db_cleanup import run_cleanup
for tables, before in zip(sys.argv[1::2], sys.argv[2::2]):
    run_cleanup(clean_before_timestamp=datetime.fromisoformat(before), table_names=tables.split(","), confirm=False,
                skip_archive=True, error_on_cleanup_failure=True)
"""


def clean_lake(lake: Lake, keep: timedelta) -> int:
    """Delete checked batches and half-written files older than `keep`; payloads and snapshots are never touched."""
    removed = lake.clean(datetime.now(UTC) - keep)
    log.info("removed %d files older than %s from the lake", removed, keep)
    return removed


def sweep_pages(folder: Path, keep: timedelta) -> int:
    """Delete pages older than `keep` below ``var/docs``: of checks, monitor and trainings, but the newest of each."""
    from include.quality.data_docs.files import sweep

    before = datetime.now(UTC) - keep
    removed = sweep(folder / "quality", before)
    drawn = [pipeline for kind in ("monitoring", "training") for pipeline in (folder / kind).glob("*")]
    for pages in (sorted(pipeline.glob("*.html")) for pipeline in drawn):
        old = [page for page in pages[:-1] if page.stat().st_mtime < before.timestamp()]
        for page in old:
            page.unlink()
        removed += len(old)
    log.info("removed %d pages older than %s from the reports", removed, keep)
    return removed


def prune_audit(engine: Engine, keep: timedelta) -> int:
    """Delete counts of refused requests older than `keep` from ``ops.service_audit``; return how many rows."""
    before = datetime.now(UTC) - keep
    with engine.begin() as connection:
        removed = connection.exec_driver_sql("delete from ops.service_audit where minute_at < %s", (before,)).rowcount
    log.info("deleted %d rows older than %s from ops.service_audit", removed, keep)
    return removed


def sweep_logs(folder: Path, keep: timedelta) -> int:
    """Delete task logs older than `keep` below Airflow's folder of logs, and folders that are empty then."""
    before, removed = (datetime.now(UTC) - keep).timestamp(), 0
    for path in sorted(folder.rglob("*"), reverse=True):  # what is in a folder comes before it
        if path.is_symlink() or path.stat().st_mtime >= before:
            continue
        if path.is_file():
            path.unlink()
            removed += 1
        elif not any(path.iterdir()):
            path.rmdir()
    log.info("removed %d task logs older than %s", removed, keep)
    return removed


def clean_metadata(url: str, keep: timedelta, keep_audit: timedelta) -> None:
    """Delete runs and what belongs to them older than `keep` from Airflow's own database, and its audit log later.

    Where there is anything old, Airflow's own clean-up runs, in a process of its own: a task has no access to that
    database by itself.

    Raises
    ------
    CicloError
        It failed, with its last line; what it deleted stays deleted, and a retry goes on.
    SourceUnavailable
        The database does not answer; a retry may help.
    """
    from include.warehouse.engine import answering, connect_engine

    now = datetime.now(UTC)
    before, audited_before = now - keep, now - keep_audit
    with answering(), connect_engine(url).connect() as connection:
        if not connection.exec_driver_sql(IS_OLD, {"before": before, "audited": audited_before}).scalar_one():
            log.info("Airflow's database holds nothing older than %s", keep)
            return
    own = url.replace("postgresql", "postgresql+psycopg2", 1)
    env = {key: value for key, value in os.environ.items() if not key.endswith("__SQL_ALCHEMY_CONN")}
    env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = own
    command = [sys.executable, "-c", CLEAN, METADATA, before.isoformat(), "log", audited_before.isoformat()]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1].replace(own, "the database")
        raise CicloError(f"Airflow's clean-up of its database failed ({last}): mend that and clear the task")
    log.info("deleted rows older than %s from Airflow's %s, and than %s from its audit log", keep, METADATA, keep_audit)
