"""Times written in text columns as UTC instants: digits in fixed places at once, everything else by strptime.

A text that does not fill its format is no time: `130` is not 13:00 in `%H%M`, although strptime takes it for that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.sources.publication import UTC_MICROSECONDS
from include.sources.text.time_shape import LETTERS, OFFSET, hour_24, shape, tokens_of
from include.spec.csv_source import TimeColumns
from include.spec.time_format import ISO, WIDTHS, is_digits

READ_AT_ONCE = {"%Y", "%y", "%m", "%d", "%H", "%M", "%S", "%f"}
Places = dict[str, slice]


def times_of(rule: TimeColumns, parts: Sequence[Any]) -> pd.Series:
    """Return the UTC instants written in one or several columns of text; NaT where unreadable.

    A local hour that a clock change skips is NaT, and so is one that it repeats, unless the order of the
    rows tells it: see `_repeated`.

    Parameters
    ----------
    rule : TimeColumns
        Format and zone.
    parts : sequence of Arrow string array or of sequence of str
        Shape (rows,) each; joined with one space.

    Returns
    -------
    pandas.Series
        datetime64[us, UTC], shape (rows,).
    """
    text, form = _as_written(rule, parts)
    days = None
    if rule.hour_24:
        pattern = hour_24(form)
        days = pc.match_substring_regex(text, pattern).to_numpy(zero_copy_only=False).astype("timedelta64[D]")
        text = pc.replace_substring_regex(text, pattern, r"\100\2")
    if form == ISO:
        return _iso(text, rule.timezone, days)
    if "%z" in form:
        return _later(_strptime(text, form, rule, has_offset=True), days)
    return _in_utc(_later(_clock(text, form, rule), days), rule.timezone)


def _later(times: pd.Series, days: np.ndarray | None) -> pd.Series:
    return times if days is None else times + days


def _as_written(rule: TimeColumns, parts: Sequence[Any]) -> tuple[pa.Array, str]:
    """Return the joined texts, zeros that were lost and names of months put right, and their format."""
    arrays = [part if isinstance(part, pa.Array) else pa.array(part, pa.string()) for part in parts]
    if rule.fill_zeros:
        arrays = [_filled(array, form) for array, form in zip(arrays, rule.format.split(" "), strict=True)]
    text = arrays[0] if len(arrays) == 1 else pc.binary_join_element_wise(*arrays, " ")
    for month, name in enumerate(rule.months, 1):
        text = pc.replace_substring_regex(text, rf"(?i){re.escape(name)}{LETTERS[:-1]}*\.?", f"{month:02}")
    return text, rule.format.replace("%b", "%m") if rule.months else rule.format


def _filled(text: pa.Array, form: str) -> pa.Array:
    """Fill texts of digits up with zeros from the left, where a format holds nothing but digits."""
    tokens = tokens_of(form)
    if not all(map(is_digits, tokens)):
        return text
    bare = pc.utf8_trim_whitespace(text)
    filled = pc.utf8_lpad(bare, sum(WIDTHS[token] for token in tokens), "0")
    return pc.if_else(pc.match_substring_regex(bare, r"^\d+$"), filled, text)


def _in_utc(clock: pd.Series, zone: str) -> pd.Series:
    if zone == "UTC":
        return clock.dt.tz_localize("UTC")
    zoned = clock.dt.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    if (unread := zoned.isna() & clock.notna()).any():
        zoned = _repeated(clock, zone, unread, zoned)
    return zoned.dt.tz_convert("UTC").astype(UTC_MICROSECONDS)


def _repeated(clock: pd.Series, zone: str, unread: pd.Series, zoned: pd.Series) -> pd.Series:
    """Tell the two passes of a repeated hour apart by the order of the rows.

    It tells them where no other time stands there twice, and a night's times exactly twice, one whole pass after
    the other, in the direction of all rows. Anything else, such as rows of several sensors, stays NaT.
    """
    known = clock[~unread].dropna()
    if not known.is_unique or not len(known):
        return zoned
    is_falling = known.iloc[0] > known.iloc[-1]
    told, is_summer = np.zeros((2, len(clock)), bool)
    for _, night in clock[unread].groupby(clock[unread].dt.date):
        first, second = np.array_split(night.to_numpy(), 2)
        steps = np.diff(first).astype(np.int64) * (-1 if is_falling else 1)
        if np.array_equal(first, second) and all(steps > 0):
            told[night.index] = True
            is_summer[night.index[len(first) :] if is_falling else night.index[: len(first)]] = True
    return zoned.where(~told, clock.dt.tz_localize(zone, ambiguous=is_summer, nonexistent="NaT"))


def _iso(text: pa.Array, zone: str, days: np.ndarray | None) -> pd.Series:
    """Read dates and times of ISO 8601, with or without fraction and offset, text by text."""
    text = pc.replace_substring_regex(_fitting(text, ISO), r"[.,](\d{1,6})\d*", r".\1")
    text = pc.replace_substring(text, "z", "Z")
    read = pd.to_datetime(text.to_pandas(), errors="coerce", utc=True, format="ISO8601")
    read = _later(read.astype(UTC_MICROSECONDS), days)
    has_offset = pc.match_substring_regex(text, rf":\d{{2}}.*{OFFSET}$").fill_null(False).to_numpy(zero_copy_only=False)
    return read if has_offset.all() else read.where(has_offset, _in_utc(read.dt.tz_localize(None), zone))


def _fitting(text: pa.Array, form: str) -> pa.Array:
    """Return the texts that fill a format, outer spaces aside, and null in place of the others."""
    bare = pc.utf8_trim_whitespace(text)
    return pc.if_else(pc.match_substring_regex(bare, f"^(?:{shape(form)})$"), bare, pa.scalar(None, pa.string()))


def _clock(text: pa.Array, form: str, rule: TimeColumns) -> pd.Series:
    """Return naive times: those with every digit in its place by arithmetic, the others by strptime."""
    template = fixed_places(form)
    if template is None or not len(text):
        return _strptime(text, form, rule, has_offset=False)
    fits, digits = _digits(text, *template)
    times, is_time = _instants_of(digits, template[1], rule.two_digit_years_from)
    clock = np.full(len(text), "NaT", dtype="datetime64[us]")
    read = np.flatnonzero(fits)[is_time]
    clock[read] = times[is_time]
    if len(read) < len(text):
        rest = np.ones(len(text), dtype=bool)
        rest[read] = False
        clock[rest] = _strptime(text.filter(pa.array(rest)), form, rule, has_offset=False).to_numpy()
    return pd.Series(clock)


def fixed_places(form: str) -> tuple[str, Places] | None:
    r"""Return a text of that strptime format with a NUL for each digit, and where each part stands.

    None where the width depends on the time, as with names of months, or a part occurs twice.

    Examples
    --------
    >>> text, places = fixed_places("%d/%m/%Y")
    >>> text.replace("\0", "0"), places["%Y"]
    ('00/00/0000', slice(6, 10, None))
    >>> fixed_places("%d %b %Y") is None
    True
    """
    text, places = "", {}
    for part in tokens_of(form):
        if part[0] != "%":
            text += part
        elif part in READ_AT_ONCE and part not in places:
            places[part] = slice(len(text), len(text) + WIDTHS[part])
            text += "\0" * WIDTHS[part]
        else:
            return None
    has_date = {"%m", "%d"} <= set(places) and len({"%Y", "%y"} & set(places)) == 1
    return (text, places) if text.isascii() and has_date and "%" not in text else None


def _digits(text: pa.Array, template: str, places: Places) -> tuple[np.ndarray, np.ndarray]:
    """Return which texts have the template's form, shape (n,), and their digits, shape (fitting, width)."""
    width = len(template)
    offsets = np.frombuffer(text.buffers()[1], np.int32)[text.offset : text.offset + len(text) + 1]
    data = np.frombuffer(text.buffers()[2] or b"", np.uint8)
    starts = offsets[:-1]
    fits = np.diff(offsets) == width
    if fits.all():
        cells = data[offsets[0] : offsets[-1]].reshape(len(text), width)
    else:
        cells = data[starts[fits][:, None] + np.arange(width)]
    expected = np.frombuffer(template.encode(), np.uint8)
    is_digit = expected == 0
    digits = cells - np.uint8(ord("0"))  # wraps round below it, so that one comparison is enough
    right = (digits[:, is_digit] <= 9).all(axis=1) & (cells[:, ~is_digit] == expected[~is_digit]).all(axis=1)
    if not right.all():
        digits = digits[right]
        fits[np.flatnonzero(fits)[~right]] = False
    return fits, digits


def _instants_of(digits: np.ndarray, places: Places, pivot: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the times that rows of digits mean, and a mask of those that are times at all, shape (n,) both."""
    number = {part: _number(digits[:, place]) for part, place in places.items()}
    zero = np.zeros(len(digits), dtype=np.int64)
    year = number["%Y"] if "%Y" in number else _full_year(number["%y"], pivot)
    hour, minute, second = (number.get(part, zero) for part in ("%H", "%M", "%S"))
    month = (year - 1970) * 12 + number["%m"] - 1
    first = month.astype("datetime64[M]").astype("datetime64[D]")
    date = first + (number["%d"] - 1).astype("timedelta64[D]")
    is_time = (number["%m"] >= 1) & (number["%m"] <= 12) & (number["%d"] >= 1) & (year >= 1)
    is_time &= date.astype("datetime64[M]").astype(np.int64) == month
    is_time &= (hour < 24) & (minute < 60) & (second < 60)
    micros = ((hour * 60 + minute) * 60 + second) * 1_000_000 + number.get("%f", zero)
    return date.astype("datetime64[us]") + micros.astype("timedelta64[us]"), is_time


def _number(digits: np.ndarray) -> np.ndarray:
    total = digits[:, 0].astype(np.int64)
    for at in range(1, digits.shape[1]):
        total = total * 10 + digits[:, at]
    return total


def _full_year(two_digits: np.ndarray, pivot: int | None) -> np.ndarray:
    """Return the year of two digits among the hundred years from the pivot on."""
    first = 1969 if pivot is None else pivot  # what strptime takes
    return first + (two_digits - first) % 100


def _strptime(text: pa.Array, form: str, rule: TimeColumns, has_offset: bool) -> pd.Series:
    """Read one by one, NaT where a text does not fill the format."""
    written = pd.Series(_fitting(text, form).to_numpy(zero_copy_only=False), dtype=object)
    read = pd.to_datetime(written, format=form, errors="coerce", utc=has_offset)
    read = read.astype(UTC_MICROSECONDS if has_offset else "datetime64[us]")
    return read if rule.two_digit_years_from is None else _moved(read, rule.two_digit_years_from)


def _moved(read: pd.Series, pivot: int) -> pd.Series:
    """Move times into the hundred years from the pivot on; a 29 February that is none there is NaT."""
    times = read.to_numpy(dtype="datetime64[us]")
    months = times.astype("datetime64[M]")
    years = months.astype("datetime64[Y]").astype(np.int64) + 1970
    moved = months + 12 * (_full_year(years % 100, pivot) - years)
    shifted = moved + (times - months)
    shifted[shifted.astype("datetime64[M]") != moved] = np.datetime64("NaT")
    return pd.Series(shifted, read.index, read.dtype)
