"""Which columns hold a row's time and how it is written, with the evidence for the order of day and month."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.sources.text.instants import times_of
from include.spec.model import TimeColumns

DATES = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y",
    "%m.%d.%Y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%m-%d-%y", "%d.%m.%y", "%m.%d.%y", "%d-%b-%Y", "%d %b %Y",
    "%d-%b-%y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%d%b%Y",
)  # fmt: skip
CLOCKS = ("%H:%M:%S", "%H:%M", "%H.%M.%S", "%H.%M", "%H:%M:%S.%f", "%I:%M:%S %p", "%I:%M %p", "%H%M%S", "%H%M", "%H")
ZONES = ("", "Z", "%z", " %z")
BARE = {"%H%M%S", "%H%M", "%H", "%H.%M"}  # a number could be anything: its header has to speak of time
LETTERS = {"%Y": r"\d{4}", "%b": r"[^\W\d_]{3}", "%B": r"[^\W\d_]{3,}", "%p": "[AaPp][Mm]", "%f": r"\d{1,9}"}
LETTERS |= {"%M": r"\d{2}", "%S": r"\d{2}"}
LETTERS["%z"] = r"(?:Z|[+-]\d{2}:?\d{2})"
PARTS = {
    "%Y": {"year", "yyyy", "anio", "año", "ano", "yr"}, "%m": {"month", "mes", "mm", "mo"},
    "%d": {"day", "dia", "día", "dd", "dy"}, "%H": {"hour", "hora", "hh", "hr"},
    "%M": {"minute", "minuto", "min", "mn"},
}  # fmt: skip
SAYS_TIME = re.compile(r"time|hour|hora|heure|uhr|zeit|clock|hh", re.IGNORECASE)
ENOUGH = 0.95
BASE = "1996-02-29"  # what times without a date are tried on
CENTURY = 1970


@dataclass(frozen=True)
class Clock:
    """How a row's time is written."""

    columns: tuple[int, ...]  # their places, from 0
    format: str  # strptime format of their texts, joined with a space
    evidence: tuple[str, ...]  # why, a line each
    is_certain: bool = True  # False where day and month could change places

    @property
    def century(self) -> int | None:
        """First year that two digits are taken for; None where years have four."""
        return CENTURY if "%y" in self.format else None


def find(names: Sequence[str], columns: Sequence[pa.Array]) -> Clock | None:
    """Return how the first time among the columns is written; None if there is none.

    `names` are the headers, shape (columns,); the columns are of string, shape (rows,) each.
    """
    values = [_distinct(column) for column in columns]
    dates = {at: formats for at in range(len(columns)) if (formats := _fitting(values[at], _dates()))}
    for at, formats in dates.items():
        stamps = [form for form in formats if "%H" in form or "%I" in form]
        if stamps:
            return _chosen((at,), stamps, columns[at], values[at])
    for at, formats in dates.items():
        beside = sorted(set(range(len(columns))) - set(dates), key=lambda other: (abs(other - at), other < at))
        for other in beside:
            if clock := _clock(values[other], names[other]):
                chosen = _chosen((at,), formats, columns[at], values[at])
                why = f"{_shown(names, other)} holds times of day as {clock}, such as {values[other][0]!r}"
                form = f"{chosen.format} {clock}"
                return Clock((at, other), form, (*chosen.evidence, why), chosen.is_certain)
        return _chosen((at,), formats, columns[at], values[at])
    return _parts(names, columns)


def _distinct(column: pa.Array) -> list[str]:
    """Return up to a thousand different texts that are not blank, those of the last rows among them."""
    some = column if len(column) < 200_000 else pa.concat_arrays([column.slice(0, 100_000), column.slice(-100_000)])
    seen = [text for text in pc.unique(some).to_pylist() if text.strip()]
    return seen if len(seen) <= 1000 else [*seen[:500], *seen[-500:]]


@lru_cache(maxsize=1)
def _dates() -> tuple[str, ...]:
    stamps = (f"{date}{gap}{clock}{zone}" for date in DATES for gap in " T" for clock in CLOCKS[:7] for zone in ZONES)
    return (*DATES, *stamps)


def _fitting(values: list[str], formats: Iterable[str]) -> list[str]:
    """Return the formats that almost all texts have."""
    first = list(islice((text.strip() for text in values if any(letter.isdigit() for letter in text)), 8))
    if not first or len(first) < 0.5 * min(len(values), 8):
        return []
    likely = [form for form in formats if sum(bool(_form(form).fullmatch(text)) for text in first) > len(first) / 2]
    return [form for form in likely if _share(values, form) >= ENOUGH]


@lru_cache(maxsize=4096)
def _form(form: str) -> re.Pattern[str]:
    """Return the outer shape of a format, which is quicker than trying it."""
    parts = re.split(r"(%.)", form)
    return re.compile("".join(LETTERS.get(p, r"\d{1,2}") if p[:1] == "%" else re.escape(p) for p in parts))


def _share(values: list[str], form: str) -> float:
    return float(times_in([pa.array(values, pa.string())], form).notna().mean()) if values else 0.0


def times_in(parts: Sequence[pa.Array], form: str) -> pd.Series:
    """Return the times written in columns of text as `times_of` does, all NaT where the format does not fit."""
    century = CENTURY if "%y" in form else None
    rule = TimeColumns.model_construct(columns=("at",), format=form, timezone="UTC", two_digit_years_from=century)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a format that does not fit is the answer, not a fault
        try:
            return times_of(rule, parts)
        except (ValueError, OverflowError):
            return pd.Series(pd.NaT, index=range(len(parts[0])))


def _clock(values: list[str], name: str) -> str | None:
    """Return how times of day are written, None if the texts are none."""
    formats = [clock for clock in CLOCKS if clock not in BARE or SAYS_TIME.search(name)]
    dated = [f"{BASE} {text}" for text in values]
    fitting = _fitting(dated, [f"%Y-%m-%d {clock}" for clock in formats])
    return fitting[0].removeprefix("%Y-%m-%d ") if fitting else None


def _chosen(places: tuple[int, ...], formats: list[str], column: pa.Array, values: list[str]) -> Clock:
    """Choose among the formats that fit; day and month are told apart by days beyond 12 or not at all."""
    form = formats[0]
    why = f"column {places[0] + 1} holds times as {form}, such as {values[0]!r}"
    other = _swapped(form)
    if other is None:
        return Clock(places, form, (why,))
    if other not in formats:
        beyond = next((text for text in values if not _share([text], other)), values[0])
        order = "day first" if form.index("%d") < form.index("%m") else "month first"
        return Clock(places, form, (why, f"{order}: {beyond!r} has a number beyond 12 where the month would be"))
    read = {way: times_in([column], way) for way in (form, other)}
    unfit = {way: int(times.isna().sum()) for way, times in read.items()}
    if unfit[form] != unfit[other]:
        form = min(unfit, key=lambda way: unfit[way])
        return Clock(places, form, (why, f"{abs(unfit[form] - unfit[other])} rows can only be read as {form}"))
    steps = {way: times.diff().abs().dt.total_seconds().median() / 86_400 for way, times in read.items()}
    hint = ", ".join(f"{way} makes steps of {days:.3g} days" for way, days in steps.items())
    note = (
        f"AMBIGUOUS: no day is beyond 12, so {form} and {other} both fit ({hint}): CONFIRM the order of day and month"
    )
    return Clock(places, form, (why, note), False)


def _swapped(form: str) -> str | None:
    """Return the format with day and month the other way round, where figures alone tell them apart."""
    if "%m" not in form or form.startswith(("%Y", "%y")):
        return None
    return form.replace("%d", "\0").replace("%m", "%d").replace("\0", "%m")


def _parts(names: Sequence[str], columns: Sequence[pa.Array]) -> Clock | None:
    """Return a date that stands in columns of its parts, told by their headers."""
    places: dict[str, int] = {}
    for at, name in enumerate(names):
        for part, words in PARTS.items():
            if name.strip().lower() in words:
                places.setdefault(part, at)
    if not {"%Y", "%m", "%d"} <= set(places):
        return None
    form = " ".join(part for part in PARTS if part in places)
    text = pc.binary_join_element_wise(*(columns[places[part]] for part in form.split()), " ")
    if _share(_distinct(text), form) < ENOUGH:
        return None
    chosen = tuple(places[part] for part in form.split())
    return Clock(chosen, form, (f"the headers {', '.join(names[place] for place in chosen)} name the parts of a time",))


def _shown(names: Sequence[str], at: int) -> str:
    return names[at] or f"column {at + 1}"
