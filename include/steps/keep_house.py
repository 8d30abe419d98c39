"""The tasks of ``keep_house``: remove what interrupted work left behind."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from include.lake.store import Lake

log = logging.getLogger(__name__)


def clean_lake(lake: Lake, keep: timedelta) -> int:
    """Delete checked batches and half-written files older than `keep`; payloads and snapshots are never touched."""
    removed = lake.clean(datetime.now(UTC) - keep)
    log.info("removed %d files older than %s from the lake", removed, keep)
    return removed


def sweep_pages(folder: Path, keep: timedelta) -> int:
    """Delete pages of Data Docs older than `keep`, but the newest of each source."""
    from include.quality.data_docs.files import sweep

    removed = sweep(folder, datetime.now(UTC) - keep)
    log.info("removed %d pages older than %s from the quality reports", removed, keep)
    return removed
