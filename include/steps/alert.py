"""The tasks of ``alert``: notice what should be there by now, and what has become of each pipeline's health."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

NOT_YET = ("new", "untrained", "unjudged", "unserved")  # what a pipeline that is being set up is, and need not tell

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.engine import Engine

    from include.spec.model import Pipeline


def find_overdue(engine: Engine, pipelines: Mapping[str, Pipeline], now: datetime) -> int:
    """Raise an alert for each stretch that should be loaded and each prediction that is late; return how many.

    What goes on is told once: a stretch by where it begins, a prediction by when it was due.
    """
    from include.alerts.overdue import overdue
    from include.alerts.record import raise_alert
    from include.warehouse.batch import RunRef

    count = 0
    for pipeline in pipelines.values():
        with engine.begin() as connection:
            late = overdue(connection, pipeline, now)
            for message in late:
                raise_alert(connection, pipeline, "overdue", message, RunRef("alert", "overdue"))
        count += len(late)
    return count


def watch_health(
    engine: Engine,
    pipelines: Mapping[str, Pipeline],
    faults: Mapping[str, list[str]],
    mlflow_url: str,
    now: datetime,
) -> dict[str, int]:
    """Look how every pipeline is and tell people of what changed; return how often each was done, see `react`.

    A pipeline whose first window was closed within the last hour is only being set up. Of one that cannot be loaded any
    more nothing is known but that. That alerts do not arrive is told by no alert.

    Parameters
    ----------
    faults : mapping
        By pipeline, the lines that say what is wrong with its file.
    """
    from collections import Counter

    from include.alerts.audience import audience, audiences
    from include.alerts.overdue import is_being_set_up
    from include.alerts.watch import watch
    from include.health.looking import look

    health = look(engine.url.render_as_string(hide_password=False), mlflow_url, faults).health
    acts: Counter[str] = Counter()
    with engine.begin() as connection:
        every = audiences(connection, pipelines)
    for name, one in health.items():
        with engine.begin() as connection:
            aspects = {key: told for key, told in one.aspects.items() if told["word"] != "unheard"}
            if name not in pipelines:
                aspects = {"run": aspects["run"]}
            elif is_being_set_up(connection, name, now):
                aspects = {key: told for key, told in aspects.items() if told["word"] not in NOT_YET}
            acts.update(watch(connection, audience(name, every), aspects, now).values())
    return dict(acts)
