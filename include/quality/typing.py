"""Turn raw text into typed columns, and say which cells could not be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from include.spec.model import Column

TRUE, FALSE = {"true", "t", "1", "yes"}, {"false", "f", "0", "no"}


def cast(raw: pd.Series, column: Column) -> pd.Series:
    """Cast one column of raw text to its declared type.

    Parameters
    ----------
    raw : Series of str, shape (n,)
        None where missing.
    column : Column
        Its facts.

    Returns
    -------
    Series, shape (n,)
        float64, Int64, str, boolean or datetime64[us, UTC]; missing where `raw` is missing
        **or cannot be read**: compare with ``raw.notna()`` to find those. Infinities cannot be read.
    """
    import numpy as np
    import pandas as pd

    if column.type == "number":
        numbers = pd.to_numeric(raw, errors="coerce").astype("float64")
        return numbers.where(np.isfinite(numbers))
    if column.type == "integer":
        numbers = pd.to_numeric(raw, errors="coerce").astype("float64")
        return numbers.where(np.isfinite(numbers) & (numbers == numbers.round())).astype("Int64")
    if column.type == "boolean":
        text = raw.str.lower()
        return text.map({**dict.fromkeys(TRUE, True), **dict.fromkeys(FALSE, False)}).astype("boolean")
    if column.type in ("timestamp", "date"):
        return pd.to_datetime(raw, errors="coerce", utc=True, format="ISO8601").astype("datetime64[us, UTC]")
    return raw.astype("str").where(raw.notna(), None)


def unreadable(raw: pd.Series, typed: pd.Series) -> pd.Series:
    """Return a mask of the cells that had a text which could not be read, shape (n,)."""
    return raw.notna() & typed.isna()
