"""What an injection is made of: the amount as it was written, the column's place in the sandbox, the column's data."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from include.errors import ConfigError
from include.sandbox.injection import CORE_BANKING, Injection, moment, service_of
from include.spec.faults import one_of
from include.spec.source import NUMBERS
from include.windows import Window, midnight

if TYPE_CHECKING:
    from include.sources import Endpoint
    from include.spec.model import AnySource, Column, Pipeline

NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?"
FORMS = {
    "shift": (rf"(?P<number>{NUMBER})(?P<sd>sd)?", "0.5sd, in standard deviations, or 12.5, in the column's unit"),
    "scale": (rf"(?P<number>{NUMBER})", "the factor, such as 1.2"),
    "missing": (rf"(?P<number>{NUMBER})", "the share of values to lose, above 0 and up to 1, such as 0.3"),
    "unit-swap": (rf"(?P<number>{NUMBER})(?P<offset>[+-]{NUMBER})?", "the factor, such as 0.001, or 1.8+32"),
}
Rows = Sequence[tuple[datetime, str | None]]


@dataclass(frozen=True)
class Amount:
    """How a column is changed, as it was written; a shift may be in standard deviations, which the data tell."""

    kind: str
    text: str = ""
    number: float = 0.0
    offset: float = 0.0
    is_sd: bool = False


def read_amount(kind: str, text: str) -> Amount:
    """Return what was written behind an option.

    Raises
    ------
    ConfigError
        It cannot be read, or would change nothing.

    Examples
    --------
    >>> read_amount("shift", "0.5sd")
    Amount(kind='shift', text='0.5sd', number=0.5, offset=0.0, is_sd=True)
    """
    if kind not in FORMS:
        return Amount(kind)
    form, way_out = FORMS[kind]
    match = re.fullmatch(form, text.strip().lower())
    parts = match.groupdict() if match else {}
    number, offset = float(parts.get("number") or "nan"), float(parts.get("offset") or 0)
    idle = {"shift": number == 0, "scale": number in (0, 1), "missing": not 0 < number <= 1}
    idle["unit-swap"] = number == 0 or (number, offset) == (1, 0)
    if not math.isfinite(number) or not math.isfinite(offset) or idle[kind]:
        raise ConfigError(f"--{kind} {text!r} is no amount that changes something: write {way_out}")
    return Amount(kind, text.strip(), number, offset, bool(parts.get("sd")))


@dataclass(frozen=True)
class Place:
    """A column of a pipeline, and under what name which service of the sandbox sends it."""

    spec: Pipeline
    source: str
    name: str
    service: str
    field: str

    @property
    def column(self) -> Column:
        """What the contract says of it."""
        return self.spec.sources[self.source].columns[self.name]

    @property
    def shown(self) -> str:
        """What the pipeline calls it: with its source, where that is not the main one."""
        return self.name if self.source == self.spec.main else f"{self.source}.{self.name}"


def find(spec: Pipeline, column: str) -> tuple[str, str]:
    """Return the source and name of a column; ``source.name`` says which of several is meant.

    Raises
    ------
    ConfigError
        There is none of that name, or several.
    """
    every = [(source, name) for source, each in spec.sources.items() for name in each.columns]
    chosen = [(source, name) for source, name in every if column in (name, f"{source}.{name}")]
    if len(chosen) == 1:
        return chosen[0]
    names = [name if source == spec.main else f"{source}.{name}" for source, name in every]
    way_out = f"write one of {', '.join(f'{s}.{n}' for s, n in chosen)}" if chosen else one_of(column, names)
    what = "is in several sources" if chosen else "is no column of a source"
    raise ConfigError(f"--column {column!r} {what} of {spec.pipeline} ({spec.where('sources')}): {way_out}")


def place_of(spec: Pipeline, source: str, name: str) -> Place:
    """Return where the sandbox sends a column.

    Raises
    ------
    ConfigError
        It is personal, a key or the time, or nothing that the sandbox can change.
    """
    from include.sandbox.injected_desk import COLUMNS, TABLE

    reading: AnySource = spec.sources[source]
    column, what = reading.columns[name], f"{spec.pipeline} {source}: {name}"
    if column.personal != "no" or name in reading.key or column.type not in (*NUMBERS, "boolean", "text"):
        raise ConfigError(f"{what} tells rows apart, is a time or personal data: inject into a column of values")
    if reading.kind == "sql":
        if reading.table != TABLE or column.from_ not in COLUMNS:
            raise ConfigError(f"{what} is none of {', '.join(COLUMNS)} of {TABLE}, which alone can be injected there")
        return Place(spec, source, name, CORE_BANKING, column.from_)
    field, path = column.from_, getattr(reading, "path", "")
    service = reading.kind if reading.kind in ("banxico", "inegi") else service_of(path)
    if reading.kind == "http_json" and service == "frankfurter":
        field = reading.params.get("providers", "BANXICO").upper() if field.rpartition(".")[2] == "rate" else ""
    elif reading.kind == "http_json":
        field = field.removeprefix("$.")
    if service is None or not field or column.type not in NUMBERS:
        raise ConfigError(f"{what} is no column of numbers that the sandbox sends ({path}): it cannot be injected")
    return Place(spec, source, name, service, field)


def rows_of(place: Place, endpoint: Endpoint, now: datetime) -> Rows:
    """Return time and text of the column in all rows that its source sends, from the schedule's start until now.

    Raises
    ------
    SourceUnavailable, ContractBroken
        As `include.sources.fetch`.
    """
    from include.sources import fetch, parse

    spec, source = place.spec, place.spec.sources[place.source]
    window = Window(midnight(spec.schedule.start, spec.zone), now)
    payloads = [one for one in fetch(spec.pipeline, place.source, source, endpoint, window) if one is not None]
    batches = parse(spec.pipeline, place.source, source, [one.body.open for one in payloads], window)
    rows = [row for batch in batches for row in batch.select(["valid_at", place.name]).to_pylist()]
    pairs = ((row["valid_at"], row[place.name]) for row in rows if row["valid_at"] is not None)
    return sorted(((at.astimezone(UTC), text) for at, text in pairs), key=lambda pair: pair[0])


def injection(place: Place, amount: Amount, window: Window, is_open: bool, rows: Rows) -> Injection:
    """Return the injection that was asked for, in figures; pure.

    Parameters
    ----------
    window : Window
        From when to when; `is_open` tells that it has no end.
    rows : sequence of (datetime, str or None)
        The column's data, in order of time: of those before the window its standard deviation, and the last one.

    Raises
    ------
    ConfigError
        No row lies in the window, or the data before it do not tell what was asked for.
    """
    what = f"{place.spec.pipeline} {place.shown}: --from {moment(window.start)}"
    if not any(window.contains(at) for at, _ in rows):
        last = f"the newest row of {place.source} is about {rows[-1][0]:%Y-%m-%d %H:%M} UTC" if rows else "it has none"
        raise ConfigError(f"{what}: no row lies from there on{'' if is_open else ' until --to'}, {last}; choose others")
    if amount.kind not in ("freeze", "missing") and place.column.type not in NUMBERS:
        what = f"--{amount.kind} is for numbers and {place.shown} is {place.column.type}"
        raise ConfigError(f"{what}: use --freeze or --missing, or choose another column")
    before = [value for at, text in rows if at < window.start and (value := _value(place.column, text)) is not None]
    end = None if is_open else window.end
    made = (place.spec.pipeline, place.shown, place.service, place.field, amount.kind, amount.text, window.start, end)
    if amount.kind == "freeze":
        if not before:
            raise ConfigError(f"{what}: there is no value before it to freeze at; choose a later one")
        return Injection(*made, constant=before[-1])
    if amount.kind == "missing":
        return Injection(*made, share=amount.number)
    if amount.kind == "shift":
        return Injection(*made, offset=amount.number * (_deviation(what, before) if amount.is_sd else 1.0))
    return Injection(*made, factor=amount.number, offset=amount.offset)


def _deviation(what: str, values: Sequence[float | str | bool]) -> float:
    """Return the standard deviation of numbers."""
    numbers = [float(value) for value in values]
    mean = math.fsum(numbers) / len(numbers) if numbers else 0.0
    deviation = math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / max(len(numbers), 1))
    if not deviation:
        lacking = f"the {len(numbers)} values before it have no standard deviation"
        raise ConfigError(f"{what}: {lacking}; choose a later one, or say how far without sd")
    return deviation


def _value(column: Column, text: str | None) -> float | str | bool | None:
    """Return a value as its type; None where it is missing, no such value or outside the contract's range."""
    if text is None or column.type == "text":
        return text
    if column.type == "boolean":
        return text.lower() in ("true", "t")
    try:
        number = float(text)
    except ValueError:
        return None
    low, high = (-math.inf if column.min is None else column.min), (math.inf if column.max is None else column.max)
    return number if low <= number <= high else None
