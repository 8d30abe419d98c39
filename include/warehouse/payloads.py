"""The index of the lake's payloads, ``raw.payload``."""

from __future__ import annotations

import json
from collections.abc import Iterable
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
    facts = {
        **{"pipeline": pipeline, "source": source, "window_start_at": window.start, "window_end_at": window.end},
        **{name: manifest[name] for name in ("sha256", "uri", "media_type", "is_simulated", "fetched_at")},
        **{"size_bytes": manifest["byte_count"], "status_code": manifest["status"]},
        **{name: json.dumps(manifest[name]) for name in ("request", "headers")},
    }
    connection.exec_driver_sql(
        f"insert into raw.payload ({', '.join(facts)}) values ({', '.join(f'%({name})s' for name in facts)})"
        " on conflict do nothing",
        facts,
    )
    query = (
        "select payload_id from raw.payload where (pipeline, source, window_start_at, window_end_at, sha256)"
        " = (%(pipeline)s, %(source)s, %(window_start_at)s, %(window_end_at)s, %(sha256)s)"
    )
    return int(connection.exec_driver_sql(query, facts).scalar_one())


def first_with_their_bytes(connection: Connection, payload_ids: Iterable[int]) -> set[int]:
    """Return those of some payloads whose bytes no other window of their source had before."""
    rows = connection.exec_driver_sql(
        "select payload_id from raw.payload p where payload_id = any(%s::bigint[]) and not exists (select from"
        " raw.payload o where (o.pipeline, o.source, o.sha256) = (p.pipeline, p.source, p.sha256)"
        " and o.payload_id < p.payload_id)",
        (list(payload_ids),),
    )
    return {payload_id for (payload_id,) in rows}
