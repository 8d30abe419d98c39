"""Which window a run is for, whoever started it."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSkipException

from include.errors import ConfigError, ContractBroken, NothingToDo, SourceUnavailable
from include.spec.load import load_all
from include.steps.connections import endpoint
from include.steps.run import Run, asked_window, open_run, past_part, refuse_unknown_params
from include.warehouse.batch import RunRef
from include.warehouse.engine import connect_engine
from include.windows import Window

JANUARY = Window.parse("2025-01-01", "2025-02-01")
FEBRUARY = Window.parse("2025-02-01", "2025-03-01")
MARCH = Window.parse("2025-03-01", "2025-04-01")
NOBODY = "postgresql://warehouse@127.0.0.1:1/warehouse"


@pytest.fixture
def started():
    """Make a run that was started with params, by asset events, or for an interval."""

    def build(params: dict | None = None, events: list[dict] | None = None, interval: Window | None = None) -> Run:
        return Run(
            pipeline=load_all()["usdmxn"],
            ref=RunRef("ingest_usdmxn", "manual"),
            params=params or {},
            interval=interval,
            events=events or [],
            run_after=datetime(2025, 4, 1, tzinfo=UTC),
            engine=connect_engine(NOBODY),
            lake=None,
        )

    return build


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> dict:
    """What Airflow hands to a task of a scheduled run, in a runtime whose warehouse does not answer."""
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", NOBODY)
    dag_run = SimpleNamespace(
        dag_id="ingest_usdmxn",
        run_id="scheduled",
        data_interval_start=JANUARY.start,
        data_interval_end=JANUARY.end,
        run_after=JANUARY.end,
        start_date=None,
        conf=None,
        run_type="scheduled",
    )
    params = {"start": None, "end": None}
    task = SimpleNamespace(dag_id="ingest_usdmxn", run_id="scheduled", task_id="load", map_index=-1, try_number=1)
    return {"dag_run": dag_run, "params": params, "dag": SimpleNamespace(params=params), "ti": task}


def test_params_win_over_events_and_events_over_the_interval(started) -> None:
    events = [FEBRUARY.to_dict()]
    assert asked_window(started(JANUARY.to_dict(), events, MARCH)) == JANUARY
    assert asked_window(started({"start": None, "end": None}, events, MARCH)) == FEBRUARY
    assert asked_window(started(interval=MARCH)) == MARCH


def test_a_run_nobody_gave_a_window_has_none(started) -> None:
    assert asked_window(started()) is None


def test_several_events_that_started_one_run_become_one_window(started) -> None:
    assert asked_window(started(events=[MARCH.to_dict(), JANUARY.to_dict()])) == Window(JANUARY.start, MARCH.end)


def test_an_event_that_carries_no_window_says_nothing(started) -> None:
    assert asked_window(started(events=[{}, {"note": "made by hand"}], interval=MARCH)) == MARCH


@pytest.mark.parametrize("params", [{"start": "2025-01-01"}, {"end": "2025-01-01"}, {"start": "2025-01-01", "end": ""}])
def test_one_bound_alone_is_refused(started, params: dict) -> None:
    with pytest.raises(ConfigError, match=r"^ingest_usdmxn: give both start and end, or neither"):
        asked_window(started(params))


@pytest.mark.parametrize("start", ["yesterday", "2025-13-01", "2025-03-01"])
def test_a_bound_that_is_no_date_or_not_before_the_end_is_refused(started, start: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        asked_window(started({"start": start, "end": "2025-02-01"}))
    told = str(refusal.value)
    assert told.startswith(f"ingest_usdmxn: start={start} end=2025-02-01: ")
    assert "airflow dags trigger ingest_usdmxn --conf" in told


def test_a_scheduled_run_is_for_its_data_interval(context: dict) -> None:
    with open_run(load_all()["usdmxn"], context) as run:
        assert (asked_window(run), run.ref) == (JANUARY, RunRef("ingest_usdmxn", "scheduled"))


@pytest.mark.parametrize("end", [None, JANUARY.start])
def test_a_run_by_hand_has_no_interval_or_an_empty_one(context: dict, end: datetime | None) -> None:
    context["dag_run"].data_interval_start = end
    context["dag_run"].data_interval_end = end
    with open_run(load_all()["usdmxn"], context) as run:
        assert run.interval is None


@pytest.mark.parametrize(
    ("began", "now"),
    [
        (None, JANUARY.end),
        (JANUARY.start, JANUARY.end),
        (datetime(2025, 2, 1, 3, tzinfo=UTC), datetime(2025, 2, 1, 3, tzinfo=UTC)),
    ],
)
def test_now_is_when_a_run_was_due_or_began_whichever_is_later(
    context: dict, began: datetime | None, now: datetime
) -> None:
    context["dag_run"].start_date = began
    with open_run(load_all()["usdmxn"], context) as run:
        assert run.run_after == now


def test_a_run_started_by_assets_gets_what_their_events_carry(context: dict) -> None:
    context["triggering_asset_events"] = {
        "core_usdmxn": [SimpleNamespace(extra=JANUARY.to_dict()), SimpleNamespace(extra=FEBRUARY.to_dict())]
    }
    with open_run(load_all()["usdmxn"], context) as run:
        assert asked_window(run) == Window(JANUARY.start, FEBRUARY.end)


def test_nothing_to_do_skips_the_task(context: dict) -> None:
    with pytest.raises(AirflowSkipException, match="no rows today"), open_run(load_all()["usdmxn"], context):
        raise NothingToDo("no rows today")


def test_a_broken_contract_leaves_as_it_is(context: dict) -> None:
    with pytest.raises(ContractBroken, match="too high"), open_run(load_all()["usdmxn"], context):
        raise ContractBroken("too high")


def test_a_warehouse_that_does_not_answer_is_worth_a_retry(context: dict) -> None:
    said = pytest.raises(SourceUnavailable, match="the warehouse does not answer")
    with said, open_run(load_all()["usdmxn"], context) as run:
        run.engine.connect()


def test_a_cost_that_cannot_be_kept_is_told_and_changes_nothing_else(context: dict, caplog) -> None:
    with open_run(load_all()["usdmxn"], context) as run:
        assert run.pipeline.pipeline == "usdmxn"
    assert "what this task cost is not kept" in caplog.text


def absent(hours: float) -> SourceUnavailable:
    error = SourceUnavailable("the file is not there.")
    error.patience = timedelta(hours=hours)
    return error


def test_what_may_still_come_is_looked_for_again_while_the_patience_lasts(context: dict) -> None:
    context["dag_run"].start_date = began = datetime.now(UTC)
    with pytest.raises(AirflowRescheduleException) as again, open_run(load_all()["usdmxn"], context):
        raise absent(hours=6)
    assert timedelta() < again.value.reschedule_date - began < timedelta(minutes=6)


@pytest.mark.parametrize(("hours", "ago", "run_type"), [(6, 7, "scheduled"), (6, 0, "manual"), (0, 0, "scheduled")])
def test_past_its_patience_or_in_front_of_a_person_a_run_fails_with_the_reason(
    context: dict, hours: int, ago: int, run_type: str
) -> None:
    context["dag_run"].start_date = datetime.now(UTC) - timedelta(hours=ago)
    context["dag_run"].run_type = run_type
    with pytest.raises(SourceUnavailable, match="is not there"), open_run(load_all()["usdmxn"], context):
        raise absent(hours)


def test_a_misspelt_param_is_refused_with_those_there_are() -> None:
    refuse_unknown_params("ingest_usdmxn", {"start": "2025-01-01"}, {"start": None, "end": None})
    with pytest.raises(ConfigError, match="ingest_usdmxn: there is no param strat; there are start, end"):
        refuse_unknown_params("ingest_usdmxn", {"strat": "2025-01-01"}, {"start": None, "end": None})


def test_only_the_past_of_a_window_counts_as_loaded() -> None:
    now = datetime(2026, 1, 15, tzinfo=UTC)
    assert str(past_part(Window.parse("2026-01-01", "9999-12-31"), now)) == "2026-01-01..2026-01-15"
    assert past_part(Window.parse("2025-01-01", "2025-02-01"), now) == Window.parse("2025-01-01", "2025-02-01")
    with pytest.raises(NothingToDo, match=r"2040-01-01\.\.2041-01-01 lies in the future"):
        past_part(Window.parse("2040-01-01", "2041-01-01"), now)


def test_a_connection_without_a_host_is_told_with_file_line_and_the_way_on(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = load_all()["usdmxn"]
    monkeypatch.setenv("AIRFLOW_CONN_BANXICO_API", '{"conn_type": "http"}')
    with pytest.raises(ConfigError) as refusal:
        endpoint(spec, "fix")
    told = str(refusal.value)
    assert told.startswith(f"{spec.where('sources', 'fix', 'connection')}: pipeline usdmxn, source fix: the Airflow")
    assert "'banxico_api' does not exist or has no host" in told
    assert told.endswith("then clear the task")
