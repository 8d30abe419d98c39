"""The status a window closes with, from the states of its run's tasks."""

import pytest

from include.errors import NothingToDo
from include.steps.close import status_of

DONE = {"fix.extract": "success", "fix.check": "success", "rates.extract": "success", "rates.check": "success"}
COUNTS = {"received": 5, "inserted": 0, "corrected": 0, "withdrawn": 0, "revised": 0}


@pytest.mark.parametrize(
    ("states", "loaded", "built", "status"),
    [
        (DONE | {"load": "success"}, COUNTS | {"inserted": 5}, 5, "loaded"),
        (DONE | {"load": "success"}, COUNTS | {"corrected": 0, "withdrawn": 0, "revised": 1}, 0, "loaded"),
        (DONE | {"load": "success"}, COUNTS, 3, "loaded"),
        (DONE | {"load": "success"}, COUNTS, 0, "unchanged"),
        (DONE | {"load": "skipped"}, None, 0, "empty"),
        (DONE | {"fix.check": "failed", "load": "upstream_failed"}, None, 0, "blocked"),
        (DONE | {"load": "failed"}, None, 0, "blocked"),
        (DONE | {"load": "success", "build_features": "failed"}, COUNTS | {"inserted": 5}, 0, "blocked"),
        (DONE | {"rates.extract": "failed", "load": "upstream_failed"}, None, 0, "overdue"),
        (DONE | {"rates.extract": "failed", "fix.check": "failed"}, None, 0, "blocked"),
    ],
)
def test_every_end_of_a_run_has_a_status(states, loaded, built, status):
    assert status_of(states, loaded, built)[0] == status


def test_the_reason_names_every_task_that_failed():
    states = DONE | {"rates.extract": "failed", "fix.check": "failed", "load": "upstream_failed"}
    assert status_of(states, None, 0)[1] == "fix.check, rates.extract failed: see its log"


def test_a_run_that_had_no_window_closes_none():
    with pytest.raises(NothingToDo):
        status_of({"fix.extract": "skipped", "fix.check": "skipped", "load": "skipped"}, None, 0)
