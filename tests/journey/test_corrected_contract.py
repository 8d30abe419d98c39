"""A contract that was wrong when the first rows were loaded: corrected, read again, trained on and promoted."""

import math
from datetime import datetime, timedelta
from pathlib import Path

import pytest

START = datetime(2024, 1, 1)
SPEC = """
pipeline: buoy
title: Water level at a buoy, SIMULATED
description: Made by a test, from a file that only the test knows.
owner: port
impact: tier_3
schedule: {cron: "0 6 * * *", start: 2024-01-01, end: 2024-03-01}
sources:
  gauge:
    kind: csv_file
    main: true
    connection: local_files
    title: Gauge of the buoy, SIMULATED
    path: /buoy.csv
    time: {columns: [at], format: "%Y-%m-%d %H:%M"}
    missing: ["N-A"]
    max_rejected: 0.5
    columns:
      level_cm: {from: level, unit: cm, description: Water level}
      wind_m_s: {from: wind, unit: m/s, description: Wind speed}
features:
  - {kind: value, column: wind_m_s}
  - {kind: calendar, parts: [hour_of_day]}
target: {column: level_cm, horizon: 0, interval: 0.9}
training:
  min_rows: 200
  seed: 1
  split: {holdout: 7 days}
  candidates:
    naive: {kind: naive, by: hour_of_day}
    linear: {kind: linear, alpha: 1.0}
thresholds: {r2_min: -1000000, min_rows: 24}
replay: {start: 2024-01-01, end: 2024-03-01}
"""


def write(file: Path, days: int) -> None:
    """Write the file as it is after some days: where the wind is unknown the logger writes -200."""
    lines = ["at,level,wind"]
    for number in range(24 * days):
        at, wind = START + timedelta(hours=number), 5 + 3 * math.sin(number / 40)
        level = 500 + 10 * wind + 3 * math.sin(number * 2 * math.pi / 12.42)
        lines.append(f"{at:%Y-%m-%d %H:%M},{level:.1f},{'-200' if number % 19 == 5 else f'{wind:.1f}'}")
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def buoy(system):
    """Load fifty days under the wrong contract, until the first champion stands."""
    folder = Path(system.env["CICLO_PIPELINES"]) / "buoy"
    folder.mkdir()
    spec = folder / "pipeline.yaml"
    write(system.var / "files" / "buoy.csv", 50)
    spec.write_text(SPEC)
    dags = {f"{verb}_buoy" for verb in ("ingest", "monitor", "train", "score", "rollback", "quarantine")}
    system.wait_for_dags(lambda: dags <= system.api.dag_ids())
    ingest(system, "first", "2024-01-01", "2024-02-20")
    system.wait_for_promotion("buoy")
    return spec


def ingest(system, run_id: str, start: str, end: str) -> None:
    system.api.trigger("ingest_buoy", run_id, {"start": start, "end": end})


def test_a_corrected_contract_is_trained_on_and_promoted(system, buoy):
    [[lowest]] = system.sql("select min(wind_m_s) from feature.buoy")
    assert lowest == "-200", "what stands for a missing value was taken for one"
    write(system.var / "files" / "buoy.csv", 60)
    buoy.write_text(SPEC.replace('"N-A"', '"-200"'))
    ingest(system, "corrected", "2024-01-01", "2024-03-01")
    promoted = (
        "select model_version, evidence->>'asked_by' from ml.decision where pipeline = 'buoy' and verdict = 'promote'"
    )
    system.wait_for_promotion("buoy", 2)
    [(first, _), (second, reason)] = sorted(system.sql(promoted))
    assert (int(first), int(second)) == (1, 2)
    assert "rows that we had misread were corrected" in reason
    counts = "select inserted_count, revised_count, corrected_count from ops.run where run_id = 'corrected'"
    misread = len([number for number in range(24 * 50) if number % 19 == 5])
    assert system.sql(counts) == [[str(24 * 10), "0", str(misread)]]
    [[lowest, late]] = system.sql(
        "select min(wind_m_s), count(*) filter (where available_at > valid_at) from feature.buoy"
    )
    assert float(lowest) > 0
    assert late == "0", "a correction was known when its row was"
    trained_on = (
        "select minimum > 0 from ml.profile where (pipeline, scope, feature) = ('buoy', 'version', 'wind_m_s')"
        " order by scope_id::int"
    )
    assert system.sql(trained_on) == [["f"], ["t"]], "the second training read what was corrected"


def test_windows_of_an_older_contract_are_named_and_read_again_by_one_command(system, buoy):
    buoy.write_text(SPEC.replace('"N-A"', '"-200"').replace("unit: m/s,", "unit: m/s, max: 7.9,"))
    assert system.status()["pipelines"]["buoy"]["outdated_windows"] == ["2024-01-01..2024-03-01"]
    assert "ciclo reread buoy" in system.ciclo("status")
    assert system.ciclo("reread", "buoy").splitlines() == [
        "1/1 buoy 2024-01-01..2024-03-01: reading again",
        "All is read again; monitor_buoy decides whether to train.",
    ]
    assert system.status()["pipelines"]["buoy"]["outdated_windows"] == []
    assert system.ciclo("reread", "buoy").strip() == "buoy: everything was read by the contract as it is now."
    [[highest, withdrawn]] = system.sql(
        "select max(wind_m_s), (select sum(withdrawn_count) from ops.run where pipeline = 'buoy') from core.buoy"
    )
    assert float(highest) <= 7.9
    assert int(withdrawn) > 0, "rows that the contract quarantines now are not in the table any more"
