"""Revised rows: what a table said at a time. Pure.

A frame of versions holds every version of a row, those of one row in the order in which they
were recorded. A row keeps the ``available_at`` of its first version, which says when it could
first be used; the ``available_at`` of a later version says from when on it replaces the one before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


def revised_at(versions: pd.DataFrame, key: tuple[str, ...]) -> set[pd.Timestamp]:
    """Return the times, UTC, at which a version replaced another."""
    is_later = versions.duplicated([*key, "valid_at"])
    return set(_since(versions, key)[is_later]) if is_later.any() else set()


def newest(versions: pd.DataFrame, key: tuple[str, ...]) -> pd.DataFrame:
    """Return the last version of each row, dated by its first."""
    place = [*key, "valid_at"]
    if not versions.duplicated(place).any():
        return versions
    first = versions.groupby(place, sort=False)["available_at"].transform("first")
    return versions.assign(available_at=first).drop_duplicates(place, keep="last", ignore_index=True)


def is_gone(rows: pd.DataFrame) -> np.ndarray:
    """Return which rows the source had deleted by their last version, shape (n,)."""
    return rows["is_gone"].to_numpy(bool) if "is_gone" in rows else np.zeros(len(rows), dtype=bool)


def known_at(versions: pd.DataFrame, key: tuple[str, ...], moment: datetime | None) -> pd.DataFrame:
    """Return the versions known at a moment (UTC), of each row at least the first; for None only the first.

    Examples
    --------
    >>> day = pd.Timestamp("2025-01-01", tz="UTC")
    >>> versions = pd.DataFrame({"valid_at": day, "available_at": [day, day + pd.Timedelta("9D")], "x": [1.0, 1.1]})
    >>> known_at(versions, (), day + pd.Timedelta("8D"))["x"].tolist()
    [1.0]
    >>> known_at(versions, (), day + pd.Timedelta("9D"))["x"].tolist()
    [1.0, 1.1]
    """
    is_later = versions.duplicated([*key, "valid_at"])
    if not is_later.any():
        return versions
    return versions[~is_later] if moment is None else versions[~is_later | (_since(versions, key) <= moment)]


def first_known(versions: pd.DataFrame, key: tuple[str, ...], column: str, rows: pd.DataFrame) -> pd.Series:
    """Return when each of `rows` first had a value in a column, UTC; NaT where it never had."""
    if rows is versions:  # none was revised
        return versions["available_at"].where(versions[column].notna())
    place = [*key, "valid_at"]
    valued = versions.assign(available_at=_since(versions, key))[versions[column].notna()]
    valued = valued.drop_duplicates(place)[[*place, "available_at"]]
    known_at: pd.Series = rows[place].merge(valued, on=place, how="left")["available_at"]
    return known_at.set_axis(rows.index)


def last_known(versions: pd.DataFrame, key: tuple[str, ...], rows: pd.DataFrame) -> pd.Series:
    """Return from when on the last version of each of `rows` counts, UTC."""
    if rows is versions:  # none was revised
        return versions["available_at"]
    place = [*key, "valid_at"]
    last = versions.assign(available_at=_since(versions, key)).drop_duplicates(place, keep="last")
    since: pd.Series = rows[place].merge(last[[*place, "available_at"]], on=place, how="left")["available_at"]
    return since.set_axis(rows.index)


def ordered(moments: Iterable[pd.Timestamp]) -> pd.DatetimeIndex:
    """Return times in order, each once."""
    return pd.DatetimeIndex(sorted(set(moments)), tz="UTC").as_unit("us")


def _since(versions: pd.DataFrame, key: tuple[str, ...]) -> pd.Series:
    """Return from when on each version counts: never before the one it replaces."""
    since: pd.Series = versions.groupby([*key, "valid_at"], sort=False)["available_at"].cummax()
    return since
