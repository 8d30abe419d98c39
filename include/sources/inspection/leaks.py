"""Columns that give the target away: alone, or taken together. Pure."""

from __future__ import annotations

import numpy as np
import pandas as pd

ENOUGH = 20  # rows
ALIKE = 0.98  # correlation from which on a column may be the target, measured otherwise
SAME = 1e-6  # share of the target's variance that is left unexplained where a column is the target in other words


def leaks(numbers: pd.DataFrame, target: str) -> dict[str, str]:
    """Return the columns that give the target away, with how.

    Parameters
    ----------
    numbers : pandas.DataFrame, shape (rows, columns)
        The numbers of a file, NaN where missing.
    target : str
        One of the columns.

    Examples
    --------
    >>> casual, registered = np.arange(30.0) % 7, np.arange(30.0) ** 2 % 11
    >>> frame = pd.DataFrame({"casual": casual, "registered": registered, "wind": casual * registered % 5})
    >>> list(leaks(frame.assign(total=casual + registered), "total"))
    ['casual', 'registered']
    """
    others = [name for name in map(str, numbers) if name != target and numbers[name].nunique() > 1]
    alone = {name: f"is {target} in other words" for name in others if _explains(numbers, [name], target) is not None}
    rest = [name for name in others if name not in alone]
    if (weights := _explains(numbers, rest, target)) is None:
        return alone
    parts = [name for name, weight in zip(rest, weights, strict=True) if abs(weight) > np.sqrt(SAME)]
    listed = {name: " and ".join(part for part in parts if part != name) for name in parts}
    return alone | {name: f"gives {target} away together with {rest}" for name, rest in listed.items()}


def alike(numbers: pd.DataFrame, target: str) -> dict[str, float]:
    """Return the columns that go with the target in almost every row, with their correlation."""
    others = [name for name in map(str, numbers) if name != target and numbers[name].nunique() > 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        every = {name: float(numbers[name].corr(numbers[target], min_periods=ENOUGH)) for name in others}
    return {name: value for name, value in every.items() if abs(value) >= ALIKE}


def _explains(numbers: pd.DataFrame, names: list[str], target: str) -> np.ndarray | None:
    """Return the weights, in standard deviations, of columns that explain the target exactly; None if they do not."""
    rows = numbers[[*names, target]].dropna().to_numpy(dtype=float)
    if not names or len(rows) < max(ENOUGH, 2 * len(names)):
        return None
    spread = rows.std(axis=0)
    if not spread.all():
        return None
    *columns, wanted = ((rows - rows.mean(axis=0)) / spread).T
    weights, *_ = np.linalg.lstsq(np.column_stack(columns), wanted, rcond=None)
    left = wanted - np.column_stack(columns) @ weights
    return weights if float(np.mean(left**2)) < SAME else None
