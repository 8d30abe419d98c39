"""A whole pipeline drafted for a file: the spec takes it, and no feature gives the target away."""

from __future__ import annotations

import math
import random
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from include.errors import ConfigError
from include.sources.inspection import inspect, pipeline_of, plan_of, warnings_of
from include.spec.load import parse
from include.spec.model import Pipeline

DICE = random.Random(3)  # noqa: S311 - no secret


def write(path: Path, header: str, rows: list[str]) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def drafted(path: Path, target: str) -> tuple[Pipeline, list[str]]:
    plan = plan_of(inspect(path), target)
    return parse(pipeline_of(plan, "drafted"), "pipeline.yaml", folder="drafted"), warnings_of(plan)


@pytest.fixture
def bikes(tmp_path: Path) -> Path:
    """Give a file of rented bikes by the hour: those of casual and of registered riders together are all."""
    rows = []
    for n in range(24 * 90):
        at, casual, registered = datetime(2011, 1, 1) + timedelta(hours=n), DICE.randint(0, 60), DICE.randint(0, 200)
        weather, temp = DICE.choice(["clear", "mist", "rain"]), 0.5 + 0.3 * math.sin(n / 4) + DICE.random() / 10
        rows.append(
            f"{n},{at:%Y-%m-%d},{at.hour},{weather},{temp:.2f},{temp * 41:.4f},0,"
            f"{casual},{registered},{casual + registered}"
        )
    return write(tmp_path / "hour.csv", "instant,dteday,hr,weather,temp,atemp,holiday,casual,registered,cnt", rows)


def test_a_pipeline_is_complete_and_the_spec_takes_it(bikes: Path) -> None:
    pipeline, warnings = drafted(bikes, "cnt")
    assert (pipeline.target.column, pipeline.target.horizon) == ("cnt", 0)
    assert pipeline.feature_names() == [
        "temp", "atemp", "weather_is_clear", "weather_is_mist", "weather_is_rain", "hour_of_day", "day_of_week",
    ]  # fmt: skip
    assert warnings == [
        "LEAK: casual gives cnt away together with registered: it is no feature",
        "LEAK: registered gives cnt away together with casual: it is no feature",
    ]
    assert (str(pipeline.schedule.start), str(pipeline.schedule.end)) == ("2011-01-01", "2011-04-01")
    assert pipeline.replay.history is not None
    assert str(pipeline.replay.history[1]) == str(pipeline.replay.start) == "2011-02-24"
    assert pipeline.training.candidates["naive"].model_dump()["by"] == "hour_of_day"


def test_of_a_long_file_no_more_than_a_dozen_windows_are_replayed(tmp_path: Path) -> None:
    days = (datetime(2014, 1, 1) + timedelta(days=n) for n in range(3000))
    rows = [f"{day:%Y-%m-%d},{DICE.random():.3f},{DICE.random():.3f}" for day in days]
    pipeline, _ = drafted(write(tmp_path / "long.csv", "day,rain,level", rows), "level")
    assert pipeline.replay.step == "month"
    assert 12 <= len(pipeline.replay.windows(pipeline.zone)) <= 14, "the history is one of them, and a part may be"


def test_a_column_that_goes_with_the_target_in_almost_every_row_is_asked_about(tmp_path: Path) -> None:
    rows = []
    for n in range(400):
        at, light = datetime(2024, 1, 1) + timedelta(hours=n), 500 + 300 * math.sin(n / 5)
        rows.append(f"{at},{light:.1f},{light * 120 + 900 * DICE.random():.0f},{DICE.random():.2f}")
    _, warnings = drafted(write(tmp_path / "sun.csv", "at,ghi,illum,cloud", rows), "ghi")
    (warning,) = warnings
    assert warning.startswith("LEAK? illum goes with ghi in almost every row (correlation ")


def test_what_is_the_target_in_other_words_is_no_feature(tmp_path: Path) -> None:
    rows = [
        f"2024-01-{1 + n % 28:02} {n // 28:02}:00,{n % 17},{(n % 17) * 1.8 + 32},{DICE.randint(0, 99)}"
        for n in range(200)
    ]
    pipeline, warnings = drafted(write(tmp_path / "x.csv", "at,celsius,fahrenheit,humidity", rows), "celsius")
    assert warnings == ["LEAK: fahrenheit is celsius in other words: it is no feature"]
    assert "humidity" in pipeline.feature_names()
    assert "fahrenheit" not in pipeline.feature_names()


def test_a_column_that_only_follows_the_target_is_none(tmp_path: Path) -> None:
    rows = [f"2024-01-{1 + n % 28:02} {n // 28:02}:00,{n},{n + 20 * DICE.random():.3f}" for n in range(200)]
    pipeline, (warning,) = drafted(write(tmp_path / "x.csv", "at,level,gauge", rows), "level")
    assert "gauge" in pipeline.feature_names()
    assert warning.startswith("LEAK? gauge goes with level"), "a question, no verdict"


@pytest.mark.parametrize(
    ("days", "step", "form"), [(40, 1, "%Y-%m-%d"), (900, 1, "%d/%m/%Y"), (3, 1, "%Y-%m-%d"), (5000, 31, "%Y/%m")]
)
def test_a_series_alone_is_predicted_from_its_last_values(days: int, step: int, form: str, tmp_path: Path) -> None:
    dates = dict.fromkeys((datetime(2010, 1, 1) + timedelta(days=n)).strftime(form) for n in range(0, days, step))
    rows = [f"{text};{100 + DICE.random():.3f}" for text in dates]
    pipeline, _ = drafted(write(tmp_path / "x.csv", "fecha;Índice", rows), "Índice")
    assert (pipeline.target.column, pipeline.target.horizon, pipeline.target.anchor) == ("indice", 1, "indice")
    assert pipeline.replay.first == pipeline.schedule.start


def test_stations_of_one_file_have_a_key_that_is_no_feature(tmp_path: Path) -> None:
    rows = [f"2024-01-{d:02},{site},{DICE.random():.3f},{DICE.random():.3f}" for d in range(1, 29) for site in (7, 8)]
    pipeline, _ = drafted(write(tmp_path / "x.csv", "fecha,estacion,co,temp", rows), "co")
    assert pipeline.sources["x"].key == ("estacion",)
    assert "estacion" not in pipeline.feature_names()


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("nt", "has no column 'nt'; did you mean 'cnt'"),
        ("weather", "'weather' holds text.*choose one of instant, temp"),
    ],
)
def test_a_target_that_cannot_be_predicted_says_what_can(bikes: Path, target: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        plan_of(inspect(bikes), target)
