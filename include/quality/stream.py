"""Batches on their way: gathered to a size worth checking, and read ahead while the warehouse writes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

import pyarrow as pa

ROWS = 40_000  # of twelve columns these take some 40 MB with all that is made of them
Item = TypeVar("Item")


def gather(batches: Iterable[pa.RecordBatch], rows: int = ROWS) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in batches of about `rows`; empty ones are left out.

    Some are smaller: the last one, and one before rows whose schema tells something else.
    """

    def together() -> pa.RecordBatch:
        """Return what waits as one batch and let go of it: the memory is what bounds the size."""
        whole = waiting[0] if len(waiting) == 1 else pa.concat_batches(waiting)
        waiting.clear()
        return whole

    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        is_full = sum(held.num_rows for held in waiting) + batch.num_rows > rows
        if waiting and (is_full or waiting[0].schema.metadata != batch.schema.metadata):
            yield together()
        if batch.num_rows:
            waiting.append(batch)
        del batch
    if waiting:
        yield together()


def ahead(items: Iterable[Item], depth: int = 1) -> Iterator[Item]:
    """Yield the same items, made by a thread that is up to `depth` of them ahead; its error is raised here."""
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1, "read ahead") as reader:
        waiting = deque(reader.submit(next, iterator, end) for _ in range(depth + 1))
        try:
            while (item := waiting.popleft().result()) is not end:
                waiting.append(reader.submit(next, iterator, end))
                yield cast(Item, item)
        finally:
            reader.shutdown(cancel_futures=True)
