"""The durable log of answers: written before an answer leaves, a line each, and brought to the warehouse after.

A line is a row of Postgres's COPY text format. A worker appends to a segment of its own, which it keeps locked; a line
counts once its newline stands in the file, so what a killed process half wrote is no answer that anybody got.
"""

from __future__ import annotations

import fcntl
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

SEGMENT_BYTES = 16 << 20
SUFFIX = ".rows"


class SpoolFull(Exception):
    """What waits has reached the limit, or the disk is full: nothing more can be answered until the warehouse is."""


class Spool:
    r"""Append lines to segments of one worker; refuse them once all segments together reach a limit.

    Parameters
    ----------
    folder : Path
        Shared by the workers of one service.
    limit_bytes : int
        Of all segments in the folder that are not in the warehouse yet.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     spool = Spool(Path(folder), 100)
    ...     spool.append(b"1\n")
    ...     [segment] = waiting(Path(folder))
    ...     segment.read_bytes()
    b'1\n'
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self.folder, self.limit_bytes = folder, limit_bytes
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file, self._end = -1, 0
        self._room = 0
        self.measure()

    def append(self, lines: bytes) -> None:
        """Write whole lines; when it returns, they survive the death of this process.

        Raises
        ------
        SpoolFull
            Nothing of them was written; the same request may be sent again later.
        """
        if len(lines) > self._room:
            raise SpoolFull(f"{self.folder} holds {self.limit_bytes:,} bytes that the warehouse has not taken yet")
        if self._file < 0 or self._end >= SEGMENT_BYTES:
            self._begin()
        try:
            written = os.write(self._file, lines)
        except OSError as error:
            raise self._undone(error.strerror) from error
        if written < len(lines):
            raise self._undone("no space is left")
        self._end += written
        self._room -= written

    def measure(self) -> int:
        """Look how much waits in the folder, and return it, bytes; to be called several times a second."""
        depth = sum(size for _, size in _sizes(self.folder))
        self._room = self.limit_bytes - depth
        return depth

    def close(self) -> None:
        """Leave the segment to whoever brings it to the warehouse."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _begin(self) -> None:
        path = self.folder / f"{time.time_ns():020d}-{uuid.uuid4().hex}{SUFFIX}"
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except OSError as error:
            raise SpoolFull(f"{self.folder} cannot be written: {error.strerror}") from error
        fcntl.flock(file, fcntl.LOCK_EX)
        self.close()
        self._file, self._end = file, 0

    def _undone(self, reason: str | None) -> SpoolFull:
        os.ftruncate(self._file, self._end)
        return SpoolFull(f"{self.folder} cannot be written: {reason}")


def waiting(folder: Path) -> list[Path]:
    """Return the segments, the oldest first."""
    return sorted(path for path, _ in _sizes(folder))


def is_closed(segment: Path) -> bool:
    """Tell whether nobody writes to a segment any more: its worker went on to another one, or is gone."""
    with segment.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _sizes(folder: Path) -> Iterator[tuple[Path, int]]:
    for entry in os.scandir(folder):
        if entry.name.endswith(SUFFIX):
            try:
                yield Path(entry.path), entry.stat().st_size
            except FileNotFoundError:  # it was brought to the warehouse meanwhile
                continue
