"""Rows inside a JSON document: where they are, and their fields as text. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from include.spec.json_path import Steps, compiled, steps_of_field
from include.spec.model import HttpJsonSource

ABSENT: Final = object()
WORDS_OF_ERRORS = ("message", "reason", "detail", "description", "title", "msg", "errors", "error")


class Page:
    """The rows of one document.

    Raises
    ------
    ValueError
        The path to the rows leads nowhere, to several places or to something else than rows.
    """

    def __init__(self, source: HttpJsonSource, document: Any) -> None:
        self.path, self._is_columns = source.rows, source.orientation == "columns"
        self._found = _one(source.rows, document)
        if self._is_columns:
            self._refuse_another_shape(dict, "a mapping of lists")
            fields = [*source.time.from_, *(column.from_ for column in source.columns.values())]
            self._lists = self._same_length(dict.fromkeys(fields))
        else:
            self._refuse_another_shape(list, "a list")

    def __len__(self) -> int:
        return len(next(iter(self._lists.values()))) if self._is_columns else len(self._found)

    @property
    def values(self) -> Any:
        """What the rows are made of, for a comparison with another page."""
        return self._found

    def keys(self) -> str:
        """Return the keys of the first row, for a message."""
        first = self._found if self._is_columns else next(iter(self._found), None)
        return _shown(first) if isinstance(first, dict) else f"positions 0 to {len(first or ()) - 1}"

    def others(self, fields: Iterable[str]) -> list[str]:
        """Return the keys of the first row that no field leads to or into."""
        first = self._found if self._is_columns else next(iter(self._found), None)
        read = {step for field in fields for step in steps_of_field(field)[:1]}
        return [key for key in first if key not in read] if isinstance(first, dict) else []

    def fields(self, field: str, start: int, end: int) -> list[str | None] | None:
        """Return one field of the rows from `start` to `end`, which is not in it; None if no row has it at all.

        Texts are as they came, booleans `true` and `false`; null and what is not there are None.

        Raises
        ------
        ValueError
            A row is a plain value, or the field holds a list or a mapping; the message says where.
        """
        if self._is_columns:
            values: Sequence[Any] = self._lists[field][start:end]
        else:
            steps = steps_of_field(field)
            values = [_walk(self._row(n), steps) for n in range(start, end)]
        if all(value is ABSENT for value in values):
            return None
        return [
            value if isinstance(value, str) else self._text(value, field, n) for n, value in enumerate(values, start)
        ]

    def _row(self, number: int) -> Any:
        row = self._found[number]
        if isinstance(row, dict | list):
            return row
        raise ValueError(f"row {number} at {self.path!r} is {_kind(row)} and not a mapping")

    def _text(self, value: Any, field: str, number: int) -> str | None:
        if value is None or value is ABSENT:
            return None
        if isinstance(value, bool):
            return "true" if value else "false"
        raise ValueError(
            f"{field!r} of row {number} at {self.path!r} is {_kind(value)}; let `from` lead to one value inside it, "
            "such as $.coordinates.latitude"
        )

    def _same_length(self, fields: Iterable[str]) -> dict[str, list[Any]]:
        lists: dict[str, list[Any]] = {}
        for field in fields:
            values = _walk(self._found, steps_of_field(field))
            if values is ABSENT:
                raise ValueError(f"there is no {field!r} at {self.path!r}, only {self.keys()}")
            if not isinstance(values, list):
                raise ValueError(f"{field!r} at {self.path!r} is {_kind(values)} and not a list")
            lists[field] = values
        lengths = {field: len(values) for field, values in lists.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{field!r} has {length}" for field, length in lengths.items())
            raise ValueError(f"the lists at {self.path!r} are not equally long: {told}"[:400])
        return lists

    def _refuse_another_shape(self, shape: type, name: str) -> None:
        if not isinstance(self._found, shape):
            raise ValueError(f"{self.path!r} is {_kind(self._found)} and not {name}")


def value_at(path: str, document: Any) -> Any:
    """Return the one value at a path of names and positions; None if it leads nowhere."""
    # `$` is no step, so the document itself is a possible answer
    value = _walk(document, steps_of_field(path))
    return None if value is ABSENT else value


def error_message(document: Any, depth: int = 3) -> str:
    """Return what an error document says, as one line; empty if it says nothing that is known.

    Examples
    --------
    >>> error_message({"error": True, "reason": "Cannot resolve host"})
    'Cannot resolve host'
    >>> error_message({"errors": [{"detail": "no such day"}]})
    'no such day'
    """
    if isinstance(document, str):
        return " ".join(document.split())[:200]
    if not depth:
        return ""
    if isinstance(document, list):
        return "; ".join(filter(None, (error_message(part, depth - 1) for part in document[:3])))[:200]
    if isinstance(document, dict):
        return next(filter(None, (error_message(document.get(word), depth - 1) for word in WORDS_OF_ERRORS)), "")
    return ""


def _one(path: str, document: Any) -> Any:
    from jsonpath import JSONPathError

    try:
        matches = compiled(path).findall(document)
    except JSONPathError as problem:
        raise ValueError(f"{path!r} cannot be followed ({str(problem.args[0])[:100]})") from None
    if len(matches) != 1:
        says = error_message(document)
        told = f"; it says: {says}" if says else f", only {_shown(document)}" if isinstance(document, dict) else ""
        raise ValueError(f"{path!r} leads to {len(matches) or 'no'} places in the answer{told}")
    return matches[0]


def _walk(value: Any, steps: Steps) -> Any:
    for step in steps:
        if isinstance(step, str):
            value = value.get(step, ABSENT) if isinstance(value, dict) else ABSENT
        else:
            is_there = isinstance(value, list) and -len(value) <= step < len(value)
            value = value[step] if is_there else ABSENT
    return value


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return {dict: "a mapping", list: "a list", bool: "a boolean"}.get(type(value), "a plain value")


def _shown(mapping: dict[str, Any]) -> str:
    """Return the keys of a mapping, short enough for a message."""
    return (", ".join(repr(key)[:40] for key in list(mapping)[:12]) or "an empty mapping") + (
        ", …" if len(mapping) > 12 else ""
    )
