"""``PostgresNotifyTrigger``: the Airflow event trigger that turns ``NOTIFY`` into events of an asset."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from include.errors import CicloError, ConfigError

if TYPE_CHECKING:
    from include.events.listener import Listener

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
# A stream that never falls silent starts a run as often as this many quiet times.
LONGEST_BURST = 10
KEY = "newest_row"  # under which the store remembers its time

log = logging.getLogger(__name__)


class PostgresNotifyTrigger(BaseEventTrigger):
    """Fire when a Postgres channel was notified, once a burst; nothing is ever polled.

    An event only says that there is something to look at: which rows are loaded is decided by
    the run's window, which reaches back to the last load. So a notification that comes twice
    costs nothing, and one that was lost, the next event or the next scheduled run makes good.
    After each connection, the first one after a restart included, the newest row is compared
    with the newest one seen before: if it is newer, notifications were lost and one event fires.

    It never ends by itself, since Airflow would start it again at once: a database that is away
    is tried again after pauses that grow to a minute.

    Parameters
    ----------
    pipeline, connection, channel : str
        Whose ingest is started, the id of the Airflow Connection (all that is stored of it), and where to listen.
    table, time_column : str
        ``schema.table`` the notifications tell of, and its time: shows whether any were missed.
    quiet_seconds : float
        Silence to wait for, so that a burst fires once.
    """

    def __init__(
        self, pipeline: str, connection: str, channel: str, table: str, time_column: str, quiet_seconds: float = 2
    ) -> None:
        super().__init__()
        self.pipeline, self.connection, self.channel = pipeline, connection, channel
        self.table, self.time_column, self.quiet_seconds = table, time_column, quiet_seconds
        self._newest: str | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class's path and its parameters, none of them secret."""
        names = ("pipeline", "connection", "channel", "table", "time_column", "quiet_seconds")
        return "include.events.notify.PostgresNotifyTrigger", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event a burst of notifications, for ever."""
        from include.events.listener import listening  # the driver is for the triggerer, not for parsing DAGs

        pause = FIRST_PAUSE_SECONDS
        while True:
            began = monotonic()
            try:
                async with listening(self.connection, self.channel, f"ciclo ingest_{self.pipeline}") as listener:
                    log.info("%s: listening to %s of %s", self.pipeline, self.channel, self.connection)
                    async with aclosing(self._events(listener)) as events:
                        async for event in events:
                            yield event
            except CicloError as error:
                pause = next_pause(pause, monotonic() - began, isinstance(error, ConfigError))
                log.warning(
                    "%s: not listening to %s: %s; trying again in %.0f s; until then ingest_%s keeps its schedule",
                    *(self.pipeline, self.channel, error, pause, self.pipeline),
                )
            # Many listeners that lost the same server do not come back in the same instant.
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - no secret

    async def _events(self, listener: Listener) -> AsyncGenerator[TriggerEvent]:
        if await self._has_missed(listener):
            yield self._event("rows came while nobody listened", 0)
        while True:
            count = await listener.notified()
            count += await listener.settled(self.quiet_seconds, LONGEST_BURST * self.quiet_seconds)
            yield self._event("notified", count)
            await self._remember(await listener.newest(self.table, self.time_column))

    def _event(self, reason: str, notifications: int) -> TriggerEvent:
        source = {"connection": self.connection, "channel": self.channel}
        return TriggerEvent({**source, "reason": reason, "notifications": notifications})

    async def _has_missed(self, listener: Listener) -> bool:
        """Tell whether rows came since the newest one that was seen; the very first look has nothing to compare."""
        if self._newest is None:
            with _forgetful():
                self._newest = await self.asset_state_store.aget(KEY) if self.asset_state_store else None
        before, newest = self._newest, await listener.newest(self.table, self.time_column)
        await self._remember(newest)
        return before is not None and newest > before

    async def _remember(self, newest: str) -> None:
        """Keep the newest row's time, beyond a restart of the triggerer, in Airflow's store for the asset."""
        is_known, self._newest = newest == self._newest, newest
        if self.asset_state_store and not is_known:
            with _forgetful():
                await self.asset_state_store.aset(KEY, newest)


@contextmanager
def _forgetful() -> Iterator[None]:
    """Go on where Airflow does not remember, and say what it costs: a memory is only needed after a restart."""
    from airflow.sdk.exceptions import AirflowRuntimeError

    try:
        yield
    except AirflowRuntimeError as error:
        log.warning(
            "Airflow does not remember the newest row (%s): after a restart nobody knows what was missed", error
        )


def next_pause(pause: float, lasted: float, needs_a_person: bool) -> float:
    """Return how long to wait before connecting again, seconds, from the pause before and how long the connection held.

    What needs a person is not tried again soon: many wrong passwords lock an account.

    Examples
    --------
    >>> next_pause(4, lasted=0.1, needs_a_person=False), next_pause(32, lasted=3600, needs_a_person=False)
    (8, 1.0)
    >>> next_pause(1, lasted=0.1, needs_a_person=True)
    60.0
    """
    if needs_a_person:
        return LONGEST_PAUSE_SECONDS
    return FIRST_PAUSE_SECONDS if lasted > LONGEST_PAUSE_SECONDS else min(2 * pause, LONGEST_PAUSE_SECONDS)
