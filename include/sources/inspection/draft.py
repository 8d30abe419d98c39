"""What was found, as a draft of the ``sources:`` block."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence

from include.sources.inspection.findings import Inspected, header_of
from include.sources.inspection.units import UNITS, WORDS
from include.sources.inspection.values import Facts
from include.spec.measures import is_measure
from include.spec.source import RESERVED

UNIT_OF = {"text": "text", "boolean": "flag"}
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
    yield f"# Drafted from {comment_of(inspected.file)}: read every comment, then delete it."
    yield "sources:"
    yield f"  {name}:"
    yield "    kind: csv_file"
    yield "    main: true"
    yield "    connection: local_files    # reads var/files: the file has to be there, or name a connection of your own"
    yield f"    title: {_text(f'Rows of {inspected.file}')}    # say what it is"
    yield f"    path: {_text('/' + inspected.file.lstrip('/'))}"
    if sample.member is not None:
        yield f"    member: {_text(sample.pattern or sample.member)}"
    yield f"    delimiter: {_text(dialect.delimiter)}"
    yield f"    encoding: {sample.encoding}{_doubt(sample.evidence)}"
    yield f"    decimal: {_text(inspected.marks.decimal)}{_doubt(inspected.marks.evidence)}"
    if inspected.marks.thousands:
        yield f"    thousands: {_text(inspected.marks.thousands)}"
    if inspected.quoted_decimals:
        yield "    quoted_decimals: true"
    if inspected.marks.accounting:
        yield "    accounting: true"
    if flags := {words: None for facts in inspected.facts if (words := facts.flags)}:
        texts = [
            f"{_text(word)}: {is_true}" for pair in flags for word, is_true in zip(pair, ("false", "true"), strict=True)
        ]
        yield f"    flags: {{{', '.join(texts)}}}    # CONFIRM"
    yield from _dialect_lines(inspected)
    yield from _time_lines(inspected)
    yield "    # published: {after: 1 hour}    # when can a value be known first?"
    if inspected.key is not None:
        yield f"    key: [{names_of(inspected)[inspected.key]}]    # CONFIRM: it tells rows of one time apart"
    elif inspected.repeated_times:
        count = f"{inspected.repeated_times:,} rows share their time with another and do not load"
        yield f"    # key: [a_column]    # {count}"
        yield "    # so: name the columns that tell them apart, each with `required: true`"
    if shared := _shared_markers(inspected):
        yield f"    missing: {list_of(shared)}    # CONFIRM that these mean 'no value'"


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
    yield f"      columns: {list_of([header_of(inspected, place) for place in clock.columns])}"
    doubt = "" if clock.is_certain else "    # AMBIGUOUS, CONFIRM: day and month could change places"
    yield f"      format: {_text(clock.format)}{doubt}"
    if "%z" not in clock.format:
        doubt = "the Z behind the times" if clock.format.endswith("Z") else "CONFIRM: the file names no zone"
        yield f"      timezone: UTC    # {doubt}"
    if clock.century:
        yield f"      two_digit_years_from: {clock.century}    # CONFIRM"
    if clock.hour_24:
        yield "      hour_24: true    # 24:00 is midnight at the end of the day"
    if clock.fill_zeros:
        yield "      fill_zeros: true    # 130 is 01:30"
    if clock.months:
        yield f"      months: {list_of(clock.months)}"


def names_of(inspected: Inspected) -> dict[int, str]:
    """Return the names of the columns in the draft, by their place in the file."""
    names: dict[int, str] = {}
    for facts in inspected.facts:
        header = inspected.layout.headers[facts.place]
        names[facts.place] = name_of(header, list(names.values()), f"column_{facts.place + 1}")
    return names


def _column_lines(inspected: Inspected) -> Iterator[str]:
    yield "    columns:"
    shared = _shared_markers(inspected)
    names = names_of(inspected)
    for facts in inspected.facts:
        header = header_of(inspected, facts.place)
        unit, doubt = _unit(inspected, facts)
        yield f"      {names[facts.place]}:"
        yield f"        from: {_text(header)}"
        if facts.type != "number":
            whole = "    # all seen are whole: number, if fractions may come" if facts.type == "integer" else ""
            yield f"        type: {facts.type}{whole}"
        if facts.place == inspected.key:
            yield "        required: true"
        yield f"        unit: {_text(unit)}{doubt}"
        yield f"        description: {_text(' '.join(f'Column {header} of the file'.split()))}    # say what it is"
        if facts.least is not None and facts.type != "text":
            yield f"        # min and max: seen were {facts.least:.15g} to {facts.most:.15g}"
        if facts.type == "text" and facts.texts:
            yield f"        # {comment_of('values such as ' + ', '.join(map(repr, facts.texts)))}"
        if own := [marker for marker in facts.markers if marker not in shared]:
            yield f"        missing: {list_of(own)}    # CONFIRM that these mean 'no value'"
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
    texts = [text.strip() for text in inside]
    unit = next((UNITS[text.lower()] for text in texts if text.lower() in UNITS), None)
    # A single word in brackets is often none, such as min or max.
    unit = unit or next(
        (text for text in texts if (text in WORDS or set(text) & set("/^*")) and is_measure(text)), None
    )
    return (unit, "") if unit else ("1", "    # CONFIRM: what is it measured in?")


def _doubt(evidence: str) -> str:
    return f"    # {comment_of(evidence)}" if "CONFIRM" in evidence else ""


def comment_of(text: str) -> str:
    """Return a text that can stand in a comment."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _text(text: str) -> str:
    """Return a text in double quotes as YAML and JSON alike read it."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def list_of(texts: Sequence[str]) -> str:
    """Return texts as a list of YAML in one line."""
    return "[" + ", ".join(map(_text, texts)) + "]"
