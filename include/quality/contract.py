"""What a rule is, and the verdict on what a batch showed. Pure.

``rules`` makes the rules from a source's contract; ``check`` counts what breaks them, most of
it with Great Expectations; here counts become verdicts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from include.spec.model import AnySource

Severity = Literal["warn", "stop"]
Stage = Literal["raw", "core"]
MIN_ROWS_FOR_SHARES = 20  # what fewer rows look like beside others may be chance


@dataclass(frozen=True)
class Rule:
    """One thing that must hold.

    Attributes
    ----------
    rule : str
        Name of a built-in rule, or of a check in ``pipeline.yaml``.
    column : str
        Column it is about; ``*`` for the whole row or batch.
    severity : str
        ``stop``: rows that break it are quarantined, a batch that breaks it is blocked; ``warn``: it is recorded.
    expected : str
        What is asked, in words.
    is_row_level : bool
        Whether it is rows that break it, and not the batch.
    stage : str
        ``raw`` where the text as it came is judged, ``core`` where the typed row is.
    dimension : str
        The dimension of quality it measures.
    expectation : str
        Great Expectations' name of it; empty where something else judges.
    arguments : dict
        The expectation's arguments.
    derived : tuple of str, optional
        How the column of yes and no is made that the expectation looks at: see ``derive``.
    reads : tuple of str
        Columns it needs, where that is not `column` alone.
    """

    rule: str
    column: str
    severity: Severity
    expected: str
    is_row_level: bool
    stage: Stage = "core"
    dimension: str = "validity"
    note: str | None = None
    expectation: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    derived: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns it needs."""
        return self.reads or (self.column,)

    @property
    def quarantines(self) -> bool:
        """Whether rows that break it are quarantined."""
        return self.is_row_level and self.severity == "stop"


@dataclass(frozen=True)
class Result:
    """What one check found in one batch.

    Attributes
    ----------
    row_count, unexpected_count : int
        Rows, values or expected times looked at, and how many broke the rule.
    stage, dimension, note
        As in `Rule`.
    is_row_level : bool
        Whether rows broke it: then it blocks no batch by itself.
    """

    rule: str
    column: str
    severity: Severity
    is_passed: bool
    row_count: int
    unexpected_count: int
    observed: str
    expected: str
    stage: Stage = "core"
    dimension: str = "validity"
    note: str | None = None
    is_row_level: bool = False

    @property
    def is_judged(self) -> bool:
        """Whether there was anything to judge: what was not judged has not passed either."""
        return self.row_count > 0 or not self.is_passed

    @property
    def sentence(self) -> str:
        """What it found, in words."""
        what = self.rule if self.column == "*" else f"{self.rule} of {self.column}"
        return f"{what}: {self.observed}, expected {self.expected}"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)


def judge(rule: Rule, row_count: int, unexpected_count: int) -> Result:
    """Return a rule's verdict from the counts of all parts.

    Examples
    --------
    >>> rule = Rule("completeness", "fix_mxn", "stop", "95 %", False, arguments={"mostly": 0.95})
    >>> judge(rule, 100, 5).is_passed, judge(rule, 100, 6).is_passed
    (True, False)
    """
    expected_share = rule.arguments.get("mostly", 1.0)
    is_passed = not row_count or (row_count - unexpected_count) / row_count >= expected_share
    share = f" ({unexpected_count / row_count:.1%})" if row_count else ""
    observed = f"{unexpected_count} of {row_count} rows{share} break it" if row_count else "no rows"
    return result(rule, is_passed, row_count, unexpected_count, observed)


def result(rule: Rule, is_passed: bool, row_count: int, unexpected_count: int, observed: str) -> Result:
    """Return what a rule found, in any words."""
    told = (rule.expected, rule.stage, rule.dimension, rule.note, rule.is_row_level)
    return Result(rule.rule, rule.column, rule.severity, is_passed, row_count, unexpected_count, observed, *told)


def quarantined_result(row_count: int, quarantined_count: int, source: AnySource) -> Result:
    """Judge the share of quarantined rows: a batch that loses too many of them, or all, is blocked.

    Of fewer than twenty rows, one is more than most shares: it may be quarantined, where any row may.
    """
    share = quarantined_count / row_count if row_count else 0.0
    is_one_of_few = quarantined_count == 1 < row_count < MIN_ROWS_FOR_SHARES and source.max_rejected > 0
    is_passed = share <= source.max_rejected or is_one_of_few
    observed = f"{quarantined_count} of {row_count} rows quarantined ({share:.1%})"
    expected = f"at most {source.max_rejected:.0%}"
    return Result("rejected", "*", "stop", is_passed, row_count, quarantined_count, observed, expected)


def empty_result(row_count: int, source: AnySource) -> Result | None:
    """Judge a window without rows by what the source says of it; None where rows came."""
    if row_count:
        return None
    severity: Severity = "stop" if source.empty_window == "stop" else "warn"
    expected = "rows, or none" if source.empty_window == "fine" else "rows"
    is_passed = source.empty_window == "fine"
    return Result("empty", "*", severity, is_passed, 0, 0, "no rows", expected, dimension="completeness")


def dates_result(source: AnySource, rows_by_hour: Mapping[int, int], zone: ZoneInfo) -> Result | None:
    """Find rows that look like dates, of a source that may write either, where days begin in another zone.

    Parameters
    ----------
    rows_by_hour : mapping of int to int
        Accepted rows by their hour in the source's zone, 0 to 23.
    zone : zoneinfo.ZoneInfo
        Where the pipeline's days begin: calendar parts of features would be those of the day before or after.
    """
    may_be_either = source.kind == "sql" or getattr(getattr(source, "time", None), "format", "") == "iso"
    count = sum(rows_by_hour.values())
    if not may_be_either or zone.key == source.zone.key or count < 2 or rows_by_hour.get(0) != count:
        return None
    observed = f"all {count} rows are about the hour 0 in {source.zone.key}, as dates are, and days begin in {zone.key}"
    way_out = "Name the zone of its dates in `timezone`: then a date is that date in every feature."
    return Result("dates", "*", "warn", False, count, 0, observed, "times of day, or dates in a zone", note=way_out)


def breaches(results: list[Result]) -> list[Result]:
    """Return the results that block the batch; a broken row-level rule only quarantines its rows."""
    return [r for r in results if not r.is_passed and r.severity == "stop" and not r.is_row_level]
