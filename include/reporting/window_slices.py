"""The slices of a monitored window as tables: a line a slice, a column a figure. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from include.monitoring.measure import Measure

BETWEEN, ALL = "between_slices", "features"
FIRST = {"row_share": "share of rows", "mae": "error", "bias": "error, signed"}
NAMED = 5  # slices that a line names


def slice_tables(measures: Sequence[Measure]) -> list[dict[str, Any]]:
    """Return a table for each feature that cuts the window: its name, columns, lines and how far biases lie apart.

    A line holds its slice, the figure in each column, None where there is none, and why those beyond their limit or
    unknown are.
    """
    sliced = [one for one in measures if one.slice]
    apart = {one.subject: one for one in measures if one.statistic == BETWEEN}
    names = dict.fromkeys([*sorted({_cut(one.slice) for one in sliced}), *apart])
    return [_table(name, [one for one in sliced if _cut(one.slice) == name], apart.get(name)) for name in names]


def moved_slices(measures: Sequence[Measure], moved: Sequence[str]) -> str:
    """Return, in a line, what moved in single slices and not as a whole; empty where nothing did."""
    places = [
        f"{'the share of rows' if one.statistic == 'row_share' else one.subject} at {one.slice}"
        for one in sorted(measures, key=lambda one: (one.subject, _order(one.slice)))
        if one.slice and one.kind == "covariate" and one.status == "breach" and one.subject not in moved
    ]
    more = f" and {len(places) - NAMED} more" if len(places) > NAMED else ""
    return f"In single slices moved {', '.join(places[:NAMED])}{more}." if places else ""


def _table(name: str, sliced: Sequence[Measure], apart: Measure | None) -> dict[str, Any]:
    figures = {(one.slice, _column(one)): one for one in sliced}
    columns = sorted({_column(one) for one in sliced} - {ALL}, key=lambda one: (one not in FIRST.values(), one))
    lines = []
    for label in sorted({one.slice for one in sliced}, key=_order):
        own = [one for one in sliced if one.slice == label and one.status != "ok"]
        reasons = dict.fromkeys(f"{_column(one)}: {one.reason}" for one in own)
        lines.append((label, [figures.get((label, column)) for column in columns], list(reasons)))
    breaches = sum(one.status == "breach" for one in sliced)
    return {"name": name, "columns": columns, "lines": lines, "apart": apart, "breaches": breaches}


def _column(one: Measure) -> str:
    return FIRST.get(one.statistic, one.subject)


def _cut(label: str) -> str:
    """Return the feature that a slice is of."""
    return label.partition("=")[0].removesuffix(" missing")


def _order(label: str) -> tuple[str, float]:
    """Return what sorts slices: by value, the missing one last."""
    value = label.partition("=")[2]
    return _cut(label), float(value) if value else math.inf
