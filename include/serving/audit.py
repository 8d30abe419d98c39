"""What was refused, on record: counted by minute, subject, pipeline and status, so that no flood fills the disk."""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
import uuid
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

MOST_KINDS = 1000  # that are kept apart in one file
MOST_FILES = 1000  # of all workers, that wait for the warehouse
FLUSHES_SECONDS = 5.0
SUFFIX = ".json"
log = logging.getLogger(__name__)


class Audit:
    """Counts what a worker refuses, and writes it to files, whole or not there, which go to ``ops.service_audit``.

    Parameters
    ----------
    folder : Path
        Shared by the workers of one service.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
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
            kind = (kind[0] // 1440 * 1440, "", "", status)  # of the day, so that this is bounded, too
        self._counts[kind] += 1

    def flush(self, at_once: bool = False) -> None:
        """Write what was counted; where there is no room, it waits and goes on being counted."""
        if not self._counts or (time.monotonic() - self._flushed < FLUSHES_SECONDS and not at_once):
            return
        self._flushed = time.monotonic()
        try:
            if len(waiting(self.folder)) >= MOST_FILES:
                return
            rows = [
                (datetime.fromtimestamp(60 * minute, UTC).isoformat(), *kind, count)
                for (minute, *kind), count in self._counts.items()
            ]
            descriptor, half = tempfile.mkstemp(dir=self.folder, prefix=".half-")
            with os.fdopen(descriptor, "w") as file:
                json.dump(rows, file)
            os.replace(half, self.folder / f"{time.time_ns():020d}-{uuid.uuid4().hex}{SUFFIX}")
        except OSError as error:
            log.warning("refused requests cannot be put on record yet: %s", error)
            return
        self._counts.clear()


def waiting(folder: Path) -> list[Path]:
    """Return the files that are not in the warehouse yet, the oldest first."""
    return sorted(folder.glob(f"[!.]*{SUFFIX}"))
