"""The tasks of ``ingest_<pipeline>``: source to lake to quality to warehouse."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from include.errors import ContractBroken, NothingToDo
from include.steps.run import Run, asked_window, past_part
from include.windows import Window

if TYPE_CHECKING:
    import pandas as pd

    from include.quality.check import Checked
    from include.sources import Endpoint
    from include.warehouse.load import Batch

log = logging.getLogger(__name__)


def extract(run: Run, source: str, endpoint: Endpoint) -> dict[str, Any]:
    """Fetch one source for the run's window into the lake, byte for byte, and index it in ``raw.payload``.

    Returns
    -------
    dict
        `source`, `window` and `payloads` (id, uri and hash of each): small enough for XCom.

    Raises
    ------
    SourceUnavailable
        If the source does not answer; retried.
    ContractBroken
        If it answers something else than agreed, or refuses the token; not retried.
    """
    from include.lake.manifest import manifest
    from include.sources import fetch
    from include.sources.publication import reach_back
    from include.warehouse.payloads import index_payload

    name, spec = run.pipeline.pipeline, run.pipeline.sources[source]
    window = past_part(asked_window(run) or _since_watermark(run), run.run_after)
    payloads = fetch(name, source, spec, endpoint, reach_back(window, spec.published))
    entries = []
    for payload in payloads:
        stored = run.lake.put(payload)
        record = manifest(payload, stored, name, source, window)
        run.lake.put_manifest(record)
        with run.engine.begin() as connection:
            number = index_payload(connection, name, source, window, record)
        entries.append({"payload_id": number, "uri": stored.uri, "sha256": stored.sha256})
        log.info("%s %s %s: %d bytes, sha256 %s", name, source, window, stored.byte_count, stored.sha256)
    is_simulated = any(payload.is_simulated for payload in payloads)
    return {"source": source, "window": window.to_dict(), "payloads": entries, "is_simulated": is_simulated}


def check(run: Run, extracted: dict[str, Any]) -> dict[str, Any]:
    """Parse one source's payloads, run its contract and put the accepted and rejected rows into the lake.

    Raises
    ------
    NothingToDo
        If the main source has no rows in the window; the run is skipped.
    ContractBroken
        If a breach stops the batch. Its verdict, its rejected rows and an alert are recorded;
        nothing is loaded. Not retried.
    """
    from include.quality.check import check as check_rows

    source, window = extracted["source"], Window.from_dict(extracted["window"])
    raw = _rows(run, extracted, window)
    if raw.empty and source == run.pipeline.main:
        raise NothingToDo(f"{run.pipeline.pipeline} {source} {window}: the source has no rows in this window")
    checked = check_rows(run.pipeline.sources[source], raw)
    passed = sum(result.is_passed for result in checked.results)
    log.info(
        "%s %s %s: %d rows received, %d accepted, %d set aside; %d of %d checks passed",
        *(run.pipeline.pipeline, source, window, len(raw), len(checked.accepted), len(checked.rejected)),
        *(passed, len(checked.results)),
    )
    sha256 = _batch_hash(run, extracted)
    if checked.stopped_by:
        _stop(run, source, window, checked, sha256)
    folder = f"batches/{run.pipeline.pipeline}/{source}/{sha256[:16]}"
    return {
        "source": source,
        "window": extracted["window"],
        "sha256": sha256,
        "is_simulated": extracted["is_simulated"],
        "accepted_uri": run.lake.put_frame(f"{folder}/accepted", checked.accepted),
        "rejected_uri": run.lake.put_frame(f"{folder}/rejected", checked.rejected),
        "results_uri": run.lake.put_frame(f"{folder}/results", _results_frame(checked)),
    }


def load(run: Run, checked: list[dict[str, Any]]) -> dict[str, Any]:
    """Load every source's accepted rows of the window in one transaction.

    Returns
    -------
    dict
        `start`, `end` and the counts: the `extra` of the asset event that wakes the monitor.
    """
    from include.warehouse.engine import transaction
    from include.warehouse.load import load_window

    batches = [_batch(run, item) for item in checked]
    window = Window.from_dict(checked[0]["window"])
    with transaction(run.engine) as connection:
        counts = load_window(connection, run.pipeline, window, batches, run.ref)
    log.info("%s %s: %s", run.pipeline.pipeline, window, counts)
    return {**window.to_dict(), **asdict(counts)}


def _since_watermark(run: Run) -> Window:
    """Return the window from the last load until now, for a manual run that names none."""
    with run.engine.connect() as connection:
        row = connection.exec_driver_sql(
            "select loaded_until_at from ops.watermark where pipeline = %s and source = %s",
            (run.pipeline.pipeline, run.pipeline.main),
        ).first()
    start = row[0] if row else Window.parse(str(run.pipeline.schedule.start), "9999-01-01").start
    if start >= run.run_after:
        raise NothingToDo(f"{run.pipeline.pipeline}: already loaded until {start:%Y-%m-%d %H:%M} UTC")
    return Window(start, run.run_after)


def _rows(run: Run, extracted: dict[str, Any], window: Window) -> pd.DataFrame:
    """Parse a source's payloads into one frame, with `row_number` and the first's `payload_id`: they are joined."""
    from include.sources import parse_all
    from include.sources.publication import reach_back

    source = run.pipeline.sources[extracted["source"]]
    contents = [run.lake.get(entry["uri"]) for entry in extracted["payloads"]]
    reached = reach_back(window, source.published)
    rows = parse_all(run.pipeline.pipeline, extracted["source"], source, contents, reached)
    payload_id = extracted["payloads"][0]["payload_id"] if contents else None
    return rows.assign(payload_id=payload_id, row_number=range(len(rows)))


def _batch_hash(run: Run, extracted: dict[str, Any]) -> str:
    """Hash what the batch is made of: its payloads, its contract, its window."""
    contract = run.pipeline.sources[extracted["source"]].model_dump_json()
    parts = [*(entry["sha256"] for entry in extracted["payloads"]), contract, json.dumps(extracted["window"])]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _results_frame(checked: Checked) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame([result.to_dict() for result in checked.results])


def _batch(run: Run, item: dict[str, Any]) -> Batch:
    from include.quality.contract import Result
    from include.warehouse.load import Batch

    found = run.lake.get_frame(item["results_uri"])
    results = [Result(**{str(name): value for name, value in record.items()}) for record in found.to_dict("records")]
    return Batch(
        source=item["source"],
        accepted=run.lake.get_frame(item["accepted_uri"]),
        rejected=run.lake.get_frame(item["rejected_uri"]),
        results=results,
        sha256=item["sha256"],
        is_simulated=item["is_simulated"],
    )


def _stop(run: Run, source: str, window: Window, checked: Checked, sha256: str) -> None:
    """Record a stopped batch, all of it in quarantine's and the results' tables, and raise."""
    from include.warehouse.engine import transaction
    from include.warehouse.load import Batch, record_checks

    batch = Batch(source, checked.accepted, checked.rejected, checked.results, sha256)
    with transaction(run.engine) as connection, connection.cursor() as cursor:
        record_checks(cursor, run.pipeline.pipeline, window, batch, run.ref)
    broken = "; ".join(f"{r.rule} of {r.column}: {r.observed}, expected {r.expected}" for r in checked.stopped_by)
    examples = "; ".join(checked.rejected["reason"].head(3)) or "none set aside"
    name = run.pipeline.pipeline
    conf = json.dumps(window.to_dict())
    raise ContractBroken(
        f"{name} {source} {window}: stopped before the warehouse, nothing was loaded. Broken: {broken}."
        f" Rows set aside: {len(checked.rejected)} (see ops.quarantine), e.g. {examples}. Mend the source or the"
        f" contract in include/pipelines/{name}/pipeline.yaml, then: airflow dags trigger ingest_{name} --conf '{conf}'"
    )
