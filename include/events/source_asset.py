"""The asset that stands for a pipeline's sources: an event on it, told by a database or a queue, starts its ingest."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetWatcher

from include.errors import ConfigError
from include.spec.parts import Notify, Queue

if TYPE_CHECKING:
    from include.spec.model import Pipeline

# What a queue needs beside the lock.
PACKAGES = ("apache-airflow-providers-common-messaging", "apache-airflow-providers-apache-kafka")


def source_asset(pipeline: Pipeline) -> Asset:
    """Return the asset ``source_<pipeline>`` with the watchers that the pipeline declares.

    Airflow's API accepts events for it whether it is watched or not. A queue whose packages are
    not installed is left out: ``dags/broken_pipelines.py`` tells of it, and the schedule goes on.
    """
    events = pipeline.events
    watchers = [_database(pipeline, events.notify)] if events and events.notify else []
    watchers += [_queue(events.queue)] if events and events.queue and not _missing_packages() else []
    name = pipeline.pipeline
    # For a scheme without x- Airflow imports what every provider knows about URIs, at each parse.
    return Asset(f"source_{name}", uri=f"x-ciclo://source/{name}", watchers=watchers)


def place_of(message: Any) -> str:
    """Return topic, partition and offset of a Kafka message: all that goes into Airflow's metadata.

    What a message says may be personal, and is not needed: the window decides what is loaded.
    The message is a ``confluent_kafka.Message`` without an error; its value is not read.
    """
    return f"{message.topic()} {message.partition()} {message.offset()}"


def unheard(pipelines: Iterable[Pipeline]) -> list[str]:
    """Return a line for each pipeline whose queue cannot be heard; it runs at its times all the same."""
    declared = [pipeline for pipeline in pipelines if pipeline.events and pipeline.events.queue]
    missing = _missing_packages() if declared else []
    return [
        f"{pipeline.where('events', 'queue')}: events.queue: nobody listens, {' and '.join(missing)} is not installed;"
        " add it to requirements.in as docs/events.md says, or remove `queue`"
        for pipeline in declared
        if missing
    ]


def _missing_packages() -> list[str]:
    return [name for name in PACKAGES if not list(metadata.Distribution.discover(name=name))]


def _database(pipeline: Pipeline, notify: Notify) -> AssetWatcher:
    from include.events.notify import PostgresNotifyTrigger

    source = pipeline.notified_source(notify)
    if source is None:
        raise ConfigError(f"{pipeline.where('events')}: no source of kind sql reads from {notify.connection!r}")
    place = (notify.channel, source.table, source.time_column)
    trigger = PostgresNotifyTrigger(pipeline.pipeline, notify.connection, *place, quiet_seconds=notify.quiet_seconds)
    return AssetWatcher(name=f"notify_{notify.channel}", trigger=trigger)


def _queue(queue: Queue) -> AssetWatcher:
    from airflow.providers.common.messaging.triggers.msg_queue import MessageQueueTrigger

    trigger = MessageQueueTrigger(
        scheme=queue.scheme,
        kafka_config_id=queue.connection,
        topics=list(queue.topics),
        apply_function="include.events.source_asset.place_of",
    )
    return AssetWatcher(name=f"queue_{queue.scheme}", trigger=trigger)
