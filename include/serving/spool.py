"""The durable log of answers: written before an answer leaves, a line each, and brought to the warehouse after.

A line is a row of Postgres's COPY text format. A worker appends to a segment of its own, which it keeps locked. The
lines of one answer count once the blank line behind them stands in the file: what a killed process or a full disk left
half written is no answer that anybody got.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from include.serving.troubles import Troubles

SEGMENT_BYTES = 16 << 20
SUFFIX = ".rows"
ROW_BYTES = 1024  # that a row takes, as long as none was refused: more than most do
REFUSED = "refused"  # the folder beside the spool, with lines that the warehouse will never take
END = b"\n\n"


class SpoolFull(Exception):
    """What waits has reached the limit, or the disk is full: nothing more can be answered until the warehouse is."""


class Spool:
    r"""Append lines to segments of one worker; refuse them once all segments together reach a limit.

    Parameters
    ----------
    folder : Path
        Shared by the workers of one service.
    limit_bytes : int
        Of all segments in the folder, and of the lines that were refused.
    writers : int
        How many workers write to the folder; each takes a share of the room at a time, so that all keep the limit.
    syncs : bool
        Whether answers wait until they would survive a loss of power, see `settle`.

    Attributes
    ----------
    longest : int
        Bytes that the lines of one answer may have: of more there never is room.
    troubles : Troubles
        Why the disk took no line when one was written last, and that the log is full.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     spool = Spool(Path(folder), 100)
    ...     spool.append(b"1\n")
    ...     [segment] = waiting(Path(folder))
    ...     segment.read_bytes()
    b'1\n\n'
    """

    def __init__(self, folder: Path, limit_bytes: int, writers: int = 1, syncs: bool = False) -> None:
        self.folder, self.limit_bytes, self.writers, self.syncs = folder, limit_bytes, writers, syncs
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.troubles = Troubles()
        self._share = limit_bytes // (8 * writers)
        self._file, self._end = -1, 0
        self.longest = min(self._share, limit_bytes - writers * self._share)
        self._room, self._row, self._why = 0, ROW_BYTES, ""
        self._group: asyncio.Task[None] | None = None
        self._syncing = asyncio.Lock()
        self.measure()

    @property
    def is_full(self) -> bool:
        """Whether an answer of one row could not be kept now."""
        return self._room <= self._row

    def append(self, lines: bytes) -> None:
        """Write the lines of one answer; when it returns, they survive the death of this process.

        Raises
        ------
        SpoolFull
            Nothing of them counts; the same request may be sent again later.
        """
        if len(lines) >= self._room:
            self.close()  # what it holds may be in the warehouse: it can be deleted now
            self._row = len(lines) // lines.count(b"\n")
            raise SpoolFull(self._why)
        if self._file < 0 or self._end >= min(SEGMENT_BYTES, self._share):
            self._begin()
        try:
            written = os.write(self._file, lines + b"\n")
        except OSError as error:
            raise self._undone(error.strerror) from error
        if written <= len(lines):
            raise self._undone("no space is left")
        self._end += written
        self._room -= written
        self.troubles.clear("log")

    async def settle(self) -> None:
        """Wait until what was appended is on the disk itself; all who wait meanwhile share one fsync.

        Raises
        ------
        SpoolFull
            The disk failed.
        """
        if self._group is None:
            self._group = asyncio.create_task(self._sync())
        await asyncio.shield(self._group)

    async def _sync(self) -> None:
        async with self._syncing:  # the fsync before has ended: who came since shares this one
            self._group = None
            if self._file < 0:  # closing the segment has done it
                return
            file = os.dup(self._file)
            try:
                await asyncio.to_thread(os.fdatasync, file)
            except OSError as error:
                raise SpoolFull(f"the log cannot be written: {error.strerror}") from error
            finally:
                os.close(file)

    def measure(self) -> int:
        """Look how many bytes the folder holds, and return them; to be called several times a second."""
        depth = stored_bytes(self.folder)
        # Every worker may have a share left from when it looked last: with that much aside, the limit holds.
        room, disk = self.limit_bytes - self.writers * self._share - depth, os.statvfs(self.folder)
        is_read_only = bool(disk.f_flag & os.ST_RDONLY)
        left = 0 if is_read_only else disk.f_bavail * disk.f_frsize
        self._room = min(self._share, room, left)
        held = f"the log holds {self.limit_bytes:,} bytes that the warehouse has not taken yet"
        short = "can only be read: let it be written to" if is_read_only else f"has {left:,} bytes left: free some"
        self._why = held if room <= left else f"the disk of the log, {self.folder}, {short}"
        if self.is_full:
            self.troubles.note("full", f"{self._why}; nothing is answered meanwhile")
        else:
            self.troubles.clear("full")
        return depth

    def close(self) -> None:
        """Leave the segment to whoever brings it to the warehouse."""
        if self._file >= 0:
            if self.syncs:
                os.fdatasync(self._file)
            os.close(self._file)
            self._file = -1

    def _begin(self) -> None:
        path = self.folder / f"{time.time_ns():020d}-{uuid.uuid4().hex}{SUFFIX}"
        draft = path.with_suffix(".new")  # nobody sees it before it is locked, and takes it for left behind
        try:
            file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            fcntl.flock(file, fcntl.LOCK_EX)
            draft.rename(path)
            if self.syncs:
                sync_folder(self.folder)
        except OSError as error:
            raise self._undone(error.strerror) from error
        self.close()
        self._file, self._end = file, 0

    def _undone(self, reason: str | None) -> SpoolFull:
        self.close()  # what is half written never counts, and the segment can make room once it is in the warehouse
        self._room, self._why = 0, f"the log cannot be written: {reason}"  # until it is measured again
        self.troubles.note("log", self._why)
        return SpoolFull(self._why)


def waiting(folder: Path) -> list[Path]:
    """Return the segments, the oldest first."""
    return sorted(path for path, _ in sizes(folder))


def stored_bytes(folder: Path) -> int:
    """Return how many bytes a spool holds, with those that were refused."""
    return sum(size for place in (folder, folder.with_name(REFUSED)) for _, size in sizes(place))


def is_closed(segment: Path) -> bool:
    """Tell whether nobody writes to a segment any more: its worker went on to another one, or is gone."""
    with segment.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def sizes(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield the segments of a folder with their sizes, bytes; none where it is not there."""
    for entry in os.scandir(folder) if folder.is_dir() else ():
        if entry.name.endswith(SUFFIX):
            try:
                yield Path(entry.path), entry.stat().st_size
            except FileNotFoundError:  # it was brought to the warehouse meanwhile
                continue


def sync_folder(folder: Path) -> None:
    """Let what was created, renamed or deleted in a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
