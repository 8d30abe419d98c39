"""Each pipeline's health is its worst finding, with what to do, and the worst pipeline comes first."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from include.local.console import _pipelines_table
from include.reporting.health import WORDS, health_of_all

GOOD: dict[str, Any] = {
    "failure": None,
    "unloaded_windows": [],
    "outdated_windows": [],
    "waits_for_approval": None,
    "overdue": [],
    "undelivered_alerts": [],
    "drill": None,
    "last_window": "2025-01-01..2025-02-01",
    "rows": 31,
    "is_simulated": False,
    "champion": {"version": 1, "candidate": "naive"},
    "rows_outside": {},
    "features": {"state": "built", "without_value": []},
}


@pytest.mark.parametrize(
    ("found", "word", "todo"),
    [
        ({}, "fine", ""),
        ({"failure": "train_p fit_candidate: no memory"}, "failing", "train_p fit_candidate: read its log"),
        ({"unloaded_windows": ["2025-01-01..2025-02-01 blocked: a: b"]}, "blocked", "ciclo quarantine list p"),
        ({"unloaded_windows": ["2025-01-01..2025-02-01 overdue: x"]}, "overdue", "2025-01-01..2025-02-01: load it:"),
        ({"unloaded_windows": ["2025-01-01..2025-02-01 empty: x"]}, "gaps", "no rows came"),
        ({"waits_for_approval": 7}, "waiting", "version 7 waits for a person"),
        ({"outdated_windows": ["2025-01-01..2025-02-01"]}, "outdated", "ciclo reread p"),
        ({"overdue": ["no prediction for 2025-01-02"]}, "overdue", "no prediction for 2025-01-02"),
        ({"drill": {"status": "unloadable", "reason": "the file is gone"}}, "failing", "the undo would not work"),
        ({"undelivered_alerts": ["2 to webhook chat: 503"]}, "unheard", "2 to webhook chat: 503"),
        ({"last_window": None, "champion": None}, "new", "ciclo run p"),
        ({"champion": None}, "untrained", "airflow dags trigger train_p"),
        ({"rows_outside": {"a": (1, 0)}}, "gaps", "rows lie outside"),
        ({"features": {"state": "built", "without_value": ["wind"]}}, "gaps", "without any value: wind"),
    ],
)
def test_what_is_found_has_a_word_and_says_what_to_do(found: dict[str, Any], word: str, todo: str) -> None:
    health = health_of_all({"p": GOOD | found}, {}, ["p"])["p"]
    assert health.word == word
    assert todo in health.todo


def test_the_worst_of_several_findings_is_told() -> None:
    found = {"champion": None, "unloaded_windows": ["a..b empty: x", "c..d blocked: y"], "outdated_windows": ["e..f"]}
    assert health_of_all({"p": GOOD | found}, {}, ["p"])["p"].word == "blocked"


def test_what_could_not_be_read_is_unknown_and_never_fine() -> None:
    without = {key: value for key, value in GOOD.items() if key != "champion"}
    health = health_of_all({"p": without}, {}, ["p", "q"])
    assert {name: one.word for name, one in health.items()} == {"p": "unknown", "q": "unknown"}


def test_thirty_pipelines_have_a_row_each_the_worst_first() -> None:
    states = {f"p{number:02}": GOOD for number in range(30)}
    states["p17"] = GOOD | {"champion": None}
    health = health_of_all(states, {"p29": ["a.yaml:3: owner: missing"], "zz": ["b", "c"]}, list(states))
    assert [*health][:3] == ["p29", "zz", "p17"]
    assert health["zz"].todo == "2 faults, told below: mend them, then ciclo validate zz"
    assert {one.word for one in health.values()} <= set(WORDS)
    status = {"pipelines": states, "health": {name: one._asdict() for name, one in health.items()}}
    table = _pipelines_table(status)
    assert table.row_count == 31
    console = Console(width=120, file=StringIO())
    console.print(table)
    assert "p29" in console.file.getvalue().splitlines()[4]
