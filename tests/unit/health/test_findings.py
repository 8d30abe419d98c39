"""Each pipeline's health is its worst finding, with what to do, and the worst pipeline comes first."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from include.alerts.incidents import GRADES
from include.health.findings import WORDS, health_of_all
from include.local.console import _pipelines_table

GOOD: dict[str, Any] = {
    "failure": None,
    "unloaded_windows": [],
    "outdated_windows": [],
    "waits_for_approval": None,
    "overdue": [],
    "undelivered_alerts": [],
    "failed_drills": [],
    "last_window": "2025-01-01..2025-02-01",
    "rows": 31,
    "is_simulated": False,
    "champion": {"version": 1, "candidate": "naive"},
    "rows_outside": {},
    "features": {"state": "built", "without_value": []},
    "low_scores": [],
    "skew": None,
    "monitor": {
        "verdict": "hold",
        "reasons": ["nothing moved"],
        "unjudged": "",
        "training": None,
        "is_long_ago": False,
    },
}
DECIDED: dict[str, Any] = GOOD["monitor"]
ANSWERS: dict[str, Any] = {"versions": [1], "rollouts": None, "requests": 100, "error_share": 0.0, "p99_ms": 2.0}
SERVICE: dict[str, Any] = {"pipelines": {"p": ANSWERS, "q": ANSWERS}, "degraded": []}


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
        ({"failed_drills": ["rollback: the file is gone"]}, "failing", "rollback: the file is gone"),
        ({"undelivered_alerts": ["2 to webhook chat: 503"]}, "unheard", "2 to webhook chat: 503"),
        ({"last_window": None, "champion": None}, "new", "ciclo run p"),
        ({"champion": None}, "untrained", "airflow dags trigger train_p"),
        ({"rows_outside": {"a": (1, 0)}}, "gaps", "rows lie outside"),
        ({"features": {"state": "built", "without_value": ["wind"]}}, "gaps", "without any value: wind"),
        ({"low_scores": ["fix completeness of date is 79.0, below 95"]}, "poor", "ciclo quarantine list p"),
        ({"skew": "3 of 40 rows differ"}, "impaired", "3 of 40 rows differ"),
        ({"monitor": None}, "unjudged", "trigger monitor_p"),
        ({"monitor": DECIDED | {"unjudged": "blocked: no rows"}}, "unjudged", "could not be judged"),
        ({"monitor": DECIDED | {"verdict": "investigate"}}, "doubtful", "look at the inputs"),
        ({"monitor": DECIDED | {"verdict": "retrain"}}, "fine", ""),
        ({"monitor": DECIDED | {"verdict": "retrain", "is_long_ago": True}}, "drifting", "has not decided: train_p"),
        ({"monitor": DECIDED | {"verdict": "retrain", "training": "reject"}}, "drifting", "no challenger was better"),
        ({"monitor": DECIDED | {"verdict": "retrain", "training": "promote"}}, "fine", ""),
    ],
)
def test_what_is_found_has_a_word_and_says_what_to_do(found: dict[str, Any], word: str, todo: str) -> None:
    health = health_of_all({"p": GOOD | found}, {}, ["p"], SERVICE)["p"]
    assert health.word == word
    assert todo in health.todo


def test_the_worst_of_several_findings_is_told() -> None:
    found = {"champion": None, "unloaded_windows": ["a..b empty: x", "c..d blocked: y"], "outdated_windows": ["e..f"]}
    assert health_of_all({"p": GOOD | found}, {}, ["p"], SERVICE)["p"].word == "blocked"


def test_what_could_not_be_read_is_unknown_and_never_fine() -> None:
    without = {key: value for key, value in GOOD.items() if key != "champion"}
    health = health_of_all({"p": without}, {}, ["p", "q"], SERVICE)
    assert {name: one.word for name, one in health.items()} == {"p": "unknown", "q": "unknown"}


def test_thirty_pipelines_have_a_row_each_the_worst_first() -> None:
    states = {f"p{number:02}": GOOD for number in range(30)}
    states["p17"] = GOOD | {"champion": None}
    service = {"pipelines": dict.fromkeys(states, ANSWERS), "degraded": []}
    health = health_of_all(states, {"p29": ["a.yaml:3: owner: missing"], "zz": ["b", "c"]}, list(states), service)
    assert [*health][:3] == ["p29", "zz", "p17"]
    assert health["zz"].todo == "mend the faults that ciclo validate zz tells (2)"
    assert {one.word for one in health.values()} <= set(WORDS)
    status = {"pipelines": states, "health": {name: one._asdict() for name, one in health.items()}}
    table = _pipelines_table(status)
    assert table.row_count == 31
    console = Console(width=120, file=StringIO())
    console.print(table)
    assert "p29" in console.file.getvalue().splitlines()[4]


@pytest.mark.parametrize(
    ("service", "word", "why"),
    [
        (None, "unknown", "was not asked"),
        ({"pipelines": {"p": ANSWERS | {"versions": None}}, "degraded": []}, "unserved", "no instance answers"),
        ({"pipelines": {"p": ANSWERS | {"versions": [3]}}, "degraded": []}, "impaired", "version 3 answers, and 1 is"),
        ({"pipelines": {"p": ANSWERS}, "degraded": ["http://a warehouse: no way"]}, "impaired", "a warehouse: no way"),
        ({"pipelines": {"p": ANSWERS | {"error_share": 0.02}}, "degraded": []}, "impaired", "2.0% of requests failed"),
    ],
)
def test_how_it_is_served_is_an_aspect_of_its_own(service: dict[str, Any] | None, word: str, why: str) -> None:
    health = health_of_all({"p": GOOD}, {}, ["p"], service)["p"]
    assert health.word == health.aspects["serving"]["word"] == word
    assert why in health.aspects["serving"]["why"] + health.aspects["serving"]["todo"]
    assert {aspect: told["grade"] for aspect, told in health.aspects.items() if aspect != "serving"} == dict.fromkeys(
        ("run", "freshness", "quality", "drift"), "healthy"
    )


def test_a_worse_grade_has_the_worse_words() -> None:
    assert [GRADES.index(grade) for grade in WORDS.values()] == sorted(
        (GRADES.index(grade) for grade in WORDS.values()), reverse=True
    )


def test_of_a_pipeline_that_loaded_nothing_neither_quality_nor_drift_is_healthy() -> None:
    health = health_of_all({"p": GOOD | {"last_window": None, "rows": 0}}, {}, ["p"], SERVICE)["p"]
    grades = {aspect: told["grade"] for aspect, told in health.aspects.items()}
    assert (grades["quality"], grades["drift"]) == ("unknown", "unknown")
