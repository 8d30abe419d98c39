"""The ways in which times are written, and which of them fit some texts."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice

import pandas as pd
import pyarrow as pa

from include.sources.text.instants import times_of
from include.sources.text.time_shape import shape
from include.spec.model import TimeColumns
from include.spec.time_format import ISO

DATES = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y",
    "%m.%d.%Y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%m-%d-%y", "%d.%m.%y", "%m.%d.%y", "%d-%b-%Y", "%d %b %Y",
    "%d/%b/%Y", "%d-%b-%y", "%d-%b.-%Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%d%b%Y", "%Y-%m", "%Y/%m", "%m/%Y",
    "%b-%Y", "%b %Y", "%Y.%m", "%Y-%b", "%Y %b", "%Y%b",
)  # fmt: skip
DATES_IN_WORDS = (*(form for form in DATES if "%b" in form), "%d de %b de %Y", "%d %b, %Y", "%b de %Y")
CLOCKS = ("%H:%M:%S", "%H:%M", "%H.%M.%S", "%H.%M", "%H:%M:%S.%f", "%I:%M:%S %p", "%I:%M %p", "%H%M%S", "%H%M", "%H")
ZONES = ("", "Z", "%z", " %z")
# How the names of months begin in languages that are not English.
MONTHS = {
    "Spanish": ("ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic"),
    "Portuguese": ("jan", "fev", "mar", "abr", "mai", "jun", "jul", "ago", "set", "out", "nov", "dez"),
    "Italian": ("gen", "feb", "mar", "apr", "mag", "giu", "lug", "ago", "set", "ott", "nov", "dic"),
    "French": ("jan", "fév", "mar", "avr", "mai", "juin", "juil", "aoû", "sep", "oct", "nov", "déc"),
    "German": ("jan", "feb", "mär", "apr", "mai", "jun", "jul", "aug", "sep", "okt", "nov", "dez"),
}
ENOUGH = 0.95
CENTURY = 1970


@dataclass(frozen=True)
class Way:
    """One way to write a time."""

    format: str
    fill_zeros: bool = False
    months: tuple[str, ...] = ()
    hour_24: bool = False


@lru_cache(maxsize=1)
def all_dates() -> tuple[Way, ...]:
    """Return the ways to write a date, alone or with a time of day, with English months."""
    stamps = (f"{date}{gap}{clock}{zone}" for date in DATES for gap in " T" for clock in CLOCKS[:7] for zone in ZONES)
    return tuple(map(Way, (*DATES, *stamps, ISO)))


def in_words(values: list[str]) -> list[Way]:
    """Return the ways to read dates whose months have names of another language."""
    if not any(re.search(r"[^\W\d_]{3}", text) for text in values[:8]):
        return []
    return fitting(values, [Way(form, months=months) for months in MONTHS.values() for form in DATES_IN_WORDS])


def fitting(values: list[str], ways: Iterable[Way], date: str = "") -> list[Way]:
    """Return the ways that almost all texts are written in, beside a date if one is given; what fits most first."""
    texts = [text.strip() for text in values]
    first = list(islice((text for text in texts if any(letter.isdigit() for letter in text)), 8))
    if not first or len(first) < 0.5 * min(len(texts), 8):
        return []
    parts = [pa.array(part, pa.string()) for part in ([[date] * len(texts)] if date else []) + [texts]]
    shares: dict[Way, float] = {}
    for way in ways:
        form = _form(way.format.removeprefix("%Y-%m-%d ") if date else way.format)
        if way.fill_zeros or sum(bool(form.fullmatch(text)) for text in first) > len(first) / 2:
            shares[way] = float(times_by(parts, replace(way, hour_24="%H" in way.format)).notna().mean())
    return sorted((way for way, share in shares.items() if share >= ENOUGH), key=lambda way: -shares[way])


@lru_cache(maxsize=4096)
def _form(form: str) -> re.Pattern[str]:
    """Return the outer shape of a format, which is quicker than trying it."""
    return re.compile(shape(form))


def times_by(parts: Sequence[pa.Array], way: Way) -> pd.Series:
    """Return the times written in columns of text as `times_of` does, all NaT where the way does not fit."""
    century = CENTURY if "%y" in way.format else None
    rule = TimeColumns.model_construct(columns=("at",), timezone="UTC", two_digit_years_from=century, **vars(way))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a format that does not fit is the answer, not a fault
        try:
            return times_of(rule, parts)
        except (ValueError, OverflowError):
            return pd.Series(pd.NaT, index=range(len(parts[0])))
