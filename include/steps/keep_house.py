"""The tasks of ``keep_house``: remove what interrupted work left behind."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
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


def sweep_staging(engine: Engine, keep: timedelta) -> int:
    """Drop staging tables older than `keep` and return how many; a load that still wants one makes it again.

    Raises
    ------
    SourceUnavailable
        The warehouse does not answer. A retry is safe.
    """
    from include.warehouse.engine import answering
    from include.warehouse.staging import sweep

    with answering():
        dropped = sweep(engine, datetime.now(UTC) - keep)
    log.info("dropped %d staging tables older than %s", dropped, keep)
    return dropped
