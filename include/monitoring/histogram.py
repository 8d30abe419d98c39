"""Count the values of a window on the grids of its reference, in parts that fit the processor's cache."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from include.monitoring.grid import Grid

CHUNK = 131_072  # values looked at together: 1 MB, and a second for their places
LARGEST = 1e150
THREADS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True, eq=False)
class Counts:
    """What is known of a subject's values over some rows; the sum of two is that of all their rows.

    Attributes
    ----------
    origin : float
        The grid's; sums are taken about it.
    rows, missing : int
        Rows, and those of them without a value.
    total, square : float
        Sums of the values less `origin` and of their squares.
    held_total, held_square : float
        The same with values beyond the grid's ends counted as the ends.
    beyond : int
        Values below the smallest or above the largest of the reference.
    cells : numpy.ndarray of int64, shape (cells,)
        Values by cell.
    """

    origin: float
    rows: int
    missing: int
    total: float
    square: float
    held_total: float
    held_square: float
    beyond: int
    cells: np.ndarray

    def __add__(self, other: Counts) -> Counts:
        if self.origin != other.origin or len(self.cells) != len(other.cells):
            raise ValueError("counts on different grids do not merge; count those rows anew on one of them")
        names = ("rows", "missing", "total", "square", "held_total", "held_square", "beyond", "cells")
        return Counts(self.origin, *(getattr(self, name) + getattr(other, name) for name in names))

    @property
    def values(self) -> int:
        """Rows with a value."""
        return self.rows - self.missing

    @property
    def mean(self) -> float:
        """Exact mean; NaN without a value."""
        return self.origin + self.total / self.values if self.values else float("nan")

    @property
    def deviation(self) -> float:
        """Exact standard deviation (n); NaN without a value."""
        return _deviation(self.values, self.total, self.square)

    @property
    def held_mean(self) -> float:
        """Mean with values beyond the grid's ends counted as the ends, which single wild values do not move."""
        return self.origin + self.held_total / self.values if self.values else float("nan")

    @property
    def held_deviation(self) -> float:
        """Standard deviation of the same."""
        return _deviation(self.values, self.held_total, self.held_square)


def _deviation(values: int, total: float, square: float) -> float:
    with np.errstate(all="ignore"):
        spread = square / values - (total / values) ** 2 if values else float("nan")
    return float(np.sqrt(max(spread, 0.0))) if spread == spread else float("nan")


def count(grid: Grid, values: np.ndarray) -> Counts:
    """Count the values of one subject.

    Parameters
    ----------
    values : numpy.ndarray, shape (n,)
        Numbers or booleans; see `is_number` for what is missing.

    Examples
    --------
    >>> from include.monitoring.grid import fit
    >>> counts = count(fit(np.tile([0.0, 1.0], 50)), np.array([1.0, 1.0, np.nan, 7.0]))
    >>> counts.values, counts.missing, counts.mean, counts.beyond
    (3, 1, 3.0, 1)
    """
    room, places = np.empty(min(CHUNK, len(values))), np.empty(min(CHUNK, len(values)), np.intp)
    tally = np.zeros(grid.size if grid.is_exact else grid.places + 2, np.int64)
    missing = beyond = 0
    total = square = 0.0
    low, high = grid.smallest - grid.origin, grid.largest - grid.origin
    with np.errstate(over="ignore", invalid="ignore"):
        for first in range(0, len(values), CHUNK):
            part = values[first : first + CHUNK]
            offsets = np.subtract(part, grid.origin, out=room[: len(part)], dtype=np.float64)
            squares = _squares(offsets)
            if not squares < LARGEST**2:  # only then is it worth looking at each
                offsets = offsets[is_number(offsets)]
                missing, squares = missing + len(part) - len(offsets), _squares(offsets)
            total, square = total + float(offsets.sum()), square + squares
            beyond += int(np.count_nonzero(offsets < low) + np.count_nonzero(offsets > high))
            tally += grid.tally(offsets, places[: len(offsets)])
    held, exact = grid.held, tally.astype(np.float64)
    sums = float(np.einsum("i,i->", exact, held)), float(np.einsum("i,i,i->", exact, held, held))
    return Counts(grid.origin, len(values), missing, total, square, *sums, beyond, grid.cells(tally))


def is_number(values: np.ndarray) -> np.ndarray:
    """Say which values are numbers that can be measured: neither NaN nor infinite, nor so large that squares are."""
    return np.abs(values, dtype=np.float64) < LARGEST


def _squares(offsets: np.ndarray) -> float:
    return float(np.einsum("i,i->", offsets, offsets))  # not `@`, which waits for threads of its own


@dataclass(frozen=True)
class WindowCounts:
    """A window's rows, counted.

    Attributes
    ----------
    rows : int
        Rows.
    subjects : dict of str to Counts
        Of the columns that the rows have and the reference knows.
    columns : frozenset of str
        All columns of the rows.
    span_ns : int or None
        From the first row's time to the last one's; None where rows have no time.
    """

    rows: int
    subjects: dict[str, Counts]
    columns: frozenset[str]
    span_ns: int | None = None


def count_rows(grids: Mapping[str, Grid], rows: Any, time: str = "valid_at") -> WindowCounts:
    """Count all subjects of a window, column by column in threads.

    Parameters
    ----------
    grids : Mapping of str to Grid
        By subject.
    rows : DataFrame, pyarrow Table or RecordBatch, Mapping of str to array, or an iterable of any of these
        An iterable is read part by part, so that memory does not grow with the rows.
    time : str
        Column with the rows' times, where they have it.
    """
    counted: dict[str, Counts] = {}
    columns: set[str] = set()
    number, ends = 0, []
    with ThreadPoolExecutor(THREADS) as threads:
        for part in parts_of(rows):
            names = names_of(part)
            columns.update(names)
            known = [name for name in names if name in grids]
            for name, counts in zip(known, threads.map(lambda n: count(grids[n], column(part, n)), known), strict=True):  # noqa: B023 (the map is used up before the next part)
                counted[name] = counted[name] + counts if name in counted else counts
            number += length(part)
            if time in names and length(part):
                moments = times(part, time)
                ends += [int(moments.min()), int(moments.max())]
    return WindowCounts(number, counted, frozenset(columns), max(ends) - min(ends) if ends else None)


def column(part: Any, name: str) -> np.ndarray:
    """Return a column as an array of numbers, missing ones as NaN, without a copy where that can be."""
    values = part[name]
    if hasattr(values, "null_count"):  # Arrow
        values = values.to_numpy(**({} if hasattr(values, "chunks") else {"zero_copy_only": False}))
    elif hasattr(values, "to_numpy") and not isinstance(values.dtype, np.dtype):  # one of pandas' own
        values = values.to_numpy("float64", na_value=np.nan)
    array = np.asarray(values)
    return array if array.dtype.kind in "fiub" else array.astype(np.float64)


def times(part: Any, name: str) -> np.ndarray:
    """Return a column of times as nanoseconds since 1970 UTC, int64; times without a zone are UTC."""
    import pandas as pd

    values = part[name]
    values = values.to_pandas() if hasattr(values, "null_count") else values
    return pd.DatetimeIndex(pd.to_datetime(values, utc=True)).as_unit("ns").asi8


def names_of(part: Any) -> list[str]:
    """Return the columns of a frame, a table or a Mapping of arrays."""
    return list(part.column_names if hasattr(part, "column_names") else part)


def parts_of(rows: Any) -> Iterator[Any]:
    """Yield the frames, record batches or Mappings that rows consist of."""
    if isinstance(rows, Mapping) or hasattr(rows, "shape") or not isinstance(rows, Iterable):
        yield rows
    elif hasattr(rows, "to_batches"):
        yield from rows.to_batches()
    elif hasattr(rows, "column_names"):
        yield rows
    else:
        for part in rows:
            yield from parts_of(part)


def length(part: Any) -> int:
    """Return the number of rows of a frame, a table or a Mapping of arrays."""
    if isinstance(part, Mapping):
        return len(next(iter(part.values()), ()))
    return int(part.num_rows if hasattr(part, "num_rows") else len(part))
