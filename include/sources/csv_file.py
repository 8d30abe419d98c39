"""A delimited text file behind a URL, plain or inside a zip."""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.sources import delimited, frame, http
from include.sources.payload import MIB, Endpoint, Extract, Opener, Payload
from include.sources.publication import UTC_MICROSECONDS
from include.spec.model import Column, CsvSource, TimeColumns

MAX_MEMBER_BYTES = 512 * MIB
# What the zip module raises on a damaged, encrypted or unknown archive.
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, RuntimeError, ValueError)
ZIP_SIGNATURE = b"PK\x03\x04"
COMMA_NUMBER = r"^(\s*[+-]?\d*),(\d+(?:[eE][+-]?\d+)?\s*)$"
POINT_NUMBER = r"^\s*[+-]?\d*\.\d+(?:[eE][+-]?\d+)?\s*$"


def fetch(extract: Extract, source: CsvSource, endpoint: Endpoint) -> Iterator[Payload]:
    """Download the file as it is; see `include.sources.fetch`."""
    payload = http.get(extract, endpoint, quote(source.path, safe="/+%?=&"))
    http.check(extract, payload, source.connection, _can_carry_a_file)
    if source.member is not None:
        try:
            with zipfile.ZipFile(io.BytesIO(payload.content)):
                pass
        except DAMAGED:
            raise extract.unavailable("the zip was not sent whole") from None
    yield payload


def parse(extract: Extract, source: CsvSource, payloads: Sequence[Opener]) -> Iterator[pa.RecordBatch]:
    """Read the rows of all payloads, in order; see `include.sources.parse`."""
    for place, opened in enumerate(payloads):
        yield _parse_one(extract, source, opened().read(), place)


def _parse_one(extract: Extract, source: CsvSource, content: bytes, place: int) -> pa.RecordBatch:
    text = _unzip(extract, source, content)
    table = delimited.read(extract, text, source.delimiter, source.encoding)
    headers = [*source.time.columns, *(column.from_ for column in source.columns.values())]
    picked = table.pick(extract, dict.fromkeys(headers))
    texts = {
        name: _raw(extract, source, column, picked[column.from_])
        for name, column in source.columns.items()
        if column.personal != "drop"
    }
    times = times_of(source.time, [picked[header].to_numpy() for header in source.time.columns])
    return frame.build(source, extract.window, times, texts, place)


def times_of(rule: TimeColumns, parts: Sequence[Any]) -> pd.Series:
    """Return the UTC instants written in one or several columns of text; NaT where unreadable.

    A local hour that a clock change skips or repeats cannot be told and is NaT.

    Parameters
    ----------
    rule : TimeColumns
        Format and zone.
    parts : sequence of array of str
        Shape (rows,) each; joined with one space.
    """
    joined = pd.Series(parts[0], dtype=object)
    for part in parts[1:]:
        joined = joined + " " + pd.Series(part, dtype=object)
    has_offset = "%z" in rule.format
    read = pd.to_datetime(joined, format=rule.format, errors="coerce", utc=has_offset)
    if not has_offset:
        read = read.dt.tz_localize(rule.timezone, ambiguous="NaT", nonexistent="NaT").dt.tz_convert("UTC")
    return read.astype(UTC_MICROSECONDS)


def _raw(extract: Extract, source: CsvSource, column: Column, values: Any) -> Any:
    """Return the column's text, a decimal comma written as a point; markers and broken values stay as they came."""
    if source.decimal != "," or column.type != "number":
        return values
    if pc.any(pc.match_substring_regex(values, POINT_NUMBER)).as_py():
        raise extract.broken(
            f"the column {column.from_!r} holds numbers with a point, although `decimal` is a comma",
            "set `decimal` to a point if the publisher changed it, or ask for a file without thousands separators",
        )
    markers = pa.array([*source.missing, *column.missing], pa.string())
    is_missing = pc.is_in(pc.utf8_trim_whitespace(values), value_set=markers)
    return pc.if_else(is_missing, values, pc.replace_substring_regex(values, COMMA_NUMBER, r"\1.\2"))


def _can_carry_a_file(media_type: str) -> bool:
    kind, _, subtype = media_type.partition("/")
    return kind in ("text", "application") and "json" not in subtype and "xml" not in subtype and subtype != "pdf"


def _unzip(extract: Extract, source: CsvSource, content: bytes) -> bytes:
    """Return the zip's member, or the content itself where it is none.

    Raises
    ------
    ContractBroken
        Not a zip, damaged, encrypted, without the member, or larger than the limit inside.
    """
    if source.member is None:
        if content.startswith(ZIP_SIGNATURE):
            raise extract.broken("the file is a zip", "name the file inside it as `member` in pipeline.yaml")
        return content
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if source.member not in archive.namelist():
                raise extract.broken(
                    f"the zip has no member {source.member!r} but {archive.namelist()[:5]}", "correct `member`"
                )
            with archive.open(source.member) as member:
                # The size a zip states about itself may be a lie: what counts is what comes out.
                text = member.read(MAX_MEMBER_BYTES + 1)
    except DAMAGED as error:
        raise extract.broken(f"the zip cannot be read ({error})", "fetch the window again from the source") from None
    if len(text) > MAX_MEMBER_BYTES:
        raise extract.broken(
            f"the member {source.member!r} unpacks to more than {MAX_MEMBER_BYTES:,} bytes", delimited.AS_AGREED
        )
    return text
