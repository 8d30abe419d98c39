"""The contract of a batch: what is agreed about its rows, and the verdict on what came.

Pure: `expectations` turns column facts into rules, `judge` and `breaches` turn counts into verdicts.
Running the rules is the job of ``great_expectations_adapter``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from include.spec.model import AnySource, Column

Severity = Literal["warn", "stop"]
MIN_ROWS_FOR_SHARES = 20  # a share of fewer rows says nothing: it is recorded, but stops nobody


@dataclass(frozen=True)
class Rule:
    """One thing that must hold.

    Attributes
    ----------
    rule : str
        required, range or completeness.
    column : str
        Column it is about; ``*`` for the whole row.
    expectation : str
        Great Expectations' name of it.
    arguments : dict
        Its arguments.
    is_row_level : bool
        True when each row that breaks it goes to quarantine.
    """

    rule: str
    column: str
    expectation: str
    arguments: dict[str, Any]
    severity: Severity
    expected: str
    is_row_level: bool


@dataclass(frozen=True)
class Result:
    """What one check found in one batch."""

    rule: str
    column: str
    severity: Severity
    is_passed: bool
    row_count: int
    unexpected_count: int
    observed: str
    expected: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)


def expectations(source: AnySource) -> list[Rule]:
    """Return the rules of a source's contract, row-level ones first.

    Examples
    --------
    >>> from include.spec.load import load_all
    >>> [r.rule for r in expectations(load_all()["usdmxn"].sources["fix"])]
    ['required', 'range', 'completeness']
    """
    rows: list[Rule] = []
    shares: list[Rule] = []
    for name, column in source.columns.items():
        if column.personal == "drop":
            continue
        if column.required:
            rows.append(_rule("required", name, "not_be_null", {}, f"a value of {name}"))
        if column.min is not None or column.max is not None:
            bounds = {"min_value": column.min, "max_value": column.max}
            rows.append(_rule("range", name, "be_between", bounds, _bounds(column)))
        shares.append(
            Rule(
                "completeness",
                name,
                "expect_column_values_to_not_be_null",
                {"column": name, "mostly": column.completeness},
                column.severity,
                f"at least {column.completeness:.0%} of rows have a value",
                is_row_level=False,
            )
        )
    return [*rows, *shares]


def _bounds(column: Column) -> str:
    low, high = (None if bound is None else f"{bound:.15g}" for bound in (column.min, column.max))
    if low is None or high is None:
        said = f"at most {high}" if low is None else f"at least {low}"
    else:
        said = f"{low} to {high}"
    return said if column.unit == "1" else f"{said} {column.unit}"


def _rule(rule: str, column: str, expectation: str, arguments: dict[str, Any], expected: str) -> Rule:
    name = f"expect_column_values_to_{expectation}"
    return Rule(rule, column, name, {"column": column, **arguments}, "stop", expected, is_row_level=True)


def judge(rule: Rule, row_count: int, unexpected_count: int) -> Result:
    """Return a rule's verdict from the counts of all batches; a share of few rows stops nobody.

    Examples
    --------
    >>> from include.spec.load import load_all
    >>> rule = expectations(load_all()["usdmxn"].sources["fix"])[-1]
    >>> judge(rule, 100, 5).is_passed, judge(rule, 100, 6).is_passed
    (True, False)
    """
    expected_share = rule.arguments.get("mostly", 1.0)
    is_passed = not row_count or (row_count - unexpected_count) / row_count >= expected_share
    few = not rule.is_row_level and row_count < MIN_ROWS_FOR_SHARES
    share = f" ({unexpected_count / row_count:.1%})" if row_count else ""
    return Result(
        rule.rule,
        rule.column,
        "warn" if few else rule.severity,
        is_passed,
        row_count,
        unexpected_count,
        f"{unexpected_count} of {row_count} rows{share} break it" if row_count else "no rows",
        rule.expected,
    )


def rejected_result(row_count: int, rejected_count: int, source: AnySource) -> Result:
    """Judge the share of rows set aside: a batch that loses too many of them, or all, is stopped."""
    share = rejected_count / row_count if row_count else 0.0
    is_judged = row_count >= MIN_ROWS_FOR_SHARES or share == 1
    return Result(
        "rejected",
        "*",
        "stop" if is_judged else "warn",
        share <= source.max_rejected,
        row_count,
        rejected_count,
        f"{rejected_count} of {row_count} rows set aside ({share:.1%})",
        f"at most {source.max_rejected:.0%}",
    )


def breaches(results: list[Result]) -> list[Result]:
    """Return the results that stop the batch; a broken row-level rule only sets its rows aside."""
    return [r for r in results if not r.is_passed and r.severity == "stop" and r.rule in ("completeness", "rejected")]
