"""The asset that stands for a pipeline's sources: an event on it starts ``ingest_<pipeline>``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import Asset, AssetWatcher

from include.errors import ConfigError
from include.events.queues import missing_packages
from include.spec.parts import Notify, Queue

if TYPE_CHECKING:
    from include.spec.model import Pipeline


def source_asset(pipeline: Pipeline) -> Asset:
    """Return the asset ``source_<pipeline>`` with the watchers that the pipeline declares.

    Airflow's API accepts events for it whether it is watched or not. A queue whose packages are
    not installed is left out: ``dags/broken_pipelines.py`` tells of it, and the schedule goes on.
    """
    events = pipeline.events
    watchers = [_database(pipeline, events.notify)] if events and events.notify else []
    watchers += [_queue(events.queue)] if events and events.queue and not missing_packages() else []
    name = pipeline.pipeline
    # For a scheme without x- Airflow imports what every provider knows about URIs, at each parse.
    return Asset(f"source_{name}", uri=f"x-ciclo://source/{name}", watchers=watchers)


def _database(pipeline: Pipeline, notify: Notify) -> AssetWatcher:
    from include.events.notify import PostgresNotifyTrigger

    source = pipeline.notified_source(notify)
    if source is None:
        raise ConfigError(f"{pipeline.where('events')}: no source of kind sql reads from {notify.connection!r}")
    trigger = PostgresNotifyTrigger(
        pipeline=pipeline.pipeline,
        connection=notify.connection,
        channel=notify.channel,
        table=source.table,
        time_column=source.time_column,
        quiet_seconds=notify.quiet_seconds,
    )
    return AssetWatcher(name=f"notify_{notify.channel}", trigger=trigger)


def _queue(queue: Queue) -> AssetWatcher:
    from airflow.providers.common.messaging.triggers.msg_queue import MessageQueueTrigger

    trigger = MessageQueueTrigger(
        scheme=queue.scheme,
        kafka_config_id=queue.connection,
        topics=list(queue.topics),
        apply_function="include.events.queues.place_of",
    )
    return AssetWatcher(name=f"queue_{queue.scheme}", trigger=trigger)
