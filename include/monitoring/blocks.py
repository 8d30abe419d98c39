"""Losses as means of blocks: neighbouring rows resemble each other, blocks of them much less. Pure."""

from __future__ import annotations

import numpy as np

ROWS, MOST, LEAST = 24, 30, 5  # a day of hours; more blocks than that tell nothing more
FEWEST_ROWS = 30


def block_means(losses: np.ndarray) -> tuple[float, ...]:
    """Return the means of equal pieces of losses in time order, shape (n,): one for some 24 rows, at most 30 of them.

    From 30 rows on there are at least five.

    Examples
    --------
    >>> block_means(np.repeat([1.0, 2.0, 3.0, 4.0, 5.0], 10))
    (1.0, 2.0, 3.0, 4.0, 5.0)
    >>> block_means(np.ones(0))
    ()
    """
    count = min(len(losses) // ROWS, MOST)
    count = max(count, LEAST if len(losses) >= FEWEST_ROWS else 1)
    return tuple(float(piece.mean()) for piece in np.array_split(losses, count)) if len(losses) else ()
