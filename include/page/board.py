"""The health of all pipelines for whoever looks: read in the background, since reading it may take seconds."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import NamedTuple

from include.health.looking import Looked

FRESH_SECONDS = 15.0
BREATHS = 10  # a reading is followed by a pause so many times as long, so that looking costs little
PATIENCE_SECONDS = 0.3
OLD = timedelta(minutes=2)  # a reading as old as this is awaited longer, and shown with its age
PATIENCE_OLD_SECONDS = 0.5
log = logging.getLogger(__name__)


class Shown(NamedTuple):
    """What is known of the pipelines' health.

    Attributes
    ----------
    looked : Looked or None
        None until it was read once.
    as_of : datetime or None
        When that reading began, UTC.
    is_reading : bool
        Whether a newer reading goes on.
    problem : str
        Why the newest reading failed; else empty.
    """

    looked: Looked | None
    as_of: datetime | None
    is_reading: bool
    problem: str

    def problems(self, now: datetime) -> list[str]:
        """Return what keeps this from being how things are now: a reading that failed, one that is old."""
        problems = [self.problem] if self.problem else []
        if self.as_of and now - self.as_of >= OLD:
            minutes = (now - self.as_of) // timedelta(minutes=1)
            ago = f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"
            newer = "a newer reading goes on: reload" if self.is_reading else "the newest reading takes long or failed"
            problems.append(f"This is how it was {ago} ago, and may be so no more; {newer}.")
        return problems


class Board:
    """Keeps the newest reading; many who look at once cause one, and nobody waits longer than a blink.

    Parameters
    ----------
    read : callable
        Reads the health of all pipelines.
    """

    def __init__(self, read: Callable[[], Looked]) -> None:
        self._read = read
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(1, "ciclo-health")
        self._reading: Future[None] | None = None
        self._stale_at = 0.0
        self._shown = Shown(None, None, is_reading=False, problem="")

    @property
    def is_first_reading(self) -> bool:
        """Whether the health is being read, and never was before."""
        return self._reading is not None and not self._reading.done() and self._shown.as_of is None

    def look(self, patience: float | None = None) -> Shown:
        """Return the newest reading; one that is older than some seconds is read again, and awaited for a moment."""
        if patience is None:
            as_of = self._shown.as_of
            is_old = as_of is not None and datetime.now(UTC) - as_of >= OLD
            patience = PATIENCE_OLD_SECONDS if is_old else PATIENCE_SECONDS
        with self._lock:
            if time.monotonic() >= self._stale_at and (self._reading is None or self._reading.done()):
                self._reading = self._pool.submit(self._renew)
            reading = self._reading
        if reading is not None:
            wait([reading], patience)
        return self._shown._replace(is_reading=reading is not None and not reading.done())

    def _renew(self) -> None:
        as_of, began = datetime.now(UTC), time.monotonic()
        try:
            self._shown = Shown(self._read(), as_of, is_reading=False, problem="")
        except Exception as error:  # the page tells it: one that shows nothing would tell nobody
            log.exception("the health of the pipelines could not be read")
            self._shown = self._shown._replace(problem=f"{type(error).__name__}: {error}")
        ended = time.monotonic()
        self._stale_at = max(began + FRESH_SECONDS, ended + BREATHS * (ended - began))
