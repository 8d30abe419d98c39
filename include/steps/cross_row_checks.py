"""Rules that take more than one row to see: keys and values that repeat, references, neighbours in time."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from include.quality.batch_check import BatchCheck
    from include.steps.run import Run

RowId = tuple[int, int]  # payload and row_number
Broken = dict[RowId, tuple[str, str, str]]  # the rule that takes a row out, its column and the reason
Rows = Callable[[], "Iterator[pa.RecordBatch]"]


def cross_row_checks(run: Run, source: str, checker: BatchCheck, accepted_uri: str) -> Broken:
    """Look at a batch's accepted rows together, tell the check what broke, and return the rows to quarantine.

    A row that repeats another one's key is not judged again: beside it the other would not be alone with its value.

    Raises
    ------
    ConfigError
        A check refers to a table that is not there. Not retried.
    SourceUnavailable
        The lake or the warehouse does not answer. A retry is safe.
    """
    repeats = _repeats(run, source, checker, accepted_uri)
    gone = {place for places in repeats.values() for place in places}
    rows = partial(_rows_but, run, accepted_uri, gone)
    broken_beside = {**_relations(run, source, rows), **_neighbours(run, source, checker, rows)}
    severities = {(rule.rule, rule.column): rule.severity for rule in checker.rules}
    accepted = checker.received - checker.quarantined
    broken: Broken = {}
    for (rule, column), places in (repeats | broken_beside).items():
        judged = accepted if (rule, column) in repeats else accepted - len(gone)
        checker.note(rule, column, judged, list(places.values()))
        if severities[rule, column] == "stop":
            for place, reason in places.items():
                broken.setdefault(place, (rule, column, reason))
    return broken


def all_but(batch: pa.RecordBatch, gone: Container[RowId]) -> pa.Array:
    """Return a mask of the rows that are not at these places."""
    import pyarrow as pa

    return pa.array([place not in gone for place in row_ids_of(batch)], pa.bool_())


def row_ids_of(batch: pa.RecordBatch) -> Iterator[RowId]:
    """Yield each row's payload and its place in it."""
    return zip(batch.column("payload").to_pylist(), batch.column("row_number").to_pylist(), strict=True)


def _rows_but(run: Run, uri: str, gone: set[RowId]) -> Iterator[pa.RecordBatch]:
    for batch in run.lake.reading(uri):
        yield batch.filter(all_but(batch, gone)) if gone else batch


def _repeats(run: Run, source: str, checker: BatchCheck, uri: str) -> dict[tuple[str, str], dict[RowId, str]]:
    from include.warehouse.engine import transaction
    from include.warehouse.relations import repeats

    if checker.is_ordered:  # then no two rows share a key
        return {}
    with transaction(run.engine) as connection, connection.cursor() as cursor:
        places = repeats(cursor, run.pipeline, source, run.lake.reading(uri))
    key = "*" if checker.source.key else "valid_at"
    names = ", ".join((*checker.source.key, "valid_at"))
    return {
        ("repeated", "*"): dict.fromkeys(places["repeated"], "the very same row came before"),
        ("unique", key): dict.fromkeys(places["unique"], f"expected one row for each {names}"),
    }


def _relations(run: Run, source: str, rows: Rows) -> dict[tuple[str, str], dict[RowId, str]]:
    from include.warehouse import relations
    from include.warehouse.engine import transaction

    if not relations.is_asked(run.pipeline, source):
        return {}
    with transaction(run.engine) as connection, connection.cursor() as cursor:
        return relations.find(cursor, run.pipeline, source, rows())


def _neighbours(run: Run, source: str, checker: BatchCheck, rows: Rows) -> dict[tuple[str, str], dict[RowId, str]]:
    from include.quality.neighbours import find, neighbour_checks
    from include.warehouse.engine import transaction
    from include.warehouse.relations import rows_before

    checks = neighbour_checks(checker.source)
    if not checks or "valid_at" not in checker.spans:
        return {}
    with transaction(run.engine) as connection, connection.cursor() as cursor:
        before = rows_before(cursor, run.pipeline, source, checks, checker.spans["valid_at"][0])
    broken = find(rows(), checks, checker.source.key, before)
    return {(check.name, check.column): broken[check.name] for check in checks}
