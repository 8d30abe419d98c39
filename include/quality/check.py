"""Check a parsed batch against its contract: what may load, what is set aside, and whether to stop."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.quality.contract import Result, breaches, expectations, rejected_result
from include.quality.great_expectations_adapter import ROW, validate
from include.quality.typing import cast, unreadable

if TYPE_CHECKING:
    import pandas as pd

    from include.spec.model import AnySource


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

    Parameters
    ----------
    source : AnySource
        The source's spec.
    raw : DataFrame, shape (n, …)
        As `include.sources.parse` gives it, with `payload_id` and `row_number`.

    Returns
    -------
    Checked
        ``len(accepted) + len(rejected) == n``.
    """
    columns = {name: column for name, column in source.columns.items() if column.personal != "drop"}
    typed = raw.assign(**{name: cast(raw[name], column) for name, column in columns.items()})
    faults: dict[int, list[tuple[str, str, str]]] = {}
    results = [_readable(raw, typed, name, faults) for name in columns]
    results.append(_timed(raw, faults))
    rules = expectations(source)
    readable = typed[~typed[ROW].isin(list(faults))].reset_index(drop=True)
    row_rules = [rule for rule in rules if rule.is_row_level]
    for rule, (result, broken) in zip(row_rules, validate(readable, row_rules), strict=True):
        results.append(result)
        values = readable.set_index(ROW)[rule.column].loc[broken] if rule.column != "*" else [None] * len(broken)
        for row, value in zip(broken, values, strict=True):
            what = "" if rule.column == "*" else f"{rule.column} = {value}: "
            faults.setdefault(row, []).append((rule.rule, rule.column, f"{what}expected {rule.expected}"))
    accepted = typed[~typed[ROW].isin(list(faults))].reset_index(drop=True)
    results += [result for result, _ in validate(accepted, [rule for rule in rules if not rule.is_row_level])]
    results.append(rejected_result(len(raw), len(faults), source))
    return Checked(accepted.drop(columns=ROW), _rejected(raw, faults), results)


def _readable(
    raw: pd.DataFrame, typed: pd.DataFrame, name: str, faults: dict[int, list[tuple[str, str, str]]]
) -> Result:
    """Check that every text in a column can be read as its type."""
    broken = raw[unreadable(raw[name], typed[name])]
    for row, text in zip(broken[ROW], broken[name], strict=True):
        faults.setdefault(row, []).append(("type", name, f"{name} = {text!r} cannot be read"))
    return Result(
        "type", name, "stop", broken.empty, len(raw), len(broken), f"{len(broken)} unreadable", "every value readable"
    )


def _timed(raw: pd.DataFrame, faults: dict[int, list[tuple[str, str, str]]]) -> Result:
    """Check that every row has a time."""
    broken = raw.loc[raw["valid_at"].isna(), ROW]
    for row in broken:
        faults.setdefault(row, []).append(("time", "valid_at", "the row's time cannot be read"))
    return Result(
        "time", "valid_at", "stop", broken.empty, len(raw), len(broken), f"{len(broken)} unreadable", "every time readable"
    )


def _rejected(raw: pd.DataFrame, faults: dict[int, list[tuple[str, str, str]]]) -> pd.DataFrame:
    """Return one row for each rejected row, as it came, with every reason."""
    import pandas as pd

    records = []
    for place, row in raw[raw[ROW].isin(list(faults))].iterrows():
        found = faults[row[ROW]]
        as_it_came = {k: None if pd.isna(v) else str(v) for k, v in row.drop(["payload_id", ROW]).items()}
        records.append(
            {
                "payload_id": raw.at[place, "payload_id"],
                "row_number": row[ROW],
                "rule": found[0][0],
                "column_name": found[0][1],
                "reason": "; ".join(reason for _, _, reason in found),
                "raw_row": json.dumps(as_it_came, ensure_ascii=False),
            }
        )
    names = ["payload_id", "row_number", "rule", "column_name", "reason", "raw_row"]
    return pd.DataFrame(records, columns=names)
