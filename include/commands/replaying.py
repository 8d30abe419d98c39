"""What a replay reads: windows, features, the champion's recipe, and what was known of each window."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from include.errors import ConfigError, NothingToDo
from include.windows import Window, midnight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Engine

    from include.monitoring.ground import Ground
    from include.spec.model import Pipeline

CANDIDATE = """
select d.evidence->>'chosen' from mart.live_version l
join ml.decision d on d.pipeline = l.pipeline and d.model_version = l.version and d.evidence->>'chosen' is not null
where l.pipeline = %s and l.to_at is null order by d.decision_id desc limit 1
"""
SIMULATED = """
select distinct source from raw.payload where pipeline = %s and is_simulated
union select '' from ops.run where pipeline = %s and is_simulated
"""


def champions_candidate(engine: Engine, spec: Pipeline) -> str:
    """Return the candidate that the standing champion is, from the ledger.

    Raises
    ------
    ConfigError
        There is no champion, or pipeline.yaml does not know its candidate any more.
    """
    with engine.connect() as connection:
        result: str | None = connection.exec_driver_sql(CANDIDATE, (spec.pipeline,)).scalar()
    if result in spec.training.candidates:
        return str(result)
    what = f"its champion is a {result}, which pipeline.yaml no longer has" if result else "it has no champion yet"
    choice = ", ".join(spec.training.candidates)
    raise ConfigError(f"{spec.pipeline}: {what}; say which recipe to train with --candidate, one of {choice}")


def windows_of(engine: Engine, spec: Pipeline, start: str | None, end: str | None) -> list[Window]:
    """Return the windows to play: those of the replay plan that are loaded, or of the same length between two days.

    Raises
    ------
    NothingToDo
        Nothing is loaded.
    ConfigError
        A day cannot be read, or nothing lies between the two.
    """
    from include.warehouse.loaded_windows import loaded_span

    with engine.connect() as connection:
        loaded = loaded_span(connection, spec, spec.main)
    name = spec.pipeline
    if loaded is None:
        raise NothingToDo(f"{name}: nothing is loaded yet: play its plan with ciclo run {name}, then replay it")
    plan = spec.replay.windows(spec.zone)
    if start is None and end is None:
        return [window for window in plan if loaded[0] <= window.start and window.end <= loaded[1]]
    first = _midnight(spec, "--from", start) if start else max(plan[0].start, loaded[0])
    last = _midnight(spec, "--to", end) if end else loaded[1]
    if first >= last:
        raise ConfigError(f"{name}: nothing lies between {first:%Y-%m-%d} and {last:%Y-%m-%d}: mend --from or --to")
    history = [window for window in plan[:1] if spec.replay.history and first <= window.start and window.end < last]
    rest = Window(history[0].end if history else first, last)
    return [*history, *rest.split(spec.replay.step, spec.zone)]


def read_ground(engine: Engine, spec: Pipeline, windows: Sequence[Window]) -> Ground:
    """Read the features up to the last window's end, without excluded rows, and how each window was closed."""
    from include.features.read import feature_rows, read_marks
    from include.monitoring.ground import Ground, Seen
    from include.monitoring.outcomes import outcome_of
    from include.steps.look import state_of
    from include.training.snapshot import trusted

    if not windows:
        raise NothingToDo(
            f"{spec.pipeline}: no window of its replay plan is loaded: choose others with --from and --to, or play the"
            f" plan with ciclo run {spec.pipeline}"
        )
    rows = feature_rows(engine, spec, None, windows[-1].end)
    frame = trusted(spec, rows, read_marks(engine, spec))
    seen = {}
    for window in windows:
        outcome = outcome_of(engine, spec, window) if spec.monitoring.business else None
        seen[window] = Seen(*state_of(engine, spec, window, rows=1), outcome)
    return Ground(spec, frame, windows, seen)


def told(recipe: str) -> str:
    """Return what a training does in a replay, in words."""
    who = f"fits {recipe}" if recipe else "fits every candidate"
    return f"Each training {who} on all but the held-out days; the gate's rules on errors and leaks let it take over."


def simulated_data(engine: Engine, spec: Pipeline) -> str:
    """Return which of the pipeline's data are SIMULATED, as a sentence; nothing where all are real."""
    with engine.connect() as connection:
        result = set(connection.exec_driver_sql(SIMULATED, (spec.pipeline, spec.pipeline)).scalars())
    if not result:
        return ""
    return f"SIMULATED sources: {', '.join(sorted(result - {''})) or 'of some runs'}."


def _midnight(spec: Pipeline, option: str, text: str) -> datetime:
    try:
        return midnight(date.fromisoformat(text), spec.zone)
    except ValueError:
        raise ConfigError(f"{option} {text!r} is no day: write it like 2004-09-01") from None
