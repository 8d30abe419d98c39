"""Check a parsed batch against its contract: what may load, what is set aside, and whether to stop."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.quality.contract import Result, breaches, expectations, rejected_result
from include.quality.great_expectations_adapter import ROW, validate
from include.quality.typing import cast, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from include.quality.contract import Rule
    from include.spec.model import AnySource

Faults = dict[int, list[tuple[str, str, str]]]  # by row_number: rule, column and reason of each rule it broke


@dataclass(frozen=True)
class Checked:
    """The outcome of a check; accepted and rejected rows together are the received ones.

    Attributes
    ----------
    accepted : DataFrame
        Typed rows that may load, with `payload_id`.
    rejected : DataFrame
        One row a rejected row: payload_id, row_number, rule, column_name, reason, raw_row.
    results : list of Result
        Every check.
    """

    accepted: pd.DataFrame
    rejected: pd.DataFrame
    results: list[Result]

    @property
    def stopped_by(self) -> list[Result]:
        """The breaches that stop the batch before the warehouse; empty when it may load."""
        return breaches(self.results)


def check(source: AnySource, raw: pd.DataFrame) -> Checked:
    """Type a parsed frame, run its contract and divide the rows. Pure; the order of rows never changes a verdict.

    Of rows that are equal in everything the first is kept; of rows that share a key and differ
    none is, for nobody can tell which one is right.

    Parameters
    ----------
    source : AnySource
        The source's spec.
    raw : DataFrame, shape (n, …)
        As `include.sources.parse` gives it, with `payload_id` and a unique `row_number`.

    Returns
    -------
    Checked
        ``len(accepted) + len(rejected) == n``.
    """
    columns = {name: column for name, column in source.columns.items() if column.personal != "drop"}
    typed = raw.assign(**{name: cast(raw[name], column) for name, column in columns.items()})
    faults: Faults = {}
    results = [_readable(raw, typed, name, faults) for name in columns]
    results.append(_timed(raw, faults))
    results.append(_repeated(_without(typed, faults), [*source.key, "valid_at"], faults))
    rules = expectations(source)
    row_rules = [rule for rule in rules if rule.is_row_level]
    results += _row_by_row(_without(typed, faults), row_rules, faults)
    accepted = _without(typed, faults)
    # Shares are judged on what came: among the few rows that many rejections leave they would say nothing.
    results += [result for result, _ in validate(typed, [rule for rule in rules if not rule.is_row_level])]
    results.append(rejected_result(len(raw), len(faults), source))
    return Checked(accepted.drop(columns=ROW), _rejected(raw, faults), results)


def _without(rows: pd.DataFrame, faults: Faults) -> pd.DataFrame:
    return rows[~rows[ROW].isin(list(faults))].reset_index(drop=True)


def _readable(raw: pd.DataFrame, typed: pd.DataFrame, name: str, faults: Faults) -> Result:
    """Check that every text in a column can be read as its type."""
    broken = raw[unreadable(raw[name], typed[name])]
    reasons = (f"{name} = {text!r} cannot be read" for text in broken[name])
    return _found("type", name, len(raw), zip(broken[ROW], reasons, strict=True), faults, "every value readable")


def _timed(raw: pd.DataFrame, faults: Faults) -> Result:
    """Check that every row has a time."""
    broken = raw.loc[raw["valid_at"].isna(), ROW]
    found = ((row, "the row's time cannot be read") for row in broken)
    return _found("time", "valid_at", len(raw), found, faults, "every time readable")


def _repeated(rows: pd.DataFrame, key: list[str], faults: Faults) -> Result:
    """Check that no row comes twice; the comparison of all columns is left to the few that share a key."""
    alike = rows[rows.duplicated(key, keep=False)].sort_values(ROW)
    again = alike.loc[alike.duplicated([name for name in rows if name != ROW]), ROW]
    found = ((row, "the very same row came before") for row in again)
    return _found("repeated", "*", len(rows), found, faults, "every row once")


def _found(
    rule: str, column: str, row_count: int, broken: Iterable[tuple[int, str]], faults: Faults, expected: str
) -> Result:
    """Note each broken row's reason and return the rule's result."""
    count = 0
    for row, reason in broken:
        faults.setdefault(row, []).append((rule, column, reason))
        count += 1
    return Result(rule, column, "stop", not count, row_count, count, f"{count} of {row_count} rows break it", expected)


def _row_by_row(rows: pd.DataFrame, rules: list[Rule], faults: Faults) -> list[Result]:
    """Run the rules that set single rows aside and note each broken row's reason."""
    results = []
    values = rows.set_index(ROW)
    for rule, (result, broken) in zip(rules, validate(rows, rules), strict=True):
        results.append(result)
        is_about_value = rule.rule == "range"
        found = values.loc[broken, rule.column] if is_about_value else broken
        for row, value in zip(broken, found, strict=True):
            what = f"{rule.column} = {value}: " if is_about_value else ""
            faults.setdefault(row, []).append((rule.rule, rule.column, f"{what}expected {rule.expected}"))
    return results


def _rejected(raw: pd.DataFrame, faults: Faults) -> pd.DataFrame:
    """Return one row for each rejected row, as it came, with every reason."""
    import pandas as pd

    rows = raw[raw[ROW].isin(list(faults))]
    as_they_came = rows.drop(columns=["payload_id", ROW])
    as_text = as_they_came.astype(object).where(as_they_came.notna(), None).to_dict("records")
    found = [faults[row] for row in rows[ROW]]
    return pd.DataFrame(
        {
            "payload_id": rows["payload_id"].to_list(),
            "row_number": rows[ROW].to_list(),
            "rule": [reasons[0][0] for reasons in found],
            "column_name": [reasons[0][1] for reasons in found],
            "reason": ["; ".join(reason for _, _, reason in reasons) for reasons in found],
            "raw_row": [json.dumps(row, ensure_ascii=False, default=str) for row in as_text],
        }
    )
