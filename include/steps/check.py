"""The middle of ``ingest_<pipeline>``: a source's payloads through its contract into a staging table."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from include.errors import ContractBroken
from include.windows import Window

if TYPE_CHECKING:
    import pyarrow as pa

    from include.quality.check import Check, Part
    from include.quality.contract import Result
    from include.steps.run import Run
    from include.warehouse.load import Batch
    from include.warehouse.staging import Place

log = logging.getLogger(__name__)


class Fetched(NamedTuple):
    """What one fetch of one source brought for a window.

    Attributes
    ----------
    window : Window
        The window that is being loaded; rows outside are left out.
    payloads : list of dict
        `payload_id`, `uri` and `sha256` of each.
    number : int
        Its place among the fetches that the run loads, from 0.
    """

    source: str
    window: Window
    payloads: list[dict[str, Any]]
    is_simulated: bool
    number: int = 0


def stage(run: Run, fetched: Fetched) -> Batch:
    """Parse payloads, run the contract and stream the accepted rows into a staging table, in bounded memory.

    Raises
    ------
    ContractBroken
        The payloads are not what was agreed. A breach of the contract alone does not raise: see `refuse`.
    SourceUnavailable
        The lake or the warehouse does not answer. A retry is safe.
    """
    from include.quality.check import Check
    from include.warehouse import staging
    from include.warehouse.load import Batch

    place = _place(run, fetched)
    checker = Check(run.pipeline.sources[fetched.source])
    staging.write(run.engine, place, _checked(run, fetched, checker))
    if not checker.is_ordered:
        _take_out_repeats(run, fetched, place, checker)
    return Batch(
        source=fetched.source,
        table=place.name,
        row_count=checker.received - checker.rejected,
        rejected_count=checker.rejected,
        results=checker.results(),
        sha256=place.batch_sha256,
        payload_ids=place.payload_ids,
        is_simulated=fetched.is_simulated,
    )


def refuse(run: Run, window: Window, batch: Batch, broken: list[Result]) -> None:
    """Record a batch that breaks its contract, verdicts and rejected rows, drop its staging tables and raise.

    Raises
    ------
    ContractBroken
        Always, with what was broken, examples and the way back. A retry brings the same.
    """
    from include.warehouse import staging
    from include.warehouse.engine import transaction
    from include.warehouse.record import record_checks

    name = run.pipeline.pipeline
    with transaction(run.engine) as connection, connection.cursor() as cursor:
        record_checks(cursor, name, window, batch, run.ref)
        cursor.execute(f'select reason from staging."{batch.table}_rejected" order by payload_id, row_number limit 3')
        examples = "; ".join(reason for (reason,) in cursor.fetchall()) or "none set aside"
        staging.drop(cursor, batch.table)
    said = "; ".join(f"{r.rule} of {r.column}: {r.observed}, expected {r.expected}" for r in broken)
    conf = json.dumps(window.to_dict())
    raise ContractBroken(
        f"{name} {batch.source} {window}: stopped before the warehouse, nothing was loaded. Broken: {said}."
        f" Rows set aside: {batch.rejected_count} (see ops.quarantine), e.g. {examples}. Mend the source or the"
        f" contract in include/pipelines/{name}/pipeline.yaml, then: airflow dags trigger ingest_{name} --conf '{conf}'"
    )


def _place(run: Run, fetched: Fetched) -> Place:
    """Return where a batch is staged; its hash is that of its payloads, its contract and its window."""
    from include.warehouse.staging import Place

    contract = run.pipeline.sources[fetched.source].model_dump_json()
    parts = [*(entry["sha256"] for entry in fetched.payloads), contract, json.dumps(fetched.window.to_dict())]
    return Place(
        pipeline=run.pipeline,
        source=fetched.source,
        window=fetched.window,
        run=run.ref,
        payload_ids=tuple(entry["payload_id"] for entry in fetched.payloads),
        batch_sha256=hashlib.sha256("\n".join(parts).encode()).hexdigest(),
        number=fetched.number,
    )


def _checked(run: Run, fetched: Fetched, checker: Check) -> Iterator[Part]:
    """Yield checked parts; the next one is read from the lake while this one is checked and written."""
    from include.quality.stream import ahead, gather

    for raw in ahead(gather(_raw(run, fetched))):
        yield checker.take(raw)
        if checker.received > raw.num_rows:
            log.info("%s %s: %d rows so far", run.pipeline.pipeline, fetched.source, checker.received)


def _raw(run: Run, fetched: Fetched) -> Iterator[pa.RecordBatch]:
    """Parse a fetch's payloads; they are joined where they carry columns of the same rows."""
    from functools import partial

    from include.sources import parse
    from include.sources.publication import reach_back

    source = run.pipeline.sources[fetched.source]
    openers = [partial(run.lake.open, entry["uri"]) for entry in fetched.payloads]
    reached = reach_back(fetched.window, source.published)
    return parse(run.pipeline.pipeline, fetched.source, source, openers, reached)


def _take_out_repeats(run: Run, fetched: Fetched, place: Place, checker: Check) -> None:
    """Set aside staged rows that share their key; how they came is read from the lake once more."""
    from include.warehouse import repeats, staging
    from include.warehouse.engine import transaction

    with transaction(run.engine) as connection, connection.cursor() as cursor:
        found = repeats.take_out(cursor, run.pipeline, fetched.source, place.name)
        if not any(found.values()):
            return
        for raw in _raw(run, fetched):
            for rule, places in found.items():
                positions = _positions(raw, places)
                if positions:
                    staging.add_rejected(cursor, place, checker.set_aside(raw, rule, positions))


def _positions(raw: pa.RecordBatch, places: list[tuple[int, int]]) -> list[int]:
    """Return the positions in a batch of the rows at some places of the payloads."""
    wanted = set(places)
    found = zip(raw.column("payload").to_pylist(), raw.column("row_number").to_pylist(), strict=True)
    return [at for at, place in enumerate(found) if place in wanted]
