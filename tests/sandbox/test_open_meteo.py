"""Open-Meteo's stand-in beside what the real service sent."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

RECORDED = {
    "latitude": "44.449997",
    "longitude": "26.150002",
    "hourly": "pm10,pm2_5,carbon_monoxide",
    "timezone": "Europe/Bucharest",
    "start_date": "2023-04-25",
    "end_date": "2023-04-25",
}


def test_the_answer_has_the_recorded_shape(sandbox, wire: Callable[[str], bytes]) -> None:
    recorded = json.loads(wire("open_meteo_air_quality_short"))
    ours = sandbox.get("/v1/air-quality", params=RECORDED).json()
    assert list(ours) == list(recorded)
    varying = {"generationtime_ms": None, "hourly": None}
    assert ours | varying == recorded | varying
    assert list(ours["hourly"]) == list(recorded["hourly"])
    assert ours["hourly"]["time"][:5] == recorded["hourly"]["time"]


def test_every_answer_says_that_it_is_simulated(sandbox) -> None:
    assert sandbox.get("/v1/air-quality", params=RECORDED).headers["x-data-origin"] == "SIMULATED"
    assert sandbox.get("/v1/air-quality").headers["x-data-origin"] == "SIMULATED"


def test_the_same_request_gives_the_same_bytes(sandbox) -> None:
    first, again = (sandbox.get("/v1/air-quality", params=RECORDED).content for _ in range(2))
    assert first == again


def test_an_hour_is_the_same_in_whatever_span_and_zone_it_is_asked(sandbox) -> None:
    longer = RECORDED | {"start_date": "2023-04-24", "timezone": "GMT"}
    day = sandbox.get("/v1/air-quality", params=RECORDED).json()["hourly"]
    days = sandbox.get("/v1/air-quality", params=longer).json()["hourly"]
    assert days["time"][21] == "2023-04-24T21:00"  # midnight in Bucharest
    assert days["pm10"][21:45] == day["pm10"]


def test_values_are_believable_and_differ(sandbox) -> None:
    hourly = sandbox.get("/v1/air-quality", params=RECORDED | {"start_date": "2022-04-26"}).json()["hourly"]
    assert len(hourly["time"]) == 365 * 24
    assert all(0 < value < 1000 for name in ("pm10", "pm2_5", "carbon_monoxide") for value in hourly[name])
    assert len(set(hourly["pm10"])) > 100


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"hourly": "pm11"}, "pm11"),
        ({"latitude": "91"}, "Latitude must be in range"),
        ({"longitude": "east"}, "'longitude' must be a number"),
        ({"timezone": "Mars/Base"}, "Invalid timezone"),
        ({"start_date": "25/04/2023"}, "Invalid date format"),
        ({"start_date": "2012-12-31"}, "out of allowed range"),
        ({"start_date": "2023-04-26"}, "End-date"),
    ],
)
def test_a_bad_request_is_refused_with_its_reason(sandbox, changed: dict[str, str], reason: str) -> None:
    answer = sandbox.get("/v1/air-quality", params=RECORDED | changed)
    assert answer.status_code == 400
    assert answer.json()["error"] is True
    assert reason in answer.json()["reason"]


def test_nobody_knows_the_day_after_next_week(sandbox) -> None:
    day = (datetime.now(UTC) + timedelta(days=14)).date().isoformat()
    answer = sandbox.get("/v1/air-quality", params=RECORDED | {"end_date": day})
    assert (answer.status_code, answer.json()["error"]) == (400, True)
