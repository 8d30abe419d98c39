"""What was found, as a draft of the ``sources:`` block."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence

from include.sources.inspection.findings import Inspected, header_of
from include.sources.inspection.values import Facts
from include.spec.source import RESERVED

UNITS = {
    "mg/m3": "mg/m3", "mg/m^3": "mg/m3", "mg/m³": "mg/m3", "ug/m3": "ug/m3", "µg/m3": "ug/m3", "μg/m3": "ug/m3",
    "µg/m³": "ug/m3", "μg/m³": "ug/m3", "ug/m^3": "ug/m3", "microg/m^3": "ug/m3", "g/m3": "g/m3", "g/m^3": "g/m3",
    "g/m³": "g/m3", "ppb": "ppb", "%": "%", "°c": "degC", "degc": "degC", "ºc": "degC", "mxn": "MXN", "usd": "USD",
    "km": "km", "kg": "kg", "days": "days", "hours": "hours", "m": "m", "ms": "ms", "s": "s",
}  # fmt: skip
UNIT_OF = {"text": "text", "boolean": "flag", "integer": "code"}
LONGEST = 40
NOTABLE, WORRYING = 0.05, 0.2


def name_of(text: str, taken: Sequence[str] = (), otherwise: str = "column") -> str:
    """Return a name in lower case, digits and underscores that is not taken.

    Examples
    --------
    >>> name_of("PT08.S1(CO)"), name_of("AirQualityUCI"), name_of("Año %"), name_of("2nd", taken=["c_2nd"])
    ('pt08_s1_co', 'air_quality_uci', 'ano_pct', 'c_2nd_2')
    """
    plain = unicodedata.normalize("NFKD", text.replace("%", " pct ")).encode("ascii", "ignore").decode()
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z]|[A-Z]{2,}$)", "_", plain)
    name = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_") or otherwise
    name = (name if name[0].isalpha() else f"c_{name}")[:LONGEST].rstrip("_")
    unique, number = name, 2
    while unique in taken or unique in RESERVED:
        unique = f"{name[: LONGEST - len(str(number)) - 1]}_{number}"
        number += 1
    return unique


def yaml_of(inspected: Inspected) -> str:
    """Return the draft: a ``sources:`` block that the spec accepts, doubts as comments."""
    return "\n".join([*_source_lines(inspected), *_column_lines(inspected)]) + "\n"


def _source_lines(inspected: Inspected) -> Iterator[str]:
    dialect, sample = inspected.layout.dialect, inspected.sample
    stem = inspected.file.rpartition(".")[0] or inspected.file
    name = name_of(stem, otherwise="file")
    yield f"# Drafted from {_comment(inspected.file)}: read every comment, then delete it."
    yield "sources:"
    yield f"  {name}:"
    yield "    kind: csv_file"
    yield "    main: true"
    yield "    connection: local_files    # reads var/files: copy the file there, or name a connection of your own"
    yield f"    title: {_text(f'Rows of {inspected.file}')}    # say what it is"
    yield f"    path: {_text('/' + inspected.file.lstrip('/'))}"
    if sample.member is not None:
        yield f"    member: {_text(sample.member)}"
    yield f"    delimiter: {_text(dialect.delimiter)}"
    yield f"    encoding: {sample.encoding}{_doubt(sample.evidence)}"
    yield f"    decimal: {_text(inspected.marks.decimal)}{_doubt(inspected.marks.evidence)}"
    if inspected.marks.thousands:
        yield f"    thousands: {_text(inspected.marks.thousands)}"
    if inspected.quoted_decimals:
        yield "    quoted_decimals: true"
    yield from _dialect_lines(inspected)
    yield from _time_lines(inspected)
    yield "    # published: {after: 1 hour}    # when can a value be known first?"
    if shared := _shared_markers(inspected):
        yield f"    missing: {_list(shared)}    # CONFIRM that these mean 'no value'"


def _dialect_lines(inspected: Inspected) -> Iterator[str]:
    dialect = inspected.layout.dialect
    unusual: dict[str, int | str] = {
        "skip_lines": dialect.skip_lines,
        "header": "" if dialect.has_header else "none",
        "skip_rows_after_header": dialect.skip_rows_after_header,
        "skip_rows_at_end": dialect.skip_rows_at_end,
        "quote": "" if dialect.has_quotes else "none",
    }
    yield from (f"    {key}: {value}" for key, value in unusual.items() if value)


def _time_lines(inspected: Inspected) -> Iterator[str]:
    clock = inspected.clock
    yield "    time:"
    if clock is None:
        yield '      columns: ["#1"]    # NOT FOUND: name the columns that hold the time'
        yield '      format: "%Y-%m-%d"    # NOT FOUND: write how it is written'
        return
    yield f"      columns: {_list([header_of(inspected, place) for place in clock.columns])}"
    doubt = "" if clock.is_certain else "    # AMBIGUOUS, CONFIRM: day and month could change places"
    yield f"      format: {_text(clock.format)}{doubt}"
    if "%z" not in clock.format:
        doubt = "the Z behind the times" if clock.format.endswith("Z") else "CONFIRM: the file names no zone"
        yield f"      timezone: UTC    # {doubt}"
    if clock.century:
        yield f"      two_digit_years_from: {clock.century}    # CONFIRM"


def _column_lines(inspected: Inspected) -> Iterator[str]:
    yield "    columns:"
    shared = _shared_markers(inspected)
    taken: list[str] = []
    for facts in inspected.facts:
        header = header_of(inspected, facts.place)
        name = name_of(inspected.layout.headers[facts.place], taken, f"column_{facts.place + 1}")
        taken.append(name)
        unit, doubt = _unit(inspected, facts)
        yield f"      {name}:"
        yield f"        from: {_text(header)}"
        if facts.type != "number":
            yield f"        type: {facts.type}"
        yield f"        unit: {_text(unit)}{doubt}"
        yield f"        description: {_text(f'Column {header} of the file')}    # say what it is"
        if facts.least is not None:
            yield f"        # min and max: seen were {facts.least:g} to {facts.most:g}"
        if own := [marker for marker in facts.markers if marker not in shared]:
            yield f"        missing: {_list(own)}    # CONFIRM that these mean 'no value'"
        if facts.missing > NOTABLE:
            yield from _completeness_lines(facts)


def _completeness_lines(facts: Facts) -> Iterator[str]:
    if facts.missing > WORRYING:
        share = max(0.0, int((1 - facts.missing) * 10 - 1) / 10)
        yield f"        completeness: {share:g}"
        yield f"        note: {_text(f'{facts.missing:.0%} of {facts.rows} rows had no value when this was drafted.')}"
    yield f"        severity: warn    # {facts.missing:.1%} are missing, perhaps more in a single window"


def _shared_markers(inspected: Inspected) -> list[str]:
    """Return the markers of at least two columns: they hold for the whole file."""
    every = [marker for facts in inspected.facts for marker in facts.markers]
    return sorted({marker for marker in every if every.count(marker) > 1})


def _unit(inspected: Inspected, facts: Facts) -> tuple[str, str]:
    if facts.type in UNIT_OF:
        return UNIT_OF[facts.type], ""
    written = inspected.layout.units[facts.place] if facts.place < len(inspected.layout.units) else ""
    inside = re.findall(r"[\[(]([^\])]+)[\])]", written or inspected.layout.headers[facts.place]) or [written]
    unit = next((UNITS[text.strip().lower()] for text in inside if text.strip().lower() in UNITS), None)
    return (unit, "") if unit else ("1", "    # CONFIRM: what is it measured in?")


def _doubt(evidence: str) -> str:
    return f"    # {_comment(evidence)}" if "CONFIRM" in evidence else ""


def _comment(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _text(text: str) -> str:
    """Return a text in double quotes as YAML and JSON alike read it."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _list(texts: Sequence[str]) -> str:
    return "[" + ", ".join(map(_text, texts)) + "]"
