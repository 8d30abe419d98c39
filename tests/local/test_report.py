"""What people see while the loops turn: bars on a terminal, lines in a log file."""

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from include.local.report import Moment, live, result_table

Shown = Callable[[bool], str]


@pytest.fixture
def shown() -> Shown:
    """Give a function that plays three moments of two pipelines and returns what was printed."""

    def play(is_terminal: bool) -> str:
        console = Console(file=io.StringIO(), force_terminal=is_terminal, width=120, highlight=False)
        with live(["usdmxn", "air_quality"], console) as watch:
            watch(Moment("usdmxn", 0, 3, "2025-01", "ingest_usdmxn", ("fix.extract running",)))
            watch(Moment("usdmxn", 0, 3, "2025-01", "ingest_usdmxn", ("fix.check running",)))
            watch(Moment("air_quality", 1, 2, "2004-03", "train_air_quality", (), "[fit] failed on try 1"))
        return console.file.getvalue()

    return play


def test_a_terminal_shows_a_bar_a_pipeline_and_why_a_task_is_tried_again(shown: Shown) -> None:
    told = shown(True)
    assert "0/3" in told
    assert "fix.check running" in told
    assert "[fit] failed on try 1" in told


def test_a_log_file_gets_a_line_when_something_moved(shown: Shown) -> None:
    first, second = shown(False).splitlines()
    assert first.endswith("0/3  2025-01  ingest_usdmxn")
    assert second.endswith("1/2  2004-03  train_air_quality  [fit] failed on try 1")


def test_the_result_table_counts_who_has_to_look_beside_trainings_and_holds() -> None:
    loads = dict.fromkeys(("windows", "corrected", "withdrawn", "quarantined", "checks_passed", "checks_total"), 0)
    state = {"is_simulated": False, "loads": loads, "rows": 0, "trainings": 1, "champion": None, "last_window": None}
    state |= {"features": {"state": "built"}, "unloaded_windows": [], "simulated_sources": []}
    console = Console(file=io.StringIO(), width=120)
    verdicts = {"investigate": 5, "hold": 2, "promote": 1}
    console.print(result_table({"plant": {**state, "verdicts": verdicts}, "quiet": {**state, "verdicts": {}}}))
    told = console.file.getvalue()
    [row] = [line for line in told.splitlines() if "drift verdicts" in line]
    assert "0 retrain, 2 hold, 5 investigate" in row
    assert "0 retrain, 0 hold, 0 investigate" in row
