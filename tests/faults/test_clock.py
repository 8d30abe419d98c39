"""A machine whose clock jumps, forwards or back, in the middle of a run loads what one with a steady clock does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.faults.conftest import KNOWN, TaskServer
from tests.faults.server import Server

# In which phase of each run the clock jumps, and then differs by how much from the true one.
JUMPS = (
    ("check gauges: write", "-3h"),
    ("load: stage", "+2d"),
    ("extract gauges: move", "-30d"),
    ("load: record", "+0"),
    ("load: begin", "-1h"),
)


class Clock:
    """The clock of the processes that have its environment."""

    def __init__(self, folder: Path, library: Path) -> None:
        self._file = folder / "clock"
        self.set("+0")
        self.environ = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, difference: str) -> None:
        self._file.write_text(difference)


@pytest.fixture(scope="module")
def clock(throw_away_folder: Path) -> Clock:
    [library] = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    folder = throw_away_folder / f"clock-{uuid4().hex[:12]}"
    folder.mkdir(mode=0o755)
    return Clock(folder, library)


@pytest.fixture(scope="module")
def site(clock: Clock, make_site: Callable[..., Any], throw_away_folder: Path) -> Iterator[Any]:
    """Give an empty warehouse and tasks that go by that clock."""
    server = Server.migrated(throw_away_folder / f"postgres-{uuid4().hex[:12]}", clock.environ)
    tasks = TaskServer(clock._file.parent, clock.environ)
    tasks.wait_until_ready()
    yield make_site(server.url, tasks)
    tasks.close()
    server.stop()


def test_a_clock_that_jumps_changes_nothing_that_is_loaded(site, clock, runs, undisturbed) -> None:
    for (phase, difference), asked, usual in zip(JUMPS, runs, undisturbed, strict=False):
        attempt = site.start(asked, hold=phase)
        assert attempt.follow(phase=phase), f"{attempt.phase}: {attempt.error} {attempt.message}"
        clock.set(difference)
        attempt.release()
        attempt.finish()
        assert attempt.ended == 0, f"{attempt.phase}: {attempt.error} {attempt.message}"
        loaded, expected = (
            {name: held for name, held in contents.items() if KNOWN not in name}
            for contents in (site.contents(), usual.contents)
        )
        assert loaded == expected, f"after {phase}, {difference}"
        assert site.faults() == {}
