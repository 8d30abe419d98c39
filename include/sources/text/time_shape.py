"""The texts that fill a time's format, as regular expressions."""

from __future__ import annotations

import re

from include.spec.time_format import ISO, WIDTHS, is_digits

LETTERS = r"[^\d\s./:,-]+"
OFFSET = r" ?(?:[Zz]|[+-]\d{2}(?::?\d{2})?)"
ISO_DATE = r"\d{4}-\d{2}-\d{2}"
ISO_SHAPE = rf"{ISO_DATE}(?:[T ]\d{{2}}:\d{{2}}(?::\d{{2}}(?:[.,]\d{{1,9}})?)?(?:{OFFSET})?)?"
SHAPES = {
    "%Y": r"\d{4}", "%G": r"\d{4}", "%y": r"\d{2}", "%f": r"\d{1,9}", "%p": r"[AaPp]\.?[Mm]\.?", "%%": "%", " ": r"\s+",
    "%z": OFFSET, **dict.fromkeys(("%a", "%A", "%b", "%B"), LETTERS + r"\.?"),
}  # fmt: skip


def tokens_of(form: str) -> list[str]:
    """Return the parts of a format: each directive, such as ``%Y``, and each letter between them."""
    return re.findall(r"%.|[^%]", form, re.DOTALL)


def shape(form: str) -> str:
    r"""Return the regular expression of the texts that fill a format, for Arrow and Python alike.

    Where digits stand side by side, or two parts make what looks like a number, none may lack.

    Examples
    --------
    >>> [bool(re.fullmatch(shape(form), text)) for form, text in (
    ...     ("%H%M", "130"), ("%H%M", "0130"), ("%H.%M", "18.5"), ("%d/%m/%Y", "1/3/2024"))]
    [False, True, False, True]
    """
    return ISO_SHAPE if form == ISO else "".join(pattern for _, pattern in _pieces(form))


def _pieces(form: str) -> list[tuple[str, str]]:
    """Return the tokens and letters of a format, each with the pattern of its text."""
    tokens = tokens_of(form)
    padded = ["", "", "", *tokens, ""]
    return [(token, _pattern(token, padded[at : at + 3], padded[at + 4])) for at, token in enumerate(tokens)]


def _pattern(part: str, earlier: list[str], after: str) -> str:
    """Return a part's pattern; the three parts before it and the one after it tell whether it must be full."""
    third, second, before = earlier
    if not is_digits(part):
        return SHAPES.get(part, ".+" if part[0] == "%" else r"\s+" if part.isspace() else re.escape(part))
    if is_digits(before) or is_digits(after):
        return r"(?:\d{3}){1,3}" if part == "%f" else rf"\d{{{WIDTHS[part]}}}"
    is_fraction = before == "." and is_digits(second) and "." not in (third, after) and part != "%f"
    return SHAPES.get(part, rf"\d{{{WIDTHS[part]}}}" if is_fraction else rf"\d{{1,{WIDTHS[part]}}}")


def hour_24(form: str) -> str:
    """Return the pattern of texts whose hour is 24 and whose minutes, seconds and fractions are zero."""
    if form == ISO:
        return rf"^(\s*{ISO_DATE}[T ])24(:00(?::00(?:[.,]0{{1,9}})?)?(?:{OFFSET})?\s*)$"
    patterns = [(part, "0+" if part in ("%M", "%S", "%f") else pattern) for part, pattern in _pieces(form)]
    at = [token for token, _ in patterns].index("%H")
    before, after = ("".join(pattern for _, pattern in part) for part in (patterns[:at], patterns[at + 1 :]))
    return rf"^(\s*{before})24({after}\s*)$"
