"""Payloads in motion: compressed on the way in, decompressed and verified on the way out, never whole in memory."""

from __future__ import annotations

import hashlib
import io
import shutil
from types import SimpleNamespace
from typing import TYPE_CHECKING, BinaryIO, cast

import pyarrow as pa

from include.errors import PayloadLost

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from include.lake.files import Files

CHUNK_BYTES = 1024 * 1024


def write_compressed(source: BinaryIO, target: BinaryIO) -> None:
    """Copy everything a reader gives to a file as zstd, about 400 MB of text a second."""
    # The end of the compression does not close the file: it has still to be brought to the disk.
    kept_open = SimpleNamespace(closed=False, write=target.write, flush=target.flush, close=target.flush)
    with pa.CompressedOutputStream(kept_open, "zstd") as compressed:
        shutil.copyfileobj(source, compressed, CHUNK_BYTES)


def open_verified(files: Files, name: str, sha256: str) -> BinaryIO:
    """Return a forward-only stream of a payload's uncompressed bytes, about 500 MB of text a second.

    Raises
    ------
    ContractBroken
        It is not there; or, while it is read and at its end, it is damaged. A retry brings the same.
    SourceUnavailable
        The store does not answer, now or while it is read. A retry may help.
    """
    return cast(BinaryIO, io.BufferedReader(_Verified(files, name, sha256), CHUNK_BYTES))


class _Verified(io.RawIOBase):
    """The uncompressed bytes; their end is given only when their hash is right."""

    def __init__(self, files: Files, name: str, sha256: str) -> None:
        self._files, self._name = files, name
        self._file = files.open(name)
        reachable = SimpleNamespace(closed=False, read=self._read_compressed, close=self._file.close)
        self._stream = pa.CompressedInputStream(reachable, "zstd")
        self._hash, self._expected = hashlib.sha256(), sha256

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        try:
            count = int(self._stream.readinto(view))
        except OSError:
            raise self._damaged() from None
        self._hash.update(view[:count])
        if not count and len(view) and self._hash.hexdigest() != self._expected:
            raise self._damaged()
        return count

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()

    def _read_compressed(self, count: int) -> bytes:
        with self._files.reachable(self._name):  # a store that fails differs from damaged bytes
            return self._file.read(count)

    def _damaged(self) -> PayloadLost:
        uri = self._files.uri(self._name)
        return PayloadLost(f"{uri} is damaged: delete it, then fetch its window again or restore it")
