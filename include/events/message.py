"""What is kept of a queue's message: where it stood, never what it said."""

from __future__ import annotations

from typing import Any


def place_of(message: Any) -> str:
    """Return topic, partition and offset of a Kafka message: all that goes into Airflow's metadata.

    What a message says may be personal, and is not needed: the window decides what is loaded.

    Parameters
    ----------
    message : confluent_kafka.Message
        A message without an error; its value is not read.
    """
    return f"{message.topic()} {message.partition()} {message.offset()}"
