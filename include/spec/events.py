"""What may start ``ingest_<pipeline>`` beside the clock."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from include.spec.fields import ConnectionId, Name, Strict

Topic = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$", examples=["desk.operation"])]


class Notify(Strict):
    """Postgres `NOTIFY` from a database that a source of kind `sql` reads."""

    connection: ConnectionId = Field(description="The Airflow Connection of that source.")
    channel: Name = Field(description="The channel that is notified when rows were written.")
    quiet_seconds: float = Field(
        2,
        ge=0.1,
        le=300,
        description="Wait for so much silence, so that a burst starts one run; in a lasting stream ten times as long.",
        json_schema_extra={"unit": "s"},
    )


class Queue(Strict):
    """Messages of a queue, through Airflow's message-queue trigger; needs two more packages, see docs/events.md."""

    scheme: Literal["kafka"] = Field(description="Kind of queue.")
    connection: ConnectionId = Field(description="The Airflow Connection of the brokers, with the consumer's settings.")
    topics: tuple[Topic, ...] = Field(min_length=1, description="Topics whose messages say that rows were written.")


class Events(Strict):
    """What starts the pipeline's ingest beside the clock. An event says when to look, the window says what to load."""

    webhook: Literal[True] = Field(
        True, description="Anybody whom Airflow's API allows it may report news; that goes with any event."
    )
    notify: Notify | None = Field(None, description="Listen to a database.")
    queue: Queue | None = Field(None, description="Listen to a message queue.")
