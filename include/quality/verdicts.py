"""The verdicts on a whole batch, from what its check has counted. Pure."""

from __future__ import annotations

from typing import Any

from include.quality.batch_check import BatchCheck
from include.quality.contract import Result, Rule, empty_result, judge, quarantined_result, result
from include.spec.fields import span
from include.spec.quality import ExpectedRows


def results(check: BatchCheck) -> list[Result]:
    """Return what every rule found; one that nobody could measure gives no result."""
    checks = {own.name: own for own in check.source.checks}
    verdicts = [_verdict(check, rule, checks.get(rule.rule)) for rule in check.rules]
    future = check.quarantined_future
    share = quarantined_result(check.received - future, check.quarantined - future, check.source)
    clustered = check.clusters.result(check.received - future, check.quarantined - future)
    emptiness = empty_result(check.received - future, check.source)
    return [verdict for verdict in (*verdicts, share, clustered, emptiness) if verdict is not None]


def _verdict(check: BatchCheck, rule: Rule, declared: Any) -> Result | None:
    kind = declared.kind if declared is not None else rule.rule
    match kind:
        case "schema":
            return _schema(check, rule)
        case "fresh":
            return _fresh(check, rule)
        case "rows":
            return _expected_rows(check, rule, declared)
        case "mean" | "sd":
            return _band(check, rule, declared)
        case "agrees":
            return None  # measured when both sides are loaded
        case "repeated" | "unique":
            return judge(rule, check.received, check.counts[rule.rule, rule.column][1])
    return judge(rule, *check.counts[rule.rule, rule.column])


def _schema(check: BatchCheck, rule: Rule) -> Result:
    """Warn of columns that came although the contract does not name them."""
    observed = (
        f"columns came that the contract does not name: {', '.join(check.extra_columns)}" if check.extra_columns else ""
    )
    return result(rule, not observed, check.received, 0, observed or "no others came")


def _fresh(check: BatchCheck, rule: Rule) -> Result | None:
    """Judge the age of a column's newest value at the end of what the batch covers."""
    allowed = check.source.columns[rule.column].fresh
    if check.window is None or allowed is None:
        return None
    newest = check.newest.at.get(rule.column)
    if newest is None:
        return result(rule, not check.received, check.received, check.received, "no value at all")
    age = check.window.end - newest
    is_passed = age <= span(allowed)
    observed = f"the newest value is of {newest:%Y-%m-%d %H:%M} UTC, {age} before the end"
    return result(rule, is_passed, check.received, int(not is_passed), observed)


def _expected_rows(check: BatchCheck, rule: Rule, declared: ExpectedRows) -> Result | None:
    """Judge how many rows came: of those expected at their times, or by number."""
    slots = check.slots.get(rule.rule)
    received = check.received - check.quarantined_future
    told, is_passed, expected, missing = [], True, received, 0
    if slots is not None:
        expected, missing = len(slots.starts), len(slots.missing)
        is_passed = not expected or (expected - missing) / expected >= declared.share
        told.append(
            f"{missing} of {expected} expected times have no row" + (f": {gaps}" if (gaps := slots.gaps()) else "")
        )
    if declared.min is not None or declared.max is not None:
        low, high = declared.min or 0, received if declared.max is None else declared.max
        is_passed = is_passed and low <= received <= high
        told.append(f"{received} rows")
    return result(rule, is_passed, expected, missing, "; ".join(told)) if told else None


def _band(check: BatchCheck, rule: Rule, declared: Any) -> Result | None:
    """Judge a moment of the values as they came."""
    figure = "mean" if declared.kind == "mean" else "standard_deviation"
    facts = check.profile.columns[declared.column].facts()
    value, count = facts[figure], facts["rows"] - facts["null_count"]
    if value is None:
        return result(rule, True, 0, 0, f"not judged: {count} values have no {declared.kind}")
    low = declared.min if declared.min is not None else value
    high = declared.max if declared.max is not None else value
    is_passed = low <= value <= high
    return result(rule, is_passed, count, 0 if is_passed else count, f"{declared.kind} {value:.6g} of {count} values")
