"""What was found out about a file, and a summary of it for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from include.sources.inspection.clock import Clock
from include.sources.inspection.layout import Layout
from include.sources.inspection.sample import Sample
from include.sources.inspection.values import Facts, Marks


@dataclass(frozen=True)
class Found:
    """Everything that was found out about a file.

    Parameters
    ----------
    file : str
        Its name.
    sample, layout, clock, marks : Sample, Layout, Clock or None, Marks
        What was looked at and how it is written.
    facts : tuple of Facts
        Of each column that holds something and is no part of the time.
    rows, unread_times : int
        Looked at, and those whose time cannot be read.
    quoted_decimals : bool
        True where the decimal mark is the delimiter too.
    repeated_times : int
        Rows whose time another row has too.
    """

    file: str
    sample: Sample
    layout: Layout
    clock: Clock | None
    marks: Marks
    facts: tuple[Facts, ...]
    rows: int
    unread_times: int
    quoted_decimals: bool
    repeated_times: int


def header_of(found: Found, place: int) -> str:
    """Return how the spec addresses a column: by its name if it is the only one of that name."""
    name = found.layout.headers[place]
    return name if name and found.layout.headers.count(name) == 1 else f"#{place + 1}"


def summary_of(found: Found) -> str:
    """Return what was found and why, a line each."""
    sample, layout = found.sample, found.layout
    looked = "all of it" if sample.is_whole else "its beginning, parts of its middle and its end"
    inside = f" in member {sample.member}" if sample.member else ""
    lines = [
        f"{found.file}: {sample.size:,} bytes{inside}; looked at {looked}, {found.rows:,} rows",
        f"encoding {sample.encoding}: {sample.evidence}",
        *layout.evidence,
    ]
    if layout.preamble:
        lines.append(f"{len(layout.preamble)} lines before the header, the first {layout.preamble[0].strip()[:60]!r}")
    lines.append("header: the first row holds names" if layout.dialect.has_header else "no header: it begins with data")
    if layout.units:
        lines.append(f"{layout.dialect.skip_rows_after_header} rows of units below the header: {_few(layout.units)}")
    if layout.dialect.skip_rows_at_end:
        lines.append(f"{layout.dialect.skip_rows_at_end} lines at the end have another number of values: left out")
    if layout.blank_tail:
        lines.append(f"{layout.blank_tail} blank rows at the end: left out by themselves")
    if not layout.dialect.has_quotes:
        lines.append("quotation marks stand inside values, so they are taken for letters: CONFIRM")
    if unnamed := layout.headers.count("") if layout.dialect.has_header else 0:
        lines.append(f"{unnamed} columns have no name: left out where blank, addressed by position otherwise")
    return (
        "\n".join([*lines, f"numbers: {found.marks.evidence}", *_time_summary(found), *_missing_summary(found)]) + "\n"
    )


def _time_summary(found: Found) -> Iterator[str]:
    if found.clock is None:
        yield "time: NOT FOUND; no column holds dates in a form that is known: write `time` by hand"
        return
    yield from (f"time: {why}" for why in found.clock.evidence)
    if found.clock.century:
        yield f"time: years have two digits; taken for {found.clock.century} to {found.clock.century + 99}: CONFIRM"
    if found.unread_times:
        yield f"time: {found.unread_times} of {found.rows} rows have a time that cannot be read"
    if found.repeated_times:
        yield f"time: {found.repeated_times} rows share their time with another: declare what tells them apart as `key`"


def _missing_summary(found: Found) -> Iterator[str]:
    for facts in found.facts:
        name = header_of(found, facts.place)
        seen = "" if facts.least is None else f", {facts.least:g} to {facts.most:g}"
        marked = f"; 'no value' is written {_few(facts.markers)}" if facts.markers else ""
        yield f"{name}: {facts.type}{seen}, {facts.missing:.1%} missing{marked}"


def _few(texts: Sequence[str]) -> str:
    return ", ".join(repr(text) for text in texts[:8])
