"""What happens when a task has failed for good: people are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from include.spec.model import Pipeline


def alert_failure(pipeline: Pipeline, context: Mapping[str, Any]) -> None:
    """Record that a task has failed for good; Airflow calls it after the last try."""
    from include.alerts.record import raise_alert
    from include.steps.run import open_run

    with open_run(pipeline, context, is_strict=False) as run, run.engine.begin() as connection:
        task = context["ti"].task_id
        raise_alert(connection, pipeline, "failure", f"{run.ref.dag_id} {task}: {context.get('exception')}", run.ref)
