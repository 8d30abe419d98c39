"""The manifest of a payload: enough to rebuild every table from the lake alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.windows import Window

if TYPE_CHECKING:
    from include.lake.store import Stored
    from include.sources.payload import Payload


def manifest(payload: Payload, stored: Stored, pipeline: str, source: str, window: Window) -> dict[str, Any]:
    """Return what is known about a payload, JSON-able and without secrets; pure.

    Parameters
    ----------
    payload : Payload
        What the source sent.
    stored : Stored
        Where the lake keeps it.
    pipeline, source : str
        Whose it is.
    window : Window
        What it was asked for.
    """
    return {
        "pipeline": pipeline,
        "source": source,
        "window": window.to_dict(),
        "sha256": stored.sha256,
        "uri": stored.uri,
        "byte_count": stored.byte_count,
        "media_type": payload.media_type,
        "request": payload.request,
        "status": payload.status,
        "headers": payload.headers,
        "fetched_at": payload.fetched_at.isoformat(),
        "is_simulated": payload.is_simulated,
    }
