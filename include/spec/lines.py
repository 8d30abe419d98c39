"""YAML with line numbers: plain data, and the line every key and list item stands on.

Values are read by the rules of YAML 1.2, as editors do: ``on`` and ``no`` are text, ``12:00`` is not
a number of minutes, a date stays text until its field asks for one. Events are read one by one instead
of composing a tree, because the tree builder recurses in C and a deep enough file ends the process.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml

from include.spec.faults import Path

DEEPEST = 20
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
# 18 digits fit 64 bits; a longer run of digits stays text and is refused by its field.
_SCALARS: list[tuple[re.Pattern[str], Callable[[str], Any]]] = [
    (re.compile(r"(|~|null|Null|NULL)"), lambda text: None),
    (re.compile(r"(true|True|TRUE|false|False|FALSE)"), lambda text: text.lower() == "true"),
    (re.compile(r"[-+]?[0-9]{1,18}"), int),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,2})?"), float),
]


class BadLine(ValueError):
    """The text cannot be read as one plain YAML document; `line` counts from 1."""

    def __init__(self, line: int, path: Path, message: str) -> None:
        self.line, self.path, self.message = line, path, message
        super().__init__(message)


@dataclass
class Document:
    """Plain data (dict, list, str, int, float, bool, None) and the line of every path in it."""

    data: Any = None
    lines: dict[Path, int] = field(default_factory=dict)

    def line(self, path: Path) -> int:
        """Return the line of a path, or of its nearest parent that is there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read(text: str) -> Document:
    r"""Read one YAML document.

    Parameters
    ----------
    text : str
        The whole file.

    Raises
    ------
    BadLine
        On a syntax error, an empty document, a key that is there twice or is not text, an alias, a tag,
        a second document, or nesting deeper than `DEEPEST`. Retrying does not help.

    Examples
    --------
    >>> document = read("a: on\nb: [1, 2.5]")
    >>> document.data, document.line(("b", 1))
    ({'a': 'on', 'b': [1, 2.5]}, 2)
    """
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        # An open bracket or quote is noticed far below; the line to mend is where it was opened.
        is_open = "flow" in (error.context or "") or "quoted" in (error.context or "")
        mark = error.context_mark if is_open else error.problem_mark
        raise BadLine(mark.line + 1 if mark else 1, (), f"not valid YAML: {_fix(error.problem or '')}") from None
    except yaml.reader.ReaderError as error:
        line = text.encode()[: error.position].count(b"\n") + 1
        raise BadLine(line, (), "holds a character YAML does not allow; delete it or write it as an escape") from None
    if not builder.documents or builder.document.data is None:
        raise BadLine(1, (), "the file is empty; start from the example in docs/pipeline-spec.md")
    return builder.document


def _fix(problem: str) -> str:
    if "tab character" in problem:
        return f"{problem}; indent with spaces"
    if "cannot start any token" in problem:
        return f"{problem}; indent with spaces, and put text that begins with a sign such as % or @ in quotes"
    if "mapping values are not allowed" in problem:
        return f"{problem}; put text that holds a colon in quotes, and mend the indentation"
    problem = problem or "it cannot be read"
    return f"{problem}; mend the indentation, and close what is open: a [, a {{ or a quote left open above"


class _Builder:
    """Builds the data from events, with the open mappings and lists on a stack."""

    def __init__(self) -> None:
        self.document = Document()
        self.documents = 0
        self._open: list[tuple[dict[str, Any] | list[Any], Path]] = []
        self._key: str | None = None

    def take(self, event: yaml.Event) -> None:
        """Take one event in."""
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise BadLine(line, (), "a second document begins; keep one pipeline per file and remove the ---")
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._open.pop()
        elif isinstance(event, yaml.AliasEvent):
            raise BadLine(line, self._here(), f"*{event.anchor} is an alias; write the value out")
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._collection(event, line)

    def _here(self) -> Path:
        """Return the path of the value that comes next."""
        if not self._open:
            return ()
        parent, path = self._open[-1]
        if isinstance(parent, list):
            return (*path, len(parent))
        return path if self._key is None else (*path, self._key)

    def _awaits_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1][0], dict) and self._key is None

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        if event.tag not in (None, "!", _TAG + "str"):
            raise BadLine(line, self._here(), f"{event.tag!r} is a tag; remove it")
        value = _value(event.value) if event.implicit[0] else event.value
        if self._awaits_key():
            self._open_key(value, event.value, line)
        else:
            self._add(value, line)

    def _open_key(self, value: Any, text: str, line: int) -> None:
        parent, path = self._open[-1]
        if not isinstance(value, str):
            raise BadLine(line, (*path, text), "a key that is not text; put it in quotes, or name it")
        if value in parent:
            first = self.document.lines[(*path, value)]
            raise BadLine(line, (*path, value), f"the key is there twice, first on line {first}; remove one")
        self._key = value
        self.document.lines[(*path, value)] = line

    def _collection(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent, line: int) -> None:
        here = self._here()
        if event.tag not in (None, "!"):
            raise BadLine(line, here, f"{event.tag!r} is a tag; remove it")
        if self._awaits_key():
            raise BadLine(line, here, "a key that is a list or a mapping; write a plain word before the colon")
        if len(self._open) == DEEPEST:
            raise BadLine(line, here, f"nested more than {DEEPEST} deep; no pipeline needs that, remove brackets")
        value: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._add(value, line)
        self._open.append((value, here))

    def _add(self, value: Any, line: int) -> None:
        self.document.lines.setdefault(self._here(), line)
        if not self._open:
            self.document.data = value
            return
        parent = self._open[-1][0]
        if isinstance(parent, list):
            parent.append(value)
        elif self._key is not None:
            parent[self._key], self._key = value, None


def _value(text: str) -> Any:
    return next((make(text) for pattern, make in _SCALARS if pattern.fullmatch(text)), text)
