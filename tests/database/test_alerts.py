"""People are told once, of what the spec wants, even when a task dies with a long story."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from include.alerts.record import raise_alert
from include.health.state import _failure
from include.promotion.ledger import append
from include.steps.failure import alert_failure
from include.steps.late import find_late
from include.warehouse.batch import RunRef
from include.windows import Window

JANUARY = Window.parse("2025-01-01", "2025-02-01")
RUN = RunRef("ingest_readings", "first")


@pytest.fixture
def context(warehouse_url: str, monkeypatch: pytest.MonkeyPatch) -> dict:
    """What Airflow hands to a task's failure callback, in a runtime whose warehouse is the test's."""
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", warehouse_url)
    dag_run = SimpleNamespace(
        dag_id="ingest_readings",
        run_id="first",
        run_type="manual",
        data_interval_start=None,
        run_after=datetime(2025, 1, 1, tzinfo=UTC),
        start_date=None,
    )
    task = SimpleNamespace(dag_id="ingest_readings", run_id="first", task_id="meter.check", map_index=-1, try_number=1)
    return {"dag_run": dag_run, "params": {}, "ti": task, "exception": ValueError("no way")}


def tell(warehouse, kind: str = "retrain", message: str = "r2 fell") -> None:
    with warehouse.engine.begin() as connection:
        raise_alert(connection, warehouse.spec, kind, message, RUN)


def test_an_alert_is_raised_once_a_run(warehouse) -> None:
    tell(warehouse)
    tell(warehouse)
    tell(warehouse, message="something else")
    found = warehouse.sql("select pipeline, kind, message, run_id from ops.alert order by alert_id")
    assert found == [("readings", "retrain", "r2 fell", "first"), ("readings", "retrain", "something else", "first")]


def test_a_kind_the_spec_does_not_want_is_not_told(warehouse) -> None:
    alerts = warehouse.spec.alerts.model_copy(update={"on": ("failure",)})
    warehouse.spec = warehouse.spec.model_copy(update={"alerts": alerts})
    tell(warehouse, "retrain")
    assert warehouse.one("select count(*) from ops.alert") == 0


def test_a_message_longer_than_any_index_entry_is_recorded_whole(warehouse) -> None:
    message = "".join(chr(33 + (n * n * 7919) % 9000) for n in range(20_000))
    tell(warehouse, message=message)
    tell(warehouse, message=message)
    assert warehouse.sql("select message from ops.alert") == [(message,)]


def test_a_task_that_failed_for_good_is_told_with_its_error(warehouse, context: dict) -> None:
    alert_failure(warehouse.spec, context)
    assert warehouse.sql("select kind, message from ops.alert") == [("failure", "ingest_readings meter.check: no way")]


def test_a_run_that_has_not_ended_in_time_is_told_once(warehouse) -> None:
    """Airflow's table of runs, as far as it is read."""
    with warehouse.engine.begin() as connection:
        connection.exec_driver_sql("create table dag_run (dag_id text, run_id text, queued_at timestamptz, state text)")
        connection.exec_driver_sql(
            "insert into dag_run values ('ingest_readings', 'long', now() - interval '2 hours', 'running'),"
            " ('ingest_readings', 'short', now() - interval '59 minutes', 'running'),"
            " ('score_readings', 'over', now() - interval '2 hours', 'success'),"
            " ('train_readings', 'waits', now() - interval '2 hours', 'queued')"
        )
    manual = warehouse.spec.promotion.model_copy(update={"approval": "manual"})
    spec = warehouse.spec.model_copy(update={"promotion": manual})
    for _ in range(2):
        assert find_late(warehouse.engine, warehouse.engine, {"readings": spec}, datetime.now(UTC)) == 1
    [(kind, severity, message)] = warehouse.sql("select kind, severity, message from ops.alert")
    assert (kind, severity) == ("overdue", "critical")
    assert message.startswith("ingest_readings long: it was queued at ")
    assert find_late(warehouse.engine, warehouse.engine, {"readings": warehouse.spec}, datetime.now(UTC)) == 2


@pytest.mark.parametrize(("kind", "severity"), [("failure", "critical"), ("quality", "warning"), ("retrain", "info")])
def test_an_alert_that_nobody_is_named_for_is_kept_with_its_severity(warehouse, kind: str, severity: str) -> None:
    tell(warehouse, kind)
    columns = "severity, status, attempts, delivered_at, last_error"
    assert warehouse.sql(f"select {columns} from ops.alert") == [(severity, "unaddressed", 0, None, None)]


@pytest.mark.parametrize(
    ("task", "since", "is_told"),
    [
        ("ingest_readings meter.check", None, True),
        ("ingest_readings meter.check", "loaded", False),
        ("train_readings fit_candidate", "loaded", True),
        ("monitor_readings decide", "decided", False),
        ("score_readings predict", "decided", False),
        ("quarantine_readings choose", None, False),
    ],
)
def test_a_failure_shows_until_its_dag_has_come_to_an_end_again(warehouse, task, since, is_told) -> None:
    tell(warehouse, "failure", f"{task}: no way")
    warehouse.sql("update ops.alert set raised_at = now() - interval '1 minute'")
    if since == "loaded":
        warehouse.load(warehouse.batch([{"at": 1}]))
    with warehouse.engine.begin() as connection:
        if since == "decided":
            append(connection, "readings", JANUARY, "hold", ["fine"], {}, None, RunRef("monitor_readings", "first"))
        assert _failure(connection, "readings") == (f"{task}: no way" if is_told else None)
