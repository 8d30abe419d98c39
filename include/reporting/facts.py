"""What a spec says about columns and checks, in words for tables that people read.

Nothing here knows the list of facts: one that ``include.spec`` gains is told by its own name and unit
until somebody writes a better phrase for it into `PHRASES`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

    from include.spec.model import Column, Source
    from include.spec.quality import Check

ELSEWHERE = {"from_", "type", "unit", "description", "note", "min", "max", "completeness", "severity"}
PHRASES: dict[str, Callable[[Any], str]] = {
    "required": lambda _: "required",
    "unique": lambda _: "no value twice in a window",
    "personal": {"hash": "personal: kept as a keyed hash", "drop": "personal: never leaves the source"}.__getitem__,
    "allowed": lambda values: f"one of {', '.join(map(str, values))}",
    "length": lambda bounds: f"{bounds[0]} to {bounds[1]} letters",
    "format": lambda pattern: f"matches `{pattern}`",
    "decimals": lambda count: f"at most {count} decimals",
    "fresh": lambda age: f"newest value at most {age} old",
    "missing": lambda texts: f"no value: {', '.join(f'`{text}`' for text in texts)}",
}


def contract(column: Column) -> str:
    """Return what must hold for a column's values, as one phrase a fact.

    Examples
    --------
    >>> from include.spec.load import load_all
    >>> contract(load_all()["usdmxn"].sources["rates"].columns["target_rate_pct"])
    '0 to 150 %; at least 90 % have a value, or the batch is blocked'
    """
    if column.personal == "drop":
        return PHRASES["personal"]("drop")
    severity = "the batch is blocked" if column.severity == "stop" else "a warning"
    share = f"at least {column.completeness * 100:g} % have a value, or {severity}"
    complete = [share if column.completeness else "may be missing altogether"]
    return "; ".join([*_range(column), *_others(column, ELSEWHERE), *complete])


def condition(check: Check) -> str:
    """Return what a check asks for, without its name, kind, severity and note."""
    return "; ".join(_others(check, {"name", "kind", "severity", "note"}, everything=True))


def published(source: Source) -> str:
    """Return when a source's values could first be known."""
    when = source.published
    if when.after:
        return f"{when.after} after the time they are about"
    words = [f"{when.months} month{'s' * (when.months != 1)} later"] * bool(when.months)
    words += [f"on day {when.day}"] * (when.day is not None) + [f"at {when.time} {when.timezone}"] * bool(when.time)
    return " ".join(words) or "at once"


def licence(readme: Path) -> str | None:
    """Return what a pipeline's data card says about its licence; None where it is silent."""
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    row = re.search(r"^\|\s*licence\s*\|\s*(.+?)\s*\|\s*$", text, re.IGNORECASE | re.MULTILINE)
    prose = re.search(r"\*\*Licence\.\*\*\s*(.+?)(?=\*\*|\n\s*\n|\Z)", text, re.IGNORECASE | re.DOTALL)
    match = row or prose
    return " ".join(match[1].split()) if match else None


def _range(column: Column) -> list[str]:
    unit = "" if column.unit == "1" else f" {column.unit}"
    low, high = (None if bound is None else f"{bound:.15g}{unit}" for bound in (column.min, column.max))
    if low and high:
        return [f"{low.removesuffix(unit)} to {high}"]
    return [f"at least {low}"] * bool(low) + [f"at most {high}"] * bool(high)


def _others(model: BaseModel, without: set[str], everything: bool = False) -> Iterator[str]:
    """Yield a phrase for each field that says something: all that are set, or those that are not as by default."""
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if name in without or value in (None, (), {}) or (not everything and value == field.default):
            continue
        plain = field.alias or name
        phrase = None if everything else PHRASES.get(name)
        yield phrase(value) if phrase else f"{plain} {_shown(value)}{_unit(field)}"


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_shown, value))
    if isinstance(value, dict):
        return ", ".join(f"{key} = {_shown(each)}" for key, each in value.items())
    return f"`{value}`" if isinstance(value, str) else str(value)


def _unit(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    unit = extra.get("unit") if isinstance(extra, dict) else None
    return f" {unit}" if unit in ("rows", "letters", "digits", "%", "days", "months") else ""
