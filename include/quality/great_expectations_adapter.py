"""The one file that imports Great Expectations: runs a contract's rules on a batch."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from include.quality.contract import Rule

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

COLUMNS = 3  # looked at together
EXACT = 2**53  # beyond it a float cannot hold every whole number


def validate(rows: pa.Table, rules: list[Rule]) -> list[tuple[int, list[int]]]:
    """Check typed rows against rules.

    Parameters
    ----------
    rows : pyarrow.Table, shape (n, …)
        The rules' columns.
    rules : list of Rule
        Any order; the results come in the same.

    Returns
    -------
    list of (int, list of int)
        For each rule how many rows broke it, and for row-level rules the position of every one of
        them (Great Expectations' own samples are capped; its index list is not).

    Raises
    ------
    RuntimeError
        If Great Expectations itself fails on a rule; a retry does not help.
    """
    if not rows.num_rows or not rules:
        return [(0, []) for _ in rules]
    # What is asked twice, as by `required` and `completeness`, is looked up once: shares are judged elsewhere.
    distinct: dict[tuple[str, str], Rule] = {}
    for rule in sorted(rules, key=lambda rule: not rule.is_row_level):  # one about single rows asks for all of them
        distinct.setdefault(_question(rule), rule)
    answers: dict[tuple[str, str], Any] = {}
    for asked in _few_columns(distinct):
        columns = {rule.column for rule in asked.values()}
        frame = _frame(rows.select([name for name in rows.column_names if name in columns] or rows.column_names))
        answers |= dict(zip(asked, _run(frame, list(asked.values())), strict=True))
    found = []
    for rule in rules:
        item = answers[_question(rule)]
        _refuse_failure(rule, item.exception_info or {})
        broken = [int(at) for at in item.result.get("unexpected_index_list") or []] if rule.is_row_level else []
        found.append((int(item.result.get("unexpected_count") or 0), broken))
    return found


def _few_columns(rules: dict[tuple[str, str], Rule]) -> Iterator[dict[tuple[str, str], Rule]]:
    """Yield the rules of a few columns at a time: Great Expectations copies the whole frame for each of them."""
    columns = list(dict.fromkeys(rule.column for rule in rules.values()))
    for first in range(0, len(columns), COLUMNS):
        few = columns[first : first + COLUMNS]
        yield {question: rule for question, rule in rules.items() if rule.column in few}


def _question(rule: Rule) -> tuple[str, str]:
    return rule.expectation, json.dumps(_asked(rule), sort_keys=True, default=str)


def _asked(rule: Rule) -> dict[str, Any]:
    return {name: value for name, value in rule.arguments.items() if name != "mostly"}


def _frame(rows: pa.Table) -> pd.DataFrame:
    """Return the rows as pandas sees them; whole numbers that a float cannot hold keep a type of their own."""
    import pandas as pd

    columns = {}
    for name in rows.column_names:
        values = rows.column(name)
        types = {values.type: pd.Int64Dtype()} if _needs_int64(values) else {}
        columns[name] = values.to_pandas(types_mapper=types.get)
    return pd.DataFrame(columns, copy=False)


def _needs_int64(values: pa.ChunkedArray) -> bool:
    """Tell whether a column holds whole numbers with nulls between them and beyond 2**53; the type is a slow one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_integer(values.type) or not values.null_count:
        return False
    bounds = pc.min_max(values).as_py()
    return max(abs(bounds["min"] or 0), abs(bounds["max"] or 0)) > EXACT


def _refuse_failure(rule: Rule, info: dict[str, Any]) -> None:
    """Raise if a rule could not be run; its result looks like a breach by no row, and would let every row pass."""
    for failure in (info, *info.values()):  # one failure, or one for each metric
        if isinstance(failure, dict) and failure.get("raised_exception"):
            said = failure.get("exception_message")
            raise RuntimeError(f"Great Expectations failed on {rule.rule} of {rule.column}: {said}")


def _run(frame: pd.DataFrame, rules: list[Rule]) -> list[Any]:
    """Run the rules as one suite in a context that leaves nothing behind; results in the rules' order."""
    import great_expectations as gx
    from great_expectations.core.expectation_suite import ExpectationSuite
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    for name in ("great_expectations", "great_expectations.data_context.types.base"):  # that one sets its own level
        logging.getLogger(name).setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    batch = (
        context.data_sources.add_pandas("frame")
        .add_dataframe_asset("frame")
        .add_batch_definition_whole_dataframe("all")
    )
    suite = ExpectationSuite(
        name="contract",
        expectations=[
            # Without `mostly`: where a share holds, the rows that broke it are not told.
            ExpectationConfiguration(type=rule.expectation, kwargs=_asked(rule), meta={"place": place})
            for place, rule in enumerate(rules)
        ],
    )
    # Places in the frame instead of named columns: those are collected cell by cell, 50 µs each.
    wanted = "COMPLETE" if any(rule.is_row_level for rule in rules) else "BASIC"
    report = batch.get_batch({"dataframe": frame}).validate(
        suite, result_format={"result_format": wanted, "return_unexpected_index_query": False}
    )
    return sorted(report.results, key=lambda item: item.expectation_config.meta["place"])
