"""Columns of yes and no: what a rule asks of a row that no plain expectation can. Pure.

Null where a rule does not judge a row, because a value it needs is missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.quality.contract import Rule
from include.quality.typing import as_floats
from include.spec.expression import names

# What may be a person's mark, seen quickly; ``_is_personal`` then looks closely.
PERSONAL = r"@|[0-9][0-9 -]{11,}[0-9]|[A-Za-z]{2}[0-9]{2}[ A-Za-z0-9]{11,}|[A-Za-z&]{3,4}[0-9]{6}[A-Za-z0-9]{3}"
EMAIL = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)*\.[A-Za-z]{2,}")
CODE = re.compile(r"\b[A-Za-z&Ññ]{3,4}[0-9]{6}[A-Za-z0-9]{3}\b|\b[A-Za-z]{4}[0-9]{6}[A-Za-z]{6}[A-Za-z0-9]{2}\b")
CARD = re.compile(r"\b(?:[0-9][ -]?){12,18}[0-9]\b")
# How long cards are that begin so; 13 digits are a barcode (ISO/IEC 7812, and what issuers publish).
CARD_FORM = re.compile(
    r"4[0-9]{15}([0-9]{3})?|(5[1-5]|2[2-7])[0-9]{14}|3[47][0-9]{13}|6(?:011[0-9]{12,15}|5[0-9]{14,17})"
)
ACCOUNT = re.compile(r"\b[A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]){11,30}\b")


def truth(rule: Rule, columns: Mapping[str, pa.Array]) -> pa.Array:
    """Return whether each row keeps a rule.

    Parameters
    ----------
    rule : Rule
        With `derived`.
    columns : mapping of name to pyarrow.Array
        Raw text for stage ``raw``, typed values for ``core``, shape (n,) each.

    Returns
    -------
    pyarrow.BooleanArray, shape (n,)
        Null where a value it reads is missing.
    """
    kind, *given = rule.derived
    if kind == "rule":
        return _expression(given[0], as_floats(columns))
    values = columns[given[0]]
    if kind == "decimals":
        return _decimals(values, int(given[1]))
    return _texts(values, {"encoding": _suspicious_letters, "personal": _suspicious_marks}[kind])


def _expression(expression: str, columns: Mapping[str, pa.Array]) -> pa.Array:
    """Evaluate an expression; pandas computes it, which reads no more than `include.spec.expression` lets through."""
    read = {name: columns[name] for name in names(expression)}
    frame = pd.DataFrame({name: _series(values) for name, values in read.items()})
    with np.errstate(all="ignore"):  # a row where it cannot be computed breaks it, as NaN compares with nothing
        answers = frame.eval(expression.strip())
    if len(read) == 0 or not isinstance(answers, pd.Series):
        answers = pd.Series(bool(answers), index=frame.index)
    kept = pa.array(answers.fillna(False).astype(bool).to_numpy())
    is_judged = reduce(pc.and_, (values.is_valid() for values in read.values()))
    return pc.if_else(is_judged, kept, pa.scalar(None, pa.bool_()))


def _series(values: pa.Array) -> Any:
    """Return a column as pandas computes with it: whole numbers and truths stay what they are beside nulls."""
    kept = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()} if values.null_count else {}
    return values.to_pandas(types_mapper=kept.get)


def _decimals(values: pa.Array, digits: int) -> pa.Array:
    """Tell whether numbers have no more digits after the point: then rounding to them changes nothing."""
    if pa.types.is_decimal(values.type):
        return pc.equal(pc.round(values, digits), values)
    numbers = values.to_numpy(zero_copy_only=False)
    scaled = numbers * 10.0**digits
    with np.errstate(invalid="ignore"):
        # Beyond 2**53 a float has no digits left to look at.
        kept = (np.rint(scaled) / 10.0**digits == numbers) | (np.abs(scaled) > 2.0**53)
    return pa.array(kept, mask=np.isnan(numbers))


def _texts(values: pa.Array, faulty: Callable[[pa.Array], list[bool]]) -> pa.Array:
    """Look once at each different text."""
    encoded = values.dictionary_encode()
    fine = pa.array([not bad for bad in faulty(encoded.dictionary)], pa.bool_())
    return fine.take(encoded.indices)


def _suspicious_letters(texts: pa.Array) -> list[bool]:
    """Tell which texts were decoded with another encoding than they were written in; plain ASCII never was."""
    from ftfy.badness import is_bad

    plain = pc.string_is_ascii(texts).to_pylist()
    return [not is_plain and bool(is_bad(text)) for text, is_plain in zip(texts.to_pylist(), plain, strict=True)]


def _suspicious_marks(texts: pa.Array) -> list[bool]:
    """Tell which texts hold an e-mail address, a Mexican tax or population id, a card or an account number."""
    maybe = pc.match_substring_regex(texts, PERSONAL).to_pylist()
    return [seen and _is_personal(text) for text, seen in zip(texts.to_pylist(), maybe, strict=True)]


def _is_personal(text: str) -> bool:
    """Look closely: numbers count only with their check digits right."""
    from stdnum import iban, luhn
    from stdnum.mx import curp, rfc

    if EMAIL.search(text):
        return True
    if any(rfc.is_valid(code) or curp.is_valid(code) for code in CODE.findall(text)):
        return True
    cards = (re.sub(r"[ -]", "", number) for number in CARD.findall(text))
    if any(CARD_FORM.fullmatch(digits) and luhn.is_valid(digits) for digits in cards):
        return True
    return any(iban.is_valid(number) for number in ACCOUNT.findall(text))
