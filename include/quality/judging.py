"""A part of a batch before Great Expectations: all of it the first time, later what may break a rule. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.quality.contract import Rule
from include.quality.great_expectations_adapter import validate
from include.quality.quarantined import said_values

BOUNDS = ("min_value", "max_value")
READ = {"column", *BOUNDS, "value_set", "regex", "mostly"}


class Broken(NamedTuple):
    """What breaks a rule in a part.

    Attributes
    ----------
    row_count : int
        Rows that break it.
    positions : list of int
        Where they stand, for rules about single rows.
    reasons : list of str
        Why, in words, for each position.
    """

    rule: Rule
    row_count: int
    positions: list[int]
    reasons: list[str]


def judge_part(rows: pa.RecordBatch, rules: Sequence[Rule], faulty: set[int], is_first: bool) -> list[Broken]:
    """Run rules on a part; those about single rows look only at the rows without another fault.

    Shares are judged on what came: among the few rows that many rejections leave they would say nothing.

    Parameters
    ----------
    rows : pyarrow.RecordBatch, shape (n, …)
        The rules' columns.
    rules : sequence of Rule
        Of one stage, with an expectation.
    faulty : set of int
        Positions of rows that have a fault already.
    is_first : bool
        Whether Great Expectations is to look at every value, as it does at a batch's first part.

    Returns
    -------
    list of Broken
        In the order of the rules; those that nothing breaks are left out.
    """
    if faulty:
        sound = np.setdiff1d(np.arange(rows.num_rows), list(faulty))
        judged = [*_judged(rows, [rule for rule in rules if not rule.is_row_level], None, is_first)]
        judged += _judged(rows, [rule for rule in rules if rule.is_row_level], sound, is_first)
    else:
        judged = [*_judged(rows, rules, None, is_first)]
    order = {(rule.rule, rule.column): place for place, rule in enumerate(rules)}
    return sorted(judged, key=lambda one: order[one.rule.rule, one.rule.column])


def _judged(rows: pa.RecordBatch, rules: Sequence[Rule], sound: np.ndarray | None, is_first: bool) -> Iterator[Broken]:
    """Judge all rows, or the sound ones; after the first part those of them that may break a rule."""
    seen = [
        may_break(rule, rows.column(rule.columns[0])) if len(rule.columns) == 1 and not is_first else None
        for rule in rules
    ]
    yield from _run(rows, [rule for rule, places in zip(rules, seen, strict=True) if places is None], sound)
    some = [(rule, places) for rule, places in zip(rules, seen, strict=True) if places is not None and len(places)]
    if some:
        together = np.unique(np.concatenate([places for _, places in some]))
        chosen = together if sound is None else np.intersect1d(together, sound)
        yield from _run(rows, [rule for rule, _ in some], chosen)


def _run(rows: pa.RecordBatch, rules: Sequence[Rule], positions: np.ndarray | None) -> Iterator[Broken]:
    chosen = rows if positions is None else rows.take(positions)
    for rule, (count, broken) in zip(rules, validate(chosen, list(rules)), strict=True):
        if count:
            places = broken if positions is None else positions[broken].tolist()
            yield Broken(rule, count, places, said_values(chosen, rule, broken))


def may_break(rule: Rule, values: pa.Array) -> np.ndarray | None:
    """Return where values stand that may break a rule, from one look by Arrow that costs little: no other can.

    Parameters
    ----------
    rule : Rule
        Any that looks at one column.
    values : pyarrow.Array, shape (n,)
        The rule's column: as it came, typed, or the one derived for it.

    Returns
    -------
    numpy.ndarray of int64, shape (m,), or None
        Ascending positions; None for a rule of a kind that is not known here: any value may.
    """
    arguments = rule.arguments
    if not arguments.keys() <= READ or any(isinstance(arguments.get(bound), str) for bound in BOUNDS):
        return None  # an expectation may be told more, as strict_min, or a date as text
    match rule.expectation.removeprefix("expect_column_"):
        case "values_to_not_be_null":
            return _places(values.is_null())
        case "values_to_be_between":
            return _beyond(values, arguments.get("min_value"), arguments.get("max_value"))
        case "value_lengths_to_be_between":
            return _beyond(pc.utf8_length(values), arguments.get("min_value"), arguments.get("max_value"))
        case "values_to_be_in_set":
            return _among(values, arguments["value_set"], is_wanted=False)
        case "values_to_not_be_in_set":
            return _among(values, arguments["value_set"], is_wanted=True)
        case "values_to_match_regex":
            return _different(values, arguments["regex"])
    return None


def _beyond(values: pa.Array, low: Any, high: Any) -> np.ndarray:
    bounds = pc.min_max(values).as_py()
    if bounds["min"] is None:
        return _nowhere()
    positions = _nowhere()
    if low is not None and bounds["min"] < low:
        positions = _places(pc.less(values, low))
    if high is not None and bounds["max"] > high:
        positions = np.union1d(positions, _places(pc.greater(values, high)))
    return positions


def _among(values: pa.Array, listed: list[Any], is_wanted: bool) -> np.ndarray | None:
    """Return where values stand that are in a list, or that are not; missing ones are neither."""
    if listed == [True] and pa.types.is_boolean(values.type) and not is_wanted:
        return _places(pc.invert(values))
    try:
        known = pa.array(listed, values.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None
    is_known = pc.is_in(values, value_set=known)
    return _places(is_known if is_wanted else pc.invert(pc.or_(is_known, values.is_null())))


def _different(values: pa.Array, regex: str) -> np.ndarray | None:
    """Look with RE2, which takes other letters and blanks for letters and blanks than Python beyond plain ASCII."""
    try:
        matches = pc.match_substring_regex(values, r"\A" + regex.removesuffix(r"\Z") + r"\z")
    except pa.ArrowInvalid:  # a part of Python's grammar that RE2 does not have
        return None
    return _places(pc.or_(pc.invert(matches), pc.match_substring_regex(values, "[^ -~]")))


def _places(mask: pa.Array) -> np.ndarray:
    return pc.indices_nonzero(mask).to_numpy().astype(np.int64)


def _nowhere() -> np.ndarray:
    return np.zeros(0, dtype=np.int64)
