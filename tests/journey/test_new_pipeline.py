"""A pipeline the project does not ship, over a file it has never seen: by one command and one edit, while all runs."""

import json
import math
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from include.sandbox import standing
from include.sandbox.injection import Injection
from include.spec.dag_ids import VERBS

FIRST, HOURS = datetime(2024, 1, 1), 24 * 60
HEADER = ("Harbour gauge, SIMULATED;;;;", "Day;Hour;Level (cm);Wind;Pressure")


def hour(number: int, first: datetime = FIRST) -> str:
    """Return a row of the file: dates of two digits, decimal commas, a marker where the wind is unknown."""
    at = first + timedelta(hours=number)
    wind, pressure = 5 + 3 * math.sin(number / 40), 1013 + 8 * math.sin(number / 90)
    level = 500 + 20 * math.sin(number * 2 * math.pi / 12.42) + 6 * wind - 2 * (pressure - 1013)
    texts = [f"{level:.1f}", "n/a" if number % 97 == 5 else f"{wind:.1f}", f"{pressure:.1f}"]
    return ";".join([f"{at:%d.%m.%y}", f"{at:%H:%M}", *(text.replace(".", ",") for text in texts)])


@pytest.fixture(scope="module")
def harbour(system) -> Callable[[str], list[list[str]]]:
    """Drop the file and let `ciclo inspect` write its pipeline; give a way to ask the warehouse."""
    file = system.var / "files" / "gauge.csv"
    lines = [*HEADER, *map(hour, range(HOURS)), *[";;;;"] * 3]
    file.write_text("\r\n".join(lines), encoding="utf-8-sig")
    system.ciclo("inspect", str(file), "--pipeline", "harbour", "--target", "Level (cm)")
    written = Path(system.env["CICLO_PIPELINES"]) / "harbour" / "pipeline.yaml"
    edited = [line for line in written.read_text().splitlines() if "random_forest" not in line]
    edited = [line.replace("promotion: {", "promotion: {approval: manual, ") for line in edited]
    written.write_text("\n".join([*edited, "monitoring: {label: {rows: 2}}", ""]))
    dags = {f"{verb}_harbour" for verb in VERBS}
    system.wait_for_dags(lambda: dags <= system.api.dag_ids())  # an event wakes nobody before
    return system.sql


def test_an_unseen_file_goes_round_the_loop_by_one_command_and_one_edit(system, harbour):
    conf = json.dumps({"start": "2024-01-01", "end": "2024-03-01"})
    system.airflow("dags", "trigger", "ingest_harbour", "--run-id", "first", "--conf", conf)
    answer(system, "Reject")
    system.api.trigger("train_harbour", "again", {"force": True})
    answer(system, "Approve")
    system.wait_for_promotion("harbour")
    [[rows, hours, unknown]] = harbour(
        "select count(*), count(distinct valid_at), count(*) - count(wind) from core.harbour"
    )
    assert (rows, hours) == (str(HOURS), str(HOURS))
    assert unknown == str(len([number for number in range(HOURS) if number % 97 == 5]))
    [[level, pressure]] = harbour("select level_cm, pressure from core.harbour where valid_at = '2024-01-13 07:00+00'")
    at = hour((datetime(2024, 1, 13, 7) - datetime(2024, 1, 1)) // timedelta(hours=1)).replace(",", ".").split(";")
    assert [float(level), float(pressure)] == [float(at[2]), float(at[4])]
    verdicts = harbour(
        "select verdict, coalesce(evidence->'approval'->>'answer', ''), coalesce(evidence->'approval'->>'by', '')"
        " from ml.decision where pipeline = 'harbour' order by decision_id"
    )
    asked, rejected, approved = ["hold", "", ""], ["reject", "rejected", "admin"], ["promote", "approved", "admin"]
    assert verdicts == [["retrain", "", ""], asked, rejected, asked, approved]
    assert system.status()["pipelines"]["harbour"]["champion"]["metrics"]["r2"] > 0


def answer(system, option: str) -> None:
    """Answer the question that waits, as a person does: not at once, when Airflow 3.3.2 can lose the answer."""

    def waiting() -> list[dict]:
        path, old = "dags/train_harbour/dagRuns/~/hitlDetails", datetime.now(UTC) - timedelta(seconds=3)
        questions = system.api.call("GET", path, params={"response_received": False}).json()["hitl_details"]
        parked = [one for one in questions if one["task_instance"]["state"] == "awaiting_input"]
        return [one for one in parked if datetime.fromisoformat(one["created_at"]) < old]

    system.wait_for(lambda: bool(waiting()), "the question", 240)
    [question] = waiting()
    assert "| **" in question["body"], "a table with the candidate that is asked for"
    run_id = question["task_instance"]["dag_run_id"]
    path = f"dags/train_harbour/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
    system.api.call("PATCH", path, json={"chosen_options": [option], "params_input": {}})
    system.wait_for(lambda: system.api.run_state("train_harbour", run_id) == "success", f"the run after {option}")


def test_an_answer_in_the_form_for_labels_is_stored_with_the_user_of_the_web_ui(system, harbour):
    [[number]] = harbour(
        "insert into ops.label_request (pipeline, entity, valid_at, why, doubt, predicted, model_version, run_id)"
        " values ('harbour', '', '2024-01-13 07:00+00', 'surprising', 2, 500, 1, 'by hand') returning request_id"
    )
    system.api.trigger("label_harbour", "told", {"request": int(number), "value": 512.5, "reason": "read again"})
    system.wait_for(lambda: system.api.run_state("label_harbour", "told") in ("success", "failed"), "the label")
    assert harbour("select value, reason, answered_by from ops.label_request") == [["512.5", "read again", "admin"]]


def test_promotions_may_become_automatic_again(system, harbour):
    written = Path(system.env["CICLO_PIPELINES"]) / "harbour" / "pipeline.yaml"
    written.write_text(written.read_text().replace("approval: manual", "approval: auto"))
    task = "dags/train_harbour/tasks/approve"
    system.wait_for_dags(lambda: system.api.call("GET", task, accept=(404,)).status_code == 404)


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
    system.wait_for_dags(lambda: system.api.call("GET", task).json()["pool"] == "nowhere_files")
    system.api.trigger("ingest_harbour", "undeclared", {"start": "2024-01-01", "end": "2024-01-02"})
    system.wait_for(lambda: system.api.run_state("ingest_harbour", "undeclared") == "failed", "the run to fail")
    why = system.api.why_failed("ingest_harbour", "undeclared")
    assert "source gauge: the Airflow Connection 'nowhere_files' does not exist or has no host: declare it" in why
    file.write_text(right)
    system.api.retry_failed("ingest_harbour", "undeclared")
    system.wait_for(lambda: system.api.run_state("ingest_harbour", "undeclared") == "success", "the run to go on")


def test_a_run_by_the_clock_loads_every_day_that_nobody_loaded(system, harbour):
    """As after an outage: the first run finds nothing loaded, the next the days since the schedule's start."""
    last = datetime.now(UTC).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
    first = last - timedelta(days=7)
    rows = [hour(number, first) for number in range(24 * 7)]
    (system.var / "files" / "tide.csv").write_text("\r\n".join([*HEADER, *rows, *[";;;;"] * 3]), encoding="utf-8-sig")
    pipelines = Path(system.env["CICLO_PIPELINES"])
    spec = yaml.safe_load((pipelines / "harbour" / "pipeline.yaml").read_text())
    [source] = spec["sources"].values()
    source["path"] = source["path"].replace("gauge.csv", "tide.csv")
    spec |= {"pipeline": "tide", "schedule": {"cron": "* * * * *", "start": first.date()}}
    spec |= {"replay": {"start": first.date(), "end": last.date()}}
    spec["training"]["min_rows"] = 10_000  # this is about loading
    (pipelines / "tide").mkdir()
    (pipelines / "tide" / "pipeline.yaml").write_text(yaml.safe_dump(spec))
    system.wait_for_dags(lambda: "ingest_tide" in system.api.dag_ids())
    missed = "select count(*) from ops.run where pipeline = 'tide' and run_id like 'missed\\_\\_%'"
    system.wait_for(lambda: harbour(missed) != [["0"]], "the days that nobody loaded", 300)
    shutil.rmtree(pipelines / "tide")  # no run a minute beside the journeys to come
    days = harbour("select count(distinct valid_at::date), count(*) from core.tide")
    assert days == [["7", str(24 * 7)]]


def test_a_pipeline_that_is_removed_takes_its_pages_and_its_injection_and_leaves_its_decisions(system, harbour):
    folder, pages = system.var / "sandbox", system.var / "docs" / "monitoring" / "harbour"
    kept = standing.read(folder)
    made = Injection("harbour", "wind", "uci", "T", "freeze", "", FIRST.replace(tzinfo=UTC), constant=1.0)
    standing.replace(folder, [*kept, made])
    assert list(pages.rglob("*.html"))
    unfinished = {"state": ["running", "queued"]}
    runs = [f"dags/{verb}_harbour/dagRuns" for verb in VERBS]
    system.wait_for(
        lambda: not any(system.api.call("GET", of, params=unfinished).json()["dag_runs"] for of in runs), "its runs"
    )
    assert f"injection {made}" in system.ciclo("remove", "harbour", "--yes")
    assert standing.read(folder) == kept
    assert not pages.exists()
    assert harbour("select to_regclass('core.harbour') is null") == [["t"]]
    assert harbour("select count(*) > 0 from ml.decision where pipeline = 'harbour'") == [["t"]]
    assert "harbour" not in system.status()["pipelines"]
