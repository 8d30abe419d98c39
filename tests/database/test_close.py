"""Every window closes with a status that stays on record."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from include.errors import NothingToDo
from include.steps.close import close_window
from include.steps.run import Run
from include.warehouse.batch import RunRef
from include.windows import Window

JANUARY = Window.parse("2025-01-01", "2025-02-01")
LOADED = {**JANUARY.to_dict(), "received": 3, "inserted": 3, "revised": 0}
SUCCESS = {"meter.extract": "success", "meter.check": "success", "load": "success"}


@pytest.fixture
def run(warehouse):
    ref = RunRef("ingest_readings", "first")
    return Run(warehouse.spec, ref, JANUARY.to_dict(), None, [], datetime.now(UTC), warehouse.engine, warehouse.lake)


def statuses(warehouse):
    return warehouse.sql("select status, reason from ops.window_status order by window_status_id")


def test_a_run_done_again_records_a_status_only_where_it_differs(warehouse, run):
    failed = SUCCESS | {"meter.check": "failed", "load": "upstream_failed"}
    for _ in range(2):
        assert close_window(run, failed, None, 0)["status"] == "blocked"
    for _ in range(2):
        assert close_window(run, SUCCESS, LOADED, 3)["status"] == "loaded"
    assert [status for status, _ in statuses(warehouse)] == ["blocked", "loaded"]
    assert warehouse.sql("select status from mart.window_status") == [("loaded",)]


def test_an_unchanged_window_is_recorded_and_wakes_nobody(warehouse, run):
    with pytest.raises(NothingToDo, match="nothing is new"):
        close_window(run, SUCCESS, LOADED | {"inserted": 0}, 0)
    assert statuses(warehouse) == [("unchanged", "3 rows received, 0 inserted, 0 revised, 0 corrected, 0 withdrawn")]


def test_a_run_whose_window_makes_no_sense_closes_none(warehouse, run):
    nonsense = replace(run, params={"start": "2025-01-01"})
    with pytest.raises(NothingToDo, match="there is no window to close: ingest_readings: give both start and end"):
        close_window(nonsense, SUCCESS | {"meter.extract": "failed", "load": "upstream_failed"}, None, 0)
    assert statuses(warehouse) == []
