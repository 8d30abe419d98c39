"""Cut the time of a reference into blocks, and each block into parts. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

PARTS = 7  # of a block: days of a week
FEWEST, MOST = 10, 100  # blocks; more than the most are made longer, so that a reference stays small


@dataclass(frozen=True, eq=False)
class Axis:
    """The blocks of a reference, in time order; only those that have rows.

    Attributes
    ----------
    starts : numpy.ndarray of int64, shape (blocks,)
        When each block's span, or its first row, starts: nanoseconds since 1970 UTC; numbers of rows without times.
    block, part : numpy.ndarray of int32, shape (rows,)
        Which block and which part each row belongs to, both counted from 0 without gaps.
    span_ns : int or None
        Length of a part; None where blocks are of equal numbers of rows.
    """

    starts: np.ndarray
    block: np.ndarray
    part: np.ndarray
    span_ns: int | None


def cut(times: np.ndarray | None, rows: int, block: timedelta) -> Axis:
    """Return the axis of rows: blocks of a span, or of about equal numbers of rows where those would be too few.

    Rows of one time belong together, so the order of the rows changes nothing.

    Parameters
    ----------
    times : numpy.ndarray of int64, shape (rows,), or None
        Nanoseconds since 1970 UTC; None where rows have no time but their order.

    Examples
    --------
    >>> day = 86_400_000_000_000
    >>> axis = cut(np.arange(140) * day, 140, timedelta(days=7))
    >>> len(axis.starts), axis.part.max() + 1, axis.span_ns == day
    (20, np.int32(140), True)
    """
    if times is not None and rows:
        first, span = int(times.min()), int(block.total_seconds() * 1e9)
        count = (int(times.max()) - first) // span + 1
        span *= math.ceil(count / MOST)
        blocks = (times - first) // span
        if len(np.unique(blocks)) >= FEWEST:
            length = max(span // PARTS, 1)
            return _axis(times, blocks, (times - first) // length, length)
    times = np.arange(rows) if times is None else times
    parts = _equal(times, min(FEWEST * PARTS, rows))
    return _axis(times, parts // PARTS, parts, None)


def _equal(times: np.ndarray, count: int) -> np.ndarray:
    """Return to which of `count` pieces of about equal numbers of rows each row belongs."""
    ordered = np.sort(times)
    edges = ordered[np.arange(1, count) * len(times) // max(count, 1)]
    return np.searchsorted(edges, times, side="right")


def _axis(times: np.ndarray, blocks: np.ndarray, parts: np.ndarray, span: int | None) -> Axis:
    _, block = np.unique(blocks, return_inverse=True)
    _, part = np.unique(parts, return_inverse=True)
    starts = np.full(block.max() + 1 if len(block) else 0, np.iinfo(np.int64).max)
    np.minimum.at(starts, block, times)
    return Axis(starts, block.astype(np.int32), part.astype(np.int32), span)
