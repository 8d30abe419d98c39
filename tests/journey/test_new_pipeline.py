"""A pipeline the project does not ship, over a file it has never seen: from YAML alone, while the system runs."""

import json
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

HOURS = 24 * 60
REST = """
pipeline: harbour
title: Water level of a harbour, SIMULATED
description: Made by a test, from a file that only the test knows.
owner: port
impact: tier_3
schedule: {cron: "0 6 * * *", start: 2024-01-01, end: 2024-03-01}
features:
  - {kind: value, column: wind}
  - {kind: value, column: pressure}
  - {kind: calendar, parts: [hour_of_day]}
target: {column: level_cm, horizon: 0, interval: 0.9}
training:
  min_rows: 200
  seed: 1
  split: {holdout: 7 days}
  candidates:
    naive: {kind: naive, by: hour_of_day}
    linear: {kind: linear, alpha: 1.0}
thresholds: {r2_min: 0.5, mean_shift_pct: 50, features: [pressure], min_rows: 24}
replay: {start: 2024-01-01, end: 2024-03-01}
"""


def hour(number: int) -> str:
    """Return a row of the file: dates of two digits, decimal commas, a marker where the wind is unknown."""
    at = datetime(2024, 1, 1) + timedelta(hours=number)
    wind, pressure = 5 + 3 * math.sin(number / 40), 1013 + 8 * math.sin(number / 90)
    level = 500 + 20 * math.sin(number * 2 * math.pi / 12.42) + 6 * wind - 2 * (pressure - 1013)
    texts = [f"{level:.1f}", "n/a" if number % 97 == 5 else f"{wind:.1f}", f"{pressure:.1f}"]
    return ";".join([f"{at:%d.%m.%y}", f"{at:%H:%M}", *(text.replace(".", ",") for text in texts)])


@pytest.fixture(scope="module")
def harbour(system) -> Callable[[str], list[list[str]]]:
    """Drop the file, let `ciclo inspect` draft its source, add the rest; give a way to ask the warehouse."""
    file = system.var / "files" / "gauge.csv"
    lines = [
        "Harbour gauge, SIMULATED;;;;",
        "Day;Hour;Level (cm);Wind;Pressure",
        *map(hour, range(HOURS)),
        *[";;;;"] * 3,
    ]
    file.write_text("\r\n".join(lines), encoding="utf-8-sig")
    drafted = system.ciclo("inspect", str(file))
    folder = Path(system.env["CICLO_PIPELINES"]) / "harbour"
    folder.mkdir()
    (folder / "pipeline.yaml").write_text(REST + drafted)
    dags = {f"{verb}_harbour" for verb in ("ingest", "monitor", "train", "score", "quarantine")}
    system.wait_for(lambda: dags <= system.api.dag_ids(), "the new DAGs")  # an event wakes nobody before
    return system.sql


def test_an_unseen_file_goes_round_the_loop_from_yaml_alone(system, harbour):
    conf = json.dumps({"start": "2024-01-01", "end": "2024-03-01"})
    system.airflow("dags", "trigger", "ingest_harbour", "--run-id", "first", "--conf", conf)
    system.wait_for_promotion("harbour")
    [[rows, hours, unknown]] = harbour(
        "select count(*), count(distinct valid_at), count(*) - count(wind) from core.harbour"
    )
    assert (rows, hours) == (str(HOURS), str(HOURS))
    assert unknown == str(len([number for number in range(HOURS) if number % 97 == 5]))
    [[level, pressure]] = harbour("select level_cm, pressure from core.harbour where valid_at = '2024-01-13 07:00+00'")
    at = hour((datetime(2024, 1, 13, 7) - datetime(2024, 1, 1)) // timedelta(hours=1)).replace(",", ".").split(";")
    assert [float(level), float(pressure)] == [float(at[2]), float(at[4])]
    verdicts = [
        verdict for [verdict] in harbour("select verdict from ml.decision where pipeline = 'harbour' order by 1")
    ]
    assert verdicts == ["promote", "retrain"]
    assert system.status()["pipelines"]["harbour"]["champion"]["metrics"]["r2"] > 0


def test_a_row_that_was_corrected_late_is_judged_anew_in_the_window_it_belongs_to(system, harbour):
    file = system.var / "files" / "gauge.csv"
    lines = file.read_text(encoding="utf-8-sig").splitlines()
    place = 2 + 24 * 12  # 13 January, midnight
    lines[place] = ";".join([*lines[place].split(";")[:2], "777,7", "5,0", "1013,0"])
    file.write_text("\r\n".join(lines), encoding="utf-8-sig")
    system.api.trigger("ingest_harbour", "late", {"start": "2024-01-10", "end": "2024-01-20"})
    decided = (
        "select window_start_at::date, window_end_at::date from ml.decision"
        " where pipeline = 'harbour' and dag_id = 'monitor_harbour'"
    )
    # One load, one decision: on the newest of its windows, which is the one that was opened again.
    system.wait_for(lambda: len(harbour(decided)) == 2, "the decision on the window opened again")
    assert harbour(decided) == [["2024-01-01", "2024-03-01"]] * 2
    assert harbour("select level_cm from core.harbour_history") != harbour(
        "select level_cm from core.harbour where valid_at = '2024-01-13'"
    )


def test_with_the_file_gone_the_window_is_rebuilt_from_the_lake(system, harbour):
    system_file = system.var / "files" / "gauge.csv"
    system_file.unlink()
    before = harbour("select md5(string_agg(t::text, ',' order by valid_at)) from core.harbour t")
    system.api.trigger("ingest_harbour", "again", {"start": "2024-01-01", "end": "2024-03-01", "from_lake": True})
    system.wait_for(lambda: system.api.run_state("ingest_harbour", "again") == "success", "the rebuild")
    assert harbour("select md5(string_agg(t::text, ',' order by valid_at)) from core.harbour t") == before
    changed = "sum(inserted_count + revised_count + corrected_count + withdrawn_count), sum(unchanged_count)"
    again = harbour(f"select {changed} from ops.run where pipeline = 'harbour' and run_id = 'again'")
    assert again == [["0", str(HOURS + 10 * 24)]], "both fetches, the whole and its ten days"


def test_a_run_on_a_connection_nobody_declared_fails_at_once_and_goes_on_once_it_is_mended(system, harbour):
    (system.var / "files" / "gauge.csv").write_text(
        "\n".join(["", "Day;Hour;Level (cm);Wind;Pressure", *map(hour, range(24))])
    )
    file = Path(system.env["CICLO_PIPELINES"]) / "harbour" / "pipeline.yaml"
    right = file.read_text()
    file.write_text(right.replace("connection: local_files", "connection: nowhere_files"))
    task = "dags/ingest_harbour/tasks/gauge.extract"
    system.wait_for(lambda: system.api.call("GET", task).json()["pool"] == "nowhere_files", "the DAG to change")
    system.api.trigger("ingest_harbour", "undeclared", {"start": "2024-01-01", "end": "2024-01-02"})
    system.wait_for(lambda: system.api.run_state("ingest_harbour", "undeclared") == "failed", "the run to fail")
    why = system.api.why_failed("ingest_harbour", "undeclared")
    assert "source gauge: the Airflow Connection 'nowhere_files' does not exist or has no host: declare it" in why
    file.write_text(right)
    system.api.retry_failed("ingest_harbour", "undeclared")
    system.wait_for(lambda: system.api.run_state("ingest_harbour", "undeclared") == "success", "the run to go on")
