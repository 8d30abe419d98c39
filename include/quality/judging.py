"""A part of a batch before Great Expectations: all of it the first time, later what may break a rule. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from include.quality.contract import Rule
from include.quality.great_expectations_adapter import validate
from include.quality.quarantined import said_values
from include.quality.screen import may_break


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


def judge_part(rows: pa.RecordBatch, asked: Sequence[Rule], faulty: set[int], is_first: bool) -> list[Broken]:
    """Run rules on a part; those about single rows look only at the rows without another fault.

    Shares are judged on what came: among the few rows that many rejections leave they would say nothing.

    Parameters
    ----------
    rows : pyarrow.RecordBatch, shape (n, …)
        The rules' columns.
    asked : sequence of Rule
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
    judged: list[Broken] = []
    if not faulty:
        judged += _judged(rows, asked, None, is_first)
    else:
        sound = np.setdiff1d(np.arange(rows.num_rows), list(faulty))
        judged += _judged(rows, [rule for rule in asked if not rule.is_row_level], None, is_first)
        judged += _judged(rows, [rule for rule in asked if rule.is_row_level], sound, is_first)
    order = {(rule.rule, rule.column): place for place, rule in enumerate(asked)}
    return sorted(judged, key=lambda one: order[one.rule.rule, one.rule.column])


def _judged(rows: pa.RecordBatch, asked: Sequence[Rule], sound: np.ndarray | None, is_first: bool) -> Iterator[Broken]:
    """Judge all rows, or the sound ones; after the first part those of them that may break a rule."""
    if is_first:
        yield from _run(rows, asked, sound)
        return
    anywhere: list[Rule] = []
    somewhere: list[Rule] = []
    places: list[np.ndarray] = []
    for rule in asked:
        seen = may_break(rule, rows.column(rule.columns[0])) if len(rule.columns) == 1 else None
        if seen is None:
            anywhere.append(rule)
        elif len(seen):
            somewhere.append(rule)
            places.append(seen)
    yield from _run(rows, anywhere, sound)
    if somewhere:
        together = np.unique(np.concatenate(places))
        yield from _run(rows, somewhere, together if sound is None else np.intersect1d(together, sound))


def _run(rows: pa.RecordBatch, asked: Sequence[Rule], positions: np.ndarray | None) -> Iterator[Broken]:
    chosen = rows if positions is None else rows.take(positions)
    for rule, (count, broken) in zip(asked, validate(chosen, list(asked)), strict=True):
        if count:
            places = broken if positions is None else positions[broken].tolist()
            yield Broken(rule, count, places, said_values(chosen, rule, broken))
