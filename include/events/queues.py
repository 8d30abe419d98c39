"""Queues: what is kept of a message, and which queues cannot be heard because their packages are not in the lock."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from include.spec.model import Pipeline

PACKAGES = {
    "airflow.providers.common.messaging": "apache-airflow-providers-common-messaging",
    "airflow.providers.apache.kafka": "apache-airflow-providers-apache-kafka",
}


def place_of(message: Any) -> str:
    """Return topic, partition and offset of a Kafka message: all that goes into Airflow's metadata.

    What a message says may be personal, and is not needed: the window decides what is loaded.

    Parameters
    ----------
    message : confluent_kafka.Message
        A message without an error; its value is not read.
    """
    return f"{message.topic()} {message.partition()} {message.offset()}"


def missing_packages() -> list[str]:
    """Return the packages a queue needs and that are not installed."""
    return [package for module, package in PACKAGES.items() if not _is_there(module)]


def unheard(pipelines: Iterable[Pipeline]) -> list[str]:
    """Return a line for each pipeline whose queue cannot be heard; it runs at its times all the same."""
    declared = [pipeline for pipeline in pipelines if pipeline.events and pipeline.events.queue]
    missing = missing_packages() if declared else []
    return [
        f"{pipeline.where('events', 'queue')}: events.queue: nobody listens, {' and '.join(missing)} is not installed;"
        " add it to requirements.in as docs/events.md says, or remove `queue`"
        for pipeline in declared
        if missing
    ]


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package it would be in
        return False
