"""The one file that imports Great Expectations: runs a contract's rules on a frame."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from include.quality.contract import MIN_ROWS_FOR_SHARES, Result, Rule

if TYPE_CHECKING:
    import pandas as pd

ROW = "row_number"


def validate(frame: pd.DataFrame, rules: list[Rule]) -> list[tuple[Result, list[int]]]:
    """Check a typed frame against rules.

    Parameters
    ----------
    frame : DataFrame
        The rules' columns and an integer column `row_number`, unique in the frame.
    rules : list of Rule
        Any order; the results come in the same.

    Returns
    -------
    list of (Result, list of int)
        For each rule what was found, and for row-level rules the `row_number` of every row that
        broke it, all of them (Great Expectations' own samples are capped; its index list is not).

    Raises
    ------
    RuntimeError
        If Great Expectations itself fails on a rule; a retry does not help.
    """
    if frame.empty:
        return [(_result(rule, True, 0, 0, "no rows"), []) for rule in rules]
    rows = frame[ROW].to_numpy()
    outcome = _run(frame.reset_index(drop=True), rules)
    found = []
    for rule, item in zip(rules, outcome, strict=True):
        _refuse_failure(rule, item.exception_info or {})
        broken = rows[item.result.get("unexpected_index_list") or []].tolist() if rule.is_row_level else []
        count = int(item.result.get("unexpected_count") or 0)
        observed = f"{count} of {len(frame)} rows ({count / len(frame):.1%}) break it"
        found.append((_result(rule, bool(item.success), len(frame), count, observed), broken))
    return found


def _refuse_failure(rule: Rule, info: dict[str, Any]) -> None:
    """Raise if a rule could not be run; its result looks like a breach by no row, and would let every row pass."""
    for failure in (info, *info.values()):  # one failure, or one for each metric
        if isinstance(failure, dict) and failure.get("raised_exception"):
            said = failure.get("exception_message")
            raise RuntimeError(f"Great Expectations failed on {rule.rule} of {rule.column}: {said}")


def _result(rule: Rule, is_passed: bool, row_count: int, unexpected: int, observed: str) -> Result:
    few = not rule.is_row_level and row_count < MIN_ROWS_FOR_SHARES
    severity = "warn" if few else rule.severity
    return Result(rule.rule, rule.column, severity, is_passed, row_count, unexpected, observed, rule.expected)


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
            ExpectationConfiguration(type=rule.expectation, kwargs=rule.arguments, meta={"place": place})
            for place, rule in enumerate(rules)
        ],
    )
    # Places in the frame instead of named columns: those are collected cell by cell, 50 µs each.
    wanted = "COMPLETE" if any(rule.is_row_level for rule in rules) else "BASIC"
    report = batch.get_batch({"dataframe": frame}).validate(
        suite, result_format={"result_format": wanted, "return_unexpected_index_query": False}
    )
    return sorted(report.results, key=lambda item: item.expectation_config.meta["place"])
