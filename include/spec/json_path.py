"""JSONPath (RFC 9535) in a spec: checked when the file is read, and turned into steps that are walked fast."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

if TYPE_CHECKING:
    from jsonpath import JSONPath
    from jsonpath.selectors import JSONPathSelector

Steps = tuple[str | int, ...]
# In place of `$`: ^ is the mapping around the list of rows, ^^ the one around that, ^# its own position or key.
PARENT = re.compile(r"(\^+)(#|[.\[].*)", re.DOTALL)


@cache
def compiled(path: str) -> JSONPath:
    """Return a path, ready to be asked.

    Raises
    ------
    ValueError
        It is no JSONPath by RFC 9535. A retry brings the same.
    """
    from jsonpath import JSONPath, JSONPathEnvironment, JSONPathError  # only such sources pay for the import

    try:
        query = JSONPathEnvironment(strict=True).compile(path)
    except (JSONPathError, RecursionError) as problem:
        reason = str(problem.args[0]) if problem.args else type(problem).__name__
        raise ValueError(f"{path!r} is not a JSONPath ({reason}); write one such as $.results") from None
    if not isinstance(query, JSONPath):
        raise ValueError(f"{path!r} is several paths; write one such as $.results")
    return query


def steps(path: str) -> Steps:
    """Return the names and positions that lead from `$` to the one value a path can select.

    Raises
    ------
    ValueError
        It is no JSONPath, or can select several values. A retry brings the same.

    Examples
    --------
    >>> steps("$.period['from time'][0]")
    ('period', 'from time', 0)
    """
    query = compiled(path)
    if not query.singular_query():
        raise ValueError(f"{path!r} can select several values; write a path of names and positions, such as $.date.utc")
    return tuple(_step(segment.selectors[0]) for segment in query.segments)


def _step(selector: JSONPathSelector) -> str | int:
    from jsonpath.selectors import IndexSelector, NameSelector

    if isinstance(selector, NameSelector):
        return selector.name
    if isinstance(selector, IndexSelector):
        return selector.index
    raise ValueError(f"{selector} is no name and no position; write one of the two")


def steps_of_field(field: str) -> Steps:
    """Return the steps to a field inside a row: a text that begins with ``$`` is a path, any other a plain key.

    Examples
    --------
    >>> steps_of_field("PM2.5 (ug/m3)"), steps_of_field("$.coordinates.latitude")
    (('PM2.5 (ug/m3)',), ('coordinates', 'latitude'))
    """
    return steps(field) if field.startswith("$") else (field,)


def parent_of_field(field: str) -> tuple[int, Steps | None] | None:
    """Return how many mappings around its list a field lies up, and the steps from there; without steps its place.

    None for a field of the row itself.

    Examples
    --------
    >>> parent_of_field("^.station.id"), parent_of_field("^^#"), parent_of_field("^GSPC")
    ((1, ('station', 'id')), (2, None), None)
    """
    if (match := PARENT.fullmatch(field)) is None:
        return None
    return len(match[1]), None if match[2] == "#" else steps("$" + match[2])


def _rows_path(path: str) -> str:
    compiled(path)
    if path.endswith(("[*]", ".*")):
        raise ValueError(f"{path!r} selects the single rows; write the path of the list itself, without [*]")
    return path


def _path_of_one(path: str) -> str:
    steps(path)
    return path


RowsPath = Annotated[str, AfterValidator(_rows_path), Field(examples=["$.results"])]
OnePath = Annotated[str, AfterValidator(_path_of_one), Field(examples=["$.meta.next"])]
