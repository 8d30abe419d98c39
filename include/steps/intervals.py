"""The intervals of a window's predictions: their state is read before it is scored, and kept after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from include.registry.mlflow_registry import Version
    from include.steps.run import Run
    from include.training.forecaster import Forecaster
    from include.training.intervals import IntervalState

NEWEST = """
select errors, aimed_misses, as_of from ml.interval
where pipeline = %(pipeline)s and model_version = %(version)s and as_of <= %(made_at)s order by as_of desc limit 1
"""
# What the version predicted before and whose truth the state has not counted; of what it had learnt from, nothing.
WAITING = """
select p.entity, p.valid_at, t.first_known_at as known_at, (p.upper_bound - p.lower_bound) / 2 as half_width,
    abs(t.target - p.predicted) as error
from ml.prediction p
left join feature.target t on t.pipeline = p.pipeline and t.entity = p.entity and t.valid_at = p.valid_at
    and t.first_known_at <= %(until)s
where p.pipeline = %(pipeline)s and p.model_version = %(version)s and p.kind = 'batch' and p.is_honest
    and p.upper_bound is not null and (t.first_known_at is null or t.first_known_at > %(as_of)s)
order by p.valid_at
"""
KEEP = """
insert into ml.interval (pipeline, model_version, as_of, errors, aimed_misses, half_width, run_id)
values (%s, %s, %s, %s, %s, %s, %s) on conflict do nothing
"""


def with_intervals(cursor: Any, run: Run, version: Version, model: Forecaster, scored: pd.DataFrame) -> pd.DataFrame:
    """Return predictions with `half_width` and `interval_as_of`, and keep the state that the next window starts from.

    Parameters
    ----------
    scored : DataFrame, shape (n, …)
        Feature rows with `predicted` and `is_honest`, see `include.features.read.feature_rows`.
    """
    import pandas as pd

    from include.training.intervals import adapt

    if run.pipeline.target.is_probability:  # which says itself how sure it is
        return scored.assign(half_width=np.nan, interval_as_of=pd.Series(pd.NaT, scored.index, "datetime64[us, UTC]"))
    place = {"pipeline": run.pipeline.pipeline, "version": version.number}
    state = _state(cursor, place, model, scored["available_at"].min())
    cursor.execute(WAITING, place | {"as_of": state.as_of or "-infinity", "until": run.run_after})
    before = pd.DataFrame(cursor.fetchall(), columns=["entity", "valid_at", "known_at", "half_width", "error"])
    before = before.assign(made_at=before["valid_at"])  # what counts is when their truth became known
    is_known = scored["is_honest"] & (scored["target_known_at"] <= run.run_after)
    own = pd.DataFrame(
        {
            "entity": scored["entity"],
            "valid_at": scored["valid_at"],
            "made_at": scored["available_at"],
            "known_at": scored["target_known_at"].where(is_known),
            "half_width": np.nan,
            "error": (scored["target"] - scored["predicted"]).abs().where(is_known),
        }
    )
    place_of = ["entity", "valid_at"]
    own = own[~pd.MultiIndex.from_frame(own[place_of]).isin(pd.MultiIndex.from_frame(before[place_of]))]
    both = pd.concat([frame for frame in (before, own) if len(frame)]).sort_values("made_at", kind="stable")
    given = [None if np.isnan(width) else float(width) for width in both["half_width"]]
    known = [None if pd.isna(at) else at for at in both["known_at"]]
    widths, origins, state = adapt(state, list(both["made_at"]), known, list(both["error"].astype("float64")), given)
    if state.as_of is not None:
        figures = (list(state.errors), state.aimed_misses, state.half_width, run.ref.run_id)
        cursor.execute(KEEP, (*place.values(), state.as_of, *figures))
    as_of = pd.Series(origins, index=both.index, dtype="datetime64[us, UTC]")
    told = both[place_of].assign(half_width=widths, interval_as_of=as_of)
    return scored.merge(told, how="left", on=place_of)


def _state(cursor: Any, place: dict[str, Any], model: Forecaster, made_at: Any) -> IntervalState:
    from include.training.intervals import IntervalState

    cursor.execute(NEWEST, place | {"made_at": made_at})
    row = cursor.fetchone()
    if row is None:
        return IntervalState.start(model.coverage, model.held_out_errors())
    return IntervalState(model.coverage, tuple(row[0]), row[1], row[2])
