"""Decimal commas that a comma-separated file splits into further columns: told by the data, whatever the header is."""

from __future__ import annotations

import re
from collections import Counter
from itertools import groupby

import pyarrow as pa
import pyarrow.compute as pc

from include.sources.payload import Extract
from include.sources.text.dialect import Dialect

EXPLANATION = "its decimal commas were split into extra columns"
WAY_OUT = "ask for the file with another delimiter, with decimal points, or with its numbers in quotes"
MARKED = r"^\s*[+-]?\d*[.,]\d+\s*$"  # a number whose decimal mark is there
WHOLE, DIGITS = re.compile(r"[+-]?\d+"), re.compile(r"\d{1,4}")
AUTOMATIC = re.compile(r"((unnamed|column|col|field|var|v)[:._ -]*)?\d+|", re.IGNORECASE)
LOOK, ENOUGH = 1000, 20  # rows


def looks_split(dialect: Dialect, values: list[str], excess: int) -> bool:
    """Tell whether a row that has so many values too many has enough pairs of whole numbers to explain it.

    Examples
    --------
    >>> looks_split(Dialect(","), ["2004-03-10 19:00", "1", "5", "street"], 1)
    True
    >>> looks_split(Dialect(","), ["2004-03-10 19:00", "1.5", "street", "left"], 1)
    False
    """
    if dialect.delimiter != "," or excess < 1:
        return False
    pairs, at = 0, 0
    while at + 1 < len(values):
        is_pair = values[at].strip().lstrip("+-").isdigit() and values[at + 1].strip().isdigit()
        pairs, at = pairs + is_pair, at + 1 + is_pair
    return pairs >= excess


def refuse_split(extract: Extract, dialect: Dialect, headers: tuple[str, ...], columns: tuple[pa.Array, ...]) -> None:
    """Refuse a comma-separated file without any decimal mark whose columns hold the two halves of numbers.

    Raises
    ------
    ContractBroken
        A retry brings the same.
    """
    if dialect.delimiter != "," or any(_holds(column, MARKED) for column in columns):
        return
    named = max((at for at, header in enumerate(headers, 1) if header), default=0)
    if 0 < named < len(headers) and any(_holds(column, rf"^\s*{WHOLE.pattern}\s*$") for column in columns[named:]):
        what = f"{len(headers) - named} columns without a header hold whole numbers, as if {EXPLANATION}"
        raise extract.broken(what, WAY_OUT)
    if halves := fraction_columns(headers, [_filled(column) for column in columns], dialect.has_header):
        where = ", ".join(f"column {at + 1} holds the digits after the comma of column {at}" for at in halves[:3])
        raise extract.broken(f"it looks as if {EXPLANATION}: {where}", WAY_OUT)


def fraction_columns(headers: tuple[str, ...], texts: list[list[str]], has_header: bool) -> list[int]:
    """Return the places, from 0, of columns that hold what stood behind the decimal comma of the column before.

    A column that the header does not tell from the one before it, by the same name, none or one made by a program,
    needs little more. One with a name of its own is told only together with all the others: every whole number of the
    file stands before digits that are as random as those of a fraction, which hours, percents and counts are not.

    Parameters
    ----------
    headers : tuple of str
        Names, shape (columns,).
    texts : list of list of str
        The columns' values that are not blank, outer spaces aside.
    has_header : bool
        False where no column has a name.

    Examples
    --------
    >>> days, whole = [str(n) for n in range(20)], [str(n % 7 + 8) for n in range(20)]
    >>> fraction_columns(("day", "co", "co"), [["x"] * 20, whole, [n[-1] for n in days]], True)
    [2]
    >>> fraction_columns(("day", "visitors", "hour"), [["x"] * 20, whole, days], True)
    []
    """
    is_whole = [bool(column) and all(map(WHOLE.fullmatch, column)) for column in texts]
    beside = [at for at in range(1, len(texts)) if is_whole[at - 1] and is_whole[at]]
    unnamed = [
        at
        for at in beside
        if has_header and _is_no_name(headers[at - 1], headers[at]) and _could_be_fractions(texts[at])
    ]
    return unnamed or _all_pairs(is_whole, texts, least=1 + has_header)


def _all_pairs(is_whole: list[bool], texts: list[list[str]], least: int) -> list[int]:
    """Return the second columns where all whole numbers come in pairs of columns, the second one random digits."""
    runs = [[at for at, _ in run] for whole, run in groupby(enumerate(is_whole), lambda pair: pair[1]) if whole]
    seconds = [at for run in runs for at in run[1::2]]
    mixed = any(_is_mixed(texts[at]) for at in seconds)
    is_paired = all(len(run) % 2 == 0 for run in runs) and all(map(_are_random_digits, (texts[at] for at in seconds)))
    is_wide = any(len(text.lstrip("+-")) > 1 for at in seconds for text in texts[at - 1])
    return seconds if is_paired and is_wide and (len(seconds) >= least or mixed) else []


def _is_no_name(before: str, name: str) -> bool:
    """Tell whether a header does not name its column: the one before again, one made by a program, half of one."""
    is_half = before.count("(") > before.count(")") and name.count(")") > name.count("(")
    is_again = bool(before) and re.fullmatch(re.escape(before) + r"[._ -]?\d*", name) is not None
    return is_half or is_again or AUTOMATIC.fullmatch(name) is not None


def _could_be_fractions(texts: list[str]) -> bool:
    """Tell digits that vary as fractions do from whole numbers: single ones of many kinds, or zeros before them."""
    if not all(map(DIGITS.fullmatch, texts)):
        return False
    kinds = len(set(texts))
    is_varied = kinds >= 6 or (len(texts) < 2 * 6 and kinds >= max(2, len(texts) / 2))
    return is_varied and (all(len(text) == 1 for text in texts) or _has_leading_zeros(texts))


def _are_random_digits(texts: list[str]) -> bool:
    if len(texts) < ENOUGH or not all(map(DIGITS.fullmatch, texts)):
        return False
    count = Counter(texts)
    if all(len(text) == 1 for text in texts):
        return len(count) >= 8 and max(count.values()) <= len(texts) / 4
    return _is_mixed(texts) or (
        _has_leading_zeros(texts) and all(len(text) == 2 for text in texts) and max(texts) >= "90"
    )


def _is_mixed(texts: list[str]) -> bool:
    """Tell whether zeros lead some values and others are a single digit: nobody counts like that, fractions are so."""
    return _has_leading_zeros(texts) and any(len(text) == 1 and text != "0" for text in texts)


def _has_leading_zeros(texts: list[str]) -> bool:
    return any(len(text) > 1 and text[0] == "0" for text in texts)


def _filled(column: pa.Array) -> list[str]:
    return [text for text in pc.utf8_trim_whitespace(column.slice(0, LOOK)).to_pylist() if text]


def _holds(column: pa.Array, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(column, pattern)).as_py())
