"""What should be there by now is told once: a stretch nobody asked for, a prediction that is late."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.alerts.overdue import late_prediction, overdue_windows
from include.spec.load import load_all
from include.spec.model import Pipeline
from include.steps.alert import find_overdue
from include.windows import Window

SPEC = yaml.safe_load(Path(__file__).with_name("readings.yaml").read_text())
SPEC |= {"schedule": {"cron": "30 13 * * 1-5", "timezone": "America/Mexico_City", "start": "2025-01-01"}}
SPEC |= {"predictions": {"due": "13:45"}, "replay": {"start": "2025-01-01", "end": "2025-02-01"}}
SPEC["target"] |= {"calendar": {"weekdays": True, "holidays": ["2025-02-03"]}}
MONDAY = "2025-01-27T12:00-06:00"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.fixture
def late(warehouse) -> Callable[..., str]:
    """Give a function that says which prediction is late at an instant, where one speaks of a day."""

    def ask(now: str, target_at: str | None = None) -> str:
        if target_at:
            warehouse.sql(
                "insert into ml.prediction (pipeline, kind, entity, valid_at, target_at, predicted, model_version,"
                " is_honest, is_simulated, run_id) values ('readings', 'batch', '', %s, %s, 1, 1, true, false, 'r')",
                at(MONDAY),
                at(target_at),
            )
        with warehouse.engine.connect() as connection:
            return late_prediction(connection, Pipeline.model_validate(SPEC), at(now))

    return ask


@pytest.mark.parametrize(
    ("now", "target_at", "expected"),
    [
        ("2025-01-27T13:44-06:00", "2025-01-27T00:00Z", ""),  # Monday, a minute before: Friday's, for Monday, counts
        (
            "2025-01-27T13:45-06:00",
            "2025-01-27T00:00Z",
            "no prediction for 2025-01-28 or later, which was due 2025-01-27",
        ),
        ("2025-01-27T13:45-06:00", "2025-01-28T00:00Z", ""),
        ("2025-01-27T13:45-06:00", None, "no prediction for 2025-01-28 or later"),
        (
            "2025-02-01T09:00-06:00",
            "2025-01-31T00:00Z",
            "no prediction for 2025-02-04 or later, which was due 2025-01-31",
        ),
        ("2025-02-03T20:00-06:00", "2025-02-04T00:00Z", ""),  # a holiday: nothing is due, Friday's counts
        ("2025-02-03T20:00-06:00", None, "no prediction for 2025-02-04 or later, which was due 2025-01-31 13:45"),
    ],
)
def test_a_prediction_for_the_next_day_is_due_at_its_time(
    late: Callable[..., str], now: str, target_at: str | None, expected: str
) -> None:
    told = late(now, target_at)
    assert told.startswith(expected)
    assert bool(told) == bool(expected)


def test_where_nothing_is_promised_nothing_is_late(warehouse) -> None:
    with warehouse.engine.connect() as connection:
        assert late_prediction(connection, warehouse.spec, datetime(2025, 6, 1, tzinfo=UTC)) == ""


def test_a_time_nobody_could_tell_is_refused_in_the_spec() -> None:
    target = {**SPEC["target"], "calendar": None}
    with pytest.raises(ValueError, match=r"say when targets come: target\.calendar"):
        Pipeline.model_validate(SPEC | {"target": target})


@pytest.fixture
def closed(warehouse) -> Callable[..., None]:
    """Give a function that loads windows without rows and closes them at an instant."""

    def close(*bounds: str, at: str = "2025-01-01T00:00Z") -> None:
        for text in bounds:
            window = Window.parse(*text.split(".."))
            batches = [warehouse.batch([], source, window=window) for source in ("meter", "repairs")]
            warehouse.load(*batches, run_id=text, window=window)
            warehouse.sql(
                "insert into ops.window_status (pipeline, window_start_at, window_end_at, status, reason, dag_id,"
                " run_id, closed_at) values ('readings', %s, %s, 'empty', '', 'ingest_readings', %s, %s)",
                *(window.start, window.end, text, at),
            )

    return close


def overdue(warehouse, now: str) -> list[str]:
    with warehouse.engine.connect() as connection:
        return [str(window) for window in overdue_windows(connection, Pipeline.model_validate(SPEC), at(now))]


def test_a_stretch_is_overdue_an_hour_after_the_run_that_should_have_loaded_it(warehouse, closed) -> None:
    closed("2025-01-01..2025-01-24T19:30:00+00:00")
    assert overdue(warehouse, "2025-01-27T14:29-06:00") == []
    assert overdue(warehouse, "2025-01-27T14:31-06:00") == ["2025-01-24T19:30:00Z..2025-01-27T19:30:00Z"]


def test_a_stretch_that_windows_are_just_coming_up_to_is_under_way_and_one_before_them_is_not(
    warehouse, closed
) -> None:
    closed("2025-01-05..2025-01-10")
    closed("2025-01-10..2025-01-11", at="2025-01-27T17:30-06:00")
    assert overdue(warehouse, "2025-01-27T18:00-06:00") == ["2025-01-01T06:00:00Z..2025-01-05T00:00:00Z"]
    assert overdue(warehouse, "2025-01-27T18:31-06:00")[1].startswith("2025-01-11T00:00:00Z..")


def test_nothing_is_told_of_a_pipeline_in_its_first_hour(warehouse, closed) -> None:
    pipelines = {"readings": Pipeline.model_validate(SPEC)}
    assert find_overdue(warehouse.engine, pipelines, at("2025-01-27T18:00-06:00")) == 0
    closed("2025-01-10..2025-01-11", at="2025-01-27T17:30-06:00")
    assert find_overdue(warehouse.engine, pipelines, at("2025-01-27T18:00-06:00")) == 0
    assert find_overdue(warehouse.engine, pipelines, at("2025-01-27T18:31-06:00")) > 0


def test_data_of_the_sandbox_are_expected_until_its_last_day_and_once_it_is_left_until_now(warehouse, closed) -> None:
    closed("2025-01-01..2025-02-01")
    assert overdue(warehouse, "2025-06-02T18:00-06:00") != []
    warehouse.payload()
    warehouse.sql("update raw.payload set is_simulated = true")
    assert overdue(warehouse, "2025-06-02T18:00-06:00") == []
    for source in ("meter", "repairs"):
        warehouse.payload("real", source)
    assert overdue(warehouse, "2025-06-02T18:00-06:00") != []


def test_what_is_overdue_is_told_once_and_counted_each_time(warehouse, closed) -> None:
    closed("2025-01-01..2025-01-20")
    pipelines: dict[str, Any] = {"readings": Pipeline.model_validate(SPEC)}
    for hour in (15, 16, 17):
        assert find_overdue(warehouse.engine, pipelines, at(f"2025-01-27T{hour}:00-06:00")) == 2
    told = warehouse.sql("select kind, severity, message from ops.alert order by message")
    assert [(kind, severity) for kind, severity, _ in told] == [("overdue", "critical")] * 2
    assert told[0][2].startswith("no prediction for 2025-01-28 or later, which was due 2025-01-27 13:45")
    assert told[1][2].startswith("nothing was loaded from 2025-01-20 00:00 UTC on")
    assert json.dumps(told)


def test_the_shipped_answer_is_promised() -> None:
    predictions = load_all()["usdmxn"].predictions
    assert predictions.due == "13:45"
