"""What people see while the loops turn: bars on a terminal, lines in a log file."""

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from include.local.report import Moment, live

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
