"""The bytes of a payload, out of the lake: whole, or their beginning for people."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from include.lake.store import Lake

CHUNK = 1 << 20
SHOWN = 4_000  # letters
WHOLE = 16 * CHUNK  # a larger payload is not read through only to show its beginning


class Excerpt(NamedTuple):
    """The beginning of a payload.

    Attributes
    ----------
    text : str
        As text, or as hexadecimal digits where it is none.
    is_text, is_whole, is_verified : bool
        Whether it is text; whether that is all; whether all bytes were read and have the hash they are named by.
    """

    text: str
    is_text: bool
    is_whole: bool
    is_verified: bool


def chunks(lake: Lake, uri: str) -> Iterator[bytes]:
    """Return a payload's bytes piece by piece; the last comes only when all of them have the hash they are named by.

    The first piece is read at once, so that what is not there is said so before anything is answered.

    Raises
    ------
    ContractBroken
        It is not there, or damaged.
    SourceUnavailable
        The lake does not answer.
    """
    stream = lake.open(uri)
    return _pieces(stream, stream.read(CHUNK))


def _pieces(stream: BinaryIO, piece: bytes) -> Iterator[bytes]:
    with stream:
        while piece:
            following = stream.read(CHUNK)
            yield piece
            piece = following


def excerpt(lake: Lake, uri: str, size_bytes: int, sha256: str) -> Excerpt:
    """Return the beginning of a payload; raises what `chunks` does."""
    is_whole = size_bytes <= WHOLE
    digest, head = hashlib.sha256(), b""
    for chunk in chunks(lake, uri):
        digest.update(chunk)
        head += chunk[: max(0, 4 * SHOWN - len(head))]
        if not is_whole:
            break
    text, is_text = _readable(head)
    is_verified = is_whole and digest.hexdigest() == sha256
    return Excerpt(text[:SHOWN], is_text, len(text) <= SHOWN and is_whole and len(head) == size_bytes, is_verified)


def _readable(head: bytes) -> tuple[str, bool]:
    """Return bytes as text, and whether they are: otherwise their hexadecimal digits, 32 bytes a line."""
    text = head.decode("utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", "replace")
    odd = sum(letter == "\ufffd" or not (letter.isprintable() or letter in "\r\n\t") for letter in text)
    if odd <= len(text) / 20:
        return text, True
    return "\n".join(head[start : start + 32].hex(" ") for start in range(0, min(len(head), 1024), 32)), False
