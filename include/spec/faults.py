"""One thing wrong in a ``pipeline.yaml``: where it stands, what it is and how to mend it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import NamedTuple

Path = tuple[str | int, ...]


class Fault(NamedTuple):
    """One fault.

    Parameters
    ----------
    path : tuple of str or int
        Keys and list positions from the model that reports it down to the field.
    message : str
        ``what is wrong; fix``, without file, line and field, which are added where they are known.
    """

    path: Path
    message: str


class Faulty(ValueError):
    """Faults found by a validator. A ``ValueError``, so that pydantic carries it along with its own."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self.faults = faults
        super().__init__("\n".join(f"{dotted(path)}: {message}" for path, message in faults))


def dotted(path: Path) -> str:
    """Write a path as people do; a key that is not a plain word is quoted, so that the error stays one line.

    Examples
    --------
    >>> dotted(("features", 3, "column"))
    'features[3].column'
    """
    return "".join(f"[{step}]" if isinstance(step, int) else f".{_plain(step)}" for step in path).removeprefix(".")


def _plain(step: str) -> str:
    return step if re.fullmatch(r"[\w-]+", step) else repr(step)


def closest(word: object, known: Iterable[object], cutoff: float = 0.6) -> str | None:
    """Return the known word somebody most likely meant, or None.

    Examples
    --------
    >>> closest("unti", ["unit", "min"])
    'unit'
    """
    options = [str(k) for k in known]
    begun = [option for option in options if len(str(word)) > 2 and option.startswith(str(word))]
    return next(iter(get_close_matches(str(word), options, n=1, cutoff=cutoff) or begun), None)


def one_of(word: object, known: Iterable[object]) -> str:
    """Return the fix for a word that is not known: the one probably meant, or all there are."""
    options = [str(k) for k in known]
    guess = closest(word, options)
    return f"did you mean {guess!r}?" if guess else f"use one of {', '.join(options) or '(there is none)'}"
