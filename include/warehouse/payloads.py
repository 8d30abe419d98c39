"""The index of the lake's payloads, ``raw.payload``."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy.engine import Connection

from include.windows import Window


def index_payload(connection: Connection, pipeline: str, source: str, window: Window, manifest: dict[str, Any]) -> int:
    """Index a payload and return its number; the same bytes for the same window have one number.

    Parameters
    ----------
    window : Window
        The window of the run that fetched it.
    manifest : dict
        As `include.lake.manifest.manifest` makes it.
    """
    place = (pipeline, source, window.start, window.end, manifest["sha256"])
    connection.exec_driver_sql(
        "insert into raw.payload (pipeline, source, window_start_at, window_end_at, sha256, uri, media_type,"
        " size_bytes, status_code, request, headers, is_simulated, fetched_at)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
        (
            *place,
            manifest["uri"],
            manifest["media_type"],
            manifest["byte_count"],
            manifest["status"],
            json.dumps(manifest["request"]),
            json.dumps(manifest["headers"]),
            manifest["is_simulated"],
            manifest["fetched_at"],
        ),
    )
    return int(
        connection.exec_driver_sql(
            "select payload_id from raw.payload where pipeline = %s and source = %s and window_start_at = %s"
            " and window_end_at = %s and sha256 = %s",
            place,
        ).scalar_one()
    )
