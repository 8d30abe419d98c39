"""Tasks killed with SIGKILL anywhere and tried again as Airflow does leave what an undisturbed run leaves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from include.steps.keep_house import sweep_staging
from include.warehouse.engine import connect_engine

KILLS = 6  # in each run
# Every place that matters; each is made up of the phases the tasks tell of.
PLACES = {
    "while staging": {"check gauges: stage", "check gauges: parse", "check gauges: stage rejected"},
    "while taking out repeats": {"check gauges: repeats", "check gauges: set aside"},
    "while merging": {"load: merge", "load: merge next"},
    "before the commit": {"load: commit"},
    "after the commit, before the result is reported": {"load: end"},
}


@pytest.fixture
def site(make_site: Callable[[str], Any], postgres_url: str, migrated_template: str) -> Any:
    """Give an empty warehouse and an empty lake."""
    return make_site(postgres_url)


def test_a_task_killed_anywhere_and_tried_again_loads_exactly_what_an_undisturbed_one_does(
    site, runs, undisturbed, chance
) -> None:
    for asked, usual in zip(runs, undisturbed, strict=True):
        do_killed(site, asked, usual, chance, KILLS)
        assert site.contents() == usual.contents, f"after {asked.run_id}"
        assert site.faults() == {}
    print(chance.hits.total(), dict(chance.hits))
    assert chance.hits.total() >= 50
    assert [name for name, phases in PLACES.items() if not phases & chance.hits.keys()] == []
    sweep_staging(connect_engine(site.warehouse), timedelta(0))
    assert site.staging() == []


def test_a_load_killed_while_it_stages_again_does_not_take_the_half_checked_table_for_whole(
    site, runs, undisturbed
) -> None:
    site.complete(runs[0])
    done = kill_at(site, runs[1], {}, "load: end")
    done = kill_at(site, runs[1], done, "load: repeats")
    site.complete(runs[1], done)
    assert site.contents() == undisturbed[1].contents
    assert site.staging() == []


def test_a_load_killed_after_its_commit_still_tells_which_windows_to_reopen(site, runs, undisturbed) -> None:
    site.complete(runs[0])
    done = kill_at(site, runs[1], {}, "load: end")
    _, reopened = site.complete(runs[1], done).results["load"]
    assert reopened == undisturbed[1].loaded[1] != []


def test_a_check_killed_for_good_leaves_tables_that_keep_house_sweeps_when_they_are_old(site, runs) -> None:
    kill_at(site, runs[1], {}, "check gauges: repeats")
    engine = connect_engine(site.warehouse)
    assert sweep_staging(engine, timedelta(hours=1)) == 0
    assert len(site.staging()) == 3
    assert sweep_staging(engine, timedelta(0)) == 1
    assert site.staging() == []


def do_killed(site: Any, asked: Any, usual: Any, chance: Any, kills: int) -> None:
    """Do a run whose tries are killed so many times, then let it pass."""
    done: dict[str, Any] = {}
    while kills:
        attempt = chance.start(site, asked, usual, done)
        if attempt.kill():
            kills -= 1
            chance.hits[attempt.phase] += 1
        else:
            assert attempt.ended == 0, f"{attempt.phase}: {attempt.error} {attempt.message}"
        done = chance.what_is_left_to_do(done | attempt.results)
    site.complete(asked, done)


def kill_at(site: Any, asked: Any, done: dict[str, Any], phase: str) -> dict[str, Any]:
    """Kill a try in a phase; return what its tasks and those before reported."""
    attempt = site.start(asked, done=done, hold=phase)
    assert attempt.follow(phase=phase), f"{attempt.phase}: {attempt.error} {attempt.message}"
    assert attempt.kill()
    return done | attempt.results
