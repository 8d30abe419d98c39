"""What happens when a run has not ended in time: people are told while it still runs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions.callback import SyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

if TYPE_CHECKING:
    from include.spec.model import Pipeline


def alert_late(context: Mapping[str, Any], pipeline: str) -> None:
    """Record that a run has not ended in time; Airflow calls it in a process of its own."""
    from include.alerts.record import raise_alert
    from include.spec.load import load_named
    from include.steps.connections import warehouse
    from include.warehouse.batch import RunRef

    run, spec = context["dag_run"], load_named(pipeline)
    message = (
        f"{run['dag_id']} {run['dag_run_id']}: it was queued at {run['queued_at']} and has not ended"
        f" {spec.alerts.late_after_minutes:g} minutes later; see which of its tasks runs or waits"
    )
    with warehouse() as engine, engine.begin() as connection:
        raise_alert(connection, spec, "overdue", message, RunRef(run["dag_id"], run["dag_run_id"]))


def deadline(pipeline: Pipeline, verb: str) -> DeadlineAlert | None:
    """Return by when a run has to end; None for one that may wait for a person."""
    if verb == "train" and pipeline.promotion.approval == "manual":
        return None
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(minutes=pipeline.alerts.late_after_minutes),
        callback=SyncCallback(alert_late, {"pipeline": pipeline.pipeline}),
    )
