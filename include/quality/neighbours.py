"""Rules between neighbours in time: how far a value may jump, how long it may stand still."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from include.spec.fields import span
from include.spec.model import AnySource
from include.spec.quality import Frozen, Step

RowId = tuple[int, int]  # payload and row_number
ROW_ID = ("payload", "row_number")


def neighbour_checks(source: AnySource) -> list[Step | Frozen]:
    """Return a source's checks between neighbours."""
    return [check for check in source.checks if isinstance(check, Step | Frozen)]


def find(
    rows: Iterable[pa.RecordBatch], checks: Sequence[Step | Frozen], key: Sequence[str], before: pa.Table | None = None
) -> dict[str, dict[RowId, str]]:
    """Find rows that break a rule between neighbours. Pure; how the rows come never changes the answer.

    Parameters
    ----------
    rows : iterable of pyarrow.RecordBatch
        `valid_at`, `payload`, `row_number`, the key and the checks' columns, typed; any order.
    checks : sequence of Step or Frozen
    key : sequence of str
        Key columns: only rows of one key are neighbours.
    before : pyarrow.Table, optional
        Rows of the warehouse from before the batch: `valid_at`, the key and the columns.

    Returns
    -------
    dict of dict
        For each check's name the places of the rows that break it, each with the reason.
    """
    names = ["valid_at", *key, *dict.fromkeys(check.column for check in checks)]
    kept = [batch.select([*names, *ROW_ID]) for batch in rows]  # some forty bytes a row: the memory it takes
    table = pa.Table.from_batches(kept) if kept else None
    if table is None or not table.num_rows:
        return {check.name: {} for check in checks}
    if before is not None and before.num_rows:
        nowhere = pa.nulls(before.num_rows, pa.int64())
        earlier = before.select(names).append_column("payload", nowhere.cast(table.schema.field("payload").type))
        table = pa.concat_tables([earlier.append_column("row_number", nowhere).cast(table.schema), table])
    table = table.sort_by([*((name, "ascending") for name in key), ("valid_at", "ascending")])
    return {check.name: _broken(table, check, key) for check in checks}


def _broken(table: pa.Table, check: Step | Frozen, key: Sequence[str]) -> dict[RowId, str]:
    values = table.column(check.column)
    follows = _follows(table, check, key)
    if isinstance(check, Step):
        numbers = values.to_numpy().astype(float)
        jump = np.abs(np.diff(numbers, prepend=np.nan))
        with np.errstate(invalid="ignore"):
            positions = np.flatnonzero(follows & (jump > check.max))
        reasons = [f"{check.column} = {numbers[at]:.15g} after {numbers[at - 1]:.15g}" for at in positions]
    else:
        length = _runs(table, check.column, follows)
        positions = np.flatnonzero(length > check.rows)
        shown = values.take(positions).to_pylist()
        reasons = [
            f"{check.column} = {value!r} for the {length[at]}th time"
            for at, value in zip(positions, shown, strict=True)
        ]
    payloads, numbers_ = (table.column(name).take(positions).to_pylist() for name in ROW_ID)
    places = zip(payloads, numbers_, strict=True)
    return {place: reason for place, reason in zip(places, reasons, strict=True) if place[0] is not None}


def _follows(table: pa.Table, check: Step | Frozen, key: Sequence[str]) -> np.ndarray:
    """Tell for each row whether the one before it is its neighbour."""
    times = table.column("valid_at").to_numpy().astype("datetime64[us]")
    limit = np.timedelta64(span(check.within))
    follows = np.concatenate(([False], np.diff(times) <= limit))
    for name in key:
        codes = table.column(name).combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
        follows[1:] &= codes[1:] == codes[:-1]
    return follows


def _runs(table: pa.Table, name: str, follows: np.ndarray) -> np.ndarray:
    """Return for each row how many equal values stand in a row up to it; 0 where the value is missing."""
    values = table.column(name).combine_chunks()
    values = values.chunk(0) if isinstance(values, pa.ChunkedArray) else values
    codes = values.dictionary_encode().indices.fill_null(-1).to_numpy()
    same = follows & (codes == np.concatenate(([-2], codes[:-1])))
    place = np.arange(len(codes))
    begins = np.maximum.accumulate(np.where(same, 0, place))
    return np.where(codes < 0, 0, place - begins + 1)
