"""Manifests: what is known about each payload, enough to rebuild every table from the lake alone."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from include.windows import Window

if TYPE_CHECKING:
    from include.sources.payload import Payload

Kind = Literal["manifests", "refused"]  # of accepted answers, and of those that are refused or not judged yet
STAMP = re.compile(r"\d{8}T\d{6}\.\d{6}Z")


@dataclass(frozen=True)
class Stored:
    """A payload in the lake."""

    sha256: str  # of the uncompressed content, 64 hexadecimal digits
    uri: str
    byte_count: int  # uncompressed


@dataclass(frozen=True)
class Fetch:
    """All that one fetch of a source brought for a window."""

    fetch_id: str
    window: Window
    payloads: tuple[dict[str, Any], ...]  # their manifests, in the order in which they were fetched; at least one

    @property
    def fetched_at(self) -> datetime:
        """When its last payload had arrived, UTC."""
        return max(datetime.fromisoformat(payload["fetched_at"]) for payload in self.payloads)

    @property
    def asked_window(self) -> Window | None:
        """What the source was asked for; None where that was not recorded yet."""
        bounds = self.payloads[0].get("asked_window")
        return Window.from_dict(bounds) if bounds else None

    @property
    def hashes(self) -> tuple[str, ...]:
        """The SHA-256 of each payload, in order."""
        return tuple(payload["sha256"] for payload in self.payloads)


def manifest(
    payload: Payload,
    stored: Stored,
    pipeline: str,
    source: str,
    window: Window,
    fetch_id: str,
    part: int,
    part_count: int,
    rows: int | None = None,
    asked_window: Window | None = None,
) -> dict[str, Any]:
    """Return what is known about a payload, JSON-able and without secrets; pure.

    Parameters
    ----------
    fetch_id : str
        Which fetch it belongs to: a new one for every try, so that two tries are never mixed.
    part, part_count : int
        Its place among the payloads of the fetch, from 0, and how many there are.
    rows : int, optional
        How many rows it holds, where that is known before it is parsed.
    asked_window : Window, optional
        What the source was asked for, where it reaches further back than the window of the run.
    """
    return {
        "pipeline": pipeline,
        "source": source,
        "window": window.to_dict(),
        "asked_window": (asked_window or window).to_dict(),
        "fetch_id": fetch_id,
        "part": part,
        "part_count": part_count,
        **asdict(stored),
        "rows": rows,
        "media_type": payload.media_type,
        "request": payload.request,
        "status": payload.status,
        "headers": payload.headers,
        "fetched_at": payload.fetched_at.isoformat(),
        "is_simulated": payload.is_simulated,
    }


def folder(pipeline: str, source: str, kind: Kind = "manifests") -> str:
    """Return where a source's manifests lie, below the root of the lake."""
    return f"{kind}/{pipeline}/{source}"


def file_name(manifest: dict[str, Any], kind: Kind = "manifests") -> str:
    """Return a manifest's name below the root of the lake; names sort by window, then by time of arrival.

    The window that was asked for is in the name, so that those of other windows need not be read.
    """
    window = Window.from_dict(manifest.get("asked_window") or manifest["window"])
    fetched_at = datetime.fromisoformat(manifest["fetched_at"])
    which = hashlib.sha256(f"{manifest['fetch_id']}/{manifest['part']}".encode()).hexdigest()[:16]
    stamps = (_stamp(instant) for instant in (window.start, window.end, fetched_at))
    return f"{folder(manifest['pipeline'], manifest['source'], kind)}/{'__'.join((*stamps, which))}.json"


def overlaps(name: str, window: Window) -> bool:
    """Tell from a manifest's name alone whether its window and another share an instant.

    Examples
    --------
    >>> name = "manifests/p/s/20250101T000000.000000Z__20250201T000000.000000Z__20250202T000000.000000Z__ab.json"
    >>> [overlaps(name, Window.parse(start, "2025-03-01")) for start in ("2025-01-31", "2025-02-01")]
    [True, False]
    """
    stamps = STAMP.findall(name.rpartition("/")[2])
    return len(stamps) == 3 and stamps[0] < _stamp(window.end) and stamps[1] > _stamp(window.start)


def complete_fetches(manifests: Iterable[dict[str, Any]]) -> tuple[list[Fetch], list[Fetch]]:
    """Put manifests together again as fetches; pure.

    Returns
    -------
    complete : list of Fetch
        Oldest first; without those that brought the same bytes as the one before for the same window.
    incomplete : list of Fetch
        Of which a part is missing: whoever fetched them did not come to their end. Oldest first.
    """
    fetches = put_together(manifests)
    incomplete = [fetch for fetch in fetches if not _is_complete(fetch)]
    newest: dict[Window, tuple[str, ...]] = {}
    complete = []
    for fetch in fetches:
        if _is_complete(fetch) and newest.get(fetch.window) != fetch.hashes:
            newest[fetch.window] = fetch.hashes
            complete.append(fetch)
    return complete, incomplete


def put_together(manifests: Iterable[dict[str, Any]]) -> list[Fetch]:
    """Put manifests together as fetches, whole or not, oldest first; pure."""
    parts: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
    for told in manifests:
        parts[told["fetch_id"]][told["part"]] = told
    return sorted((_fetch(told) for told in parts.values()), key=lambda fetch: (fetch.fetched_at, fetch.fetch_id))


def _fetch(parts: dict[int, dict[str, Any]]) -> Fetch:
    payloads = tuple(parts[part] for part in sorted(parts))
    return Fetch(payloads[0]["fetch_id"], Window.from_dict(payloads[0]["window"]), payloads)


def _is_complete(fetch: Fetch) -> bool:
    return [told["part"] for told in fetch.payloads] == list(range(fetch.payloads[0]["part_count"]))


def _stamp(instant: datetime) -> str:
    """Return an instant as text of one length, in UTC, that sorts like time."""
    return instant.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ").zfill(23)
