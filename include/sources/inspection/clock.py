"""Which columns hold a row's time and how it is written, with the evidence for the order of day and month."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.sources.inspection.ways import CENTURY, CLOCKS, Way, all_dates, fitting, in_words, times_by
from include.sources.text.day_order import turned
from include.spec.time_format import ISO

BARE = {"%H%M%S", "%H%M", "%H", "%H.%M"}  # a number could be anything: its header has to speak of time
PARTS = {
    "%Y": {"year", "yyyy", "anio", "año", "ano", "yr"}, "%m": {"month", "mes", "mm", "mo", "mnth"},
    "%d": {"day", "dia", "día", "dd", "dy"}, "%H": {"hour", "hora", "hh", "hr"},
    "%M": {"minute", "minuto", "min", "mn"},
}  # fmt: skip
SAYS_TIME = re.compile(r"time|hour|hora|heure|uhr|zeit|clock|hh|(?<![a-z])hrs?(?![a-z])|^h$", re.IGNORECASE)
SAYS_DATE = re.compile(r"date|fecha|period|month|mes(?![a-z])|mois|monat|yyyymm|anio_?mes", re.IGNORECASE)
BASE = "1996-02-29"  # what times without a date are tried on


@dataclass(frozen=True)
class Clock:
    """How a row's time is written."""

    columns: tuple[int, ...]  # their places, from 0
    format: str  # strptime format of their texts, joined with a space, or iso
    evidence: tuple[str, ...]  # why, a line each
    is_certain: bool = True  # False where day and month could change places
    hour_24: bool = False  # whether 24:00 is written
    fill_zeros: bool = False  # whether digits lost the zeros before them
    months: tuple[str, ...] = ()  # names of months that are not English

    @property
    def century(self) -> int | None:
        """First year that two digits are taken for; None where years have four."""
        return CENTURY if "%y" in self.format else None

    def times(self, columns: Sequence[pa.Array]) -> pd.Series:
        """Return the times of all columns of the file as its source would read them."""
        way = Way(self.format, self.fill_zeros, self.months, self.hour_24)
        return times_by([columns[at] for at in self.columns], way)


def find(names: Sequence[str], columns: Sequence[pa.Array]) -> Clock | None:
    """Return how the first time among the columns is written; None if there is none.

    `names` are the headers, shape (columns,); the columns are of string, shape (rows,) each.
    """
    clock = _find(names, columns)
    if clock is None:
        return None
    with_24 = replace(clock, hour_24="%H" in clock.format or clock.format == ISO)
    gained = int(with_24.times(columns).notna().sum() - clock.times(columns).notna().sum()) if with_24.hour_24 else 0
    if not gained:
        return clock
    why = f"{gained} rows have the hour 24, which is midnight at the end of the day"
    return replace(with_24, evidence=(*clock.evidence, why))


def _find(names: Sequence[str], columns: Sequence[pa.Array]) -> Clock | None:
    values = [_distinct(column) for column in columns]
    dates = {at: ways for at, name in enumerate(names) if (ways := _date(values[at], name))}
    for at, ways in dates.items():
        is_date = any(way.format == "%Y-%m-%d" for way in ways)  # which is ISO, too
        if stamps := [way for way in ways if re.search("%[HI]", way.format) or (way.format == ISO and not is_date)]:
            return _chosen(at, stamps, columns[at], values[at])
    for at, ways in dates.items():
        date = _chosen(at, ways, columns[at], values[at])
        others = sorted(set(range(len(columns))) - set(dates), key=lambda other: (abs(other - at), other < at))
        clocks = [(other, way) for other in others if (way := _clock(values[other], names[other]))]
        if len(pc.unique(columns[at])) == len(columns[at]):  # a day a row: so many hours are as likely a measure
            clocks = [
                (other, way) for other, way in clocks if way.format != "%H" or names[other].lower() in PARTS["%H"]
            ]
        clocks += [(other, Way("%H")) for other in others if _is_hour(columns[at], columns[other], values[other])]
        return _with_clock(date, names, values, *clocks[0]) if clocks else date
    return _parts(names, columns)


def _with_clock(date: Clock, names: Sequence[str], values: list[list[str]], at: int, way: Way) -> Clock:
    """Return a date's clock with the column of its hours, and that of its minutes, if it has one."""
    why = f"{_shown(names, at)} holds times of day as {way.format}, such as {values[at][0]!r}"
    why += ", zeros before it lost" if way.fill_zeros else ""
    places, form = (*date.columns, at), f"{date.format} {way.format}"
    minutes = [other for other, name in enumerate(names) if name.strip().lower() in PARTS["%M"] and other not in places]
    if way.format == "%H" and minutes and _clock(values[minutes[0]], "", ("%M",)):
        places, form, why = (*places, minutes[0]), f"{form} %M", f"{why}, and {_shown(names, minutes[0])} the minutes"
    return replace(date, columns=places, format=form, evidence=(*date.evidence, why), fill_zeros=way.fill_zeros)


def _is_hour(dates: pa.Array, column: pa.Array, values: list[str]) -> bool:
    """Tell a column of hours by its values alone: dates repeat, and each comes with other hours of the same day."""
    if not {text.lstrip("0") or "0" for text in values} <= {str(hour) for hour in range(25)} or len(values) < 24:
        return False
    pairs = pc.binary_join_element_wise(dates, column, " ")
    return len(pc.unique(pairs)) == len(pairs) > len(pc.unique(dates))


def _distinct(column: pa.Array) -> list[str]:
    """Return up to a thousand different texts that are not blank, those of the last rows among them."""
    some = column if len(column) < 200_000 else pa.concat_arrays([column.slice(0, 100_000), column.slice(-100_000)])
    seen = [text for text in pc.unique(some).to_pylist() if text.strip()]
    return seen if len(seen) <= 1000 else [*seen[:500], *seen[-500:]]


def _date(values: list[str], name: str) -> list[Way]:
    """Return the ways to read a column as dates; months without a mark only where the header speaks of them."""
    bare = [Way("%Y%m")] if SAYS_DATE.search(name) else []
    return fitting(values, all_dates()) or in_words(values) or fitting(values, bare)


def _clock(values: list[str], name: str, formats: Sequence[str] = CLOCKS) -> Way | None:
    """Return how times of day are written, None if the texts are none."""
    formats = [clock for clock in formats if clock not in BARE or SAYS_TIME.search(name)]
    ways = [Way(f"%Y-%m-%d {clock}") for clock in formats]
    if max(map(len, values), default=0) > 2:  # else they are hours, whose zeros need not be there
        ways += [Way(f"%Y-%m-%d {clock}", fill_zeros=True) for clock in ("%H%M", "%H%M%S") if clock in formats]
    fit = fitting(values, ways, BASE)
    return replace(fit[0], format=fit[0].format.removeprefix("%Y-%m-%d ")) if fit else None


def _chosen(place: int, ways: list[Way], column: pa.Array, values: list[str]) -> Clock:
    """Choose among the ways that fit; day and month are told apart by days beyond 12 or not at all."""
    way = ways[0]
    why = f"column {place + 1} holds times as {way.format}, such as {values[0]!r}"
    if way.months:
        why += f", with months named {', '.join(way.months[:3])} and so on"
    clock = Clock((place,), way.format, (why,), months=way.months)
    other = turned(way.format)
    if other is None:
        return clock
    if other not in [one.format for one in ways]:
        unlike = (text for text in values if fitting([text], [way]) and not fitting([text], [Way(other)]))
        order = "day first" if way.format.index("%d") < way.format.index("%m") else "month first"
        beyond = next(unlike, "")
        return replace(clock, evidence=(why, f"{order}: {beyond!r} has a number beyond 12 where the month would be"))
    read = {form: times_by([column], Way(form)) for form in (way.format, other)}
    unfit = {form: int(times.isna().sum()) for form, times in read.items()}
    if unfit[way.format] != unfit[other]:
        form = min(unfit, key=lambda one: unfit[one])
        more = abs(unfit[way.format] - unfit[other])
        return replace(clock, format=form, evidence=(why, f"{more} rows can only be read as {form}"))
    steps = {form: times.diff().abs().dt.total_seconds().median() / 86_400 for form, times in read.items()}
    hint = ", ".join(f"{form} makes steps of {days:.3g} days" for form, days in steps.items())
    note = f"AMBIGUOUS: no day is beyond 12, so {way.format} and {other} both fit ({hint})"
    note += ": CONFIRM the order of day and month"
    return replace(clock, evidence=(why, note), is_certain=False)


def _parts(names: Sequence[str], columns: Sequence[pa.Array]) -> Clock | None:
    """Return a date that stands in columns of its parts, told by their headers."""
    places: dict[str, int] = {}
    for at, name in enumerate(names):
        for part, words in PARTS.items():
            if name.strip().lower() in words:
                places.setdefault(part, at)
    is_yearly = set(places) == {"%Y"} and len(pc.unique(columns[places["%Y"]])) == len(columns[places["%Y"]])
    if not ({"%Y", "%m"} <= set(places) or is_yearly) or ("%H" in places and "%d" not in places):
        return None
    form = " ".join(part for part in PARTS if part in places)
    text = pc.binary_join_element_wise(*(columns[places[part]] for part in form.split()), " ")
    if not fitting(_distinct(text), [Way(form)]):
        return None
    chosen = tuple(places[part] for part in form.split())
    return Clock(chosen, form, (f"the headers {', '.join(names[place] for place in chosen)} name the parts of a time",))


def _shown(names: Sequence[str], at: int) -> str:
    return names[at] or f"column {at + 1}"
