"""Tasks killed with SIGKILL anywhere on their way, tried again as Airflow does, leave what an undisturbed run leaves."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from include.steps.keep_house import sweep_staging
from include.warehouse.engine import connect_engine

KILLS = 56
# Every place that matters; each is made up of the phases the tasks tell of.
PLACES = {
    "while staging": {"check gauges: stage", "check gauges: parse", "check gauges: stage rejected"},
    "while taking out repeats": {"check gauges: repeats", "check gauges: set aside"},
    "while merging": {"load: merge", "load: merge next"},
    "before the commit": {"load: commit"},
    "after the commit, before the result is reported": {"load: end"},
}


class Killer:
    """Chooses when a try is killed: half of the moments at random, half in the phase that was hit least."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.tally: Counter[str] = Counter()

    def strike(self, site: Any, entry: Any, usual: Any, done: dict[str, Any]) -> Any:
        """Start a try, kill it and return it; it may have come through before."""
        spans = usual.spans(done)
        if self.tally.total() % 2:
            attempt = site.start(entry, done=done)
            attempt.follow(self.chance.uniform(0, 0.95 * sum(seconds for _, seconds in spans)))
        else:
            attempt = self._aimed(site, entry, done, spans)
        if attempt.kill():
            self.tally[attempt.phase] += 1
        return attempt

    def _aimed(self, site: Any, entry: Any, done: dict[str, Any], spans: list[tuple[str, float]]) -> Any:
        aim, seconds = min(spans, key=lambda span: (self.tally[span[0]], self.chance.random()))
        is_held = aim == "load: end" or self.chance.random() < 0.3
        attempt = site.start(entry, done=done, hold=aim if is_held else None)
        if attempt.follow(phase=aim):
            attempt.follow(self.chance.uniform(0, 0.8 * seconds))
        return attempt

    def complete(self, site: Any, entry: Any, usual: Any, kills: int) -> dict[str, Any]:
        """Do a run whose tries are killed so many times, then let it pass; return what its tasks report."""
        done: dict[str, Any] = {}
        for _ in range(kills):
            attempt = self.strike(site, entry, usual, done)
            done |= attempt.results
            assert not attempt.error, f"{attempt.phase}: {attempt.error} {attempt.message}"
            if attempt.ended == 0:
                return done
        return site.complete(entry, done).results


@pytest.fixture
def killer(seed: int) -> Killer:
    return Killer(seed)


def test_a_task_killed_anywhere_and_tried_again_loads_exactly_what_an_undisturbed_one_does(
    site, rounds, undisturbed, killer
) -> None:
    for place, (entry, usual) in enumerate(zip(rounds, undisturbed, strict=True)):
        still_to_kill = KILLS - killer.tally.total()
        killer.complete(site, entry, usual, -(-still_to_kill // (len(rounds) - place)))
        assert site.contents() == usual.contents, f"after {entry.run_id}"
        assert site.faults() == {}
    print(killer.tally.total(), dict(killer.tally))
    assert killer.tally.total() >= 50
    assert [name for name, phases in PLACES.items() if not phases & killer.tally.keys()] == []
    sweep_staging(connect_engine(site.warehouse), timedelta(0))
    assert site.staging() == []


def test_a_load_killed_while_it_stages_again_does_not_take_the_half_checked_table_for_whole(
    site, rounds, undisturbed
) -> None:
    for entry in rounds[:2]:
        done = kill_at(site, entry, {}, "load: end")
    done = kill_at(site, rounds[1], done, "load: repeats")
    site.complete(rounds[1], done)
    assert site.contents() == undisturbed[1].contents
    assert site.staging() == []


def test_a_load_killed_after_its_commit_reports_the_same_when_it_is_tried_again(site, rounds, undisturbed) -> None:
    site.complete(rounds[0])
    done = kill_at(site, rounds[1], {}, "load: end")
    assert site.complete(rounds[1], done).results["load"] == undisturbed[1].loaded


def test_a_check_killed_for_good_leaves_tables_that_keep_house_sweeps_when_they_are_old(site, rounds) -> None:
    kill_at(site, rounds[1], {}, "check gauges: repeats")
    engine = connect_engine(site.warehouse)
    assert sweep_staging(engine, timedelta(hours=1)) == 0
    assert len(site.staging()) == 3
    assert sweep_staging(engine, timedelta(0)) == 1
    assert site.staging() == []


def kill_at(site: Any, entry: Any, done: dict[str, Any], phase: str) -> dict[str, Any]:
    """Kill a try in a phase; return what its tasks and those before reported."""
    attempt = site.start(entry, done=done, hold=phase)
    assert attempt.follow(phase=phase), f"{attempt.phase}: {attempt.error} {attempt.message}"
    assert attempt.kill()
    return done | attempt.results
