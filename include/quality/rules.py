"""The rules of a source's contract: column facts and checks, in the order in which they are run. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from include.quality.contract import Rule, Stage
from include.spec.model import AnySource, Column

# Those whose rows cannot be loaded, whoever overrides them.
NEVER_OVERRIDDEN = ("type", "time", "future", "repeated", "unique", "personal")
DIMENSIONS = {
    **{"rule": "consistency", "ordered": "consistency", "expectation": "validity", "reference": "integrity"},
    **{"rows": "completeness", "agrees": "accuracy"},
    **dict.fromkeys(("mean", "sd", "step", "frozen"), "reasonability"),
}


def rules(source: AnySource) -> list[Rule]:
    """Return every rule of a source's contract: those about rows first, then those about the batch.

    Examples
    --------
    >>> from include.spec.load import load_all
    >>> [r.rule for r in rules(load_all()["usdmxn"].sources["inflation"])]
    ['type', 'time', 'repeated', 'range', 'unique', 'completeness']
    """
    rows = list(_always(source))
    batch: list[Rule] = []
    for name, column in source.stored.items():
        rows += _text_rules(name, column)
        rows += _value_rules(name, column)
        batch += _share_rules(name, column)
    own = [check_rule(check) for check in source.checks]
    key = "*" if source.key else "valid_at"
    named = ", ".join((*source.key, "valid_at"))
    unique = Rule("unique", key, "stop", f"one row for each {named}", True, dimension="uniqueness")
    each_row = [rule for rule in own if rule.is_row_level]
    return [*rows, *each_row, unique, *batch, *(rule for rule in own if not rule.is_row_level)]


def _always(source: AnySource) -> Iterator[Rule]:
    """Yield what is asked of every source."""
    for name in source.stored:
        yield Rule("type", name, "stop", "every value readable", True, "raw")
    yield Rule("time", "valid_at", "stop", "every time readable", True, "raw")
    if source.kind == "csv_file":  # others are asked for the window alone
        yield Rule("future", "valid_at", "stop", "no time after the file was fetched", True, "raw")
        yield Rule("schema", "*", "warn", "only columns that the contract names", False, "raw", "consistency")
    yield Rule("repeated", "*", "stop", "every row once", True, "raw", "uniqueness")


def _text_rules(name: str, column: Column) -> Iterator[Rule]:
    """Yield what the text as it came must show."""
    if column.format is not None:
        expected = f"text like {column.format}"
        yield _row("format", name, "values_to_match_regex", expected, stage="raw", regex=rf"\A(?:{column.format})\Z")
    if column.length is not None:
        fewest, most = column.length
        expected = f"{fewest} letters" if fewest == most else f"{fewest} to {most} letters"
        kind = "value_lengths_to_be_between"
        yield _row("length", name, kind, expected, stage="raw", min_value=fewest, max_value=most)
    if column.type == "text" and column.personal == "no" and not column.allowed:
        own: dict[str, Any] = {"severity": column.severity, "stage": "raw", "note": column.note}
        yield _truth("encoding", name, ("encoding", name), "readable letters", **own)
        yield _truth("personal", name, ("personal", name), "no personal data", dimension="compliance", **own)


def _value_rules(name: str, column: Column) -> Iterator[Rule]:
    """Yield what each typed value must show."""
    if column.required:
        yield _row("required", name, "values_to_not_be_null", f"a value of {name}", dimension="completeness")
    if column.min is not None or column.max is not None:
        bounds = _bounds_text(column.min, column.max)
        expected = bounds if column.unit == "1" else f"{bounds} {column.unit}"
        yield _row("range", name, "values_to_be_between", expected, min_value=column.min, max_value=column.max)
    if column.allowed:
        expected = f"one of {', '.join(map(str, column.allowed))}"
        yield _row("allowed", name, "values_to_be_in_set", expected, value_set=list(column.allowed))
    if column.decimals is not None:
        expected = f"at most {column.decimals} digits after the point"
        yield _truth("decimals", name, ("decimals", name, str(column.decimals)), expected, dimension="precision")
    if column.unique:
        yield Rule("unique", name, "stop", f"one row for each {name}", True, dimension="uniqueness")


def _share_rules(name: str, column: Column) -> Iterator[Rule]:
    """Yield what a column must show over the whole batch."""
    expected = f"at least {column.completeness:.0%} of rows have a value"
    yield Rule(
        *("completeness", name, column.severity, expected, False, "core", "completeness", column.note),
        expectation="expect_column_values_to_not_be_null",
        arguments={"column": name, "mostly": column.completeness},
    )
    if column.fresh:
        expected = f"a value not older than {column.fresh} at the window's end"
        yield Rule("fresh", name, column.severity, expected, False, "core", "currency", column.note)


def check_rule(check: Any) -> Rule:
    """Return the rule of one of a source's checks."""
    reads = tuple(check.reads())
    facts: dict[str, Any] = {
        "severity": check.severity,
        "note": check.note,
        "dimension": DIMENSIONS[check.kind],
        "expected": _said_of(check),
        "is_row_level": check.kind in ("rule", "expectation", "reference", "ordered", "step", "frozen"),
        "reads": reads,
    }
    rule = Rule(check.name, reads[0] if len(reads) == 1 else "*", **facts)
    if check.kind == "rule":
        return _judged(replace(rule, derived=("rule", check.rule)))
    if check.kind == "expectation":
        return replace(rule, expectation=check.type, arguments=dict(check.arguments))
    return rule


def _said_of(check: Any) -> str:
    """Return what a check asks, in words."""
    match check.kind:
        case "rule":
            return str(check.rule)
        case "reference":
            return f"a value that is in {check.to}"
        case "ordered":
            return "times that never run backwards"
        case "rows":
            return _said_rows(check)
        case "mean" | "sd":
            return f"{check.kind} {_bounds_text(check.min, check.max)}"
        case "step":
            return f"at most {check.max:.15g} from the value before"
        case "frozen":
            return f"at most {check.rows} equal values in a row"
        case "agrees" if check.within_pct is not None:
            return f"within {check.within_pct:g} % of {check.with_} for at least {check.at_least:.0%} of rows"
        case "agrees":
            return f"correlation with {check.with_} of at least {check.correlation:g}"
        case _:
            return str(check.type).removeprefix("expect_").replace("_", " ")


def _said_rows(check: Any) -> str:
    parts = []
    if check.every:
        share = "" if check.share == 1 else f"at least {check.share:.0%} of "
        parts.append(f"{share}one row each {check.every.removeprefix('1 ')}")
    if check.min is not None or check.max is not None:
        parts.append(f"{_bounds_text(check.min, check.max)} rows")
    return ", ".join(parts)


def _bounds_text(low: float | None, high: float | None) -> str:
    shown = [None if bound is None else f"{bound:.15g}" for bound in (low, high)]
    if shown[0] is None or shown[1] is None:
        return f"at most {shown[1]}" if shown[0] is None else f"at least {shown[0]}"
    return f"{shown[0]} to {shown[1]}"


def _row(
    rule: str, name: str, kind: str, expected: str, stage: Stage = "core", dimension: str = "validity", **limits: Any
) -> Rule:
    """Return a rule that Great Expectations judges by an expectation about one column."""
    arguments = {"column": name, **limits}
    theirs = f"expect_column_{kind}"
    return Rule(rule, name, "stop", expected, True, stage, dimension, expectation=theirs, arguments=arguments)


def _truth(rule: str, name: str, derived: tuple[str, ...], expected: str, severity: Any = "stop", **facts: Any) -> Rule:
    return _judged(Rule(rule, name, severity, expected, True, derived=derived, reads=(name,), **facts))


def _judged(rule: Rule) -> Rule:
    """Let Great Expectations look at the derived column of yes and no, which is named as the rule itself."""
    place = f"{rule.rule} of {rule.column}"
    arguments = {"column": place, "value_set": [True]}
    return replace(rule, expectation="expect_column_values_to_be_in_set", arguments=arguments, reads=(place,))
