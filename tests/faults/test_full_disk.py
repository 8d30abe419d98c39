"""A disk that is full, under the lake or under Postgres, stops a run with its error and costs nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.faults.server import Server

PHASES = ("extract gauges: begin", "check gauges: write", "load: stage", "load: record")


class Disk:
    """A disk of its own, in memory, that can be filled up."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._ballast = folder, folder / "ballast"
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", str(folder)], check=True)
        folder.chmod(0o755)

    def fill(self) -> None:
        """Leave no byte."""
        with self._ballast.open("wb", buffering=0) as ballast:
            for size in (1 << 20, 1):
                try:
                    while True:
                        ballast.write(bytes(size))
                except OSError:
                    continue

    def clear(self) -> None:
        self._ballast.unlink()


@pytest.fixture(scope="module")
def disk(throw_away_folder: Path) -> Iterator[Disk]:
    disk = Disk(throw_away_folder / f"disk-{uuid4().hex[:12]}")
    yield disk
    subprocess.run(["umount", "--lazy", disk.folder], check=True)


@pytest.fixture(scope="module")
def server(disk: Disk) -> Iterator[Server]:
    server = Server.migrated(disk.folder / "postgres")
    yield server
    server.stop()


def test_a_disk_that_is_full_at_any_moment_costs_nothing(
    disk, server, runs, undisturbed, make_site: Callable[..., Any]
) -> None:
    site = make_site(server.url, lake=disk.folder / "lake")
    for phase, asked, usual in zip(PHASES, runs, undisturbed, strict=False):
        attempt = site.start(asked, hold=phase)
        assert attempt.follow(phase=phase), f"{attempt.phase}: {attempt.error} {attempt.message}"
        disk.fill()
        attempt.release()
        attempt.finish()
        assert (attempt.ended, attempt.error) in ((1, "OSError"), (1, "SourceUnavailable")), attempt.message
        disk.clear()
        server.come_back()
        site.complete(asked, attempt.results)
        assert site.contents() == usual.contents, f"after {phase}"
    assert site.faults() == {}
    assert site.left_over() == []
    site.clean_lake()
    assert site.lost() == set()
