"""The tasks of ``keep_house``: remove what interrupted work left behind, and what is kept for a time only."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from include.lake.store import Lake

log = logging.getLogger(__name__)


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
