"""What was refused, on record: counted by minute, subject, pipeline and status, so that no flood fills the disk."""

from __future__ import annotations

import logging
import time
from collections import Counter
from datetime import UTC, datetime

from include.serving.spool import Spool, SpoolFull

MOST_KINDS = 1000  # that are kept apart between two visits to the spool
FLUSHES_SECONDS = 1.0
COLUMNS = ("minute_at", "subject", "pipeline", "status", "request_count")
log = logging.getLogger(__name__)


class Audit:
    """Counts refusals and appends them to a spool of their own, whose lines go to ``ops.service_audit``."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._counts: Counter[tuple[int, str, str, int]] = Counter()
        self._flushed = 0.0

    def refused(self, subject: str, pipeline: str, status: int) -> None:
        """Count a request that was not answered.

        Parameters
        ----------
        subject : str
            Who asked; empty where no token says so.
        pipeline : str
            One that is served here, or empty: what strangers make up is not kept.
        """
        kind = (int(time.time() // 60), subject, pipeline, status)
        if kind not in self._counts and len(self._counts) >= MOST_KINDS:
            kind = (kind[0], "", "", status)
        self._counts[kind] += 1

    def flush(self) -> None:
        """Append what was counted; where the spool is full, it waits and goes on being counted."""
        if not self._counts or time.monotonic() - self._flushed < FLUSHES_SECONDS:
            return
        self._flushed = time.monotonic()
        try:
            self._spool.measure()
            self._spool.append("".join(map(_line, self._counts.items())).encode())
            self._counts.clear()
        except SpoolFull as full:
            log.warning("refused requests cannot be put on record yet: %s", full)

    def close(self) -> None:
        """Append what is left."""
        self._flushed = 0.0
        self.flush()
        self._spool.close()


def _line(counted: tuple[tuple[int, str, str, int], int]) -> str:
    (minute, subject, pipeline, status), count = counted
    escaped = subject.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
    return f"{datetime.fromtimestamp(60 * minute, UTC).isoformat()}\t{escaped}\t{pipeline}\t{status}\t{count}\n"
