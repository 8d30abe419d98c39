"""What the columns hold: marks of numbers, types, ranges, and the texts that stand for 'no value'."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.sources.text.numbers import bare_amounts, grouped

NOTHING = {
    "na", "n/a", "n/e", "nan", "null", "none", "nil", "-", "--", "---", "?", "#n/a", "#n/d", "nd", "n.d.", "s/d", ".",
    "*", "missing", "n.a.", "sin dato", "no data", "-nan", "inf", "#value!", "...",
}  # fmt: skip
FLAGS = {"true", "false", "t", "f", "yes", "no"}
# Pairs of words that the reader has to be told, false first.
PAIRS_OF_FLAGS = (
    *(("no", "sí"), ("no", "si"), ("n", "s"), ("não", "sim"), ("non", "oui"), ("nein", "ja"), ("falso", "verdadero")),
    *(("n", "y"), ("off", "on")),
)
PLAIN = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
WHOLE = r"^[+-]?\d+$"
COMMA = r"^[+-]?\d+,\d+([eE][+-]?\d+)?$"
POINT = r"^[+-]?\d*\.\d+([eE][+-]?\d+)?$"
AMOUNT_OF_ANY_MARK = r"^[+-]?\d[\d.,']*$"
THREE, THREE_POINT = r"^[+-]?[1-9]\d{0,2},\d{3}$", r"^[+-]?[1-9]\d{0,2}\.\d{3}$"
PAIRS = (".,", ",.", " ,", " .", "'.", "\u00a0,", "\u00a0.", "\u202f,", "\u202f.")  # thousands, decimal
# Which mark a text must hold, and the pattern.
PATTERNS = {
    "comma": (",", COMMA),
    "point": (".", POINT),
    "comma three": (",", THREE),
    "point three": (".", THREE_POINT),
}
PATTERNS |= {pair: (pair[0], grouped(*pair)) for pair in PAIRS}
PATTERNS |= {f"{pair} both": (pair[0], grouped(*pair).replace(")?(?:[eE]", ")(?:[eE]")) for pair in PAIRS}
MOST_MARKERS = 5


@dataclass(frozen=True)
class Marks:
    """How numbers are written, and why it is thought so."""

    decimal: str = "."
    thousands: str | None = None
    evidence: str = "no number has a mark: the decimal mark is not known"
    accounting: bool = False  # whether they have signs beside them, or a minus that is none


@dataclass(frozen=True)
class Facts:
    """What one column holds."""

    place: int  # from 0
    type: str  # as the spec names it
    least: float | None  # of its numbers
    most: float | None
    missing: float  # share of rows without a value
    markers: tuple[str, ...]  # texts that stand for 'no value', as they are written
    rows: int  # looked at
    texts: tuple[str, ...] = ()  # some of its values, of a text column, or those that are not like the rest
    flags: tuple[str, str] | None = None  # what false and true are written as, where the reader has to be told


def marks_of(columns: Sequence[pa.Array]) -> Marks:
    """Tell from all columns together how numbers are written."""
    accounting = any(map(_holds_amounts, columns))
    marks = _marks_of([bare_amounts(column) for column in columns] if accounting else columns)
    return replace(marks, accounting=accounting)


def _holds_amounts(column: pa.Array) -> bool:
    """Tell whether almost all values are amounts, and some are numbers only when their signs are left out."""
    values = pc.unique(pc.utf8_trim_whitespace(column))
    values = values.filter(pc.not_equal(values, ""))
    bare = bare_amounts(values)
    numbers = [
        pc.match_substring_regex(texts, AMOUNT_OF_ANY_MARK).to_numpy(zero_copy_only=False) for texts in (values, bare)
    ]
    return bool(len(values)) and numbers[1].mean() >= 0.9 and bool((numbers[1] & ~numbers[0]).any())


def _marks_of(columns: Sequence[pa.Array]) -> Marks:
    count: Counter[str] = Counter()
    example: dict[str, str] = {}
    for column in columns:
        values = pc.utf8_trim_whitespace(pc.unique(column))
        text = bytes(values.buffers()[2] or b"")
        for key, (mark, pattern) in PATTERNS.items():
            if mark.encode() in text:
                fit = values.filter(pc.match_substring_regex(values, pattern))
                count[key] += len(fit)
                if len(fit):
                    example.setdefault(key, fit[0].as_py())
    return _marks(count, example)


def _marks(count: Counter[str], example: dict[str, str]) -> Marks:
    both = max(PAIRS, key=lambda pair: count[f"{pair} both"])
    if count[f"{both} both"]:
        why = f"decimal {both[1]!r} and thousands {both[0]!r}, as in {example[f'{both} both']!r}"
        return Marks(both[1], both[0], why)
    comma, point = count["comma"], count["point"]
    for decimal, mine, other, pair in ((",", "comma", "point", ".,"), (".", "point", "comma", ",.")):
        # One mark parts groups of three wherever it stands, and the other does not: never both in one number.
        is_sure = count[mine] > count[f"{mine} three"] or count[pair] > count[f"{other} three"]
        if count[pair] and count[other] == count[f"{other} three"] and is_sure:
            why = (
                f"thousands {pair[0]!r}, as in {example[pair]!r}, and decimal {decimal!r}; no number has both: CONFIRM"
            )
            return Marks(decimal, pair[0], why)
    space = next((pair for pair in PAIRS if pair[0] not in ".," and count[pair]), None)
    if not comma and not point:
        return Marks(".", space[0], f"thousands {space[0]!r}, as in {example[space]!r}") if space else Marks()
    decimal, key = (",", "comma") if comma >= point else (".", "point")
    why = f"decimal {decimal!r}, as in {example[key]!r}"
    if count[f"{key} three"] == count[key]:
        why += f"; all of them have three digits behind it: CONFIRM that {decimal!r} is not a thousands mark"
    if min(comma, point):
        why += f"; {min(comma, point)} others are written the other way: CONFIRM"
    return Marks(decimal, space[0] if space else None, why)


def facts_of(columns: Sequence[tuple[int, pa.Array]], marks: Marks) -> list[Facts]:
    """Return what each column holds; `columns` gives place and texts."""
    sentinels = {value for _, column in columns for value in _sentinels(column, marks, is_sure=True)}
    return [_facts(place, column, marks, sentinels) for place, column in columns]


def _facts(place: int, column: pa.Array, marks: Marks, sentinels: set[float]) -> Facts:
    counted = pc.value_counts(pc.utf8_trim_whitespace(column))
    is_filled = pc.not_equal(counted.field("values"), "")
    texts, counts = counted.field("values").filter(is_filled), counted.field("counts").filter(is_filled).to_numpy()
    numbers = _numbers(texts, marks)
    is_text = np.isnan(numbers)
    is_marker = _markers(texts, counts, is_text)
    if not (is_text & ~is_marker).any():
        likely = _sentinels(column, marks, is_sure=False) & sentinels
        is_marker |= np.isin(numbers, list(likely))
    values = numbers[~is_marker & ~is_text]
    present = int(counts[~is_marker].sum())
    own = texts.filter(pa.array(~is_marker))
    type_, odd = _type(own, values), texts.filter(pa.array(is_text & ~is_marker))
    is_few = type_ == "text" and 0 < len(odd) < len(own)
    return Facts(
        place,
        type_,
        float(values.min()) if len(values) and (type_ != "text" or is_few) else None,
        float(values.max()) if len(values) and (type_ != "text" or is_few) else None,
        1 - present / len(column) if len(column) else 0.0,
        tuple(sorted(texts.filter(pa.array(is_marker)).to_pylist())),
        len(column),
        tuple((odd if is_few else own).slice(0, 3).to_pylist()),
        _pair_of_flags(own) if type_ == "boolean" else None,
    )


def _pair_of_flags(texts: pa.Array) -> tuple[str, str] | None:
    """Return the words for false and true, as they are written, where the reader does not know them."""
    written = {text.lower(): text for text in texts.slice(0, 9).to_pylist()}
    pair = next((pair for pair in PAIRS_OF_FLAGS if written.keys() == set(pair)), None)
    return (written[pair[0]], written[pair[1]]) if pair else None


def _markers(texts: pa.Array, counts: np.ndarray, is_text: np.ndarray) -> np.ndarray:
    """Return which texts among numbers mean 'no value', shape (n,): the usual ones, and few others that repeat."""
    usual = pc.is_in(pc.utf8_lower(texts), value_set=pa.array(sorted(NOTHING))).to_numpy(zero_copy_only=False)
    others = is_text & ~usual
    is_numeric = counts[~is_text].sum() > counts[others].sum()
    is_few = others.sum() <= MOST_MARKERS and bool((counts[others] > 1).all())
    return (usual & is_text) | others if is_numeric and is_few else usual & is_text


def _numbers(values: pa.Array, marks: Marks) -> np.ndarray:
    """Return the numbers that texts mean; NaN where they are none."""
    if marks.accounting:
        values = bare_amounts(values)
    if marks.thousands:
        fits = pc.match_substring_regex(values, grouped(marks.thousands, marks.decimal))
        values = pc.if_else(fits, pc.replace_substring(values, marks.thousands, ""), values)
    if marks.decimal == ",":
        is_comma = pc.match_substring_regex(values, COMMA)
        values = pc.if_else(is_comma, pc.replace_substring(values, ",", "."), values)
    fits = pc.match_substring_regex(values, PLAIN)
    numbers = pc.cast(pc.if_else(fits, values, pa.scalar(None, pa.string())), pa.float64())
    floats = numbers.to_numpy(zero_copy_only=False).astype(float)
    return np.where(np.isfinite(floats), floats, np.nan)


def _sentinels(column: pa.Array, marks: Marks, is_sure: bool) -> set[float]:
    """Return an outermost number that repeats.

    Sure of it only where it lies further out than the rest is wide, and is negative among others that are not,
    or made of nines.
    """
    numbers = _numbers(pc.utf8_trim_whitespace(column), marks)
    values, counts = np.unique(numbers[~np.isnan(numbers)], return_counts=True)
    sentinels = set()
    for end, rest in ((0, values[1:]), (-1, values[:-1])):
        if len(rest) < 5 or counts[end] < 2:
            continue
        value, gap = float(values[end]), abs(values[end] - rest[0 if end == 0 else -1])
        looks_so = (value <= -9 and rest[0] >= 0) or re.fullmatch(r"-?99+(\.9+|\.0)?", str(value))
        if not is_sure or (looks_so and gap > rest[-1] - rest[0]):
            sentinels.add(value)
    return sentinels


def _type(texts: pa.Array, values: np.ndarray) -> str:
    """Return the type of the texts that are no markers, `values` being those of them that are numbers."""
    if not len(texts):
        return "number"
    if len(values) < len(texts):
        words = set(pc.utf8_lower(pc.unique(texts)).slice(0, 9).to_pylist())
        is_lone_letter = len(words) == 1 and words <= {"t", "f"}  # as likely a code
        is_flag = (words <= FLAGS and not is_lone_letter) or words in map(set, PAIRS_OF_FLAGS)
        return "boolean" if is_flag else "text"
    if not pc.all(pc.match_substring_regex(texts, WHOLE)).as_py():
        return "number"
    has_zeros = pc.any(pc.match_substring_regex(texts, r"^0\d")).as_py()
    return "text" if has_zeros or np.abs(values).max() >= 2**63 else "integer"
