"""A stream of bytes as blocks of UTF-8 text that end where a row ends."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from include.sources.payload import MIB, Extract
from include.sources.text.dialect import AS_AGREED, Dialect

LONGEST_ROW = 4 * MIB  # as it is written: quotes doubled and all
LONGEST_FOOTER = MIB
TOO_LONG = "a line is longer than a megabyte"
QUOTE, SPACE = ord('"'), ord(" ")
MARK = re.compile(rb"(?<=[\r\n])" + codecs.BOM_UTF8)  # where files were put together
END_OF_FILE = b"\x1a"  # of DOS
NOWHERE = np.zeros(0, dtype=np.int64)


class Blocks:
    """Blocks of whole rows, read forward; lines and rows can be taken from the front before.

    `size` bytes are at hand for the next block; `lines_taken` counts the lines and rows taken from the front, `footer`
    holds the lines that were left out at the end.
    """

    def __init__(self, extract: Extract, stream: BinaryIO, dialect: Dialect, size: int) -> None:
        self.size, self.lines_taken = size, 0
        self.footer: list[bytes] = []
        self._extract, self._stream, self._dialect = extract, stream, dialect
        self._decoder = _decoder(extract, dialect.encoding)
        self._text, self._is_end = b"", False
        self._fill(len(codecs.BOM_UTF8))
        self._text = self._text.removeprefix(codecs.BOM_UTF8)
        self.skip_lines(dialect.skip_lines)
        self._strip_front()

    def skip_lines(self, count: int) -> None:
        """Leave out lines, whatever they hold."""
        for _ in range(count):
            self._take(self._first_end(has_quotes=False))

    def take_row(self) -> bytes:
        """Return the next row, which may hold quoted line ends, and go on behind it."""
        return self._take(self._first_end(self._dialect.has_quotes))

    def peek_row(self) -> bytes:
        """Return the next row and stay before it."""
        end = self._first_end(self._dialect.has_quotes)  # which may fetch more text
        return self._text[:end]

    def __iter__(self) -> Iterator[pa.Buffer]:
        """Yield blocks of whole rows, none of them empty; the last may lack its line end."""
        reserve = LONGEST_FOOTER if self._dialect.skip_rows_at_end else 0
        wanted = self.size
        while not self._is_end:
            self._fill(wanted + reserve)
            if self._is_end:
                break
            end, quotes = self._last_end(len(self._text) - reserve)
            if end:
                block = self._sound(self._text, quotes, end)
                self._text = self._text[end:]
                yield block
                wanted = self.size
            elif wanted >= LONGEST_ROW:
                raise self._extract.broken(TOO_LONG + self._perhaps_open(), AS_AGREED)
            else:
                wanted *= 2
        yield from self._rest()

    def _rest(self) -> Iterator[pa.Buffer]:
        """Yield what is left when the stream has ended, at most two blocks of the usual size."""
        text = self._without_footer() if self._dialect.skip_rows_at_end else self._text
        text = text.rstrip(b"\r\n" + END_OF_FILE)
        quotes = _places(text, QUOTE) if self._dialect.has_quotes else NOWHERE
        if quotes.size % 2:
            raise self._extract.broken("the file ends inside a quoted value", AS_AGREED)
        if text:
            yield self._sound(text + b"\n", quotes, len(text) + 1)

    def _fill(self, size: int) -> None:
        """Have at least so many bytes of text at hand, if there are so many."""
        parts, held = [self._text], len(self._text)
        while held < size and not self._is_end:
            chunk = self._stream.read(max(size - held, 64))
            self._is_end = not chunk
            parts.append(self._decoded(chunk))
            held += len(parts[-1])
        self._text = b"".join(parts) if len(parts) > 1 else self._text
        if codecs.BOM_UTF8[0] in self._text:  # which is quick to see
            self._text = MARK.sub(b"", self._text)

    def _decoded(self, chunk: bytes) -> bytes:
        text = chunk
        if self._decoder is not None:
            try:
                text = self._decoder.decode(chunk, final=not chunk).encode()
            except UnicodeError as error:
                raise unreadable(self._extract, self._dialect.encoding, error) from None
        if b"\x00" in text:
            raise self._extract.broken("the file holds NUL bytes, so it is no text or UTF-16", AS_AGREED)
        return text

    def _take(self, end: int) -> bytes:
        taken, self._text = self._text[:end], self._text[end:]
        self.lines_taken += 1
        return taken

    def _strip_front(self) -> None:
        """Leave out empty lines."""
        while True:
            self._text = self._text.lstrip(b"\r\n")
            if self._text or self._is_end:
                return
            self._fill(self.size)

    def _first_end(self, has_quotes: bool) -> int:
        """Return where the first line, or row, ends, its line end included."""
        wanted = self.size
        while True:
            self._fill(wanted)
            start = 0
            while end := _line_end(self._text, start, self._is_end):
                if not has_quotes or self._text.count(b'"', 0, end) % 2 == 0:
                    return end
                start = end
            if self._is_end:
                return len(self._text)
            if wanted >= LONGEST_ROW:
                raise self._extract.broken("the header or a line before it is longer than a megabyte", AS_AGREED)
            wanted *= 2

    def _last_end(self, limit: int) -> tuple[int, np.ndarray]:
        """Return where the last whole row before a limit ends, 0 if there is none, and where quotes stand before."""
        text = self._text
        newline = b"\n" if text.rfind(b"\n", 0, limit) >= 0 else b"\r"
        end = text.rfind(newline, 0, limit) + 1
        if not self._dialect.has_quotes or b'"' not in text:
            return end, NOWHERE
        quotes = _places(text, QUOTE)
        while end and (before := int(np.searchsorted(quotes, end))) % 2:
            end = text.rfind(newline, 0, int(quotes[before - 1])) + 1  # that one stood inside a quoted value
        return end, quotes[: np.searchsorted(quotes, end)]

    def _sound(self, text: bytes, quotes: np.ndarray, end: int) -> pa.Buffer:
        """Return the text up to an end, without the spaces around quoted values.

        A quotation mark that neither begins nor ends a value is refused: readers disagree on what it means.
        """
        if not quotes.size or self._is_sound(text, quotes, end):
            return pa.py_buffer(text).slice(0, end)
        letters = np.frombuffer(text, np.uint8, end)
        loose = np.concatenate([_spaces(letters, quotes[::2], -1), _spaces(letters, quotes[1::2], 1)])
        tight = np.delete(letters, loose).tobytes()
        if not self._is_sound(tight, _places(tight, QUOTE), len(tight)):
            raise self._extract.broken(
                "a quotation mark stands inside a value that is not quoted",
                "write `quote: none` if it is a character like any other in this file, or ask the publisher",
            )
        return pa.py_buffer(tight)

    def _is_sound(self, text: bytes, quotes: np.ndarray, end: int) -> bool:
        """Tell whether every quotation mark begins or ends a value."""
        letters = np.frombuffer(text, np.uint8)
        beside = np.isin(np.arange(256), [QUOTE, *b"\r\n", *self._dialect.delimiter.encode()])
        opening, closing = quotes[::2], quotes[1::2]
        before = letters[opening[opening > 0] - 1]
        after = letters[closing[closing < end - 1] + 1]
        return bool(beside[before].all() and beside[after].all())

    def _without_footer(self) -> bytes:
        """Return the text up to the lines at the end that are declared to be no data, which are kept in `footer`."""
        text = self._text
        for _ in range(self._dialect.skip_rows_at_end):
            text = text.rstrip(b" \t\r\n" + END_OF_FILE + self._dialect.delimiter.encode())
            start = max(text.rfind(b"\n"), text.rfind(b"\r")) + 1
            self.footer.append(text[start:])
            text = text[:start]
        return text

    def _perhaps_open(self) -> str:
        is_open = self._dialect.has_quotes and self._text.count(b'"') % 2
        return ", or a quotation mark is left open" if is_open else ""


def unreadable(extract: Extract, encoding: str, error: Exception) -> Exception:
    """Return the error for text that is not in the declared encoding."""
    return extract.broken(f"the file cannot be read as {encoding} ({error})", "correct `encoding`")


def _decoder(extract: Extract, encoding: str) -> codecs.IncrementalDecoder | None:
    """Return what turns the bytes into text; None where they are UTF-8 already, which Arrow checks."""
    try:
        if codecs.lookup(encoding).name in ("utf-8", "utf-8-sig"):
            return None
        return codecs.getincrementaldecoder(encoding)()
    except LookupError as error:
        raise unreadable(extract, encoding, error) from None


def _places(text: bytes, byte: int) -> np.ndarray:
    return np.flatnonzero(np.frombuffer(text, np.uint8) == byte)


def _spaces(letters: np.ndarray, quotes: np.ndarray, step: int) -> np.ndarray:
    """Return where spaces stand right beside quotes, before them (step -1) or behind them (1)."""
    places, at = [NOWHERE], quotes + step
    while (at := at[(at >= 0) & (at < len(letters))]).size and (at := at[letters[at] == SPACE]).size:
        places.append(at)
        at = at + step
    return np.concatenate(places)


def _line_end(text: bytes, start: int, is_end: bool) -> int:
    r"""Return where the line that begins at `start` ends, its \n, \r or \r\n included; 0 if that is not there yet."""
    feed, back = text.find(b"\n", start), text.find(b"\r", start)
    if back < 0 or 0 <= feed < back:
        return feed + 1
    if back + 1 == len(text) and not is_end:
        return 0  # the other half of \r\n may follow
    return back + 2 if feed == back + 1 else back + 1
