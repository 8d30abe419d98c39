"""The closed loop through the real scheduler: what a data team sees in its first minutes, and its first failure."""

import hashlib
import json
import re
from datetime import UTC
from itertools import chain
from pathlib import Path
from secrets import token_hex

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from include.commands.system import run_to_end
from include.local.postgres import DATABASES
from include.local.processes import belonging_to
from include.local.replay import ReplayFailed, replay, run_id_of
from include.quality.data_docs.files import pages_of_run
from include.spec.load import load_all
from include.spec.model import Pipeline, Replay
from include.windows import Window
from tests import forked
from tests.leaks import command_lines, database, files, leaks, repository, secrets_of

ROOT = Path(__file__).resolve().parents[2]
PLANS = {
    "air_quality": Replay.model_validate(
        {"history": ["2004-03-01", "2004-07-01"], "start": "2004-07-01", "end": "2004-08-01", "step": "month"}
    ),
    "co_alert": Replay.model_validate(
        {"history": ["2004-03-01", "2004-07-01"], "start": "2004-07-01", "end": "2004-08-01", "step": "month"}
    ),
    "usdmxn": Replay.model_validate({"start": "2018-01-01", "end": "2020-01-01", "step": "year"}),
}
VALUES, EVENTS = {"r2", "rmse", "mae"}, {"brier", "log_loss", "event_share"}
METRICS = {"air_quality": VALUES, "co_alert": EVENTS, "usdmxn": VALUES}
TABLES = (
    *(
        "core.air_quality",
        "core.co_alert",
        "core.usdmxn",
        "core.usdmxn_rates",
        "core.usdmxn_inflation",
        "core.usdmxn_operations",
    ),
    *("raw.payload", "ops.run", "ops.quality_result", "ops.quarantine"),
    "(select pipeline, kind, message, run_id from ops.alert where kind <> 'health')",  # the clock looks at the health
    *(
        "ml.decision",
        "ml.prediction",
        "ml.drift",
        "ml.performance",
        "ml.look",
        "ml.snapshot",
        "feature.air_quality",
        "feature.co_alert",
        "feature.usdmxn",
    ),
)


# Which components are killed with -9 while a run of which verb goes on.
KILLED = {
    "ingest": ("mlflow", "dag-processor", "predictions"),
    "score": ("postgres", "triggerer"),
    "monitor": ("scheduler", "api-server"),
    "train": ("mlflow", "postgres"),
}


def specs() -> list[Pipeline]:
    """Return the shipped pipelines with shorter plans."""
    return [spec.model_copy(update={"replay": PLANS[name]}) for name, spec in load_all().items()]


@pytest.fixture(scope="module")
def played(system):
    """The system after every window of the plans went through the scheduler."""
    moments = []
    replay(system.sign_in, specs(), moments.append)
    assert {moment.pipeline for moment in moments} == set(PLANS)
    return system


def test_each_pipeline_has_a_champion_by_alias_and_the_status_says_so(played):
    mlflow = f"http://127.0.0.1:{played.env['CICLO_MLFLOW_PORT']}/api/2.0/mlflow/registered-models/alias"
    pipelines = played.status()["pipelines"]
    for name in PLANS:
        answer = requests.get(mlflow, params={"name": name, "alias": "champion"}, timeout=10)
        assert answer.status_code == 200, answer.text
        assert pipelines[name]["champion"]["version"] == int(answer.json()["model_version"]["version"])
        assert set(pipelines[name]["champion"]["metrics"]) >= METRICS[name]


NOT_WHOLE = {
    "All features are beneficial",
    "Offline and online metrics correlate",
    "All hyperparameters have been tuned",
    "Model quality is sufficient on important data slices",
}


def test_the_rehearsals_pass_and_the_score_that_is_counted_from_them_does_not_fall(played):
    assert run_to_end(played.api, "drill", "rehearsed", {}) == ""
    score = json.loads(played.ciclo("scorecard", "--json"))
    assert len(score["tests"]) == 28
    missing = {test["name"]: test["missing"] for test in score["tests"] if test["missing"]}
    assert missing.keys() <= NOT_WHOLE, missing
    # In plans as short as these too few windows meet their truth to compare errors: after `make run` it is 6.
    assert score["minimum"] >= 5, score["sections"]


def test_prometheus_is_told_with_its_token_and_nobody_without(played):
    url = f"http://127.0.0.1:{played.env['CICLO_AIRFLOW_PORT']}/metrics/"
    for headers in ({}, {"Authorization": "Bearer guessed"}):
        assert requests.get(url, headers=headers, timeout=30).status_code == 401
    token = (played.var / "secrets" / "metrics_token").read_text()
    answer = requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=30)
    assert answer.status_code == 200, answer.text
    told = {one.name: one.samples for one in text_string_to_metric_families(answer.text)}
    assert {sample.labels["pipeline"] for sample in told["ciclo_health"]} == set(PLANS)
    assert {sample.labels["dag_id"] for sample in told["ciclo_run_seconds"]} >= {"train_usdmxn", "ingest_co_alert"}
    assert {sample.labels["component"] for sample in told["ciclo_airflow_heartbeat_seconds"]} >= {"SchedulerJob"}


def test_every_row_is_there_once(played):
    [[rows, days, first, last]] = played.sql(
        "select count(*), count(distinct valid_at), min(valid_at)::date, max(valid_at)::date from core.usdmxn"
    )
    assert (rows, days) == ("502", "502")  # the FIX of 2018 and 2019: 251 banking days each
    assert (first, last) == ("2018-01-02", "2019-12-31")
    [[rows, hours]] = played.sql("select count(*), count(distinct valid_at) from core.air_quality")
    [[quarantined]] = played.sql("select count(*) from ops.quarantine where pipeline = 'air_quality'")
    span = Window.parse("2004-03-10T18:00", "2004-08-01")
    assert rows == hours
    assert int(rows) + int(quarantined) == (span.end - span.start).total_seconds() // 3600


def test_a_window_worth_it_leads_to_training_a_new_version_and_a_decision_with_reasons(played):
    retrains = played.sql(
        "select pipeline, decision_id, array_to_string(reasons, '; ') from ml.decision"
        " where verdict = 'retrain' and model_version is not null"
    )
    decided = played.sql(
        "select verdict, array_to_string(reasons, '; ') from ml.decision where dag_id like 'monitor_%'"
    )
    assert retrains, f"no window of the replay was worth a training: {decided}"
    for name, decision_id, reasons in retrains:
        assert "worth: " in reasons or "harm: " in reasons
        assert played.api.run_state(f"train_{name}", f"decision_{decision_id}") == "success"
        [[verdict, version]] = played.sql(
            f"select verdict, model_version from ml.decision where dag_id = 'train_{name}'"
            f" and run_id = 'decision_{decision_id}'"
        )
        assert verdict in ("promote", "reject")
        assert int(version) > 1


def test_the_page_in_airflow_tells_of_each_pipeline_what_the_status_does(played):
    def cards() -> list[tuple[str, ...]]:
        html = played.page("/ciclo/").text
        aspect = r'class="(\w+)"><span class="grade \w+"><span aria-hidden="true">.</span> (\w+) (\w+)</span>'
        return [
            (grade, name, *(part for found in re.findall(aspect, card) for part in found))
            for grade, name, card in re.findall(
                r'<article class="card (\w+)".*?card-(\w+)">(.*?)</article>', html, re.S
            )
        ]

    played.wait_for(
        lambda: len(cards()) == len(PLANS) and "unknown" not in cards()[0], "the page to have read the health"
    )
    health = played.status()["health"]
    told = [
        (
            one["grade"],
            name,
            *(part for aspect, of in one["aspects"].items() for part in (of["grade"], aspect, of["word"])),
        )
        for name, one in health.items()
    ]
    assert cards() == told
    version = played.status()["pipelines"]["usdmxn"]["champion"]["version"]
    assert "<h2>usdmxn, version" in played.page(f"/ciclo/model/usdmxn/{version}").text
    [[number]] = played.sql("select max(prediction_id) from ml.prediction where pipeline = 'usdmxn' and kind = 'batch'")
    walked = played.page(f"/ciclo/prediction/{number}").text
    [payload, *_] = re.findall(r"/ciclo/payload/(\d+)", walked)
    answer = played.page(f"/ciclo/payload/{payload}/bytes")
    [[sha256]] = played.sql(f"select sha256 from raw.payload where payload_id = {payload}")
    assert hashlib.sha256(answer.content).hexdigest() == sha256


def test_each_decision_has_its_page(played):
    runs = played.sql("select pipeline, dag_id, run_id from ml.decision where dag_id like 'monitor_%'")
    for name, dag_id, run_id in runs:
        states = {task["task_id"]: task["state"] for task in played.api.tasks(dag_id, run_id)}
        assert states["draw_report"] == "success"
        (page,) = pages_of_run(played.var / "docs" / "monitoring" / name, dag_id, run_id)
        assert "</html>" in page.read_text("utf-8")


def test_predictions_carry_their_version_and_say_simulated(played):
    [[rows, unmarked]] = played.sql(
        "select count(*), count(*) filter (where not is_simulated) from ml.prediction where pipeline = 'air_quality'"
    )
    assert int(rows) > 1000
    assert unmarked == "0"
    [[marked]] = played.sql("select count(*) from ml.prediction where pipeline = 'usdmxn' and is_simulated")
    assert marked == "0"  # its target is real; only the desk's operations are simulated
    state = played.status()["pipelines"]
    assert state["air_quality"]["is_simulated"]
    assert state["usdmxn"]["simulated_sources"] == ["operations"]


def test_predictions_against_what_came_give_the_error_that_the_monitor_measured(played):
    for name in PLANS:
        statistic, loss = ("brier", "v.error * v.error") if name == "co_alert" else ("mae", "abs(v.error)")
        rows = played.sql(
            f"select p.row_count, round(p.value::numeric, 9), count(*), round(avg({loss})::numeric, 9)"
            " from ml.performance p join mart.prediction_vs_actual v on v.pipeline = p.pipeline"
            " and v.model_version = p.model_version and v.known_at >= p.window_start_at"
            " and v.known_at < p.window_end_at and v.kind = 'batch'"
            f" where p.pipeline = '{name}' and (p.kind, p.statistic, p.slice) = ('error', '{statistic}', '')"
            " group by p.window_start_at, p.row_count, p.value"
        )
        assert rows, f"{name}: nothing was measured"
        assert all(row[:2] == row[2:] for row in rows), rows


def test_personal_data_is_nowhere(played):
    [[leaked]] = played.sql("select count(*) from core.usdmxn_operations where client_id !~ '^[0-9a-f]{32}$'")
    assert leaked == "0"
    columns = played.sql("select column_name from information_schema.columns where table_name = 'usdmxn_operations'")
    assert {"client_name", "client_rfc"}.isdisjoint(name for [name] in columns)


def test_the_same_again_changes_no_row(played):
    before = fingerprints(played)
    replay(played.sign_in, specs(), lambda moment: None)
    assert fingerprints(played) == before


def fingerprints(system) -> dict[str, str]:
    """Return a checksum of every row of every table."""
    queries = [
        f"select $${table}$$, md5(string_agg(row, ',' order by row)) from (select t::text as row from {table} t) r"
        for table in TABLES
    ]
    return dict(system.sql(" union all ".join(queries)))


def test_airflow_lists_the_runs(played):
    runs = played.api.call("GET", "dags/ingest_usdmxn/dagRuns").json()["dag_runs"]
    replayed = {run["dag_run_id"]: run["state"] for run in runs if run["dag_run_id"].startswith("replay__")}
    assert replayed == {run_id_of(window): "success" for window in PLANS["usdmxn"].windows(UTC)}


def test_training_on_demand_works_from_the_command_line(played):
    conf = '{"reason": "the desk asked", "force": true}'
    played.airflow("dags", "trigger", "train_usdmxn", "--run-id", "by_hand", "--conf", conf)
    played.wait_for(lambda: played.api.run_state("train_usdmxn", "by_hand") == "success", "train_usdmxn by hand")
    [[verdict, asked_by]] = played.sql(
        "select verdict, evidence->>'asked_by' from ml.decision where dag_id = 'train_usdmxn' and run_id = 'by_hand'"
    )
    assert verdict in ("promote", "reject")
    assert asked_by == "the desk asked"


def test_a_loop_in_which_every_component_is_killed_once_comes_to_the_same_end(played):
    """Each stage loses some of what it needs; what comes back by itself goes on, and nothing is lost or doubled."""
    window = Window.parse("2004-08-01", "2004-09-01")
    played.api.trigger("ingest_air_quality", run_id_of(window), window.to_dict())
    for verb, components in KILLED.items():
        if verb == "train":
            played.api.trigger("train_air_quality", "killed", {"reason": "a rehearsal of trouble", "force": True})
        runs = f"select count(*) from dag_run where dag_id = '{verb}_air_quality' and end_date is null"
        played.wait_for(lambda runs=runs: played.sql(runs, "airflow") != [["0"]], f"{verb} to begin", 240)
        for component in components:
            for process in belonging_to(played.var, component):
                process.kill()
        played.wait_for(lambda: is_up(played), "what was killed to come back", 240)
    looked = "select count(*) from ml.look where pipeline = 'air_quality' and window_end_at = '2004-09-01'"
    played.wait_for(lambda: played.sql(looked) == [["1"]], "the window to be looked at", 300)
    running = "select count(*) from dag_run where end_date is null"
    played.wait_for(lambda: played.sql(running, "airflow") == [["0"]], "every run to end", 300)
    assert played.api.run_state("train_air_quality", "killed") == "success"
    decided = "select count(*) from ml.decision where dag_id = 'train_air_quality' and run_id = 'killed'"
    assert played.sql(decided) == [["1"]]
    [[rows, hours, aside]] = played.sql(
        "select count(*), count(distinct valid_at), (select count(*) from ops.quarantine where pipeline = 'air_quality'"
        " and window_start_at = '2004-08-01') from core.air_quality where valid_at >= '2004-08-01'"
    )
    assert (rows, int(rows) + int(aside)) == (hours, 31 * 24)
    [[doubled]] = played.sql(
        "select count(*) - count(distinct (entity, valid_at, model_version)) from ml.prediction"
        " where (pipeline, kind) = ('air_quality', 'batch')"
    )
    assert doubled == "0"
    assert "are intact" in played.ciclo("ledger", "verify")
    status = played.status()
    served = status["predictions"]["pipelines"]["air_quality"]["versions"]
    assert served == [status["pipelines"]["air_quality"]["champion"]["version"]]


def is_up(system) -> bool:
    """Tell whether `ciclo status` finds every component well; it fails while a database is away."""
    told = forked.run("include.commands.cli", "status", "--json", env=system.env)
    return told.returncode == 0 and all(one["healthy"] for one in json.loads(told.stdout)["services"].values())


def test_a_refused_token_fails_visibly_loads_nothing_and_works_once_mended(played):
    api, window = played.api, Window.parse("2020-01-01", "2020-02-01")
    january = [spec for spec in specs() if spec.pipeline == "usdmxn"]
    plan = Replay.model_validate({"start": "2020-01-01", "end": "2020-02-01", "step": "month"})
    january = [january[0].model_copy(update={"replay": plan})]
    good = api.call("GET", "connections/banxico_api").json()
    token = (played.var / "secrets" / "sandbox_banxico_token").read_text()
    before = fingerprints(played)["core.usdmxn"]
    set_password(api, good, "0" * 64)
    with pytest.raises(ReplayFailed) as failure:
        replay(played.sign_in, january, lambda moment: None)
    assert "usdmxn" in str(failure.value)
    assert "banxico_api" in str(failure.value)
    assert fingerprints(played)["core.usdmxn"] == before
    [[alerts]] = played.sql(f"select count(*) from ops.alert where kind = 'failure' and run_id = '{run_id_of(window)}'")
    assert alerts != "0"
    set_password(api, good, token)
    replay(played.sign_in, january, lambda moment: None)
    [[rows]] = played.sql("select count(*) from core.usdmxn where valid_at >= '2020-01-01'")
    assert rows == "22"


def set_password(api, connection: dict, password: str) -> None:
    body = {key: connection[key] for key in ("connection_id", "conn_type", "host", "login", "schema", "port", "extra")}
    api.call("PATCH", "connections/banxico_api", json=body | {"password": password})


# Runs, and what is about to start one.
ACTIVE = """
select (select count(*) from dag_run where state in ('queued', 'running'))
    + (select count(*) from asset_event where timestamp > now() - interval '5 seconds')
"""


def test_the_nightly_cleaning_deletes_what_is_old_and_nothing_else(played):
    aged = "insert into log (dttm, event) values (now() - interval '2 years', 'aged') returning 1"
    played.sql(aged, "airflow")
    played.wait_for(lambda: played.sql(ACTIVE, "airflow") == [["0"]], "the end of what the tests before have started")
    kept = fingerprints(played)
    others = "select dag_id, run_id from dag_run where dag_id <> 'keep_house' order by 1, 2"
    runs = played.sql(others, "airflow")
    assert run_to_end(played.api, "keep_house", "by_hand", {}) == ""
    assert played.sql("select count(*) from log where event = 'aged'", "airflow") == [["0"]]
    later = played.sql(others, "airflow")
    assert [run for run in runs if run not in later] == []
    assert fingerprints(played) == kept
    assert "are intact" in played.ciclo("ledger", "verify")


def test_what_the_loop_cost_is_known(played):
    tasks = (
        "select count(*) from ops.task_run where pipeline = 'usdmxn' and task_id = 'fit_candidate' and not is_failed"
    )
    assert int(played.sql(tasks)[0][0]) >= 2
    [[seconds, cpu_seconds, received, trainings]] = played.sql(
        "select sum(run_seconds), sum(cpu_seconds), sum(received_count), sum(training_count) from mart.loop_daily"
    )
    assert float(seconds) > float(cpu_seconds) / 4 > 0
    assert int(received) > 1000
    assert int(trainings) >= 3


def test_no_secret_is_anywhere_but_where_secrets_belong(played):
    """After everything that a loop does: in no log, XCom, rendered template, model, payload, page, row or command."""
    planted = {"password": f"marker-{token_hex(16)}", "api_key": f"marker-{token_hex(16)}"}
    marker = {"connection_id": "marker", "conn_type": "http", "host": "h", "password": planted["password"]}
    played.api.call("POST", "connections", json=marker | {"extra": json.dumps({"api_key": planted["api_key"]})})
    token = played.ciclo("token", "issue", "journey", "--scope", "predict:air_quality").strip()
    predictions = f"http://127.0.0.1:{played.env['CICLO_PREDICTIONS_PORT']}/v1/predict/air_quality"
    for key in (token, token + "x"):  # one that opens, one that is refused
        requests.post(predictions, json={"rows": []}, headers={"Authorization": f"Bearer {key}"}, timeout=10)
    secrets = secrets_of(played.var / "secrets") | planted | {"token": token}
    superuser = f"postgresql://postgres@127.0.0.1:{played.env['CICLO_POSTGRES_PORT']}"
    places = chain(
        files(played.var, but=("secrets", "postgres")),
        repository(ROOT),
        (database(f"{superuser}/{name}", secrets["postgres"]) for name in DATABASES),
        command_lines(),
    )
    assert len(secrets) > 10
    assert leaks(secrets, places) == []
