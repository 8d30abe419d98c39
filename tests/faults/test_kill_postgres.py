"""A Postgres killed with SIGKILL, whole or one of its processes, loses nothing and doubles nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg2
import pytest

from tests.faults.server import Server

KILLS = (3, 3, 2, 2)  # in each of the first runs
# Where a task is in a transaction.
PLACES = (
    "while looking for repeats",
    "while copying onto new ground",
    "while staging",
    "while comparing",
    "while recording",
    "before the commit",
)
KINDS = ("postmaster", "backend")


@pytest.fixture(scope="module")
def server(throw_away_folder: Path) -> Iterator[Server]:
    """Start a Postgres that may die."""
    server = Server.migrated(throw_away_folder / f"postgres-{uuid4().hex[:12]}")
    yield server
    server.stop()


@pytest.fixture
def site(server: Server, make_site: Callable[[str], Any]) -> Any:
    """Give an empty warehouse on the server that may die."""
    return make_site(server.url)


def test_a_postgres_killed_anywhere_and_started_again_holds_exactly_what_an_undisturbed_one_does(
    site, server, runs, undisturbed, chance
) -> None:
    kinds: Counter[str] = Counter()
    chance.places, chance.hold_share = PLACES, 1.0
    for asked, usual, kills in zip(runs, undisturbed, KILLS, strict=False):
        do_killed(site, server, asked, usual, chance, kinds, kills)
        assert site.contents() == usual.contents, f"after {asked.run_id}"
        assert site.faults() == {}
    print(dict(kinds), dict(chance.hits))
    assert kinds.total() == sum(KILLS)
    assert set(kinds) == set(KINDS)
    assert chance.missed() == []
    assert site.left_over() == []
    assert server.temporary_files() == []
    _, kept = site.clean_lake()
    assert {name.partition("/")[0] for name in kept} == {"payloads", "manifests"}
    assert site.lost() == set()


@pytest.mark.parametrize("kind", KINDS)
def test_a_postgres_killed_between_check_and_load_costs_nothing(site, server, runs, undisturbed, kind) -> None:
    attempt = site.start(runs[0], hold="load: begin")
    assert attempt.follow(phase="load: begin")
    with closing(psycopg2.connect(site.warehouse)):  # so that there is a backend to kill
        assert server.kill(kind)
    attempt.release()
    attempt.finish()
    assert attempt.ended == 0, f"{attempt.error} {attempt.message}"
    assert site.contents() == undisturbed[0].contents


def do_killed(site: Any, server: Any, asked: Any, usual: Any, chance: Any, kinds: Counter[str], kills: int) -> None:
    """Do a run under whose tries the server is killed so many times, then let it pass."""
    done: dict[str, Any] = {}
    while kills:
        attempt = chance.start(site, asked, usual, done)
        kind = min(KINDS, key=lambda name: (kinds[name], chance.random.random()))
        phase, is_killed = attempt.phase, server.kill(kind)
        attempt.release()
        while not is_killed and attempt.ended is None:
            attempt.follow(0.002)  # it is between two transactions: the next one is near
            phase, is_killed = attempt.phase, server.kill(kind)
        attempt.finish()
        assert attempt.error in ("", "SourceUnavailable"), f"{attempt.phase}: {attempt.error} {attempt.message}"
        if is_killed:
            kills -= 1
            kinds[kind] += 1
            chance.hits[phase] += 1
        done = chance.what_is_left_to_do(done | attempt.results)
    site.complete(asked, done)
