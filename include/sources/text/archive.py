"""A file that is packed, by gzip or inside a zip, as a stream: bounded, whatever the packed one says about itself."""

from __future__ import annotations

import fnmatch
import gzip
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from include.sources.payload import MIB, Extract, Spool
from include.sources.text.dialect import AS_AGREED

ZIP, GZIP = b"PK\x03\x04", b"\x1f\x8b"
AS_CSV = "save its sheet as CSV (UTF-8)"
# What begins a file that is no text: what it is, and the way out.
NO_TEXT = {
    b"SQLite format 3\0": (
        "an SQLite database",
        "export the table as CSV, such as with: sqlite3 -header -csv FILE 'select * from TABLE'",
    ),
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": ("a workbook of an old Excel", AS_CSV),
    b"PAR1": ("a Parquet file", "write its rows as CSV"),
    b"%PDF-": ("a PDF", "ask the publisher for the table as CSV"),
}
SIGNATURE = max(map(len, NO_TEXT))
WORKBOOKS = {"[Content_Types].xml": "an Excel workbook", "content.xml": "an OpenDocument workbook"}
MAX_MEMBER_BYTES = 32 * 1024 * MIB
FREE_BYTES, MAX_RATIO = 64 * MIB, 100  # a member beyond the first is refused when it is beyond the second too
# What the zip module raises on a damaged, encrypted or unknown archive.
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, RuntimeError, ValueError)
CHUNK = MIB
ENCRYPTED = 1  # the bit of a member's flags


def texts(extract: Extract, stream: BinaryIO, member: str | None) -> Iterator[tuple[str, BinaryIO]]:
    """Yield the name and the text, a forward-only stream, of a file, or of each member of a zip that is meant.

    `member` is a name in the zip, or a glob, which may fit several names in it: they come in alphabetical order. It is
    None where the file is no zip, and then the name is empty; a gzip is unpacked.

    Raises
    ------
    ContractBroken
        Here or while reading: no text, not a zip, damaged, encrypted, without such a member, a zip in a zip,
        or unpacking to more than is believable. A retry brings the same.
    """
    if member is None:
        yield "", _plain(extract, stream)
        return
    # A zip's table of contents stands at its end, so the packed bytes go to disk; the unpacked ones never do.
    packed = Spool.of(iter(lambda: stream.read(CHUNK), b""))
    try:
        archive = zipfile.ZipFile(packed.open())
        names = _names(extract, archive.namelist(), member)
    except DAMAGED as error:
        raise _damaged(extract, error) from None
    for name in names:
        yield name, _member(extract, archive, name)


def _member(extract: Extract, archive: zipfile.ZipFile, name: str) -> BinaryIO:
    try:
        info = archive.getinfo(name)
        if info.flag_bits & ENCRYPTED:
            raise extract.broken(f"the member {name!r} is encrypted", "ask the publisher for it in the clear")
        file = archive.open(info)
    except DAMAGED as error:
        raise _damaged(extract, error) from None
    unpacked = io.BufferedReader(_Unpacked(extract, file, f"the member {name!r}", info.compress_size), CHUNK)
    if unpacked.peek(len(ZIP)).startswith(ZIP):
        raise extract.broken(f"the member {name!r} is a zip itself", AS_AGREED)
    return unpacked


def refuse_no_text(extract: Extract, begin: bytes) -> None:
    """Refuse a file whose first bytes say that it is no text, with what it is and the way out."""
    for signature, (what, way_out) in NO_TEXT.items():
        if begin.startswith(signature):
            raise extract.broken(f"the file is {what}, not delimited text", way_out)


def _plain(extract: Extract, stream: BinaryIO) -> BinaryIO:
    """Return a file's text, unpacked where it is a gzip."""
    buffered = io.BufferedReader(cast(Any, stream), CHUNK)
    begin = buffered.peek(SIGNATURE)
    refuse_no_text(extract, begin)
    if begin.startswith(ZIP):
        with suppress(*DAMAGED), zipfile.ZipFile(Spool.of(iter(lambda: buffered.read(CHUNK), b"")).open()) as archive:
            _refuse_workbook(extract, archive.namelist())
        raise extract.broken("the file is a zip", "name the file inside it as `member`")
    if not begin.startswith(GZIP):
        return buffered
    packed = Spool.of(iter(lambda: buffered.read(CHUNK), b""))
    return io.BufferedReader(
        _Unpacked(extract, gzip.GzipFile(fileobj=packed.open(), mode="rb"), "the gzip", packed.size), CHUNK
    )


def _refuse_workbook(extract: Extract, names: list[str]) -> None:
    for name, what in WORKBOOKS.items():
        if name in names:
            raise extract.broken(f"the file is {what}, not delimited text", AS_CSV)


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
            _refuse_workbook(extract, archive.namelist())
            return [info.filename for info in archive.infolist() if not info.is_dir()]
    except DAMAGED as error:
        raise _damaged(extract, error) from None


def _names(extract: Extract, names: list[str], member: str) -> list[str]:
    """Return the names that are meant."""
    files = [name for name in names if not name.endswith("/")]
    same = [member] if member in files else sorted(name for name in files if fnmatch.fnmatchcase(name, member))
    if not same:
        raise extract.broken(f"the zip has no member {member!r} but {names[:5]}", "correct `member`")
    return same


def _damaged(extract: Extract, error: Exception, what: str = "the zip") -> Exception:
    message = " ".join(str(error).split())[:120]
    return extract.broken(f"{what} cannot be read ({message})", "fetch the window again from the source")


class _Unpacked(io.RawIOBase):
    """What comes out of a packed file, until it is more than is believable."""

    def __init__(self, extract: Extract, file: Any, name: str, packed: int) -> None:
        self._extract, self._file, self._name, self._packed = extract, file, name, packed
        self._size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            chunk = self._file.read(len(buffer))
        except DAMAGED as error:
            raise _damaged(self._extract, error, "the gzip" if self._name == "the gzip" else "the zip") from None
        # The size a zip states about itself may be a lie: what counts is what comes out.
        self._size += len(chunk)
        self._refuse_bomb()
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def _refuse_bomb(self) -> None:
        size, packed = self._size, self._packed
        if size > FREE_BYTES and size > MAX_RATIO * packed:
            limit = f"{max(FREE_BYTES, MAX_RATIO * packed):,} bytes, {MAX_RATIO} times its packed size"
        elif size > MAX_MEMBER_BYTES:
            limit = f"{MAX_MEMBER_BYTES:,} bytes"
        else:
            return
        raise self._extract.broken(f"{self._name} unpacks to more than {limit}", AS_AGREED)
