"""YAML with line numbers: plain data, and the line every key and list item stands on.

Values are read by the rules of YAML 1.2, as editors do: ``on`` and ``no`` are text, ``12:00`` is not
a number of minutes, a date stays text until its field asks for one. Events are read one by one instead
of composing a tree, because the tree builder recurses in C and a deep enough file ends the process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import yaml

from include.spec.faults import Path

DEEPEST = 20
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TEXT = "tag:yaml.org,2002:str"
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
    r"""Read one YAML document, the text of a whole file.

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
    document = Document()
    events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
    try:
        for event in events:
            if isinstance(event, yaml.NodeEvent):
                document.data = _node(event, events, (), document.lines)
            elif document.lines and isinstance(event, yaml.DocumentStartEvent):
                what = "a second document begins; keep one pipeline per file and remove the ---"
                raise BadLine(event.start_mark.line + 1, (), what)  # type: ignore[union-attr]
    except yaml.MarkedYAMLError as error:
        # An open bracket or quote is noticed far below; the line to mend is where it was opened.
        is_open = "flow" in (error.context or "") or "quoted" in (error.context or "")
        mark = error.context_mark if is_open else error.problem_mark
        raise BadLine(mark.line + 1 if mark else 1, (), f"not valid YAML: {_fix(error.problem or '')}") from None
    except yaml.reader.ReaderError as error:
        line = text.encode()[: error.position].count(b"\n") + 1
        raise BadLine(line, (), "holds a character YAML does not allow; delete it or write it as an escape") from None
    if document.data is None:
        raise BadLine(1, (), "the file is empty; start from the example in docs/pipeline-spec.md")
    return document


def _fix(problem: str) -> str:
    if "tab character" in problem:
        return f"{problem}; indent with spaces"
    if "cannot start any token" in problem:
        return f"{problem}; indent with spaces, and put text that begins with a sign such as % or @ in quotes"
    if "mapping values are not allowed" in problem:
        return f"{problem}; put text that holds a colon in quotes, and mend the indentation"
    problem = problem or "it cannot be read"
    return f"{problem}; mend the indentation, and close what is open: a [, a {{ or a quote left open above"


def _node(event: Any, events: Iterator[Any], path: Path, lines: dict[Path, int]) -> Any:
    """Return the data that begins with an event; takes what belongs to it from the events that follow."""
    line = _line(event, path)
    lines.setdefault(path, line)  # the value of a key stands on the key's line
    if isinstance(event, yaml.ScalarEvent):
        return _value(event)
    if len(path) == DEEPEST:
        raise BadLine(line, path, f"nested more than {DEEPEST} deep; no pipeline needs that, remove brackets")
    inner = takewhile(lambda one: not isinstance(one, yaml.CollectionEndEvent), events)
    if isinstance(event, yaml.SequenceStartEvent):
        return [_node(item, events, (*path, i), lines) for i, item in enumerate(inner)]
    places = ((*path, _key(key, path, lines)) for key in inner)
    return {place[-1]: _node(next(events), events, place, lines) for place in places}


def _key(event: Any, path: Path, lines: dict[Path, int]) -> str:
    line = _line(event, path)
    if not isinstance(event, yaml.ScalarEvent):
        raise BadLine(line, path, "a key that is a list or a mapping; write a plain word before the colon")
    key = _value(event)
    if not isinstance(key, str):
        raise BadLine(line, (*path, event.value), "a key that is not text; put it in quotes, or name it")
    if first := lines.get((*path, key)):
        raise BadLine(line, (*path, key), f"the key is there twice, first on line {first}; remove one")
    lines[(*path, key)] = line
    return key


def _line(event: Any, path: Path) -> int:
    """Return the line of an event that begins a value or a key; refuse aliases and tags."""
    line: int = event.start_mark.line + 1
    if isinstance(event, yaml.AliasEvent):
        raise BadLine(line, path, f"*{event.anchor} is an alias; write the value out")
    if event.tag not in (None, "!") and not (isinstance(event, yaml.ScalarEvent) and event.tag == _TEXT):
        raise BadLine(line, path, f"{event.tag!r} is a tag; remove it")
    return line


def _value(event: Any) -> Any:
    text = event.value
    makes = (make for pattern, make in _SCALARS if event.implicit[0] and pattern.fullmatch(text))
    return next(makes, str)(text)
