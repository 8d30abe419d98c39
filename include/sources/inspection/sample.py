"""What is looked at of a file: all of a small one; of a large one its beginning, parts of its middle and its end."""

from __future__ import annotations

import codecs
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from charset_normalizer import from_bytes

from include.errors import ConfigError, ContractBroken
from include.sources.payload import MIB, Extract
from include.sources.text import archive
from include.windows import Window

WHOLE = 16 * MIB  # up to here all of it is looked at
HEAD, PIECE, PIECES = 4 * MIB, MIB // 2, 16
BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
# cp1252 first: of two that fit alike it is by far the commoner.
LIKELY = ("cp1252", "iso8859_15", "mac_roman", "cp850", "cp1250", "cp1251", "cp1253", "cp1254", "shift_jis", "gb18030")


class LookedAt(Extract):
    """A file that no pipeline has yet: errors name the file instead."""

    def __init__(self, name: str) -> None:
        super().__init__("draft", name, Window.parse("1900-01-01", "2200-01-01"))

    def broken(self, what: str, way_out: str) -> ContractBroken:
        """Return the error for a fault that stays."""
        return ContractBroken(f"{self.source}: {what}; {way_out}")


@dataclass(frozen=True)
class Sample:
    """Text of a file, its lines whole."""

    head: str  # from the start of the file
    rest: str  # whole lines from further on, the last lines at the end of it; empty where `head` is everything
    encoding: str  # what the bytes were read as
    evidence: str  # why
    is_whole: bool  # True where head is the whole file
    size: int  # bytes of the file, or of the member
    member: str | None = None  # the file inside the zip


def sample_of(path: Path, member: str | None = None) -> tuple[LookedAt, Sample]:
    """Read what there is to look at; raises as `inspect` does."""
    extract = LookedAt(path.name)
    if path.is_dir():
        raise ConfigError(f"{path} is a folder: name a file in it")
    try:
        with path.open("rb") as file:
            if member is None and file.peek(4)[:4] == archive.ZIP_SIGNATURE:
                member = _only_member(extract, path)
            if member is None:
                parts, size = _parts_of_file(file)
            else:
                parts, size = _parts_of_stream(archive.opened(extract, file, member))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror or error}): mend the path or its rights") from None
    if not size:
        raise extract.broken("the file is empty", "ask the publisher for it again")
    return extract, _decoded(extract, parts, size, member)


def _only_member(extract: Extract, path: Path) -> str:
    names = archive.members(extract, path)
    if len(names) != 1:
        raise extract.broken(f"the zip holds {len(names)} files, {names[:10]}", "choose one with --member")
    return names[0]


def _parts_of_file(file: BinaryIO) -> tuple[list[bytes], int]:
    """Return the whole of a small file; of a large one the head and pieces as far apart as can be, the end last."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size <= WHOLE:
        return [file.read(WHOLE)], size
    parts = [file.read(HEAD)]
    for at in range(1, PIECES + 1):
        file.seek(HEAD + (size - HEAD - PIECE) * at // PIECES)
        parts.append(file.read(PIECE))
    return parts, size


def _parts_of_stream(stream: BinaryIO) -> tuple[list[bytes], int]:
    """Return the same of a stream that only goes forward: pieces further and further apart."""
    parts, size, apart, last = [], 0, 1, b""
    pieces: list[bytes] = []
    with stream:
        for place, chunk in enumerate(iter(lambda: stream.read(PIECE), b"")):
            size += len(chunk)
            if size <= WHOLE:
                parts.append(chunk)
            elif place % apart == 0:
                pieces.append(chunk)
            if len(pieces) > 2 * PIECES:
                pieces, apart = pieces[::2], 2 * apart
            last = last[-PIECE:] + chunk
    if size <= WHOLE:
        return [b"".join(parts)], size
    return [b"".join(parts)[:HEAD], *pieces, last[-PIECE:]], size


def _decoded(extract: Extract, parts: list[bytes], size: int, member: str | None) -> Sample:
    encoding, evidence = encoding_of(extract, b"\n".join(parts) if len(parts) > 1 else parts[0])
    is_whole = len(parts) == 1
    # A part may begin and end inside a letter or a line: what is cut is left out.
    errors = "strict" if is_whole else "ignore"
    try:
        texts = [part.decode(encoding, errors) for part in parts]
    except UnicodeError as error:
        raise extract.broken(f"the file cannot be read as {encoding} ({error})", "ask the publisher") from None
    if "\0" in texts[0]:
        raise extract.broken("the file holds NUL bytes, so it is no text", "ask the publisher for a text file")
    if is_whole:
        return Sample(texts[0].removeprefix("\ufeff"), "", encoding, evidence, True, size, member)
    rest = "".join(_whole_lines(text) for text in texts[1:-1]) + _whole_lines(texts[-1], is_end=True)
    head = texts[0].removeprefix("\ufeff")
    return Sample(head[: head.rfind("\n") + 1], rest, encoding, evidence, False, size, member)


def _whole_lines(text: str, is_end: bool = False) -> str:
    start = text.find("\n") + 1
    return text[start:] if is_end else text[start : text.rfind("\n") + 1]


def encoding_of(extract: Extract, content: bytes) -> tuple[str, str]:
    """Return an encoding and why it is that one."""
    for mark, name in BOMS.items():
        if content.startswith(mark):
            return name, "it begins with a byte order mark"
    if b"\0" in content[:HEAD]:
        raise extract.broken("the file holds NUL bytes, so it is no text", "ask the publisher for a text file")
    try:
        # A large file was cut, perhaps inside a letter.
        decoder = codecs.getincrementaldecoder("utf-8")("strict" if len(content) <= WHOLE else "ignore")
        decoder.decode(content[:WHOLE], final=len(content) <= WHOLE)
    except UnicodeDecodeError:
        return _by_likeness(extract, content)
    is_ascii = content.isascii()
    return "utf-8-sig", "only ASCII letters were seen" if is_ascii else "letters beyond ASCII are valid UTF-8"


def _by_likeness(extract: Extract, content: bytes) -> tuple[str, str]:
    lines = [line for line in content.splitlines() if not line.isascii()][:500]
    matches = from_bytes(b"\n".join(lines), cp_isolation=list(LIKELY))
    by_encoding = {match.encoding: match for match in matches}
    best = matches.best()
    if best is None:
        raise extract.broken("the file is text in no encoding that is known", "ask the publisher for UTF-8")
    if "cp1252" in by_encoding and by_encoding["cp1252"].chaos <= best.chaos:
        best = by_encoding["cp1252"]
    letters = next((word for word in str(best).split() if not word.isascii()), "")[:30]
    why = f"not UTF-8; as {best.encoding} it holds words such as {letters!r}: CONFIRM that they are right"
    return best.encoding, why
