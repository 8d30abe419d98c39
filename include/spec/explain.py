"""Turns what pydantic found into faults a person can mend: the field, what is wrong there, and the fix."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import reduce
from operator import getitem
from typing import Any

from pydantic import ValidationError

from include.spec import schema
from include.spec.faults import Fault, Faulty, Path, closest, dotted, one_of
from include.spec.fields import NAME

# What each type of JSON Schema is called, and how a value of it is written.
_TYPES = {
    "string": ("text", "put it in quotes"),
    "integer": ("a whole number", "write digits only, without quotes"),
    "number": ("a number", "write it with a decimal point and without quotes"),
    "boolean": ("true or false", "write one of the two, without quotes"),
    "array": ("a list", "write it in brackets, such as [a, b], or as lines that begin with -"),
    "object": ("a mapping of keys to values", "write `key: value` lines below it"),
}
_BOUNDS = {
    "greater_than": ("gt", "not above", "more than {}"),
    "greater_than_equal": ("ge", "below", "{} or more"),
    "less_than": ("lt", "not below", "less than {}"),
    "less_than_equal": ("le", "above", "{} or less"),
}


def explain(error: ValidationError, data: Any) -> list[Fault]:
    """Return the faults in what `Pipeline` said of plain `data`, at most one a field, with paths into `data`."""
    details = [(_path(detail["loc"], data), detail) for detail in error.errors(include_url=False)]
    missing = {path for path, detail in details if detail["type"] == "missing"}
    faults: dict[Path, Fault] = {}
    meant: set[Path] = set()
    for path, detail in details:
        if detail["type"] == "too_short" and any(p[: len(path)] == path != p for p, _ in details):
            continue  # pydantic does not count entries that are at fault themselves
        if detail["type"] == "extra_forbidden":
            siblings = {str(p[-1]) for p in missing if p and p[:-1] == path[:-1]}
            guess, message = _unknown_key(path, data, siblings)
            meant.add((*path[:-1], guess))
            faults.setdefault(path, Fault(path, message))
        else:
            for fault in _faults(path, detail, data):
                faults.setdefault(fault.path, fault)
    # A misspelt key is one fault, not also a missing one.
    return [fault for path, fault in faults.items() if not (path in missing and path in meant)]


def _path(loc: Sequence[str | int], data: Any) -> Path:
    """Drop what pydantic adds to a location: the tag of a union, ``[key]``, and what lies below a scalar."""
    path: list[str | int] = []
    here, is_tagged = data, False
    for step in loc:
        if step == "[key]":
            break
        if isinstance(here, dict) and not is_tagged and step == here.get("kind"):
            is_tagged = True
        elif isinstance(here, dict) and isinstance(step, str):
            path.append(step)
            here, is_tagged = here.get(step), False
        elif isinstance(here, list) and isinstance(step, int) and step < len(here):
            path.append(step)
            here, is_tagged = here[step], False
        else:
            break
    return tuple(path)


def _faults(path: Path, detail: Any, data: Any) -> Iterator[Fault]:
    kind, ctx = detail["type"], detail.get("ctx", {})
    cause = ctx.get("error")
    if isinstance(cause, Faulty):
        yield from (Fault((*path, *fault.path), fault.message) for fault in cause.faults)
    elif kind == "value_error":
        yield Fault(path, str(cause))
    elif kind == "union_tag_not_found":
        yield Fault((*path, "kind"), f"missing; add `kind:`, one of {', '.join(_kinds(path, data))}")
    elif kind == "union_tag_invalid":
        yield Fault((*path, "kind"), f"{ctx['tag']!r} is no kind; {one_of(ctx['tag'], _kinds(path, data))}")
    else:
        yield Fault(path, _message(path, detail, data))


def _kinds(path: Path, data: Any) -> list[str]:
    return list(schema.at(data, path).get("discriminator", {}).get("mapping", {}))


def _message(path: Path, detail: Any, data: Any) -> str:
    kind, ctx = detail["type"], detail.get("ctx", {})
    field = schema.at(data, path)
    shown = _shown(detail["input"])
    if kind == "missing" and detail["loc"][-1:] == path[-1:]:
        return f"missing; add `{path[-1]}:` ({_expected(field)}). {field.get('description', '')}".rstrip(". ")
    if kind in ("missing", "too_short", "too_long", "string_too_short", "string_too_long"):
        return _wrong_length(field, detail["input"])
    if kind in _BOUNDS:
        key, relation, fix = _BOUNDS[kind]
        limit = str(ctx[key]).removesuffix(".0")
        return f"{shown} is {relation} {limit}; write {fix.format(limit)}"
    if kind == "literal_error":
        options = field.get("enum") or [field.get("const")]
        return f"{shown} is not allowed here; {one_of(detail['input'], options)}"
    if kind == "string_pattern_mismatch":
        return _wrong_form(shown, ctx["pattern"], field)
    if kind.startswith("date"):
        return f"{shown} is not a date; write one such as 2025-01-31"
    if kind == "json_invalid":
        return "holds a character that is not text; delete the \\u escape"
    if isinstance(detail["input"], int | float) and not isinstance(detail["input"], bool) and "pattern" in field:
        return _wrong_form(shown, field["pattern"], field)
    return _wrong_type(shown, field)


def _unknown_key(path: Path, data: Any, missing: set[str]) -> tuple[str, str]:
    """Return the key somebody meant and the message."""
    parent, key = path[:-1], path[-1]
    here = reduce(getitem, parent, data)
    known = [k for k in schema.at(data, parent).get("properties", {}) if k not in here]
    if guess := closest(key, sorted(missing), cutoff=0.5) or closest(key, known):
        return guess, f"unknown key; did you mean {guess!r}?"
    where = dotted(parent) or "this file"
    return "", f"unknown key; remove it, {where} can also hold {', '.join(known) or 'nothing more'}"


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list)):
        return _TYPES["object" if isinstance(value, dict) else "array"][0]
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _expected(field: dict[str, Any]) -> str:
    if field.get("format") == "date":
        return "a date such as 2025-01-31"
    if "enum" in field:
        return f"one of {', '.join(map(str, field['enum']))}"
    examples = field.get("examples")
    form = f" such as {examples[0]}" if examples else ""
    return _TYPES.get(field.get("type", ""), ("a value",))[0] + form


def _wrong_type(shown: str, field: dict[str, Any]) -> str:
    kind = field.get("type", "object" if "discriminator" in field else "string")
    expected, how = _TYPES[kind]
    fix = f"write {_expected(field)}, or remove the key" if shown == "nothing" else how
    return f"{shown} is not {expected}; {fix}"


def _wrong_length(field: dict[str, Any], value: Any) -> str:
    suffix, one, many = "Items", "entry", "entries"
    if isinstance(value, str):
        suffix, one, many = "Length", "letter", "letters"
    elif isinstance(value, dict):
        suffix = "Properties"
    least, most = field[f"min{suffix}"], field.get(f"max{suffix}")
    amount = f"{'exactly' if least == most else 'at least'} {least} {one if least == 1 else many}"
    return f"holds {len(value)} {one if len(value) == 1 else many}; write {amount}"


def _wrong_form(shown: str, pattern: str, field: dict[str, Any]) -> str:
    if pattern == NAME:
        fix = "write at most 40 lower-case letters, digits and _, beginning with a letter"
        return f"{shown} is not a plain name; {fix}"
    # A number alone lacks its unit: 30 is answered with '30 days'.
    example = re.sub(r"^[0-9]+(?= )", shown if shown.isdecimal() else r"\g<0>", field["examples"][0])
    return f"{shown} does not have the right form; write it like {example!r}"
