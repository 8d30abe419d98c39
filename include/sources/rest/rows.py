"""Rows inside a JSON document: where they are, and their fields as text. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING, Any, Final

from include.spec.json_path import Steps, compiled, parent_of_field, steps_of_field
from include.spec.model import HttpJsonSource

if TYPE_CHECKING:
    from jsonpath import JSONPathMatch

ABSENT: Final = object()
WORDS_OF_ERRORS = ("message", "reason", "detail", "description", "title", "msg", "errors", "error")


class Page:
    """The rows of one document: those of one list, or of several that a field of the mappings around them tells apart.

    `ABSENT`, where no document came, has none.

    Raises
    ------
    ValueError
        The path to the rows leads nowhere, to several places or to something else than rows.
    """

    def __init__(self, source: HttpJsonSource, document: Any) -> None:
        self.path, self._is_columns, self._time = source.rows, source.orientation == "columns", source.time.from_
        places = _places(source, document)
        self._places = [place for place in places if place.obj is not None or "null_rows" not in source.empty]
        if self._is_columns:
            wanted = dict.fromkeys(field for field in source.fields if parent_of_field(field) is None)
            groups = [self._same_length(place.obj, wanted) for place in self._places]
            self._counts = [len(next(iter(group.values()))) for group in groups]
            self._lists = {field: list(chain(*(group[field] for group in groups))) for field in wanted}
        else:
            lists = [self._list(place.obj) for place in self._places]
            self._counts, self._rows = [len(rows) for rows in lists], list(chain(*lists))

    def __len__(self) -> int:
        return sum(self._counts)

    @property
    def values(self) -> Any:
        """What the rows are made of, for a comparison with another page."""
        return [place.obj for place in self._places]

    def keys(self) -> str:
        """Return the keys of the first row, for a message."""
        first: Any = self._places[0].obj if self._is_columns else next(iter(self._rows), None)
        return _shown(first) if isinstance(first, dict) else f"positions 0 to {len(first or ()) - 1}"

    def others(self, fields: Iterable[str]) -> list[str]:
        """Return the keys of the first row that no field leads to or into."""
        lists = [place.obj for place in self._places] if self._is_columns else self._rows
        first = next(iter(lists), None)
        read = {step for field in fields if parent_of_field(field) is None for step in steps_of_field(field)[:1]}
        return [key for key in first if key not in read] if isinstance(first, dict) else []

    def fields(self, field: str, start: int, end: int) -> list[str | None] | None:
        """Return one field of the rows from `start` to `end`, which is not in it; None if no row has it at all.

        Texts are as they came, booleans `true` and `false`; null and what is not there are None.

        Raises
        ------
        ValueError
            A row is a plain value, or the field holds a list or a mapping; the message says where.
        """
        if (up := parent_of_field(field)) is not None:
            around = (repeat(_around(at, up), n) for at, n in zip(self._places, self._counts, strict=True))
            values: Sequence[Any] = list(islice(chain.from_iterable(around), start, end))
        elif self._is_columns:
            values = self._lists[field][start:end]
        else:
            steps = steps_of_field(field)
            values = [_walk(self._row(n), steps) for n in range(start, end)]
        if all(value is ABSENT for value in values):
            return None
        return [
            value if isinstance(value, str) else self._text(value, field, n) for n, value in enumerate(values, start)
        ]

    def _row(self, number: int) -> Any:
        row = self._rows[number]
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

    def _list(self, rows: Any) -> list[Any]:
        """Return the rows of a list; some servers send one row without a list around it."""
        own = [steps_of_field(field) for field in self._time if parent_of_field(field) is None]
        if isinstance(rows, dict) and own and all(_walk(rows, steps) is not ABSENT for steps in own):
            return [rows]
        self._refuse_another_shape(rows, list, "a list")
        return rows

    def _same_length(self, columns: Any, fields: dict[str, None]) -> dict[str, list[Any]]:
        self._refuse_another_shape(columns, dict, "a mapping of lists")
        lists: dict[str, list[Any]] = {}
        for field in fields:
            values = _walk(columns, steps_of_field(field))
            if values is ABSENT:
                raise ValueError(f"there is no {field!r} at {self.path!r}, only {_shown(columns)}")
            if not isinstance(values, list):
                raise ValueError(f"{field!r} at {self.path!r} is {_kind(values)} and not a list")
            lists[field] = values
        lengths = {field: len(values) for field, values in lists.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{field!r} has {length}" for field, length in lengths.items())
            raise ValueError(f"the lists at {self.path!r} are not equally long: {told}"[:400])
        return lists

    def _refuse_another_shape(self, rows: Any, shape: type, name: str) -> None:
        if not isinstance(rows, shape):
            way_out = "; where that means no rows: empty: [null_rows]" if rows is None else ""
            raise ValueError(f"{self.path!r} is {_kind(rows)} and not {name}{way_out}")


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


def _places(source: HttpJsonSource, document: Any) -> list[JSONPathMatch]:
    """Return where the rows are: one place, several where they can be told apart, none where that is declared."""
    from jsonpath import JSONPathError

    if document is ABSENT:
        return []
    path = source.rows
    try:
        matches = list(compiled(path).finditer(document))
    except JSONPathError as problem:
        raise ValueError(f"{path!r} cannot be followed ({str(problem.args[0])[:100]})") from None
    if len(matches) == 1 or (matches and source.tells_lists_apart):
        return matches
    if matches:
        raise ValueError(
            f"{path!r} leads to {len(matches)} places in the answer; tell their rows apart by a column of the mapping "
            "around each list, such as `from: ^.id`, or ^# for its position, and make it a key"
        )
    says = error_message(document)
    is_error = isinstance(document, dict) and any(document.get(word) for word in ("error", "errors"))
    if "absent_rows" in source.empty and isinstance(document, dict | list) and not is_error:
        return []
    told = f"; it says: {says}" if says else f", only {_shown(document)}" if isinstance(document, dict) else ""
    raise ValueError(f"{path!r} leads to no places in the answer{told}; where that means no rows: empty: [absent_rows]")


def _around(place: JSONPathMatch, up: tuple[int, Steps | None]) -> Any:
    """Return a field of one of the mappings around a list, or as text its position in a list or key in a mapping."""
    count, steps = up
    for _ in range(count):
        place = place.parent or place
        while place.parent is not None and not isinstance(place.obj, dict):
            place = place.parent
    if steps is not None:
        return _walk(place.obj, steps)
    return str(place.parts[-1]) if place.parts else ABSENT


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
