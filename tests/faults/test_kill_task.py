"""Tasks killed with SIGKILL anywhere and tried again as Airflow does leave what an undisturbed run leaves."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

KILLS = int(os.environ.get("FAULT_KILLS", "4"))  # in each run; FAULT_KILLS=100 proves it at length


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
    assert chance.hits.total() == KILLS * len(runs)
    assert chance.missed() == []
    assert site.left_over() == []
    gone, kept = site.clean_lake()
    gone_from = {name.partition("/")[0] for name in gone}
    assert gone_from - {"refused"} == {"batches", "partial"}, "and answers that nobody came to judge, if any"
    assert {name.partition("/")[0] for name in kept} == {"payloads", "manifests"}
    assert site.lost() == set()


def test_a_check_killed_between_its_files_is_done_again_over_them(site, runs, undisturbed) -> None:
    site.complete(runs[0])
    done: dict[str, Any] = {}
    for phase in ("move", "move next", "rewrite", "rewrite quarantined", "quarantine", "end"):
        done = kill_at(site, runs[1], done, f"check gauges: {phase}")
    site.complete(runs[1], done)
    assert site.contents() == undisturbed[1].contents


def test_a_check_that_runs_twice_at_the_same_moment_does_no_harm(site, second_task_server, runs, undisturbed) -> None:
    site.complete(runs[0])
    slow = site.start(runs[1], hold="check gauges: rewrite")
    assert slow.follow(phase="check gauges: rewrite")
    site.beside(second_task_server).complete(runs[1])
    end(slow)
    assert site.contents() == undisturbed[1].contents


@pytest.mark.parametrize("phase", ["load: stage", "load: record"])
def test_a_check_that_writes_its_files_again_while_they_are_loaded_does_no_harm(
    site, second_task_server, runs, undisturbed, phase
) -> None:
    site.complete(runs[0])
    loading = site.start(runs[1], hold=phase)
    assert loading.follow(phase=phase)
    checking = site.beside(second_task_server).start(runs[1], hold="load: begin")
    assert checking.follow(phase="load: begin")
    end(loading)
    end(checking)
    assert site.contents() == undisturbed[1].contents


def test_a_load_killed_after_its_commit_still_tells_which_windows_to_reopen(site, runs, undisturbed) -> None:
    site.complete(runs[0])
    done = kill_at(site, runs[1], {}, "load: end")
    _, reopened = site.complete(runs[1], done).results["load"]
    assert reopened == undisturbed[1].loaded[1] != []


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


def end(attempt: Any) -> None:
    """Let a try that is held go on; it must pass."""
    attempt.release()
    attempt.finish()
    assert attempt.ended == 0, f"{attempt.phase}: {attempt.error} {attempt.message}"
