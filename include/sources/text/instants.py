"""Times written in text columns as UTC instants: digits in fixed places at once, everything else by strptime."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.sources.publication import UTC_MICROSECONDS
from include.spec.csv_source import TimeColumns

WIDTHS = {"Y": 4, "y": 2, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2, "f": 6}
TOKEN = re.compile(r"%(.)|([^%])", re.DOTALL)
Places = dict[str, slice]


def times_of(rule: TimeColumns, parts: Sequence[Any]) -> pd.Series:
    """Return the UTC instants written in one or several columns of text; NaT where unreadable.

    A local hour that a clock change skips or repeats cannot be told and is NaT.

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
    arrays = [part if isinstance(part, pa.Array) else pa.array(part, pa.string()) for part in parts]
    text = arrays[0] if len(arrays) == 1 else pc.binary_join_element_wise(*arrays, " ")
    if "%z" in rule.format:
        return _strptime(text, rule, has_offset=True)
    clock = _clock(text, rule)
    if rule.timezone == "UTC":
        return clock.dt.tz_localize("UTC")
    zoned = clock.dt.tz_localize(rule.timezone, ambiguous="NaT", nonexistent="NaT")
    return zoned.dt.tz_convert("UTC").astype(UTC_MICROSECONDS)


def _clock(text: pa.Array, rule: TimeColumns) -> pd.Series:
    """Return naive times: those with every digit in its place by arithmetic, the others by strptime."""
    template = fixed_places(rule.format)
    if template is None or not len(text):
        return _strptime(text, rule, has_offset=False)
    fits, digits = _digits(text, *template)
    times, is_time = _instants_of(digits, template[1], rule.two_digit_years_from)
    clock = np.full(len(text), "NaT", dtype="datetime64[us]")
    read = np.flatnonzero(fits)[is_time]
    clock[read] = times[is_time]
    if len(read) < len(text):
        rest = np.ones(len(text), dtype=bool)
        rest[read] = False
        clock[rest] = _strptime(text.filter(pa.array(rest)), rule, has_offset=False).to_numpy()
    return pd.Series(clock)


def fixed_places(form: str) -> tuple[str, Places] | None:
    r"""Return a text of that strptime format with a NUL for each digit, and where each part stands.

    None where the width depends on the time, as with names of months, or a part occurs twice.

    Examples
    --------
    >>> text, places = fixed_places("%d/%m/%Y")
    >>> text.replace("\0", "0"), places["Y"]
    ('00/00/0000', slice(6, 10, None))
    >>> fixed_places("%d %b %Y") is None
    True
    """
    text, places = "", {}
    for token, literal in TOKEN.findall(form):
        if literal:
            text += literal
        elif token in WIDTHS and token not in places:
            places[token] = slice(len(text), len(text) + WIDTHS[token])
            text += "\0" * WIDTHS[token]
        else:
            return None
    has_date = {"m", "d"} <= set(places) and len({"Y", "y"} & set(places)) == 1
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
    year = number["Y"] if "Y" in number else _full_year(number["y"], pivot)
    hour, minute, second = (number.get(part, zero) for part in "HMS")
    month = (year - 1970) * 12 + number["m"] - 1
    first = month.astype("datetime64[M]").astype("datetime64[D]")
    date = first + (number["d"] - 1).astype("timedelta64[D]")
    is_time = (number["m"] >= 1) & (number["m"] <= 12) & (number["d"] >= 1) & (year >= 1)
    is_time &= date.astype("datetime64[M]").astype(np.int64) == month
    is_time &= (hour < 24) & (minute < 60) & (second < 60)
    micros = ((hour * 60 + minute) * 60 + second) * 1_000_000 + number.get("f", zero)
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


def _strptime(text: pa.Array, rule: TimeColumns, has_offset: bool) -> pd.Series:
    """Read one by one, NaT where a text has not the format."""
    written = pd.Series(text.to_numpy(zero_copy_only=False), dtype=object)
    read = pd.to_datetime(written, format=rule.format, errors="coerce", utc=has_offset)
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
