"""Units of measure: whether a text is one, by the rules and definitions of pint."""

from __future__ import annotations

import re
from functools import cache
from tokenize import TokenError
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pint import UnitRegistry

MONEY = ("MXN", "USD", "EUR")
_FACTOR = r"\(?[A-Za-zµμΩ°%]{1,30}(?:[⁻¹²³]{1,2}|\^?-?[0-9]{1,2})?\)?"  # such as m, m3, m^3, s-1 or m³
_WRITTEN = re.compile(rf"(?:1/)?{_FACTOR}(?:[ */·]{_FACTOR}){{0,7}}")
_POWER = re.compile(r"(?<=[A-Za-zµμ])(-?[0-9]+)")


def is_measure(text: str) -> bool:
    """Tell whether a text is a unit of measure, alone or made of several; the powers of m3 and s-1 need no sign.

    Examples
    --------
    >>> [is_measure(text) for text in ("degF", "kW/m2", "EUR/MWh", "mgg/m3", "3 m", "")]
    [True, True, True, False, False, False]
    """
    from pint.errors import PintError

    if not _WRITTEN.fullmatch(text):  # pint works sums out, and some never end
        return False
    try:
        return bool(_registry().parse_units(_POWER.sub(r"^\1", text)))
    except (PintError, ValueError, TypeError, SyntaxError, TokenError):
        return False


@cache
def _registry() -> UnitRegistry:
    """Return pint's units and our money; made where a unit is none of our own words: it takes a third of a second."""
    from pint import UnitRegistry

    registry: UnitRegistry = UnitRegistry()
    for currency in MONEY:
        registry.define(f"{currency} = [{currency}]")
    return registry
