"""Batches on their way: gathered to a size worth checking, and read ahead while the warehouse writes."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 40_000  # of twelve columns these take some 40 MB with all that is made of them
Item = TypeVar("Item")


def gather(batches: Iterable[pa.RecordBatch], rows: int = ROWS) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in batches of about `rows`; empty ones are left out.

    Some are smaller: the last one, and one before rows whose schema tells something else.
    """
    import pyarrow as pa

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
    queue: Queue[tuple[bool, Any]] = Queue(depth)
    is_over = threading.Event()

    def offer(entry: tuple[bool, Any]) -> bool:
        while not is_over.is_set():
            try:
                queue.put(entry, timeout=0.1)
                return True
            except Full:
                continue
        return False

    def run() -> None:
        try:
            for item in items:
                if not offer((True, item)):
                    return
            offer((False, None))
        except BaseException as error:
            offer((False, error))

    worker = threading.Thread(target=run, name="read ahead", daemon=True)
    worker.start()
    try:
        while True:
            is_item, value = queue.get()
            if not is_item:
                break
            yield value
        if value is not None:
            raise value
    finally:
        is_over.set()
        _drain(queue)
        worker.join()


def _drain(queue: Queue[Any]) -> None:
    """Let go of what is still held."""
    try:
        while True:
            queue.get_nowait()
    except Empty:
        return
