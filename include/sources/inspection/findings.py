"""What was found out about a file, and a summary of it for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pandas as pd

from include.sources.inspection.clock import Clock
from include.sources.inspection.layout import Layout
from include.sources.inspection.sample import Sample
from include.sources.inspection.values import Facts, Marks


@dataclass(frozen=True)
class Inspected:
    """Everything that was found out about a file."""

    file: str  # its name
    sample: Sample  # what was looked at
    layout: Layout
    clock: Clock | None
    marks: Marks
    facts: tuple[Facts, ...]  # of each column that holds something and is no part of the time
    rows: int  # looked at
    repeated_times: int  # rows whose time another row has too
    key: int | None  # place of a column that tells such rows apart
    proof: tuple[str, ...] = ()  # what its source's reader makes of the file, a line each
    data: pd.DataFrame = field(default_factory=pd.DataFrame, compare=False, repr=False)  # as `prove` reads it

    @property
    def quoted_decimals(self) -> bool:
        """True where the decimal mark, or that of thousands, is the delimiter too."""
        return self.layout.dialect.delimiter in (self.marks.decimal, self.marks.thousands)


def header_of(inspected: Inspected, place: int) -> str:
    """Return how the spec addresses a column: by its name if it is the only one of that name."""
    name = inspected.layout.headers[place]
    return name if name and inspected.layout.headers.count(name) == 1 else f"#{place + 1}"


def summary_of(inspected: Inspected) -> str:
    """Return what was found and why, a line each."""
    sample, layout = inspected.sample, inspected.layout
    looked = "all of it" if sample.is_whole else "its beginning, parts of its middle and its end"
    inside = f" in member {sample.member}" if sample.member else ""
    lines = [
        f"{inspected.file}: {sample.size:,} bytes{inside}; looked at {looked}, {inspected.rows:,} rows",
        f"encoding {sample.encoding}: {sample.evidence}",
        layout.evidence,
    ]
    if layout.preamble:
        lines.append(f"{len(layout.preamble)} lines before the header, the first {layout.preamble[0].strip()[:60]!r}")
    lines.append("header: the first row holds names" if layout.dialect.has_header else "no header: it begins with data")
    if layout.units:
        lines.append(f"{layout.dialect.skip_rows_after_header} rows of units below the header: {_few(layout.units)}")
    if layout.blank_tail:
        lines.append(f"{layout.blank_tail} blank rows at the end: left out by themselves")
    if not layout.dialect.has_quotes:
        lines.append("quotation marks stand inside values, so they are taken for letters: CONFIRM")
    if unnamed := layout.headers.count("") if layout.dialect.has_header else 0:
        lines.append(f"{unnamed} columns have no name: left out where blank, addressed by position otherwise")
    amounts = ", with signs as in accounts" if inspected.marks.accounting else ""
    lines += [f"numbers: {inspected.marks.evidence}{amounts}", *_time_summary(inspected), *_missing_summary(inspected)]
    lines += inspected.proof
    return "\n".join(lines) + "\n"


def _time_summary(inspected: Inspected) -> Iterator[str]:
    if inspected.clock is None:
        yield "time: NOT FOUND; no column holds dates in a form that is known: write `time` by hand"
        return
    yield from (f"time: {why}" for why in inspected.clock.evidence)
    if century := inspected.clock.century:
        yield f"time: years have two digits; taken for {century} to {century + 99}: CONFIRM"
    if (count := inspected.repeated_times) and inspected.key is None:
        yield f"time: {count} rows share their time with another: declare what tells them apart as `key`"
        yield "  or, if one hour stands there twice because of a clock change, its zone as `timezone`"


def _missing_summary(inspected: Inspected) -> Iterator[str]:
    for facts in inspected.facts:
        name = " ".join(header_of(inspected, facts.place).split())
        seen = "" if facts.least is None else f", {facts.least:.15g} to {facts.most:.15g}"
        marked = f"; 'no value' is written {_few(facts.markers)}" if facts.markers else ""
        texts = f", such as {_few(facts.texts)}" if facts.type == "text" and facts.texts else ""
        if facts.type == "text" and facts.least is not None:
            texts = f", for not all are numbers: {_few(facts.texts)}"
        yield f"{name}: {facts.type}{texts}{seen}, {facts.missing:.1%} missing{marked}"


def _few(texts: Sequence[str]) -> str:
    return ", ".join(repr(text) for text in texts[:8])
