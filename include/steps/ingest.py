"""The tasks of ``ingest_<pipeline>`` behind `extract`: lake to quality to warehouse to features."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.errors import ContractBroken, NothingToDo, PayloadLost
from include.quarantine.tell import retry_command
from include.steps.examine import Fetched, block, examine
from include.steps.handing_on import batch_of, kept_batch
from include.steps.run import Run
from include.windows import Window

if TYPE_CHECKING:
    from include.warehouse.batch import Batch

log = logging.getLogger(__name__)


def check(run: Run, extracted: dict[str, Any]) -> dict[str, Any]:
    """Parse one source's payloads, run its contract and keep accepted and quarantined rows in the lake.

    Returns
    -------
    dict
        `source`, `window`, and for each fetch its batch, whose rows and verdicts are in the lake.

    Raises
    ------
    ContractBroken
        If a breach blocks the batch; with `from_lake` every one of them, or one whose times no newer one
        brings while rows are there. Verdict, quarantined rows and an alert are recorded; nothing is loaded. Not
        retried.
    """
    source, window = extracted["source"], Window.from_dict(extracted["window"])
    kept, blocked = [], []
    for fetch in extracted["fetches"]:
        try:
            kept.append((fetch, kept_batch(run, _checked(run, source, window, fetch))))
        except PayloadLost:
            raise
        except ContractBroken as error:  # of several fetches in the lake, one that was blocked then is blocked again
            if not fetch["is_reread"]:
                raise
            log.warning("%s", error)
            blocked.append((fetch, error))
    for fetch, breach in blocked:
        rows = Window.from_dict(fetch["window"])
        newer = [Window.from_dict(other["window"]) for other, _ in kept if other["number"] > fetch["number"]]
        is_replaced = any(other.start <= rows.start and rows.end <= other.end for other in newer)
        if not kept or (not is_replaced and _has_rows(run, source, rows)):
            raise breach  # what is there of these times would count as read again
    return {**extracted, "fetches": [fetch for fetch, _ in kept], "batches": [batch for _, batch in kept]}


def load(run: Run, checked: list[dict[str, Any]]) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Load every source's accepted rows of the window in one transaction.

    Returns
    -------
    loaded : dict
        `start`, `end` and the counts: the `extra` of the asset event that wakes the monitor.
    reopened : list of dict
        `start` and `end` of each window loaded before that late or changed rows touch.

    Raises
    ------
    ContractBroken
        If a second source says something else and the contract blocks the window for it. Not retried.
    NothingToDo
        If the main source has no rows in the window: what the others have is loaded, and nobody
        is woken. The task is skipped.
    """
    from include.features.table import record_due
    from include.quarantine.record import record_loaded
    from include.warehouse.engine import transaction
    from include.warehouse.load import Disagreement, load_window

    windows = [Window.from_dict(item["window"]) for item in checked]
    window = Window(max(one.start for one in windows), min(one.end for one in windows))
    batches = [batch_of(run, kept) for item in checked for kept in item["batches"]]
    try:
        with transaction(run.engine) as connection:
            loaded = load_window(connection, run.lake, run.pipeline, window, batches, run.ref)
            with connection.cursor() as cursor:
                record_loaded(cursor, run.lake, run.pipeline.pipeline, window, batches, run.ref)
                record_due(cursor, run.pipeline, loaded.changes)
    except Disagreement as disagreement:  # rolled back; what was found stays on record
        block(run, window, disagreement.batch, disagreement.broken)
    _warn_of_low_scores(run, window, loaded.low)
    log.info("%s %s: %s", run.pipeline.pipeline, window, loaded.counts)
    reopened = [touched.to_dict() for touched in sorted(loaded.touched, key=lambda touched: touched.start)]
    if reopened:
        log.info("%s: late or changed rows touch earlier windows: %s", run.pipeline.pipeline, reopened)
    has_rows = any(batch.judged for batch in batches if batch.source == run.pipeline.main)
    if not has_rows and not loaded.counts.withdrawn:
        raise NothingToDo(
            f"{run.pipeline.pipeline} {run.pipeline.main} {window}: the source has no rows in this window;"
            f" {loaded.counts.received - loaded.counts.outside} rows of other sources are loaded"
        )
    return {**window.to_dict(), **asdict(loaded.counts)}, reopened


def build_features(run: Run) -> int:
    """Build the features of every row that loads have made due; return how many. A retry goes on where it stopped."""
    from include.features.table import refresh

    return refresh(run.engine, run.pipeline)


def _warn_of_low_scores(run: Run, window: Window, low: list[str]) -> None:
    """Tell people which dimensions of quality lie below their thresholds."""
    from include.alerts.record import raise_alert

    if low:
        with run.engine.begin() as connection:
            raise_alert(connection, run.pipeline, "quality", f"{window}: {'; '.join(low)}", run.ref)


def _has_rows(run: Run, source: str, window: Window) -> bool:
    from include.warehouse.engine import transaction
    from include.warehouse.tables import has_rows

    with transaction(run.engine) as connection, connection.cursor() as cursor:
        return has_rows(cursor, run.pipeline.table(source), window.start, window.end)


def _checked(run: Run, source: str, window: Window, fetch: dict[str, Any]) -> Batch:
    """Check one fetch and block it if it breaks its contract, unless somebody has overridden that."""
    from include.quality.contract import breaches

    batch = _examined(run, source, window, fetch)
    judged = [result for result in batch.results if result.is_judged]
    log.info(
        "%s %s %s: %d rows received, %d accepted, %d quarantined, %d outside the window; %d of %d checks passed",
        *(run.pipeline.pipeline, source, window, batch.received, batch.row_count, batch.quarantined_count),
        *(batch.outside_count, sum(result.is_passed for result in judged), len(judged)),
    )
    broken = breaches(batch.results)
    is_overridden = _is_overridden(run, source, window, fetch)
    if broken and not is_overridden:
        block(run, window, batch, broken)
    return replace(batch, is_overridden=is_overridden)


def _examined(run: Run, source: str, window: Window, fetch: dict[str, Any]) -> Batch:
    """Check one fetch; one that cannot be parsed at all is put on record in quarantine, too."""
    from include.quarantine.record import record_unreadable
    from include.warehouse.batch import Batch
    from include.warehouse.engine import transaction

    rows = Window.from_dict(fetch["window"])
    fetched_at = datetime.fromisoformat(fetch["fetched_at"])
    about = (fetch["payloads"], fetch["is_simulated"], fetch["number"], fetched_at, fetch["is_reread"])
    fetched = Fetched(source, rows, *about)
    try:
        batch = replace(examine(run, fetched), covers=(rows.start, rows.end), fetched_at=fetched_at)
        return replace(batch, is_reread=fetch["is_reread"])
    except PayloadLost:
        raise
    except ContractBroken as error:
        name, ids = run.pipeline.pipeline, fetched.payload_ids
        unread = Batch(source, payload_ids=ids, covers=(rows.start, rows.end), fetched_at=fetched_at)
        with transaction(run.engine) as connection, connection.cursor() as cursor:
            record_unreadable(cursor, name, window, unread, str(error), run.ref)
        raise ContractBroken(
            f"{error} Its bytes are kept: once the parser or the contract is mended, {retry_command(name, window)}"
        ) from error


def _is_overridden(run: Run, source: str, window: Window, fetch: dict[str, Any]) -> bool:
    """Tell whether somebody has overridden a batch that breaks its contract, and say who and why."""
    from include.quarantine.override import overridden_batches

    with run.engine.connect() as connection:
        overridden = overridden_batches(connection, run.pipeline.pipeline, source)
    override = overridden.get(fetch["payloads"][0]["sha256"]) if fetch["payloads"] else None
    if override:
        log.warning(
            "%s %s %s: breaks its contract, and is overridden by %s", run.pipeline.pipeline, source, window, override
        )
    return bool(override)
