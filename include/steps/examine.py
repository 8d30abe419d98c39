"""The middle of ``ingest_<pipeline>``: payloads through their contract, divided into what may load and what may not."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple

from include.errors import ContractBroken
from include.quality.contract import dates_result
from include.steps.cross_row_checks import Broken, all_but, cross_row_checks, row_ids_of
from include.steps.outside import counter, misplaced_result, own_rows
from include.steps.profiles import keep_profile, sudden_changes

if TYPE_CHECKING:
    import pyarrow as pa

    from include.quality.batch_check import BatchCheck
    from include.quality.contract import Result
    from include.sources.payload import Outside
    from include.steps.run import Run
    from include.warehouse.batch import Batch
    from include.windows import Window

log = logging.getLogger(__name__)
LOOKED_AT = 1_000  # reasons, when different ones are looked for


class Fetched(NamedTuple):
    """What one fetch of one source brought for a window.

    Attributes
    ----------
    window : Window
        The times the rows may be about; those outside are left out.
    payloads : list of dict
        `payload_id`, `uri` and `sha256` of each.
    number : int
        Its place among the fetches that the run loads, from 0.
    fetched_at : datetime, optional
        When its last payload had arrived, UTC: rows of a file about a later time are quarantined.
    is_reread : bool
        Whether an earlier run fetched it, perhaps for another window.
    """

    source: str
    window: Window
    payloads: list[dict[str, Any]]
    is_simulated: bool
    number: int = 0
    fetched_at: datetime | None = None
    is_reread: bool = False

    @property
    def payload_ids(self) -> tuple[int, ...]:
        """Numbers of the payloads in ``raw.payload``, in the order in which they are parsed."""
        return tuple(entry["payload_id"] for entry in self.payloads)


def examine(run: Run, fetched: Fetched) -> Batch:
    """Parse payloads, run the contract and keep accepted and quarantined rows in the lake, all in bounded memory.

    Raises
    ------
    ContractBroken
        The payloads are not what was agreed. A breach of the contract alone does not raise: see `block`.
    SourceUnavailable
        The lake or the warehouse does not answer. A retry is safe.
    """
    from include.quality import verdicts
    from include.quality.batch_check import BatchCheck
    from include.quarantine.override import overridden_rows
    from include.warehouse.batch import Batch

    with run.engine.connect() as connection:
        overridden = overridden_rows(connection, run.pipeline.pipeline, fetched.source)
        outside = counter(connection, run.pipeline, fetched.source, fetched.window)
    sha256 = _batch_hash(run, fetched, overridden)
    checker = BatchCheck(run.pipeline.sources[fetched.source], fetched.window, overridden)
    folder = f"batches/{run.pipeline.pipeline}/{fetched.source}/{_folder(run, fetched, sha256)}"
    accepted, quarantined = _divide(run, fetched, checker, folder, outside)
    if broken := cross_row_checks(run, fetched.source, checker, accepted):
        accepted, quarantined = _take_out(run, fetched, checker, folder, broken, accepted, quarantined)
    results = verdicts.results(checker)
    if not fetched.is_reread and (misplaced := misplaced_result(checker.source, outside, checker.received)):
        results.append(misplaced)
    if checker.source.main and (dates := dates_result(checker.source, checker.clusters.by_hour, run.pipeline.zone)):
        results.append(dates)
    results += sudden_changes(run, fetched.source, fetched.window, checker.profile)
    _tell(run, fetched, outside, results)
    batch = Batch(
        source=fetched.source,
        accepted_uri=accepted,
        quarantined_uri=quarantined,
        row_count=checker.received - checker.quarantined,
        quarantined_count=checker.quarantined,
        results=results,
        sha256=sha256,
        spans=checker.spans,
        payload_ids=fetched.payload_ids,
        is_simulated=fetched.is_simulated,
        profile_uri=keep_profile(run, folder, checker.profile),
        newest_at=checker.newest_at,
        contract_sha256=run.pipeline.sources[fetched.source].contract_sha256(),
        outside_count=outside.count,
        before_count=outside.before,
        after_count=outside.after,
    )
    _write_report(run, fetched, checker, batch)
    return batch


def block(run: Run, window: Window, batch: Batch, broken: list[Result]) -> None:
    """Record a batch that breaks its contract as blocked, and raise.

    Raises
    ------
    ContractBroken
        Always, with what was broken, three examples, where, and the way back. A retry brings the same.
    """
    from include.quarantine.record import record_blocked
    from include.quarantine.tell import retry_command, trigger_command
    from include.warehouse.assess import record_quality
    from include.warehouse.engine import transaction

    name = run.pipeline.pipeline
    with transaction(run.engine) as connection, connection.cursor() as cursor:
        record_blocked(cursor, run.lake, name, window, batch, broken, run.ref)
        record_quality(cursor, run.lake, run.pipeline, window, batch, run.ref)
    reasons = chain.from_iterable(rows.column("reason") for rows in run.lake.reading(batch.quarantined_uri))
    lines = [
        f"{name} {batch.source} {window}: blocked, nothing was loaded.",
        *(f"Broken: {result.sentence}" for result in broken),
        *(
            f"Quarantined by: {r.sentence}"
            for r in batch.results
            if r.is_row_level and r.severity == "stop" and not r.is_passed
        ),
        f"Rows: {batch.received} received, {batch.quarantined_count} quarantined one by one, {batch.outside_count}"
        f" outside the window; all in it wait in ops.quarantine: ciclo quarantine list {name}",
        *(f"Example: {reason}" for reason in islice(dict.fromkeys(islice(reasons, LOOKED_AT)), 3)),
        f"Mend the source, or the contract in {run.pipeline.where('sources', batch.source)}, then bring it back:",
        f"  {retry_command(name, window)}",
        f"  or: {trigger_command(name, window)}",
    ]
    raise ContractBroken("\n".join(lines))


def _batch_hash(run: Run, fetched: Fetched, overridden: frozenset[str]) -> str:
    """Hash what a batch is made of: its payloads, its contract, its window and the rows somebody has overridden."""
    contract = run.pipeline.sources[fetched.source].model_dump_json()
    parts = [*(entry["sha256"] for entry in fetched.payloads), contract, json.dumps(fetched.window.to_dict())]
    return hashlib.sha256("\n".join([*parts, *sorted(overridden)]).encode()).hexdigest()


def _folder(run: Run, fetched: Fetched, sha256: str) -> str:
    """Return a name that no other run has: two runs of one window do not write into each other's files."""
    parts = (run.ref.dag_id, run.ref.run_id, sha256, str(fetched.number))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _tell(run: Run, fetched: Fetched, outside: Outside, results: list[Result]) -> None:
    """Log what lies outside the window and what is found beyond single rules, and alert of it."""
    from include.alerts.record import raise_alert

    where = f"{run.pipeline.pipeline} {fetched.source}"
    if outside.span:
        log.info("%s: %d rows lie outside the window, from %s to %s", where, outside.count, *outside.span)
    if outside.before or outside.after:
        log.warning(
            "%s: %d rows lie before the first window, which starts %s, and %d after the last: no load takes them",
            *(where, outside.before, outside.first, outside.after),
        )
    findings = {r.rule: r for r in results if r.rule in ("clustered", "outside", "empty", "dates") and not r.is_passed}
    for finding in findings.values():
        log.warning("%s: %s", where, finding.sentence)
    told = [findings[rule].sentence for rule in ("clustered", "outside") if rule in findings]
    if told and not fetched.is_reread:
        with run.engine.begin() as connection:
            message = f"{fetched.window}: {fetched.source} {'; '.join(told)}"
            raise_alert(connection, run.pipeline, "quality", message, run.ref)


def _divide(run: Run, fetched: Fetched, checker: BatchCheck, folder: str, outside: Outside) -> tuple[str, str]:
    """BatchCheck all parts, the next one being read meanwhile, and write both outcomes; return where they lie."""
    from include.quality.stream import ahead, gather
    from include.warehouse.payloads import first_with_their_bytes
    from include.warehouse.staging import accepted_schema, numbered, quarantined_schema

    with run.engine.connect() as connection:
        first = first_with_their_bytes(connection, fetched.payload_ids)
    own = [place for place, payload_id in enumerate(fetched.payload_ids) if payload_id in first]
    wanted, other = accepted_schema(run.pipeline, fetched.source), quarantined_schema()
    with (
        run.lake.writing(f"{folder}/accepted", wanted) as accepted,
        run.lake.writing(f"{folder}/quarantined", other) as quarantined,
    ):
        for raw in gather(ahead(_raw(run, fetched, outside), 2)):
            part = checker.take(own_rows(raw, own, outside))
            accepted.add(numbered(part.accepted, fetched.payload_ids, wanted))
            quarantined.add(numbered(part.quarantined, fetched.payload_ids, other))
            if checker.received > raw.num_rows:
                log.info("%s %s: %d rows so far", run.pipeline.pipeline, fetched.source, checker.received)
            del raw, part  # before the next ones are gathered
    return accepted.uri, quarantined.uri


def _raw(run: Run, fetched: Fetched, outside: Outside | None = None) -> Iterator[pa.RecordBatch]:
    """Parse a fetch's payloads; they are joined where they carry columns of the same rows."""
    from functools import partial

    from include.sources import parse

    source = run.pipeline.sources[fetched.source]
    openers = [partial(run.lake.open, entry["uri"]) for entry in fetched.payloads]
    names = (run.pipeline.pipeline, fetched.source)
    return parse(*names, source, openers, fetched.window, fetched_at=fetched.fetched_at, outside=outside)


def _take_out(
    run: Run,
    fetched: Fetched,
    checker: BatchCheck,
    folder: str,
    broken: Broken,
    accepted_uri: str,
    quarantined_uri: str,
) -> tuple[str, str]:
    """Quarantine accepted rows that broke a rule together with others; how they came is read from the lake again."""
    from include.warehouse.staging import accepted_schema, numbered, quarantined_schema

    wanted, other = accepted_schema(run.pipeline, fetched.source), quarantined_schema()
    with run.lake.writing(f"{folder}/accepted_alone", wanted) as accepted:
        for batch in run.lake.reading(accepted_uri):
            accepted.add(batch.filter(all_but(batch, broken)))
    with run.lake.writing(f"{folder}/quarantined_all", other) as quarantined:
        for batch in run.lake.reading(quarantined_uri):
            quarantined.add(batch)
        for raw in _raw(run, fetched):
            if faults := [(at, *broken[place]) for at, place in enumerate(row_ids_of(raw)) if place in broken]:
                quarantined.add(numbered(checker.quarantine(raw, faults), fetched.payload_ids, other))
    return accepted.uri, quarantined.uri


def _write_report(run: Run, fetched: Fetched, checker: BatchCheck, batch: Batch) -> None:
    """Write the batch's page of Great Expectations' Data Docs."""
    from include.quality.data_docs.files import write
    from include.quality.data_docs.report import Report, examples
    from include.settings import settings

    spec = run.pipeline.sources[fetched.source]
    masked = [name for name, column in spec.columns.items() if column.personal != "no"]
    shown = examples(run.lake.reading(batch.quarantined_uri), masked=masked)
    page = write(
        settings().var / "docs" / "quality",
        Report(
            pipeline=run.pipeline.pipeline,
            source=fetched.source,
            window=fetched.window,
            results=batch.results,
            rules=checker.rules,
            examples={key: reasons for key, reasons in checker.examples.items() if key[1] not in masked} | shown,
            dag_id=run.ref.dag_id,
            run_id=run.ref.run_id,
            checked_at=datetime.now(UTC),
            is_simulated=batch.is_simulated,
            title=spec.title,
            outside_count=batch.outside_count,
        ),
    )
    log.info("%s %s: the report is %s, and a link on this task's page", run.pipeline.pipeline, fetched.source, page)
