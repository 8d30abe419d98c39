"""Checked rows between two tasks: Arrow streams below ``batches/``, written and read a batch at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from include.errors import PayloadLost
from include.lake.files import Files, one_line

STREAM = re.compile(r"(?:.*/)?(batches(?:/[A-Za-z0-9_=\-][A-Za-z0-9_=.\-]*)+\.arrows)")
# What does not shrink is not worth the time: numbers hardly do, and the file is gone in days.
OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")


class Batches:
    """A stream that is being written: where it will lie once the block ends well, and its rows so far."""

    def __init__(self, uri: str, writer: pa.ipc.RecordBatchStreamWriter) -> None:
        self.uri, self.row_count, self._writer = uri, 0, writer

    def add(self, batch: pa.RecordBatch) -> None:
        """Append a batch of the stream's schema."""
        if batch.num_rows:
            self._writer.write_batch(batch)
            self.row_count += batch.num_rows


@contextmanager
def writing(files: Files, name: str, schema: pa.Schema) -> Iterator[Batches]:
    """Give a stream to write to; it is there when the block ends well, and replaces one of the same name.

    The name is ``batches/…``, which `Lake.clean` sweeps.

    Raises
    ------
    SourceUnavailable
        The store does not take it. A retry may help.
    """
    name = f"{name}.arrows"
    with files.writing(name) as file, pa.ipc.new_stream(file, schema, options=OPTIONS) as writer:
        yield Batches(files.uri(name), writer)


def reading(files: Files, uri: str) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a stream, one at a time.

    Raises
    ------
    PayloadLost
        It is not there, or damaged: clear the task that wrote it.
    SourceUnavailable
        The store does not answer. A retry may help.
    """
    match = STREAM.fullmatch(uri)
    if match is None:
        raise PayloadLost(f"{uri} is not the URI of a stream of batches: clear the task that wrote it")
    try:
        opened = files.open(match[1])
    except PayloadLost:
        raise PayloadLost(f"{uri} is not in the lake any more: clear the task that wrote it") from None
    with files.reachable(match[1]), opened as file:
        stream = _guarded(uri, lambda: pa.ipc.open_stream(file))
        while (batch := _guarded(uri, lambda: next(stream, None))) is not None:
            yield batch


def _guarded(uri: str, read: Callable[[], Any]) -> Any:
    """Read on; Arrow's own errors say that the bytes are damaged, those of the store have a number."""
    try:
        return read()
    except (pa.ArrowException, EOFError, MemoryError, OSError) as error:
        if getattr(error, "errno", None) is not None:
            raise
        raise PayloadLost(f"{uri} is damaged ({one_line(error)}): clear the task that wrote it") from None
