"""The task `find_overdue` of ``alert``: notice what should be there by now, in any pipeline."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

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
