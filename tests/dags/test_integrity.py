"""Every DAG loads, is what its name says, and tells people what they need."""

import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from include.reporting import dag_pages
from include.settings import settings
from include.spec.load import load_all
from include.windows import Window

ROOT = Path(__file__).resolve().parents[2]
VERBS = ("ingest", "monitor", "train", "score", "rollback", "quarantine")
HEAVY = ("pandas", "numpy", "sklearn", "mlflow", "great_expectations", "pyarrow", "requests", "psycopg2")


def test_the_dags_are_exactly_these(dagbag):
    assert set(dagbag.dags) == {
        *("ingest_air_quality", "monitor_air_quality", "train_air_quality", "score_air_quality"),
        *("rollback_air_quality", "quarantine_air_quality"),
        *("ingest_co_alert", "monitor_co_alert", "train_co_alert", "score_co_alert"),
        *("rollback_co_alert", "quarantine_co_alert"),
        *("ingest_usdmxn", "monitor_usdmxn", "train_usdmxn", "score_usdmxn"),
        *("rollback_usdmxn", "quarantine_usdmxn"),
        *("alert", "backup", "drill", "keep_house"),
    }


def test_every_dag_file_can_be_imported(dagbag):
    assert dagbag.import_errors == {}


def test_a_planted_broken_dag_is_caught(read_dags, tmp_path):
    shutil.copytree(ROOT / "dags", tmp_path / "dags")
    (tmp_path / "dags" / "planted.py").write_text("from airflow.sdk import dag\nimport no_such_module\n")
    broken = read_dags(tmp_path / "dags")
    assert list(broken.import_errors) == ["planted.py"]
    assert "no_such_module" in broken.import_errors["planted.py"]


def test_a_folder_without_dags_does_not_pass_for_ours(read_dags, tmp_path):
    assert set(read_dags(tmp_path).dags) == set()


@pytest.fixture
def own_pipelines(tmp_path, monkeypatch):
    """Give a copy of the shipped pipelines for the DAG files to read."""
    monkeypatch.setenv("CICLO_PIPELINES", str(tmp_path / "pipelines"))
    settings.cache_clear()
    yield shutil.copytree(ROOT / "include" / "pipelines", tmp_path / "pipelines")
    settings.cache_clear()


def test_a_broken_pipeline_is_shown_and_leaves_the_others_alone(own_pipelines, read_dags):
    path = own_pipelines / "usdmxn" / "pipeline.yaml"
    path.write_text(path.read_text().replace("impact: tier_1", "impact: tier_9"))
    dagbag = read_dags(ROOT / "dags")
    others = {f"{verb}_{name}" for verb in VERBS for name in ("air_quality", "co_alert")}
    assert set(dagbag.dags) == others | {"alert", "backup", "drill", "keep_house"}
    assert list(dagbag.import_errors) == ["broken_pipelines.py"]
    assert re.search(r"pipeline\.yaml:\d+: impact: ", dagbag.import_errors["broken_pipelines.py"])


def test_the_log_of_a_task_whose_pipeline_cannot_be_loaded_has_every_fault_and_others_go_on(
    own_pipelines, read_dags, monkeypatch
):
    path = own_pipelines / "usdmxn" / "pipeline.yaml"
    path.write_text(path.read_text().replace("impact: tier_1", "impact: tier_9").replace("horizon: 1", "horizon: one"))
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "ingest_usdmxn")  # as Airflow sets it in a task's process
    [error] = read_dags(ROOT / "dags" / "ingest.py").import_errors.values()
    assert re.search(r"pipeline\.yaml:\d+: impact: .*\n.*pipeline\.yaml:\d+: target\.horizon: ", error)
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "ingest_air_quality")
    dagbag = read_dags(ROOT / "dags" / "ingest.py")
    assert (set(dagbag.dags), dagbag.import_errors) == ({"ingest_air_quality"}, {})
    path.write_text((ROOT / "include" / "pipelines" / "usdmxn" / "pipeline.yaml").read_text())
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "ingest_usdmxn")
    assert "ingest_usdmxn" in read_dags(ROOT / "dags" / "ingest.py").dags


@pytest.mark.parametrize(
    ("verb", "name", "value"),
    [
        ("ingest", "start", "2025-13-01"),
        ("ingest", "end", "2025-02-32"),
        ("train", "start", "yesterday"),
        ("monitor", "end", "01/02/2025"),
        ("score", "start", "2025-01-01T25:00"),
        ("quarantine", "end", 20250101),
        ("ingest", "from_lake", "yes"),
    ],
)
def test_a_malformed_param_is_refused_when_the_run_is_asked_for(dagbag, verb, name, value):
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        dagbag.dags[f"{verb}_usdmxn"].params.get_param(name).resolve(value=value)


@pytest.mark.parametrize(
    "value",
    ["2025-01-01", "2025-01-01T06:00", "2025-01-01 06:00:30.5", "2025-01-01T06:00:00+00:00", "2025-01-01T06:00Z"],
)
def test_what_a_window_can_be_made_of_is_taken(dagbag, value):
    assert dagbag.dags["ingest_usdmxn"].params.get_param("start").resolve(value=value) == value
    assert Window.parse(value, "2030-01-01")


def test_every_dag_has_an_owner_an_impact_and_a_way_to_rerun(dagbag):
    for dag in dagbag.dags.values():
        assert complaints(dag) == []


def test_a_dag_without_owner_impact_rerun_and_page_is_complained_about(read_dags, tmp_path):
    (tmp_path / "bare.py").write_text(
        "from airflow.sdk import dag, task\n@dag(schedule=None)\ndef bare():\n    pass\nbare()\n"
    )
    assert complaints(read_dags(tmp_path).dags["bare"]) == ["owner", "impact", "rerun", "Makes", "Params", "Rerun"]


def complaints(dag) -> list[str]:
    page = dag.doc_md or ""
    found = [] if dag.owner not in ("", "airflow") else ["owner"]
    found += [] if {"impact/tier_1", "impact/tier_2", "impact/tier_3"} & set(dag.tags) else ["impact"]
    found += [] if {"rerun/window", "rerun/now"} & set(dag.tags) else ["rerun"]
    return found + [part for part in ("Makes", "Params", "Rerun") if f"**{part}**" not in page]


def test_no_task_may_hang_for_ever(dagbag):
    assert [task for dag in dagbag.dags.values() for task in dag.tasks if not task.execution_timeout] == []


@pytest.mark.parametrize("verb", VERBS)
def test_each_pipeline_tags_its_dags(dagbag, verb):
    for name, spec in load_all().items():
        dag = dagbag.dags[f"{verb}_{name}"]
        assert {name, f"impact/{spec.impact}"} <= set(dag.tags)
        assert dag.max_active_runs == 1


def test_no_dag_file_imports_anything_heavy():
    assert heavy_imports(ROOT / "dags") == []


def test_a_dag_file_that_imports_pandas_is_complained_about(tmp_path):
    (tmp_path / "heavy.py").write_text("import pandas\n")
    assert "pandas" in heavy_imports(tmp_path)


def heavy_imports(folder: Path) -> list[str]:
    """Run every DAG file in a fresh Python and return the heavy modules that got imported by them."""
    program = (
        "import runpy, sys, airflow.sdk\n"
        "from airflow.providers.standard.operators import trigger_dagrun\n"
        "before = set(sys.modules)\n"
        f"[runpy.run_path(path) for path in {[str(p) for p in sorted(folder.glob('*.py'))]!r}]\n"
        f"print(*[name for name in {sorted(HEAVY)!r} if name in sys.modules and name not in before])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()


def test_every_connection_a_pipeline_names_is_declared_with_a_pool_of_its_own():
    declared = yaml.safe_load((ROOT / "airflow_settings.yaml").read_text())["airflow"]
    wanted = {source.connection for spec in load_all().values() for source in spec.sources.values()}
    assert wanted <= {entry["conn_id"] for entry in declared["connections"]}
    assert wanted <= {entry["pool_name"] for entry in declared["pools"]}


def test_the_page_of_the_dags_is_current():
    assert dag_pages.main(["--check"]) == 0


def test_a_stale_page_of_the_dags_is_complained_about(tmp_path, capsys):
    stale = tmp_path / "dags.md"
    stale.write_text(dag_pages.page() + "one line more\n")
    assert dag_pages.main(["--check"], stale) == 1
    assert "make docs" in capsys.readouterr().err


def test_what_the_quarantine_can_do_is_one_task_each_and_a_retry_goes_the_normal_way(dagbag):
    dag = dagbag.dags["quarantine_usdmxn"]
    assert dag.get_task("choose").downstream_task_ids == {
        *("list_entries", "show_entries", "override_entries", "find_windows")
    }
    load_again = dag.get_task("load_again")
    assert load_again.upstream_task_ids == {"find_windows"}
    assert load_again.partial_kwargs["trigger_dag_id"] == "ingest_usdmxn"
    assert dag.get_task("tell_outcome").upstream_task_ids == {"find_windows", "load_again"}
    assert dag.params["action"] == "list"


@pytest.mark.parametrize(
    ("name", "value"),
    [("action", "delete"), ("ids", "17"), ("ids", ["seventeen"]), ("status", "lost"), ("reason", None)],
)
def test_a_param_of_the_quarantine_that_makes_no_sense_is_refused(dagbag, name, value):
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        dagbag.dags["quarantine_usdmxn"].params.get_param(name).resolve(value=value)


@pytest.fixture
def with_people(own_pipelines, read_dags):
    """Read the DAGs where promotions of usdmxn wait for a person, for six hours, and people are asked for labels."""
    path = own_pipelines / "usdmxn" / "pipeline.yaml"
    document = yaml.safe_load(path.read_text())
    document["promotion"] |= {"approval": "manual", "approval_expires": "6 hours"}
    document["monitoring"] = document.get("monitoring", {}) | {"label": {"rows": 3}}
    path.write_text(yaml.safe_dump(document))
    dagbag = read_dags(ROOT / "dags")
    assert dagbag.import_errors == {}
    return dagbag


def test_a_manual_training_waits_for_a_person_between_the_decision_and_the_aliases(with_people):
    from airflow.providers.standard.operators.hitl import ApprovalOperator

    dag = with_people.dags["train_usdmxn"]
    order = ["compare_and_decide", "show_evidence", "approve", "record_answer", "apply_decision"]
    for before, after in pairwise(order):
        assert after in dag.get_task(before).downstream_task_ids
    assert dag.get_task("apply_decision").upstream_task_ids == {"record_answer"}
    approve = dag.get_task("approve")
    assert (isinstance(approve, ApprovalOperator), approve.defaults) == (True, ["Reject"])
    assert approve.response_timeout == timedelta(hours=6)
    assert {"subject", "body"} <= set(approve.template_fields)


def test_a_rejection_or_an_expiry_is_handed_on_and_a_skipped_training_asks_nobody(with_people):
    dag = with_people.dags["train_usdmxn"]
    approve, reply = dag.get_task("approve"), {"chosen_options": ["Reject"], "params_input": {}}
    reply |= {"responded_at": datetime(2025, 3, 1, tzinfo=UTC), "responded_by_user": None}
    answer = approve.execute_complete({"ti": None, "task": approve}, reply)
    assert (answer["chosen_options"], answer["responded_by_user"]) == (["Reject"], None)
    assert dag.get_task("show_evidence").downstream_task_ids == {"approve"}
    assert dag.get_task("show_evidence").ignore_downstream_trigger_rules is False
    assert dag.get_task("record_answer").trigger_rule == "none_failed_min_one_success"


def test_only_manual_pipelines_wait_and_only_those_that_ask_have_a_form(with_people):
    asking = {"show_evidence", "approve", "record_answer"}
    assert not asking & set(with_people.dags["train_air_quality"].task_ids)
    assert "label_air_quality" not in with_people.dags
    assert "request_labels" not in with_people.dags["monitor_air_quality"].task_ids
    assert with_people.dags["monitor_usdmxn"].get_task("request_labels").upstream_task_ids == {"measure"}


@pytest.mark.parametrize(
    ("name", "value"), [("request", 0), ("request", "one"), ("request", None), ("value", "2,4"), ("reason", "")]
)
def test_the_form_for_a_label_refuses_what_makes_no_sense(with_people, name, value):
    from airflow.sdk.exceptions import ParamValidationError

    dag = with_people.dags["label_usdmxn"]
    assert complaints(dag) == []
    with pytest.raises(ParamValidationError):
        dag.params.get_param(name).resolve(value=value)


def test_a_run_that_somebody_starts_in_the_web_ui_today_has_tasks(dagbag):
    """Airflow leaves out the tasks of a run whose logical date, which the form fills in, is after their end_date."""
    assert [task.task_id for dag in dagbag.dags.values() for task in dag.tasks if task.end_date is not None] == []
