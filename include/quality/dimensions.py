"""Twelve scores of a batch, one for each dimension of quality, made of what its check, profile and load counted. Pure.

A score is a number from 0 to 100; 100 means that nothing was found wrong. What was not measured has no score.
Formulas and where they come from: ``docs/quality.md``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from include.quality.contract import MIN_ROWS_FOR_SHARES, Result
from include.quality.score import (
    BATCH,
    BatchFacts,
    Measured,
    Score,
    by_column,
    listed,
    row_by_row,
    score,
    share_of,
    with_mean,
)
from include.spec.fields import span
from include.spec.model import AnySource, Column
from include.spec.source import NUMBERS

KEY = (BATCH, "valid_at")  # columns under which ``unique`` tells of the key, and not of a column declared unique
BAND = 0.5  # what a mean or a spread outside its band leaves of a column's reasonability
PAUSE = 3  # mean distances between a source's times that are no reason to call it out of date
LONGEST = {"weekday": timedelta(days=3), "month": timedelta(days=31)}  # distance of two times that follow each other


def scores(
    source: AnySource, results: Sequence[Result], profile: Mapping[str, Mapping[str, Any]], facts: BatchFacts
) -> list[Score]:
    """Return the scores of a batch, by dimension: each column's where one applies, then the batch's, ``*``.

    Parameters
    ----------
    results : sequence of Result
        What each rule and check found.
    profile : mapping of str to mapping
        `include.quality.profile.Profile.facts`.

    Returns
    -------
    list of Score
        What was not measured is not among them; empty for a batch without rows.

    Examples
    --------
    >>> from include.spec.load import load_all
    >>> source = load_all()["usdmxn"].sources["inflation"]
    >>> profile = {"inpc_index": {"rows": 4, "null_count": 1, "unreadable_count": 0}}
    >>> measured = scores(source, [], profile, BatchFacts(received=4, traced=2))
    >>> [(score.dimension, score.score) for score in measured if score.column == "*"]
    [('completeness', 75.0), ('traceability', 50.0), ('compliance', 100.0)]
    """
    if facts.received <= 0:
        return []
    batch = Measured(source, results, profile, facts)
    return [score for dimension in DIMENSIONS.values() for score in dimension(batch)]


def _completeness(batch: Measured) -> Iterator[Score]:
    columns = []
    for name in batch.source.stored:
        if name in batch.profile and batch.profile[name]["rows"]:
            rows, present = batch.profile[name]["rows"], batch.texts(name)
            basis = f"{present} of {rows} rows have a value"
            columns.append(score("completeness", name, present / rows, rows, basis))
    every = {check.name for check in batch.source.checks if check.kind == "rows" and check.every}
    gaps = [r for r in batch.of("rows") if r.rule in every]
    if columns:
        *_, whole = with_mean("completeness", columns)
        there = math.prod(1 - share_of(r.unexpected_count, r.row_count) for r in gaps)
        basis = "".join(f", times {r.row_count - r.unexpected_count} of {r.row_count} expected times" for r in gaps)
        yield from columns
        yield score("completeness", BATCH, whole.score / 100 * there, whole.measured_count, whole.basis + basis)


def _validity(batch: Measured) -> Iterator[Score]:
    kinds = ("type", "format", "length", "range", "allowed", "encoding", "time", "future", "expectation")
    columns = []
    for column, broken_rules in by_column(batch.of(*kinds)):
        if texts := batch.texts(column):
            broken = sum(r.unexpected_count for r in broken_rules)
            basis = f"{listed(broken_rules)} of {texts} {'rows' if column in KEY else 'values'}"
            columns.append(score("validity", column, 1 - share_of(broken, texts), texts, basis))
    yield from with_mean("validity", columns)


def _accuracy(batch: Measured) -> Iterator[Score]:
    by_target: dict[str, list[tuple[float, int, str]]] = {}
    for check in batch.source.checks:
        measured = batch.facts.agreements.get(check.name)
        if check.kind != "agrees" or measured is None or measured.score is None or not math.isfinite(measured.score):
            continue
        least, what = (1, "share that agrees") if check.correlation is None else (MIN_ROWS_FOR_SHARES, "correlation")
        if measured.compared >= least:
            basis = f"{check.name}: {what} {measured.score:.4f} over {measured.compared} rows"
            by_target.setdefault(check.column, []).append((max(measured.score, 0.0), measured.compared, basis))
    columns = []
    for column, checks in by_target.items():
        shares, counts, said_of = zip(*checks, strict=True)
        columns.append(score("accuracy", column, sum(shares) / len(shares), sum(counts), "; ".join(said_of)))
    yield from with_mean("accuracy", columns)


def _consistency(batch: Measured) -> Iterator[Score]:
    contradicting = [r for r in batch.of("unique") if r.column in KEY]
    yield from row_by_row("consistency", [*batch.of("rule", "ordered"), *contradicting])


def _uniqueness(batch: Measured) -> Iterator[Score]:
    yield from row_by_row("uniqueness", batch.of("repeated", "unique"))


def _timeliness(batch: Measured) -> Iterator[Score]:
    if batch.facts.late is not None:
        rows, late = batch.facts.received, batch.facts.late
        yield score("timeliness", BATCH, 1 - share_of(late, rows), rows, f"{late} of {rows} rows came late or changed")


def _currency(batch: Measured) -> Iterator[Score]:
    columns = []
    for name, column in batch.source.stored.items():
        newest = batch.facts.newest_at.get(name)
        if column.fresh and newest is not None and batch.facts.covers is not None:
            columns.append(_current(name, newest, batch.facts.covers[1], span(column.fresh), batch.values(name)))
    yield from with_mean("currency", columns)
    newest, allowed = batch.facts.newest_at.get(BATCH), _pause(batch)
    if not columns and newest is not None and allowed is not None and batch.facts.covers is not None:
        yield _current(BATCH, newest, batch.facts.covers[1], allowed, batch.facts.received)


def _current(column: str, newest: datetime, end: datetime, allowed: timedelta, count: int) -> Score:
    """Score the age of the newest value when the time it may be about ends."""
    age = max(end - newest, timedelta(0))
    old, limit = (timedelta(seconds=round(length.total_seconds())) for length in (age, allowed))
    basis = f"newest value of {newest:%Y-%m-%d %H:%M} UTC, {old} old at the end, {limit} allowed"
    return score("currency", column, min(1.0, allowed / age) if age else 1.0, max(count, 1), basis)


def _pause(batch: Measured) -> timedelta | None:
    """Return how old the newest row may be where no column says it: by its expected or its mean distance.

    Rows with a key come when something happens, and a single row has no distance: neither tells an age.
    """
    for check in batch.source.checks:
        if check.kind == "rows" and check.every:
            return LONGEST.get(check.every) or span(check.every)
    if batch.source.key or batch.facts.received < 2 or batch.facts.covers is None:
        return None
    start, end = batch.facts.covers
    return PAUSE * (end - start) / batch.facts.received


def _integrity(batch: Measured) -> Iterator[Score]:
    keys = [r for r in batch.of("required") if r.column in batch.source.key]
    yield from row_by_row("integrity", [*batch.of("time"), *keys, *batch.of("reference")])


def _reasonability(batch: Measured) -> Iterator[Score]:
    columns = [
        score
        for name, column in batch.source.stored.items()
        if column.type in NUMBERS and batch.values(name) > 0
        for score in _reasonable(batch, name)
    ]
    yield from with_mean("reasonability", columns)


def _reasonable(batch: Measured, name: str) -> Iterator[Score]:
    """Score a column of numbers, where outliers can be told or a check looks at it."""
    values = batch.values(name)
    enough = values >= MIN_ROWS_FOR_SHARES
    outliers = (batch.profile.get(name, {}).get("outliers_robust_z") or {}).get("count") if enough else None
    neighbours = [r for r in batch.of("step", "frozen") if r.column == name]
    bands = [r for r in batch.of("mean", "sd") if r.column == name]
    if outliers is None and not neighbours and not bands:
        return
    odd = (outliers or 0) + sum(r.unexpected_count for r in neighbours)
    broken = [r.rule for r in bands if not r.is_passed]
    parts = [] if outliers is None else [f"outliers {outliers}"]
    parts += [listed(neighbours)] if neighbours else []
    basis = f"{', '.join(parts)} of {values} values" if parts else f"mean or spread of {values} values"
    basis += "".join(f", halved by {rule}" for rule in broken)
    yield score("reasonability", name, (1 - share_of(odd, values)) * BAND ** len(broken), values, basis)


def _precision(batch: Measured) -> Iterator[Score]:
    columns = []
    for r in batch.of("decimals"):
        if (values := batch.values(r.column)) > 0:
            basis = f"{listed([r])} of {values} values"
            columns.append(score("precision", r.column, 1 - share_of(r.unexpected_count, values), values, basis))
    yield from with_mean("precision", columns)


def _traceability(batch: Measured) -> Iterator[Score]:
    if batch.facts.traced is not None:
        rows, traced = batch.facts.received, batch.facts.traced
        basis = f"{traced} of {rows} rows from payloads whose bytes are those of their SHA-256"
        yield score("traceability", BATCH, traced / rows, rows, basis)


def _compliance(batch: Measured) -> Iterator[Score]:
    """Score each column that may hold personal data; the batch is as good as the worst of them."""
    personal = {r.column: r.unexpected_count for r in batch.of("personal")}
    columns, others, is_all_known = [], 0, True
    for name, column in batch.source.stored.items():
        texts = batch.texts(name) if name in batch.profile else 0
        if not _may_be_personal(column):
            others += texts
        elif texts and column.personal == "hash":
            columns.append(score("compliance", name, 1.0, texts, f"{texts} values, all masked"))
        elif texts and name in personal:
            basis = f"personal data in {personal[name]} of {texts} values"
            columns.append(score("compliance", name, 1 - share_of(personal[name], texts), texts, basis))
        elif texts:
            is_all_known = False  # nobody looked at this column
    yield from columns
    if columns and is_all_known:
        worst = min(columns, key=lambda one: one.score)
        count, basis = others + sum(one.measured_count for one in columns), f"worst is {worst.column}: {worst.basis}"
        yield score("compliance", BATCH, worst.score / 100, count, basis)
    elif others and is_all_known:
        yield score("compliance", BATCH, 1.0, others, f"{others} values of a type or a list that cannot hold it")


def _may_be_personal(column: Column) -> bool:
    return column.type == "text" and not column.allowed


DIMENSIONS: Mapping[str, Callable[[Measured], Iterator[Score]]] = {
    "completeness": _completeness,
    "validity": _validity,
    "accuracy": _accuracy,
    "consistency": _consistency,
    "uniqueness": _uniqueness,
    "timeliness": _timeliness,
    "currency": _currency,
    "integrity": _integrity,
    "reasonability": _reasonability,
    "precision": _precision,
    "traceability": _traceability,
    "compliance": _compliance,
}
