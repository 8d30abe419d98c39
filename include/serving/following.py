"""Follow the alias `champion` of every pipeline: another version is brought here, proven, and then named."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.registry.download import Downloads
from include.serving.versions import CURRENT, fetch, load, point, standing

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection

INTERVAL = """
select half_width, as_of from ml.interval where pipeline = %s and model_version = %s order by as_of desc limit 1
"""
log = logging.getLogger(__name__)


def follow(downloads: Downloads, connection: PgConnection | None, folder: Path, pipeline: str) -> int | None:
    """Let a pipeline's champion answer here, and return its version; None where it has none.

    Raises
    ------
    SourceUnavailable
        If MLflow does not answer: what stands goes on.
    ContractBroken
        If the champion cannot be loaded or answers otherwise than it did: what stands goes on.
    """
    stored = downloads.by_alias(pipeline, "champion")
    if stored is None:
        (folder / pipeline / CURRENT).unlink(missing_ok=True)
        return None
    is_here = (folder / pipeline / str(stored.version)).is_dir()
    place = fetch(downloads, stored, folder)
    if not is_here:
        load(place)
        log.info("%s: version %d is here and answers as it did", pipeline, stored.version)
    current: dict[str, Any] = standing(folder, pipeline)
    if current.get("version") != stored.version:
        current = {"version": stored.version, "since": datetime.now(UTC).isoformat()}
    if connection is not None:
        with connection, connection.cursor() as cursor:
            cursor.execute(INTERVAL, (pipeline, stored.version))
            row = cursor.fetchone()
        if row is not None:
            current |= {"half_width": row[0], "interval_as_of": row[1].isoformat()}
    point(folder, pipeline, current)
    return stored.version
