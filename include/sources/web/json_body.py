"""JSON as sources send it: numbers stay the text they were, and what no row can hold is refused."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from include.sources.payload import MIB

MAX_BYTES = 32 * MIB  # of an answer that is decoded at once; in memory it takes some ten times as much


class Unfit(ValueError):
    """The text came whole and no row can be made of it: the same would come again."""


class Number(str):
    """The text of a value that was sent as a number."""

    __slots__ = ()


def decode(content: bytes, *, takes_nan: bool = False) -> Any:
    """Read a JSON document; pure.

    Numbers become text, so that no float round trip changes a value. With `takes_nan` NaN, which some servers write,
    is no value, and an infinity the text it is, which no column takes.

    Raises
    ------
    Unfit
        NaN or Infinity where they are not taken, a name that occurs twice in one object, a second document behind
        the first (lines of JSON), or a character that is no text (NUL, half a surrogate pair). A `ValueError`; a
        retry brings the same.
    ValueError
        Not UTF-8, not complete, not JSON, or nested without end: perhaps cut short on the way.

    Examples
    --------
    >>> decode(b'{"dato": 17.3400}')
    {'dato': '17.3400'}
    """
    try:
        text = content.decode("utf-8-sig")
        document = json.loads(
            text,
            parse_float=Number,
            parse_int=Number,
            parse_constant=_constant if takes_nan else _refuse,
            object_pairs_hook=_object,
        )
    except RecursionError:
        raise ValueError("it is nested without end") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from None
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            raise Unfit(f"a second document begins on line {error.lineno}, as in lines of JSON (NDJSON)") from None
        raise
    if "\\u0000" in text:
        raise Unfit("it holds a NUL character")
    if "\\ud" in text.lower():
        _refuse_half_characters(document)
    return document


def _refuse(constant: str) -> NoReturn:
    raise Unfit(f"{constant} is not JSON")


def _constant(name: str) -> str | None:
    return None if name == "NaN" else name


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Keep every name of an object: with two of one name nobody could say which value counts."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in fields if names.count(name) > 1)
        raise Unfit(f"the name {twice[:40]!r} occurs twice in one object")
    return fields


def _refuse_half_characters(document: Any) -> None:
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Unfit("it holds half a character, a surrogate without its pair") from None
