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
AUDIT = "log"


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

    Runs Airflow's own command in a process of its own: a task has no access to that database by itself.

    Raises
    ------
    CicloError
        The command failed, with its last line; what it deleted stays deleted, and a retry goes on.
    """
    own = url.replace("postgresql", "postgresql+psycopg2", 1)
    env = {key: value for key, value in os.environ.items() if not key.endswith("__SQL_ALCHEMY_CONN")}
    env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = own
    for tables, age in ((METADATA, keep), (AUDIT, keep_audit)):
        before = (datetime.now(UTC) - age).isoformat()
        command = [sys.executable, "-m", "airflow", "db", "clean", "--clean-before-timestamp", before, "--yes"]
        command += ["--skip-archive", "--error-on-cleanup-failure", "--tables", tables]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1].replace(own, "the database")
            raise CicloError(f"airflow db clean --tables {tables} failed ({last}): mend that and clear the task")
        log.info("deleted rows older than %s from Airflow's %s", age, tables)
