"""The one file that imports Great Expectations: runs a contract's rules on a batch."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from include.quality.contract import Rule

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

COLUMNS = 3  # looked at together
FEW_ROWS = 5_000  # of which all columns are: a copy of them costs nothing, a run of its own some 30 ms
EXACT = 2**53  # beyond it a float cannot hold every whole number


def validate(rows: pa.Table | pa.RecordBatch, rules: list[Rule]) -> list[tuple[int, list[int]]]:
    """Check typed rows against rules.

    Parameters
    ----------
    rows : pyarrow.Table or RecordBatch, shape (n, …)
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
    for part in [distinct] if rows.num_rows <= FEW_ROWS else _few_columns(distinct):
        columns = {name for rule in part.values() for name in rule.columns}
        frame = _frame(rows.select([name for name in rows.column_names if name in columns] or rows.column_names))
        answers |= dict(zip(part, _run(frame, list(part.values())), strict=True))
    outcomes = []
    for rule in rules:
        item = answers[_question(rule)]
        _refuse_failure(rule, item.exception_info or {})
        broken = [int(at) for at in item.result.get("unexpected_index_list") or []] if rule.is_row_level else []
        outcomes.append((int(item.result.get("unexpected_count") or 0), broken))
    return outcomes


def _few_columns(rules: dict[tuple[str, str], Rule]) -> Iterator[dict[tuple[str, str], Rule]]:
    """Yield the rules of a few columns at a time: Great Expectations copies the whole frame for each of them."""
    columns = list(dict.fromkeys(rule.columns for rule in rules.values()))
    for first in range(0, len(columns), COLUMNS):
        few = columns[first : first + COLUMNS]
        yield {question: rule for question, rule in rules.items() if rule.columns in few}


def _question(rule: Rule) -> tuple[str, str]:
    return rule.expectation, json.dumps(_limits(rule), sort_keys=True, default=str)


def _limits(rule: Rule) -> dict[str, Any]:
    return {name: value for name, value in rule.arguments.items() if name != "mostly"}


def _frame(rows: pa.Table | pa.RecordBatch) -> pd.DataFrame:
    """Return the rows as pandas sees them; whole numbers that a float cannot hold keep a type of their own."""
    import pandas as pd

    columns = {}
    for name in rows.column_names:
        values = rows.column(name)
        types = {values.type: pd.Int64Dtype()} if _needs_int64(values) else {}
        columns[name] = values.to_pandas(types_mapper=types.get)
    return pd.DataFrame(columns, copy=False)


def _needs_int64(values: pa.ChunkedArray | pa.Array) -> bool:
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
            message = failure.get("exception_message")
            raise RuntimeError(f"Great Expectations failed on {rule.rule} of {rule.column}: {message}")


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
    frames = context.data_sources.add_pandas("frame").add_dataframe_asset("frame")
    batch = frames.add_batch_definition_whole_dataframe("all")
    suite = ExpectationSuite(
        name="contract",
        expectations=[
            # Without `mostly`: where a share holds, the rows that broke it are not told.
            ExpectationConfiguration(type=rule.expectation, kwargs=_limits(rule), meta={"place": place})
            for place, rule in enumerate(rules)
        ],
    )
    # Places in the frame instead of named columns: those are collected cell by cell, 50 µs each.
    wanted = "COMPLETE" if any(rule.is_row_level for rule in rules) else "BASIC"
    report = batch.get_batch({"dataframe": frame}).validate(
        suite, result_format={"result_format": wanted, "return_unexpected_index_query": False}
    )
    return sorted(report.results, key=lambda item: item.expectation_config.meta["place"])


def rendered(findings: list[dict[str, Any]], name: str) -> list[tuple[str, str]]:
    """Render merged verdicts with the renderers of Great Expectations' Data Docs.

    Parameters
    ----------
    findings : list of dict
        Each with `expectation` and `arguments` (empty where something else judged), `column`, `description`
        (HTML), `is_passed` and `result`, in Great Expectations' own shape; texts in it are HTML-escaped.
    name : str
        Name of the suite.

    Returns
    -------
    list of (str, str)
        A column, or ``*`` for whole rows and the batch, and its verdicts as a fragment of HTML.
    """
    from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer

    results = [_merged(finding) for finding in findings]
    success = all(result.success for result in results)
    report = ExpectationSuiteValidationResult(success, results, name, statistics={}, meta={})
    _, *sections, _ = ValidationResultsPageRenderer(run_info_at_end=True).render(report).to_json_dict()["sections"]
    view = _section_view()
    sentences = []
    for section in sections:
        column, blocks = section["section_name"], section["content_blocks"][1:]  # the first one is the column's name
        html = view.render({"section": section | {"content_blocks": blocks}, "section_loop": {"index": 1}})
        sentences.append(("*" if column == "Table-Level Expectations" else column, html))
    return sentences


def _merged(finding: dict[str, Any]) -> Any:
    """Return a verdict over all parts of a batch as Great Expectations would give it for a whole one."""
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    on_column = {} if finding["column"] == "*" else {"column": finding["column"]}
    return ExpectationValidationResult(
        success=finding["is_passed"],
        expectation_config=ExpectationConfiguration(
            type=finding["expectation"] or _rule_beyond(),
            kwargs=finding["arguments"] if finding["expectation"] else on_column,
            description=finding["description"],
        ),
        result=finding["result"],
        exception_info={"raised_exception": False, "exception_message": None, "exception_traceback": None},
    )


@cache
def _rule_beyond() -> str:
    """Return the name of an expectation that stands in reports for rules which something else judges."""
    from great_expectations.expectations.expectation import BatchExpectation

    class ExpectRuleBeyondToHold(BatchExpectation):
        column: str | None = None
        metric_dependencies = ()

        def _validate(self, **_: Any) -> Any:
            raise NotImplementedError("judged beside Great Expectations; here only for the report")

    return "expect_rule_beyond_to_hold"


@cache
def _section_view() -> Any:
    """Return the view with its templates, which are compiled once."""
    from great_expectations.render.view import DefaultJinjaSectionView

    return DefaultJinjaSectionView()
