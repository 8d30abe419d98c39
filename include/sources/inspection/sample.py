"""What is looked at of a file: all of a small one; of a large one its beginning, parts of its middle and its end."""

from __future__ import annotations

import codecs
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO
from zipfile import ZipFile

from charset_normalizer import from_bytes

from include.errors import ConfigError, ContractBroken
from include.sources.payload import MIB, Extract
from include.sources.text import archive
from include.windows import Window

WHOLE = 16 * MIB  # up to here all of it is looked at
HEAD, PIECE, PIECES = 4 * MIB, MIB // 2, 16
MOST_MEMBERS = 1000
FIRST = 4096  # letters of the beginning
BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
LIKELY = ("cp1252", "iso8859_15", "mac_roman", "cp850", "cp1250", "cp1251", "cp1253", "cp1254", "shift_jis", "gb18030")

# Letters of Western languages, and units: where nothing else stands in a text, it is cp1252, by far the commonest.
WESTERN = re.compile(
    "[ -~\\t¡¿ÁÉÍÓÚÜÑáéíóúüñÀÂÄÃÅÆÇÈÊËÌÎÏÒÔÖÕØÙÛŒàâäãåæçèêëìîïòôöõøùûœßªº°µ€£«»’‘“”–—…·]|(?<=m)[²³](?![a-z])"
)


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
    pattern: str | None = None  # what names it and all others, where they have one shape


def sample_of(path: Path, member: str | None = None) -> tuple[LookedAt, Sample]:
    """Read what there is to look at; raises as `inspect` does."""
    extract, pattern = LookedAt(path.name), None
    if path.is_dir():
        raise ConfigError(f"{path} is a folder: name a file in it")
    try:
        with path.open("rb") as file:
            begin = file.peek(archive.SIGNATURE)
            archive.refuse_no_text(extract, begin)
            if member is None and begin.startswith(archive.ZIP):
                member, pattern = _member(extract, path)
            if member is None and not begin.startswith(archive.GZIP):
                parts, size = _parts_of_file(file)
            else:
                [(_, text)] = archive.texts(extract, file, member)
                parts, size = _parts_of_stream(text)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror or error}): mend the path or its rights") from None
    if not size:
        raise extract.broken("the file is empty", "ask the publisher for it again")
    return extract, replace(_decoded(extract, parts, size, member), pattern=pattern)


def _member(extract: Extract, path: Path) -> tuple[str, str | None]:
    """Return the member to look at, and the pattern of all where there are several that begin with the same line."""
    names = archive.members(extract, path)
    with ZipFile(path) as packed:
        lines = {packed.open(name).readline(FIRST) for name in names[:MOST_MEMBERS]}
    begin, end = _common(names), _common([name[::-1] for name in names])[::-1]
    if len(names) == 1:
        return names[0], None
    if len(lines) != 1 or len(names) > MOST_MEMBERS or not end:
        raise extract.broken(f"the zip holds {len(names)} files, {names[:10]}", "choose one with --member")
    digits = r"[\d_.-]*\d[\d_.-]*"  # of dates and numbers, of which others will come
    return min(names), f"{re.sub(digits + '$', '', begin)}*{re.sub('^' + digits + '(?=[.])', '', end)}"


def _common(names: list[str]) -> str:
    """Return what all names begin with."""
    least, most = min(names), max(names)
    return least[
        : next((at for at, pair in enumerate(zip(least, most, strict=False)) if pair[0] != pair[1]), len(least))
    ]


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
    # A part may begin and end inside a letter or a line: what is cut is left out; what is no text is marked.
    errors = "replace" if is_whole else "ignore"
    texts = [part.decode(encoding, errors).removesuffix("\x1a") for part in parts]
    if "\0" in texts[0]:
        raise extract.broken("the file holds NUL bytes, so it is no text", "ask the publisher for a text file")
    head = texts[0].removeprefix("\ufeff")
    if is_whole:
        return Sample(head, "", encoding, evidence, True, size, member)
    rest = "".join(_whole_lines(text) for text in texts[1:-1]) + _whole_lines(texts[-1], is_end=True)
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
        return _utf_16(extract, content[: 2 * FIRST])
    try:
        # A large file was cut, perhaps inside a letter.
        decoder = codecs.getincrementaldecoder("utf-8")("strict" if len(content) <= WHOLE else "ignore")
        decoder.decode(content[:WHOLE], final=len(content) <= WHOLE)
    except UnicodeDecodeError:
        return _mostly_utf_8(content) or _by_likeness(extract, content)
    is_ascii = content.isascii()
    return "utf-8-sig", "only ASCII letters were seen" if is_ascii else "letters beyond ASCII are valid UTF-8"


def _utf_16(extract: Extract, begin: bytes) -> tuple[str, str]:
    """Tell UTF-16 without a byte order mark: of every two bytes the same one is mostly zero."""
    share = {name: begin[at::2].count(0) / (len(begin) / 2) for name, at in (("utf-16-le", 1), ("utf-16-be", 0))}
    name = max(share, key=lambda one: share[one])
    if share[name] < 0.5 or min(share.values()) > 0.1:
        raise extract.broken("the file holds NUL bytes, so it is no text", "ask the publisher for a text file")
    return name, "every other byte is zero, and no byte order mark says so: CONFIRM"


def _mostly_utf_8(content: bytes) -> tuple[str, str] | None:
    """Tell a file of UTF-8 with a few damaged lines from one in another encoding."""
    lines = [(at, line) for at, line in enumerate(content.splitlines(), 1) if not line.isascii()]
    bad = [(at, line) for at, line in lines if "\ufffd" in line.decode(errors="replace")]
    if 2 * len(bad) >= len(lines):
        return None
    where, line = bad[0]
    also = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
    shown = line.decode("cp1252", errors="replace")[:60]
    why = (
        f"all but {len(bad)} of {len(lines)} lines beyond ASCII are UTF-8; line {where}{also} reads {shown!r} as cp1252"
    )
    return "utf-8-sig", f"{why}: CONFIRM that such rows may be quarantined"


def _by_likeness(extract: Extract, content: bytes) -> tuple[str, str]:
    lines = b"\n".join([line for line in content.splitlines() if not line.isascii()][:500])
    text, encoding = lines.decode("cp1252", errors="replace"), "cp1252"
    if not all(WESTERN.sub("", line) == "" for line in text.split("\n")):
        best = from_bytes(lines, cp_isolation=list(LIKELY)).best()
        if best is None and "\ufffd" in text:
            raise extract.broken("the file is text in no encoding that is known", "ask the publisher for UTF-8")
        text, encoding = (text, encoding) if best is None else (str(best), best.encoding)
    letters = next((word for word in text.split() if not word.isascii()), "")[:30]
    return encoding, f"not UTF-8; as {encoding} it holds words such as {letters!r}: CONFIRM that they are right"
