"""JSON as sources send it: numbers stay the text they were, and what Postgres cannot hold is refused."""

from __future__ import annotations

import json
from typing import Any, NoReturn


def decode(content: bytes) -> Any:
    """Read a JSON document; pure.

    Numbers become text, so that no float round trip changes a value.

    Raises
    ------
    ValueError
        Not UTF-8, not complete, not JSON (NaN and Infinity are not), nested without end, or
        with a character that is no text (NUL, half a surrogate pair).

    Examples
    --------
    >>> decode(b'{"dato": 17.3400}')
    {'dato': '17.3400'}
    """
    try:
        text = content.decode("utf-8-sig")
        document = json.loads(text, parse_float=str, parse_int=str, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested without end") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from None
    if "\\u0000" in text:
        raise ValueError("it holds a NUL character")
    if "\\ud" in text.lower():
        _refuse_half_characters(document)
    return document


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _refuse_half_characters(document: Any) -> None:
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("it holds half a character, a surrogate without its pair") from None
