"""The task `extract` of ``ingest_<pipeline>``: which window, from the source or from the lake, byte for byte."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from include.errors import CicloError, ContractBroken, NothingToDo
from include.spec.fields import span
from include.steps.run import Run, asked_window, past_part
from include.windows import Window, common, midnight

if TYPE_CHECKING:
    from include.lake.manifest import Fetch
    from include.sources import Endpoint, Payload

MIB = 1024 * 1024
log = logging.getLogger(__name__)


def extract(run: Run, source: str, endpoint: Callable[[], Endpoint]) -> dict[str, Any]:
    """Fetch one source for the run's window into the lake, byte for byte, and index it in ``raw.payload``.

    With the param `from_lake` nobody is asked: what earlier runs fetched for the window is taken again, and what
    was refused then is judged again.

    Parameters
    ----------
    endpoint : callable
        Resolves where the source is; with `from_lake` called only to judge refused answers again.

    Returns
    -------
    dict
        `source`, `window` and `fetches`, each with its payloads' id, uri and hash: small enough for XCom.

    Raises
    ------
    SourceUnavailable
        If the source does not answer; retried.
    ContractBroken
        If it answers something else than agreed, or refuses the token; not retried. Its answers are kept.
    """
    window, name = window_of(run), run.pipeline.pipeline
    fetches, refusal = [], ""
    if is_from_lake := run.params.get("from_lake", False):
        refusal = _judge_again(run, source, endpoint, window)
    if is_from_lake or _is_outdated(run, source, window):
        fetches = _fetched_before(run, source, window)
    if is_from_lake and not fetches and _was_empty(run, source, window):
        fetches = [indexed(run, source, window, []) | {"window": window.to_dict(), "is_reread": True}]
    elif is_from_lake and not fetches:
        kept = f"the lake holds refused answers only ({refusal})" if refusal else "the lake holds no fetch for it"
        raise ContractBroken(
            f"pipeline {name}, source {source}, window {window}: {kept}; ask the source:"
            f" trigger ingest_{name} without from_lake"
        )
    if not is_from_lake:
        fetches.append(_fetch(run, source, endpoint(), window))
    numbered = [fetch | {"number": number} for number, fetch in enumerate(fetches)]
    return {"source": source, "window": window.to_dict(), "fetches": numbered}


def window_of(run: Run) -> Window:
    """Return the window a run loads: the one asked for, or all since the last load; never the future.

    Raises
    ------
    NothingToDo
        If all of it is loaded already or lies in the future.
    """
    return past_part(asked_window(run) or _since_watermark(run), run.run_after)


def _since_watermark(run: Run) -> Window:
    """Return the window from the last load until now, for a run that nobody gave one."""
    with run.engine.connect() as connection:
        row = connection.exec_driver_sql(
            "select loaded_until_at from ops.watermark where pipeline = %s and source = %s",
            (run.pipeline.pipeline, run.pipeline.main),
        ).first()
    start = row[0] if row else midnight(run.pipeline.schedule.start, run.pipeline.zone)
    if start >= run.run_after:
        raise NothingToDo(f"{run.pipeline.pipeline}: already loaded until {start:%Y-%m-%d %H:%M} UTC")
    return Window(start, run.run_after)


def _fetch(run: Run, source: str, endpoint: Endpoint, window: Window) -> dict[str, Any]:
    """Ask the source and keep each answer before it is judged; a fetch counts once all its answers are accepted."""
    from include.lake.manifest import manifest
    from include.sources import fetch

    name, spec = run.pipeline.pipeline, run.pipeline.sources[source]
    fetch_id, reached = uuid4().hex, _reached(run, source, window)
    records: list[dict[str, Any]] = []
    try:
        for payload in fetch(name, source, spec, endpoint, reached):
            if payload is None:
                run.lake.put_answer(records.pop(), refusal="it holds no rows")
                continue
            stored = run.lake.put(payload)
            log.info("%s %s %s: %d bytes, sha256 %s", name, source, window, stored.byte_count, stored.sha256)
            about = (name, source, window, fetch_id, len(records), 0)
            records.append(manifest(payload, stored, *about, asked_window=reached))
            run.lake.put_answer(records[-1])
    except CicloError as error:
        for record in records:
            kept = run.lake.put_answer(record, refusal=str(error))
            log.warning("%s %s %s: refused, and kept: %s", name, source, window, kept)
        raise
    run.lake.accept(records)
    return indexed(run, source, window, records) | {"window": reached.to_dict(), "is_reread": False}


def _reached(run: Run, source: str, window: Window) -> Window:
    """Return what to ask a source for: rows published in a window, and of a scheduled run those that come late."""
    from include.sources.publication import reach_back

    reached = reach_back(window, run.pipeline.sources[source].published)
    late = run.pipeline.schedule.look_back if run.is_scheduled else None
    return reached if late is None else Window(min(reached.start, window.start - span(late)), reached.end)


def _judge_again(run: Run, source: str, endpoint: Callable[[], Endpoint], window: Window) -> str:
    """Judge refused answers about the times of a window by today's spec; return why the last one stays refused.

    Those that pass count from then on as if they had been accepted when they came.
    """
    from include.sources.publication import reach_back, reach_forward

    name, published = run.pipeline.pipeline, run.pipeline.sources[source].published
    refusal = ""
    for refused in run.lake.refused(name, source, reach_forward(reach_back(window, published), published)):
        try:
            if records := _accepted(run, source, endpoint(), refused):
                run.lake.accept(records)
                log.info("%s %s %s: accepted what was refused: %s", name, source, window, records[0]["refusal"])
        except CicloError as error:
            refusal = str(error)
            log.warning("%s %s %s: still refused: %s", name, source, window, error)
    return refusal


def _accepted(run: Run, source: str, endpoint: Endpoint, refused: Fetch) -> list[dict[str, Any]]:
    """Return the manifests of a refused fetch that today's spec asks for and accepts."""
    from include.sources import fetch

    spec, records = run.pipeline.sources[source], {told["request"].get("url"): told for told in refused.payloads}
    judging = replace(endpoint, kept=lambda url: _payload(run, records[url]) if url in records else None)
    window = refused.asked_window or refused.window
    accepted: list[dict[str, Any]] = []
    for payload in fetch(run.pipeline.pipeline, source, spec, judging, window):
        if payload is None:
            accepted.pop()
        else:
            accepted.append(records[payload.request["url"]])
    return accepted


def _payload(run: Run, told: dict[str, Any]) -> Payload:
    """Return an answer as it came, from the lake."""
    from include.sources import Payload, Spool

    with run.lake.open(told["uri"]) as stream:
        body = Spool.of(iter(partial(stream.read, MIB), b""))
    facts = {name: told[name] for name in ("media_type", "request", "status", "headers", "is_simulated")}
    return Payload(body=body, fetched_at=datetime.fromisoformat(told["fetched_at"]), **facts)


def _is_outdated(run: Run, source: str, window: Window) -> bool:
    """Tell whether rows about the times of a window were read by another contract than today's."""
    from include.sources.publication import reach_back
    from include.warehouse.loaded_windows import outdated_windows

    published = run.pipeline.sources[source].published
    reached = reach_back(window, published)
    with run.engine.connect() as connection:
        outdated = outdated_windows(connection, run.pipeline, source)
    older = [old for old in outdated if common(reach_back(old, published), reached)]
    if older:
        log.info("%s %s %s: read again what was loaded under an older contract", run.pipeline.pipeline, source, reached)
    return bool(older)


def _was_empty(run: Run, source: str, window: Window) -> bool:
    """Tell whether a window was loaded, and its load had no payload of a source: a new one, or one without a date."""
    from include.warehouse.loaded_windows import payload_counts

    with run.engine.connect() as connection:
        counts = payload_counts(connection, run.pipeline, window)
    return bool(counts) and not counts.get(source)


def _fetched_before(run: Run, source: str, window: Window) -> list[dict[str, Any]]:
    """Return the fetches in the lake that hold rows about the times of a window, oldest first."""
    from include.sources.publication import reach_back, reach_forward

    name, published = run.pipeline.pipeline, run.pipeline.sources[source].published
    reached = reach_back(window, published)
    fetches = [
        (fetch, covered)
        for fetch in run.lake.fetches(name, source, reach_forward(reached, published))
        if (covered := common(fetch.asked_window or reach_back(fetch.window, published), reached))
    ]
    log.info("%s %s %s: %d fetches from the lake", name, source, window, len(fetches))
    return [
        indexed(run, source, fetch.window, list(fetch.payloads)) | {"window": covered.to_dict(), "is_reread": True}
        for fetch, covered in fetches
    ]


def indexed(run: Run, source: str, window: Window, records: list[dict[str, Any]]) -> dict[str, Any]:
    """Index a fetch's payloads and return what the next task needs of them."""
    from include.warehouse.payloads import index_payload

    payloads = []
    with run.engine.begin() as connection:
        for record in records:
            number = index_payload(connection, run.pipeline.pipeline, source, window, record)
            payloads.append({"payload_id": number, "uri": record["uri"], "sha256": record["sha256"]})
    is_simulated = any(record["is_simulated"] for record in records)
    arrived = [datetime.fromisoformat(record["fetched_at"]) for record in records] or [datetime.now(UTC)]
    return {"payloads": payloads, "is_simulated": is_simulated, "fetched_at": max(arrived).isoformat()}
