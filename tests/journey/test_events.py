"""Ingest starts by itself when somebody says that there is news: over Airflow's API, or by the database."""

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

from include.local.airflow_api import DONE

T = TypeVar("T")
DEAL = "insert into desk.deal select 990000 + n, now(), 1000, 'buy', 'C0001', true from generate_series(1, 3) n"
# Only the role itself sees what its sessions do; one that has asked for something after LISTEN sleeps and listens.
LISTENS = (
    "select count(*) from pg_stat_activity where application_name = 'ciclo ingest_usdmxn'"
    " and query like 'SELECT%' and state = 'idle'"
)
MARK = "select max(loaded_until_at) from ops.watermark where pipeline = 'usdmxn' and source = 'fix'"


def wait_for(probe: Callable[[], T | None], what: str, seconds: float = 60) -> T:
    give_up = time.monotonic() + seconds
    while (found := probe()) is None:
        assert time.monotonic() < give_up, f"waited {seconds} s for {what}"
        time.sleep(0.3)
    return found


def event_runs(api, dag_id: str) -> list[dict[str, Any]]:
    """Return the runs that events started, the oldest first."""
    answer = api.call("GET", f"dags/{dag_id}/dagRuns", params={"run_type": "asset_triggered", "order_by": "run_after"})
    return answer.json()["dag_runs"]


def one_more_run(api, dag_id: str, before: int) -> dict[str, Any]:
    """Wait for the run that an event started, until it has ended."""

    def ended() -> dict[str, Any] | None:
        runs = event_runs(api, dag_id)
        return runs[before] if len(runs) > before and runs[before]["state"] in DONE else None

    return wait_for(ended, f"an event to start {dag_id} and the run to end")


def post_event(api, asset: str, extra: dict[str, Any]) -> None:
    """Do what docs/events.md shows with curl."""

    def found() -> int | None:
        assets = api.call("GET", "assets", params={"name_pattern": asset}).json()["assets"]
        return next((int(a["id"]) for a in assets if a["name"] == asset), None)

    asset_id = wait_for(found, f"Airflow to know the asset {asset}")
    api.call("POST", "assets/events", json={"asset_id": asset_id, "extra": extra})


@pytest.fixture
def loaded_just_now(system) -> Iterator[str]:
    """Say that all was loaded until now, so that an event finds a window of seconds and changes nothing; undo it."""
    [[before]] = system.sql(MARK)
    system.ciclo(
        "psql",
        "-c",
        "insert into ops.watermark (pipeline, source, loaded_until_at) values ('usdmxn', 'fix', now())"
        " on conflict (pipeline, source) do update set loaded_until_at = excluded.loaded_until_at",
    )
    [[now]] = system.sql(f"select to_char(({MARK}) at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS')")
    yield now
    undo = "delete from ops.watermark" if before == "\\N" else f"update ops.watermark set loaded_until_at = '{before}'"
    system.ciclo("psql", "-c", f"{undo} where pipeline = 'usdmxn' and source = 'fix'")


def test_an_event_over_the_api_starts_ingest_for_the_window_it_names(system):
    api, dag_id = system.api, "ingest_air_quality"
    before = len(event_runs(api, dag_id))
    post_event(api, "source_air_quality", {"start": "2004-01-01", "end": "2004-01-02"})  # before the first measurement
    run = one_more_run(api, dag_id, before)
    assert run["state"] == "success"
    states = {task["task_id"]: task["state"] for task in api.tasks(dag_id, run["dag_run_id"])}
    assert states["load"] == "skipped"
    extract = next(task for task in states if task.endswith("extract"))
    assert "2004-01-01T00:00:00+00:00" in api.xcom(dag_id, run["dag_run_id"], extract, "return_value")


def test_an_event_that_names_no_window_properly_fails_at_once_with_the_way_out(system):
    api, dag_id = system.api, "ingest_air_quality"
    before = len(event_runs(api, dag_id))
    post_event(api, "source_air_quality", {"start": "yesterday"})
    run = one_more_run(api, dag_id, before)
    assert run["state"] == "failed"
    [failed] = [task for task in api.tasks(dag_id, run["dag_run_id"]) if task["state"] == "failed"]
    assert failed["try_number"] == 1
    told = api.last_log_line(dag_id, run["dag_run_id"], failed)
    assert "the event that started this run has in its extra start='yesterday'" in told
    assert f"airflow dags trigger {dag_id}" in told


def test_an_operation_of_the_desk_starts_ingest_through_the_triggerer(system, loaded_just_now):
    api, dag_id = system.api, "ingest_usdmxn"
    system.wait_for(lambda: system.sql(LISTENS, "core_banking") == [["1"]], "a listener")
    before = len(event_runs(api, dag_id))
    system.ciclo("psql", "-d", "core_banking", "-c", DEAL)
    run = one_more_run(api, dag_id, before)
    assert run["state"] == "success"
    [event] = api.call("GET", f"dags/{dag_id}/dagRuns/{run['dag_run_id']}/upstreamAssetEvents").json()["asset_events"]
    source = {"connection": "internal_db", "channel": "desk_operation"}
    assert event["extra"]["payload"] == {**source, "reason": "notified", "notifications": 1}
    loaded = api.xcom(dag_id, run["dag_run_id"], "operations.extract", "return_value")
    assert f"'start': '{loaded_just_now}" in loaded.replace('"', "'")
    system.ciclo("psql", "-d", "core_banking", "-c", "delete from desk.deal where operation_id > 990000")
    assert len(event_runs(api, dag_id)) == before + 1
