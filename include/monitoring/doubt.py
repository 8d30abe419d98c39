"""Which rows of a window a person should look at: uncertain or surprising predictions. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def most_doubtful(rows: pd.DataFrame, usual_width: float | None, most: int) -> pd.DataFrame:
    """Return the most doubtful rows, the worst first, each with `why` and `doubt`.

    A row is surprising where its actual is known, and uncertain where it is not. Doubt is counted in what was to be
    expected, and 1 is no doubt: the error in half widths of its interval, the width of its interval in usual widths.
    A prediction without an interval is a probability: its error counts in halves, and within 0.25 to 0.75 it is
    uncertain; outside 0 to 1 nobody knows what to expect of it, and nobody is asked.

    Parameters
    ----------
    rows : DataFrame, shape (n, …)
        `predicted`, `lower_bound`, `upper_bound` and `actual`, NaN where there is none.
    usual_width : float or None
        Of the version's intervals so far, in the target's unit; None where it has none.

    Examples
    --------
    >>> import pandas as pd
    >>> facts = {"predicted": [5, 5, 5], "lower_bound": [4, 4, 1], "upper_bound": [6, 6, 9], "actual": [8, 5.5, np.nan]}
    >>> most_doubtful(pd.DataFrame(facts, dtype=float), 2.0, 5)[["why", "doubt"]].values.tolist()
    [['uncertain', 4.0], ['surprising', 3.0]]
    """
    width, error = rows["upper_bound"] - rows["lower_bound"], (rows["actual"] - rows["predicted"]).abs()
    is_probability = width.isna() & rows["predicted"].between(0, 1)
    surprise = np.where(is_probability, 2 * error, 2 * error / width)
    uncertainty = np.where(is_probability, 2 - 4 * (rows["predicted"] - 0.5).abs(), width / (usual_width or np.nan))
    is_known = rows["actual"].notna()
    doubtful = rows.assign(
        why=np.where(is_known, "surprising", "uncertain"), doubt=np.where(is_known, surprise, uncertainty)
    )
    return doubtful[doubtful["doubt"] > 1].sort_values("doubt", ascending=False, kind="stable").head(most)
