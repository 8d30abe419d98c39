"""A sudden change of a column against the last batches' profiles: a warning before any contract breaks. Pure.

Each figure is compared with what is usual: the median of its values in the last batches. How far off is too
far is told by a robust z (Iglewicz and Hoaglin, 1993, How to Detect and Handle Outliers), the distance in units of

    scale = sqrt((1.4826 * MAD)**2 + floor**2 + standard error**2)

where MAD is the median absolute deviation of those values and 1.4826 makes it a standard deviation where they are
normal. The floor is the change nobody needs to hear of, so that a history that never moved does not make noise a
finding; the standard error is what the number of rows explains. A figure of a column that drifts with the seasons
has a large MAD and is given more room by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

Facts = Mapping[str, Any]
MIN_HISTORY = 4  # of fewer batches the spread says nothing
LIMIT = 3.5  # robust z
NORMAL = 1.4826  # 1 / 0.6745
ONE_ROW = 0.01  # of the usual level: the floor where batches have no spread, as those of a single row
LEAST_RATIO = 1e-3  # what is a thousandth of the usual is as good as none
FLOORS: Mapping[str, tuple[Literal["share", "level", "ratio"], float]] = {
    "rows": ("ratio", math.log(1.15)),
    "null_share": ("share", 0.03),
    "type_conformity": ("share", 0.01),
    "format_conformity": ("share", 0.01),
    "default_share": ("share", 0.03),
    "distinct_share": ("ratio", math.log(1.3)),
    "mean": ("level", 0.5),
    "median": ("level", 0.5),
    "standard_deviation": ("ratio", math.log(1.5)),
}


@dataclass(frozen=True)
class Change:
    """One figure that suddenly is not what it used to be.

    Attributes
    ----------
    column : str
        ``*`` for the whole batch.
    figure : str
        A key of `FLOORS`.
    now, usual : float
        In the unit of the figure; `usual` is the median of the last batches.
    z : float
        Robust z, at least `LIMIT` away from 0.
    sentence : str
        All of it in a sentence.
    """

    column: str
    figure: str
    now: float
    usual: float
    z: float
    sentence: str


def changes(now: Mapping[str, Facts], history: Sequence[Mapping[str, Facts]]) -> list[Change]:
    """Return what suddenly changed, in the order of the columns.

    Parameters
    ----------
    now : Mapping of str to Mapping
        `include.quality.profile.Profile.facts` of the batch.
    history : sequence of the same
        Those of the last batches, in any order; 6 to 30 serve well. With fewer than `MIN_HISTORY` that have
        a figure nothing is said about it, nor about a column that was not there before.

    Examples
    --------
    >>> usual = {"co_mg_m3": {"rows": 720, "mean": 2.1, "standard_deviation": 1.4}}
    >>> grams = {"co_mg_m3": {"rows": 720, "mean": 2100.0, "standard_deviation": 1400.0}}
    >>> [(change.figure, change.sentence) for change in changes(grams, [usual] * 6)][0]
    ('mean', 'mean of co_mg_m3 is 2100, usually 2.1 (last 6 batches)')
    """
    sudden = []
    for column, facts in now.items():
        for figure in FLOORS:
            change = _change(column, figure, facts, [batch[column] for batch in history if column in batch])
            if change is not None and change not in sudden:  # all columns have the batch's rows
                sudden.append(change)
    return sudden


def _change(column: str, figure: str, facts: Facts, history: list[Facts]) -> Change | None:
    value = facts.get(figure)
    known = [facts for facts in history if facts.get(figure) is not None]
    if value is None or len(known) < MIN_HISTORY:
        return None
    usual = float(median(batch[figure] for batch in known))
    kind, floor = FLOORS[figure]
    if kind == "ratio":
        z = _ratio_z(float(value), [float(batch[figure]) for batch in known], usual, floor)
    else:
        spread = _spread(known) if kind == "level" else 1.0
        least = floor * spread or ONE_ROW * abs(usual)
        z = _z(float(value), [float(batch[figure]) for batch in known], least, _error(figure, usual, spread, facts))
    if abs(z) < LIMIT:
        return None
    where = "*" if figure == "rows" else column
    return Change(where, figure, float(value), usual, z, _sentence(where, figure, float(value), usual, len(known)))


def _z(value: float, known: list[float], floor: float, error: float) -> float:
    """Return the robust z of a value against those known."""
    middle = median(known)
    scale = math.hypot(NORMAL * median(abs(other - middle) for other in known), floor, error)
    return (value - middle) / scale if scale else 0.0 if value == middle else math.copysign(math.inf, value - middle)


def _ratio_z(value: float, known: list[float], usual: float, floor: float) -> float:
    """Return the robust z of logarithms: of figures that are never below 0 and grow or shrink by a factor."""
    if usual <= 0:  # was always without spread: whether it now has one is for the mean and the shares to say
        return 0.0
    least = usual * LEAST_RATIO
    return _z(math.log(max(value, least)), [math.log(max(other, least)) for other in known], floor, 0.0)


def _spread(known: list[Facts]) -> float:
    """Return the usual standard deviation within a batch, 0 where it is not known."""
    spreads = [batch["standard_deviation"] for batch in known if batch.get("standard_deviation") is not None]
    return float(median(spreads)) if spreads else 0.0


def _error(figure: str, usual: float, spread: float, facts: Facts) -> float:
    """Return what chance explains in so few rows: sqrt(p (1 - p) / n) of a share, sd / sqrt(n) of a level.

    A share that was always 0 or 1 is taken as half a row away from it.
    """
    rows = max(int(facts.get("rows") or 1), 1)
    if FLOORS[figure][0] == "level":
        return spread / math.sqrt(rows)
    share = min(max(usual, 0.5 / rows), 1 - 0.5 / rows)
    return math.sqrt(share * (1 - share) / rows)


def _sentence(column: str, figure: str, value: float, usual: float, count: int) -> str:
    name = figure.replace("_", " ")
    form = ".1%" if FLOORS[figure][0] == "share" or figure == "distinct_share" else ".4g"
    what = "number of rows of the batch" if column == "*" else f"{name} of {column}"
    return f"{what} is {value:{form}}, usually {usual:{form}} (last {count} batches)"
