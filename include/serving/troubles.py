"""What is degraded and since when: noted by the keeper, written to ``state.json``, read by every worker."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

STATE = "state.json"
STALE_SECONDS = 10.0  # after which who says nothing is in trouble; a busy machine may delay what comes every second
log = logging.getLogger("ciclo.serving")


class Troubles:
    """Parts that do not do what they should, each with its reason; said in the log when it begins and when it ends.

    Examples
    --------
    >>> troubles = Troubles()
    >>> troubles.note("mlflow", "does not answer")
    >>> troubles.standing()["mlflow"]["why"]
    'does not answer'
    >>> troubles.clear("mlflow")
    >>> troubles.standing()
    {}
    """

    def __init__(self) -> None:
        self._parts: dict[str, dict[str, str]] = {}
        self._waits: dict[str, float] = {}  # since when a part is waited for, seconds

    @contextmanager
    def awaits(self, part: str) -> Iterator[None]:
        """Wait for a part during a block: one that says nothing for `STALE_SECONDS` is in trouble meanwhile."""
        self.beat(part)
        try:
            yield
        finally:
            self._waits.pop(part, None)

    def beat(self, part: str) -> None:
        """Say that a part which is waited for has just done something."""
        self._waits[part] = time.time()

    def note(self, part: str, why: str) -> None:
        """Say why a part is degraded; it is so since the first time."""
        before = self._parts.get(part)
        if before is None or before["why"] != why:
            log.warning("%s: %s", part, why)
        self._parts[part] = {"since": before["since"] if before else utc(time.time()), "why": why}

    def clear(self, part: str) -> None:
        """Say that a part does what it should."""
        if self._parts.pop(part, None):
            log.info("%s: is well again", part)

    def standing(self) -> dict[str, dict[str, str]]:
        """Return what is degraded: since when (UTC) and why, by part."""
        now, parts = time.time(), dict(self._parts)
        for part, since in list(self._waits.items()):
            if now - since > STALE_SECONDS:
                parts[part] = {"since": utc(since), "why": f"has not answered for {now - since:.0f} s"}
        return parts


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Tell the workers how the keeper and what it looks after do, in one step."""
    temporary = folder / f".{STATE}"
    temporary.write_text(json.dumps({"at": time.time()} | state))
    os.replace(temporary, folder / STATE)


class KeeperState:
    """What a worker knows of the keeper.

    Attributes
    ----------
    waiting_bytes, refused_lines : int or None
        Answers that the warehouse has not taken, and those it refused; None where the keeper has not told.
    """

    def __init__(self, folder: Path) -> None:
        self._path, self._told_at = folder / STATE, time.time()
        self._troubles: dict[str, dict[str, str]] = {}
        self.waiting_bytes: int | None = None
        self.refused_lines: int | None = None

    def refresh(self) -> None:
        """Read what the keeper has written."""
        if not self._path.exists():
            return
        state = json.loads(self._path.read_text())
        self._told_at, self._troubles = state["at"], state["troubles"]
        self.waiting_bytes, self.refused_lines = state["waiting_bytes"], state["refused_lines"]

    def troubles(self) -> dict[str, dict[str, str]]:
        """Return what is degraded; where the keeper has fallen silent, that is, too."""
        if time.time() - self._told_at < STALE_SECONDS:
            return self._troubles
        why = "it is silent, killed or on a full disk: no other version is followed, and answers wait in the log"
        return self._troubles | {"keeper": {"since": utc(self._told_at), "why": why}}


def utc(seconds: float) -> str:
    """Return a time of the system's clock, as people read it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
