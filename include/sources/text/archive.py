"""A file inside a zip as a stream: bounded, whatever the zip says about itself."""

from __future__ import annotations

import fnmatch
import io
import lzma
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from include.sources.payload import MIB, Extract, Spool
from include.sources.text.dialect import AS_AGREED

ZIP_SIGNATURE = b"PK\x03\x04"
MAX_MEMBER_BYTES = 32 * 1024 * MIB
FREE_BYTES, MAX_RATIO = 64 * MIB, 100  # a member beyond the first is refused when it is beyond the second too
# What the zip module raises on a damaged, encrypted or unknown archive.
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, RuntimeError, ValueError)
CHUNK = MIB
ENCRYPTED = 1  # the bit of a member's flags


def opened(extract: Extract, stream: BinaryIO, member: str | None) -> BinaryIO:
    """Return a file's text as a forward-only stream, unpacked where a member of a zip is named.

    `member` is a name in the zip, or a glob that fits one name in it; None where the file is none.

    Raises
    ------
    ContractBroken
        Here or while reading: not a zip, damaged, encrypted, without the one member, a zip in a zip,
        or unpacking to more than is believable. A retry brings the same.
    """
    if member is None:
        return _unless_zip(extract, stream, "the file is a zip", "name the file inside it as `member`")
    # A zip's table of contents stands at its end, so the packed bytes go to disk; the unpacked ones never do.
    packed = Spool.of(iter(lambda: stream.read(CHUNK), b""))
    try:
        archive = zipfile.ZipFile(packed.open())
        info = archive.getinfo(_name(extract, archive.namelist(), member))
        if info.flag_bits & ENCRYPTED:
            raise extract.broken(f"the member {info.filename!r} is encrypted", "ask the publisher for it in the clear")
        file = archive.open(info)
    except DAMAGED as error:
        raise _damaged(extract, error) from None
    unpacked = _Member(extract, file, info)
    return _unless_zip(extract, unpacked, f"the member {info.filename!r} is a zip itself", AS_AGREED)


def is_whole(content: BinaryIO) -> bool:
    """Tell whether a zip's table of contents can be read: one that was cut short has none."""
    try:
        with zipfile.ZipFile(content):
            return True
    except DAMAGED:
        return False


def members(extract: Extract, path: Path) -> list[str]:
    """Return the names of the files in a zip on disk; `ContractBroken` where it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [info.filename for info in archive.infolist() if not info.is_dir()]
    except DAMAGED as error:
        raise _damaged(extract, error) from None


def _name(extract: Extract, names: list[str], member: str) -> str:
    """Return the one name that is meant."""
    same = [name for name in names if name == member]
    if not same:
        same = [name for name in names if not name.endswith("/") and fnmatch.fnmatchcase(name, member)]
    if len(same) == 1:
        return same[0]
    what = f"{len(same)} members {member!r}, {same[:5]}," if same else f"no member {member!r} but {names[:5]}"
    raise extract.broken(f"the zip has {what}", "correct `member`")


def _damaged(extract: Extract, error: Exception) -> Exception:
    message = " ".join(str(error).split())[:120]
    return extract.broken(f"the zip cannot be read ({message})", "fetch the window again from the source")


def _unless_zip(extract: Extract, stream: Any, what: str, way_out: str) -> BinaryIO:
    buffered = io.BufferedReader(stream, CHUNK)
    if buffered.peek(len(ZIP_SIGNATURE)).startswith(ZIP_SIGNATURE):
        raise extract.broken(what, way_out)
    return buffered


class _Member(io.RawIOBase):
    """What comes out of a member, until it is more than is believable."""

    def __init__(self, extract: Extract, file: Any, info: zipfile.ZipInfo) -> None:
        self._extract, self._file, self._info = extract, file, info
        self._size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            chunk = self._file.read(len(buffer))
        except DAMAGED as error:
            raise _damaged(self._extract, error) from None
        # The size a zip states about itself may be a lie: what counts is what comes out.
        self._size += len(chunk)
        self._refuse_bomb()
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def _refuse_bomb(self) -> None:
        size, packed = self._size, self._info.compress_size
        if size > FREE_BYTES and size > MAX_RATIO * packed:
            limit = f"{max(FREE_BYTES, MAX_RATIO * packed):,} bytes, {MAX_RATIO} times its packed size"
        elif size > MAX_MEMBER_BYTES:
            limit = f"{MAX_MEMBER_BYTES:,} bytes"
        else:
            return
        raise self._extract.broken(f"the member {self._info.filename!r} unpacks to more than {limit}", AS_AGREED)
