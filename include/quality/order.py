"""Whether rows come in strictly growing order of their time and key: then no two of them share it."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


class Order:
    """Watches batches that come one after the other.

    Parameters
    ----------
    names : tuple of str
        The columns compared, the first one first.

    Attributes
    ----------
    holds : bool
        Whether every row so far was beyond the one before it.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.holds = True
        self._last: list[Any] | None = None

    def take(self, batch: pa.RecordBatch) -> None:
        """Look at the next batch; the named columns hold no null."""
        if not self.holds or not batch.num_rows:
            return
        columns = [batch.column(name) for name in self.names]
        if self._last is not None:
            columns = [pa.concat_arrays([last, column]) for last, column in zip(self._last, columns, strict=True)]
        self._last = [column.slice(len(column) - 1) for column in columns]
        beyond = pa.array([False] * (len(columns[0]) - 1), pa.bool_())
        for column in reversed(columns):
            before, after = column.slice(0, len(column) - 1), column.slice(1)
            beyond = pc.or_(pc.greater(after, before), pc.and_(pc.equal(after, before), beyond))
        self.holds = pc.all(beyond, min_count=0).as_py()
