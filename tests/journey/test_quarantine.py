"""A batch that came broken: blocked, told, shown in quarantine, and after the fix loaded with nothing lost."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

FEBRUARY, MARCH = range(31 * 24, 60 * 24), range(60 * 24, 91 * 24)
SPEC = """
pipeline: basin
title: Water level of a basin, SIMULATED
description: Made by a test.
owner: port
impact: tier_3
schedule: {cron: "0 6 1 * *", start: 2024-01-01, end: 2024-05-01}
sources:
  gauge:
    kind: csv_file
    main: true
    connection: local_files
    title: Gauge of the basin, SIMULATED
    path: /basin.csv
    delimiter: ";"
    time: {columns: [at], format: "%Y-%m-%d %H:%M"}
    columns:
      level_cm: {from: level, unit: cm, min: 300, max: 510, required: true, description: Level}
      wind_m_s: {from: wind, unit: m/s, min: 0, max: 60, description: Wind}
features: [{kind: value, column: wind_m_s}]
target: {column: level_cm, horizon: 0, interval: 0.9}
training:
  min_rows: 200
  seed: 1
  split: {holdout: 7 days}
  candidates:
    naive: {kind: naive}
thresholds: {r2_min: 0.5, mean_shift_pct: 50, features: [wind_m_s], min_rows: 24}
replay: {start: 2024-01-01, end: 2024-05-01}
"""


def row(number: int) -> str:
    """Return one hour of the file: a third of them are higher than the contract believes."""
    at = datetime(2024, 1, 1) + timedelta(hours=number)
    level, wind = 500 + 20 * math.sin(number / 6), 5 + 3 * math.sin(number / 40)
    return f"{at:%Y-%m-%d %H:%M};{level:.1f};{wind:.1f}"


def high(hours: range) -> int:
    return sum(float(row(number).split(";")[1]) > 510 for number in hours)


def write(file: Path, hours: range, changed: dict[int, str] | None = None) -> None:
    rows = [(changed or {}).get(number, row(number)) for number in hours]
    file.write_text("\n".join(["at;level;wind", *rows, ""]))


@pytest.fixture(scope="module")
def blocked(system):
    """The system after a batch that came broken was triggered as the web UI's form does it."""
    write(system.var / "files" / "basin.csv", FEBRUARY)
    folder = Path(system.env["CICLO_PIPELINES"]) / "basin"
    folder.mkdir()
    (folder / "pipeline.yaml").write_text(SPEC)
    dags = {f"{verb}_basin" for verb in ("ingest", "monitor", "quarantine")}
    system.wait_for_dags(lambda: dags <= system.api.dag_ids())
    assert run(system, "ingest_basin", "broken", {"start": "2024-02-01", "end": "2024-03-01"}) == "failed"
    return system


def run(system, dag_id: str, run_id: str, conf: dict) -> str | None:
    """Trigger a run as the form does, which fills in now as the logical date, and wait for its end."""
    api = system.api
    body = {"dag_run_id": run_id, "logical_date": datetime.now(UTC).isoformat(), "conf": conf}
    api.call("POST", f"dags/{dag_id}/dagRuns", json=body)
    system.wait_for(lambda: api.run_state(dag_id, run_id) in ("success", "failed"), f"{dag_id} {run_id}")
    return api.run_state(dag_id, run_id)


def test_the_batch_is_blocked_and_its_log_says_which_rule_how_many_rows_and_the_way_back(blocked):
    api = blocked.api
    tasks = {task["task_id"]: task for task in api.tasks("ingest_basin", "broken")}
    assert (tasks["gauge.check"]["state"], tasks["load"]["state"]) == ("failed", "upstream_failed")
    assert tasks["gauge.check"]["try_number"] == 1  # trying again would bring the same
    said = api.last_log_line("ingest_basin", "broken", tasks["gauge.check"]).splitlines()
    share = high(FEBRUARY) / len(FEBRUARY)
    broken = (
        f"Broken: rejected: {high(FEBRUARY)} of {len(FEBRUARY)} rows quarantined ({share:.1%}), expected at most 5%"
    )
    assert broken in said
    assert [line for line in said if line.startswith(f"Quarantined by: range of level_cm: {high(FEBRUARY)} of ")]
    examples = [line for line in said if line.startswith("Example: level_cm = 5")]
    assert len(examples) == 3
    assert all(line.endswith("expected 300 to 510 cm") for line in examples)
    assert "  ciclo quarantine retry basin --start 2024-02-01 --end 2024-03-01" in said


def test_people_are_told_and_nothing_is_loaded_or_monitored(blocked):
    assert blocked.sql("select kind from ops.alert where pipeline = 'basin' and kind <> 'health'") == [["failure"]]
    answer = blocked.api.call("GET", "dags/monitor_basin/dagRuns").json()
    assert answer["dag_runs"] == []


def test_it_is_visible_in_quarantine_and_in_the_scorecard(blocked):
    assert blocked.sql(
        "select sum(row_count), count(distinct row_number) from ops.quarantine where pipeline = 'basin'"
    ) == [[str(len(FEBRUARY)), str(high(FEBRUARY))]]
    assert "expected 300 to 510 cm" in blocked.ciclo("quarantine", "list", "basin")
    [[score, loaded]] = blocked.sql(
        "select score, is_loaded from mart.quality_scorecard"
        " where pipeline = 'basin' and dimension = 'validity' and column_name = 'level_cm'"
    )
    assert float(score) == pytest.approx(100 * (1 - high(FEBRUARY) / len(FEBRUARY)), abs=0.001)
    assert loaded == "f"


def test_the_button_at_the_task_leads_to_its_report_for_people_who_are_signed_in(blocked):
    path = "dags/ingest_basin/dagRuns/broken/taskInstances/gauge.check/links"
    links = blocked.api.call("GET", path).json()["extra_links"]
    url = f"http://127.0.0.1:{blocked.env['CICLO_AIRFLOW_PORT']}{links['Quality report']}"
    assert requests.get(url, timeout=10).status_code == 401
    page = blocked.page(links["Quality report"])
    assert page.status_code == 200
    assert "level_cm" in page.text
    assert "SIMULATED" in page.text


def test_a_retry_before_the_fix_says_what_still_waits_and_loses_nothing(blocked):
    waiting = "select quarantine_id, status, loaded_at from ops.quarantine where pipeline = 'basin' order by 1"
    before = blocked.sql(waiting)
    assert run(blocked, "quarantine_basin", "too_early", {"action": "retry"}) == "failed"
    assert blocked.sql(waiting) == before


def test_after_the_fix_a_retry_loads_every_row_though_the_source_has_lost_them(blocked):
    (blocked.var / "files" / "basin.csv").unlink()
    spec = Path(blocked.env["CICLO_PIPELINES"]) / "basin" / "pipeline.yaml"
    spec.write_text(SPEC.replace("max: 510", "max: 700"))
    said = blocked.ciclo("quarantine", "retry", "basin")
    assert f"{high(FEBRUARY) + 1} released, 0 still wait" in said  # the rows, and the batch as a whole
    rows = blocked.sql("select to_char(valid_at, 'YYYY-MM-DD HH24:MI'), level_cm, wind_m_s from core.basin order by 1")
    assert [[at, float(level), float(wind)] for at, level, wind in rows] == [
        [at, float(level), float(wind)] for at, level, wind in (row(number).split(";") for number in FEBRUARY)
    ]
    assert blocked.ciclo("quarantine", "list", "basin") == "Nothing in quarantine.\n"


def test_a_row_somebody_overrides_in_the_web_ui_is_loaded_with_the_next_retry(blocked):
    peak = row(MARCH[5]).split(";")[0] + ";750.5;30.0"
    write(blocked.var / "files" / "basin.csv", MARCH, {MARCH[5]: peak})
    assert run(blocked, "ingest_basin", "peak", {"start": "2024-03-01", "end": "2024-04-01"}) == "success"
    [[number, rule]] = blocked.sql(
        "select quarantine_id, rule from ops.quarantine where pipeline = 'basin' and is_waiting"
    )
    assert rule == "range"
    conf = {"action": "override", "ids": [int(number)], "reason": "the flood of that night"}
    assert run(blocked, "quarantine_basin", "override", conf) == "success"
    assert run(blocked, "quarantine_basin", "again", {"action": "retry"}) == "success"
    assert blocked.sql("select count(*) from core.basin where level_cm = 750.5") == [["1"]]
    assert blocked.sql(
        "select status, status_by, status_reason, loaded_at is not null from ops.quarantine"
        f" where quarantine_id = {number}"
    ) == [["overridden", "admin", "the flood of that night", "t"]]
    [[rows]] = blocked.sql("select count(*) from core.basin")
    assert int(rows) == len(FEBRUARY) + len(MARCH)


def test_what_an_analyst_marks_shows_in_the_scorecard(blocked):
    blocked.sql("select ops.flag('basin', '2024-03-01', '2024-03-02', 'analyst', 'the gauge was being cleaned')")
    marked = blocked.sql(
        "select distinct window_start_at::date, excluded_count from mart.quality_scorecard"
        " where pipeline = 'basin' order by 1"
    )
    assert marked == [["2024-02-01", "0"], ["2024-03-01", "1"]]
