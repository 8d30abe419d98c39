"""``coverage``: how much of the truth the intervals cover, month by month and year by year, beside split conformal's.

Models as the loop has them: fitted at each window's start, calibrated on the rows held out. Air quality in the months
of the file that ``UCI_AIR_QUALITY_FILE`` names; the rate by its last value, in
the years of the real FIX since 2018.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.replay import NAME, _frame
from include.training.intervals import IntervalState, adapt

COVERAGE, FULL_MONTH, FULL_YEAR = 0.9, 500, 200
HELD_OUT = 82  # banking days in the 120 days that the shipped pipeline holds out


def measure() -> Iterator[dict[str, Any]]:
    """Yield ``coverage``, its worst full month or year, and the mean width, each beside split conformal's."""
    air, rate = _air_quality(), _rate()
    yield from _figures("coverage", air, "M", FULL_MONTH, "worst_month")
    yield from _figures("coverage_usdmxn", rate, "Y", FULL_YEAR, "worst_year")


def _figures(name: str, seen: pd.DataFrame, period: str, least: int, worst: str) -> Iterator[dict[str, Any]]:
    hits = {side: seen["error"] <= seen[side] for side in ("ours", "split")}
    for unit, pick in (("share", lambda hit: float(hit.mean())), (worst, lambda hit: _worst(seen, hit, period, least))):
        figures = {"ours": round(pick(hits["ours"]), 4), "peer": round(pick(hits["split"]), 4), "ratio": None}
        yield {"name": name if unit == "share" else f"{name}_{worst}", **figures, "unit": "share", "rows": len(seen)}
    wide, split = (float(seen[side].mean()) for side in ("ours", "split"))
    yield {"name": f"{name}_width", "ours": wide, "peer": split, "unit": "target's", "rows": len(seen)}


def _worst(seen: pd.DataFrame, hit: pd.Series, period: str, least: int) -> float:
    """Return the share of the full month or year that is farthest from the promise."""
    shares = hit.groupby(seen["at"].dt.tz_localize(None).dt.to_period(period)).agg(["mean", "size"])
    full = shares.loc[shares["size"] >= least, "mean"]
    return float(full.iloc[int((full - COVERAGE).abs().to_numpy().argmax())])


def _air_quality() -> pd.DataFrame:
    from include.monitoring.refits import fit
    from include.spec.load import load_all
    from include.training.snapshot import holdout_start, readable, split

    spec, frame = load_all()[NAME], _frame()
    parts = []
    for window in spec.replay.windows(spec.zone):
        known = readable(spec, frame, window.start)
        rows = frame[(frame["valid_at"] >= window.start) & (frame["valid_at"] < window.end) & frame["target"].notna()]
        if len(known) < spec.training.min_rows or rows.empty:
            continue
        cut = split(spec, known, holdout_start(spec, known["valid_at"].max()))
        model = fit(spec, "random_forest", cut.fit)
        held_out = np.abs(cut.holdout["target"] - model.predict(cut.holdout)).to_numpy()
        errors = np.abs(rows["target"] - model.predict(rows)).to_numpy()
        parts.append(_judged(rows["valid_at"], rows["available_at"], rows["target_known_at"], errors, held_out))
    return pd.concat(parts)


def _rate() -> pd.DataFrame:
    """Return persistence on the real FIX; each day's truth is known on the next."""
    from include.sandbox.market_data import fix

    days = pd.Series(dict(fix()))
    days.index = pd.to_datetime(days.index, utc=True)
    known = pd.Series(days.index[1:])
    made, errors = pd.Series(days.index[:-1]), days.diff().abs().to_numpy()[1:]
    parts = []
    for year in range(2018, made.iloc[-1].year + 1):
        own = np.flatnonzero(made.dt.year == year)
        held_out = errors[own[0] - HELD_OUT : own[0]]
        parts.append(_judged(made[own], made[own], known[own], errors[own], held_out))
    return pd.concat(parts)


def _judged(at: pd.Series, made: pd.Series, known: pd.Series, errors: np.ndarray, held_out: np.ndarray) -> pd.DataFrame:
    state = IntervalState.start(COVERAGE, list(held_out))
    widths, _, _ = adapt(state, list(made), list(known), list(errors), [None] * len(errors))
    split = float(np.sort(held_out)[min(int(np.ceil((len(held_out) + 1) * COVERAGE)), len(held_out)) - 1])
    return pd.DataFrame({"at": at.to_numpy(), "error": errors, "ours": widths, "split": split}).assign(
        at=lambda frame: pd.to_datetime(frame["at"], utc=True)
    )
