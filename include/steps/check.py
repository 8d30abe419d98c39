"""The middle of ``ingest_<pipeline>``: payloads through their contract, divided into what may load and what may not."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple

from include.errors import ContractBroken
from include.windows import Window

if TYPE_CHECKING:
    import pyarrow as pa

    from include.quality.check import Check
    from include.quality.contract import Result
    from include.steps.run import Run
    from include.warehouse.load import Batch

log = logging.getLogger(__name__)


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
    """

    source: str
    window: Window
    payloads: list[dict[str, Any]]
    is_simulated: bool
    number: int = 0

    @property
    def payload_ids(self) -> tuple[int, ...]:
        """Numbers of the payloads in ``raw.payload``, in the order in which they are parsed."""
        return tuple(entry["payload_id"] for entry in self.payloads)


def examine(run: Run, fetched: Fetched) -> Batch:
    """Parse payloads, run the contract and keep accepted and rejected rows in the lake, all in bounded memory.

    Raises
    ------
    ContractBroken
        The payloads are not what was agreed. A breach of the contract alone does not raise: see `refuse`.
    SourceUnavailable
        The lake or the warehouse does not answer. A retry is safe.
    """
    from include.quality.check import Check
    from include.warehouse.load import Batch

    sha256 = _batch_hash(run, fetched)
    checker = Check(run.pipeline.sources[fetched.source])
    folder = f"batches/{run.pipeline.pipeline}/{fetched.source}/{_folder(run, fetched, sha256)}"
    accepted, rejected = _divide(run, fetched, checker, folder)
    if not checker.is_ordered:
        accepted, rejected = _take_out_repeats(run, fetched, checker, folder, accepted, rejected)
    return Batch(
        source=fetched.source,
        accepted_uri=accepted,
        rejected_uri=rejected,
        row_count=checker.received - checker.rejected,
        rejected_count=checker.rejected,
        results=checker.results(),
        sha256=sha256,
        spans=checker.spans,
        payload_ids=fetched.payload_ids,
        is_simulated=fetched.is_simulated,
    )


def refuse(run: Run, window: Window, batch: Batch, broken: list[Result]) -> None:
    """Record a batch that breaks its contract, verdicts and rejected rows, and raise.

    Raises
    ------
    ContractBroken
        Always, with what was broken, examples and the way back. A retry brings the same.
    """
    from include.warehouse.engine import transaction
    from include.warehouse.record import record_checks

    name = run.pipeline.pipeline
    with transaction(run.engine) as connection, connection.cursor() as cursor:
        record_checks(cursor, run.lake, name, window, batch, run.ref)
    reasons = islice(chain.from_iterable(rows.column("reason") for rows in run.lake.reading(batch.rejected_uri)), 3)
    examples = "; ".join(str(reason) for reason in reasons) or "none set aside"
    said = "; ".join(f"{r.rule} of {r.column}: {r.observed}, expected {r.expected}" for r in broken)
    conf = json.dumps(window.to_dict())
    raise ContractBroken(
        f"{name} {batch.source} {window}: stopped before the warehouse, nothing was loaded. Broken: {said}."
        f" Rows set aside: {batch.rejected_count} (see ops.quarantine), e.g. {examples}. Mend the source or the"
        f" contract in {run.pipeline.where('sources', batch.source)}, then: airflow dags trigger ingest_{name} --conf '{conf}'"
    )


def _batch_hash(run: Run, fetched: Fetched) -> str:
    """Hash what a batch is made of: its payloads, its contract and its window."""
    contract = run.pipeline.sources[fetched.source].model_dump_json()
    parts = [*(entry["sha256"] for entry in fetched.payloads), contract, json.dumps(fetched.window.to_dict())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _folder(run: Run, fetched: Fetched, sha256: str) -> str:
    """Return a name that no other run has: two runs of one window do not write into each other's files."""
    parts = (run.ref.dag_id, run.ref.run_id, sha256, str(fetched.number))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _divide(run: Run, fetched: Fetched, checker: Check, folder: str) -> tuple[str, str]:
    """Check all parts, the next one being read meanwhile, and write both outcomes; return where they lie."""
    from include.quality.stream import ahead, gather
    from include.warehouse.staging import accepted_schema, numbered, rejected_schema

    wanted, other = accepted_schema(run.pipeline, fetched.source), rejected_schema()
    with (
        run.lake.writing(f"{folder}/accepted", wanted) as accepted,
        run.lake.writing(f"{folder}/rejected", other) as rejected,
    ):
        for raw in gather(ahead(_raw(run, fetched), 2)):
            part = checker.take(raw)
            accepted.add(numbered(part.accepted, fetched.payload_ids, wanted))
            rejected.add(numbered(part.rejected, fetched.payload_ids, other))
            if checker.received > raw.num_rows:
                log.info("%s %s: %d rows so far", run.pipeline.pipeline, fetched.source, checker.received)
            del raw, part  # before the next ones are gathered
    return accepted.uri, rejected.uri


def _raw(run: Run, fetched: Fetched) -> Iterator[pa.RecordBatch]:
    """Parse a fetch's payloads; they are joined where they carry columns of the same rows."""
    from functools import partial

    from include.sources import parse

    source = run.pipeline.sources[fetched.source]
    openers = [partial(run.lake.open, entry["uri"]) for entry in fetched.payloads]
    return parse(run.pipeline.pipeline, fetched.source, source, openers, fetched.window)


def _take_out_repeats(
    run: Run, fetched: Fetched, checker: Check, folder: str, accepted_uri: str, rejected_uri: str
) -> tuple[str, str]:
    """Set aside accepted rows that share their key; how they came is read from the lake once more."""
    from include.warehouse import repeats
    from include.warehouse.engine import transaction
    from include.warehouse.staging import accepted_schema, numbered, rejected_schema

    with transaction(run.engine) as connection, connection.cursor() as cursor:
        found = repeats.find(cursor, run.pipeline, fetched.source, run.lake.reading(accepted_uri))
    if not any(found.values()):
        return accepted_uri, rejected_uri
    wanted, other = accepted_schema(run.pipeline, fetched.source), rejected_schema()
    faulty = found["repeated"] | found["unique"]
    with run.lake.writing(f"{folder}/accepted_once", wanted) as accepted:
        for batch in run.lake.reading(accepted_uri):
            accepted.add(batch.filter(_all_but(batch, faulty)))
    with run.lake.writing(f"{folder}/rejected_all", other) as rejected:
        for batch in run.lake.reading(rejected_uri):
            rejected.add(batch)
        for raw in _raw(run, fetched):
            for rule, places in found.items():
                if positions := [at for at, place in enumerate(_places(raw)) if place in places]:
                    rejected.add(numbered(checker.set_aside(raw, rule, positions), fetched.payload_ids, other))
    return accepted.uri, rejected.uri


def _all_but(batch: pa.RecordBatch, places: set[tuple[int, int]]) -> pa.Array:
    import pyarrow as pa

    return pa.array([place not in places for place in _places(batch)], pa.bool_())


def _places(batch: pa.RecordBatch) -> Iterator[tuple[int, int]]:
    """Yield each row's payload and its place in it."""
    return zip(batch.column("payload").to_pylist(), batch.column("row_number").to_pylist(), strict=True)
