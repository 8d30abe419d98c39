"""Payloads read again under another contract: what we had misread is corrected, what came later is a revision."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from include.health import state as status
from include.local.report import result_table
from include.settings import settings
from include.spec.load import load_runnable
from include.steps.examine import examine
from include.steps.inputs import corrected_inputs
from include.steps.run import Run
from include.warehouse.batch import Batch, RunRef
from include.warehouse.loaded_windows import outdated_windows, rows_outside
from include.windows import Window

JANUARY = Window.parse("2025-01-01", "2025-02-01")
MONDAY, TUESDAY, FRIDAY = (datetime(2025, 2, day, 9, tzinfo=UTC) for day in (3, 4, 7))
MINUTE = timedelta(minutes=1)
NOW = "select level_m, available_at from core.readings order by valid_at"
PAST = "select level_m, is_corrected from core.readings_history order by valid_at, recorded_at"
VERSIONS = """
select valid_at, available_at, level_m, note from core.readings
union all select valid_at, available_at, level_m, note from core.readings_history where not is_corrected
order by 1, 2, 3, 4
"""


def at(hour: int) -> datetime:
    return datetime(2025, 1, 1, hour, tzinfo=UTC)


@pytest.fixture
def fetch(warehouse):
    """Give a function that makes the batch of a fetch; its payload has the number of its content."""

    def fetch(
        content: str, *levels: float | None, fetched_at: datetime = MONDAY, is_reread: bool = False, **more: Any
    ) -> Batch:
        rows = [{"at": hour, "level_m": level} for hour, level in enumerate(levels) if level != "nothing"]
        number = warehouse.payload(content, fetched_at=fetched_at.isoformat())
        facts = {"fetched_at": fetched_at, "is_reread": is_reread, "covers": (JANUARY.start, JANUARY.end)}
        return replace(warehouse.batch(rows, payload_id=number), **facts | more)

    return fetch


def test_what_we_had_misread_is_corrected_and_keeps_the_time_it_was_known(warehouse, fetch) -> None:
    warehouse.load(fetch("a", 1.0, -200.0))
    counts = warehouse.load(fetch("a", 1.0, None, is_reread=True), run_id="again")
    assert (counts.corrected, counts.revised, counts.unchanged) == (1, 0, 1)
    assert warehouse.sql(NOW) == [(1.0, at(0)), (None, at(1))]
    assert warehouse.sql(PAST) == [(-200.0, True)]
    assert warehouse.one("select level_m from core.readings_as_of(%s) where valid_at = %s", at(1), at(1)) is None


def test_a_file_that_grew_meanwhile_brings_its_new_rows_beside_the_correction(warehouse, fetch) -> None:
    warehouse.load(fetch("a", -200.0))
    again, grown = fetch("a", None, is_reread=True), fetch("b", None, 3.0, fetched_at=TUESDAY)
    counts = warehouse.load(again, grown, run_id="again")
    assert (counts.corrected, counts.inserted, counts.revised, counts.received) == (1, 1, 0, 3)
    assert warehouse.sql(NOW) == [(None, at(0)), (3.0, at(1))]


def test_a_value_that_the_source_changed_is_a_revision_known_from_its_fetch_on(warehouse, fetch) -> None:
    warehouse.load(fetch("a", -200.0))
    again, newer = fetch("a", None, is_reread=True), fetch("b", 4.0, fetched_at=TUESDAY)
    counts = warehouse.load(again, newer, run_id="again")
    assert (counts.corrected, counts.revised) == (1, 1)
    assert warehouse.sql(NOW) == [(4.0, TUESDAY)]
    assert warehouse.sql(PAST) == [(-200.0, True), (None, False)], "first as we had misread it, then as it was told"
    assert warehouse.one("select level_m from core.readings_as_of(%s)", MONDAY) is None


def test_every_version_of_a_row_is_corrected_in_its_place(warehouse, fetch) -> None:
    warehouse.load(fetch("a", 1.0))
    warehouse.load(fetch("b", 2.0, fetched_at=TUESDAY), run_id="second")
    first = fetch("a", 10.0, is_reread=True)
    counts = warehouse.load(first, fetch("b", 2.0, fetched_at=TUESDAY, is_reread=True), run_id="again")
    assert counts.corrected == 1, "the second version was read right"
    assert warehouse.sql(NOW) == [(2.0, TUESDAY)]
    assert sorted(warehouse.sql(PAST)) == [(1.0, True), (10.0, False)]
    assert warehouse.one("select level_m from core.readings_as_of(%s)", MONDAY) == 10.0
    assert warehouse.one("select level_m from core.readings_as_of(%s)", FRIDAY) == 2.0


def test_a_row_that_a_payload_does_not_yield_any_more_goes_to_the_history(warehouse, fetch) -> None:
    warehouse.load(fetch("a", 1.0, 2.0))
    loaded = warehouse.loaded(fetch("a", 1.0, is_reread=True), run_id="again")
    assert (loaded.counts.withdrawn, loaded.counts.corrected) == (1, 0)
    assert warehouse.sql(NOW) == [(1.0, at(0))]
    assert warehouse.sql(PAST) == [(2.0, True)]
    [change] = loaded.changes
    assert (change.valid_first, change.valid_last) == (at(1), at(1)), "what is built from it is due"


@pytest.fixture
def stands(warehouse, warehouse_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable]:
    """Give a function that tells how the pipeline stands, as ``ciclo status`` does."""
    (tmp_path / "pipelines" / "readings").mkdir(parents=True)
    spec = Path(__file__).with_name("readings.yaml").read_text("utf-8")
    (tmp_path / "pipelines" / "readings" / "pipeline.yaml").write_text(spec, "utf-8")
    monkeypatch.setenv("CICLO_PIPELINES", str(tmp_path / "pipelines"))
    settings.cache_clear()
    yield lambda: status.pipelines(warehouse_url, load_runnable())["readings"]
    settings.cache_clear()


def test_loads_tell_how_many_rows_they_corrected_and_withdrew(warehouse, fetch, stands) -> None:
    warehouse.load(fetch("a", -200.0, -200.0, 2.0, 3.0))
    warehouse.load(fetch("a", 1.0, None, 2.0, is_reread=True), run_id="again")
    counts = "select corrected_count, withdrawn_count from mart.load order by loaded_at"
    assert warehouse.sql(counts) == [(0, 0), (2, 1)]
    state = stands()
    assert (state["loads"]["corrected"], state["loads"]["withdrawn"]) == (2, 1)
    console = Console(file=io.StringIO(), width=120)
    console.print(result_table({"readings": state | {"champion": None}}))
    told = console.file.getvalue()
    assert re.search(r"rows corrected\W+2\b", told), told
    assert re.search(r"rows withdrawn\W+1\b", told), told


PREDICT = """
insert into ml.prediction (pipeline, entity, valid_at, model_version, predicted, kind, is_honest, is_simulated, run_id)
select 'readings', '', valid_at, 1, level_m, 'batch', true, false, 's' from core.readings
"""


def test_a_row_that_was_withdrawn_has_no_latest_prediction_until_it_comes_back(warehouse, fetch) -> None:
    latest = "select predicted from mart.latest_prediction order by valid_at"
    warehouse.load(fetch("a", 1.0, 2.0, 3.0))
    warehouse.sql(PREDICT)
    assert warehouse.sql(latest) == [(1.0,), (2.0,), (3.0,)], "no features are built yet: nobody can tell"
    warehouse.build_features()
    assert warehouse.sql(latest) == [(1.0,), (2.0,), (3.0,)]
    warehouse.load(fetch("a", 1.0, "nothing", 3.0, is_reread=True), run_id="again")
    warehouse.build_features()
    assert warehouse.sql(latest) == [(1.0,), (3.0,)]
    assert warehouse.one("select count(*) from ml.prediction") == 3, "what was predicted stays on record"
    warehouse.load(fetch("a", 1.0, 2.0, 3.0, is_reread=True), run_id="back")
    warehouse.build_features()
    assert warehouse.sql(latest) == [(1.0,), (2.0,), (3.0,)]


def test_rows_that_came_in_other_payloads_stay(warehouse, fetch) -> None:
    warehouse.load(fetch("a", 1.0, 2.0))
    warehouse.load(fetch("b", "nothing", "nothing", 3.0, fetched_at=TUESDAY), run_id="second")
    counts = warehouse.load(fetch("a", 1.0, 2.5, is_reread=True), run_id="again")
    assert (counts.corrected, counts.withdrawn) == (1, 0)
    assert [level for level, _ in warehouse.sql(NOW)] == [1.0, 2.5, 3.0]


def test_a_column_that_the_spec_has_lost_keeps_its_values(warehouse, fetch) -> None:
    warehouse.load(fetch("a", 1.0, -200.0))
    warehouse.sql("update core.readings set note = 'kept'")
    fewer = warehouse.with_spec(lambda sources: sources["meter"]["columns"].pop("note"))
    again = fetch("a", 1.0, None, is_reread=True)
    uri = fewer.batch([{"at": 0, "level_m": 1.0}, {"at": 1}], payload_id=again.payload_ids[0]).accepted_uri
    assert fewer.load(replace(again, accepted_uri=uri), run_id="again").corrected == 1
    assert warehouse.sql("select level_m, note from core.readings order by valid_at") == [(1.0, "kept"), (None, "kept")]


def test_reading_again_what_says_the_same_changes_nothing(warehouse, fetch) -> None:
    warehouse.load(fetch("a", 1.0, 2.0))
    warehouse.load(fetch("b", 1.5, fetched_at=TUESDAY), run_id="second")
    before = warehouse.state()
    again = (fetch("a", 1.0, 2.0, is_reread=True), fetch("b", 1.5, fetched_at=TUESDAY, is_reread=True))
    counts = warehouse.load(*again, run_id="again")
    assert counts.unchanged == counts.received == 3
    assert warehouse.state() == before


def test_a_value_that_was_taken_back_is_still_taken_back(warehouse, fetch) -> None:
    told = (("a", 1.0, MONDAY), ("b", 2.0, TUESDAY), ("a", 1.0, FRIDAY))
    for number, (content, level, when) in enumerate(told):
        warehouse.load(fetch(content, level, fetched_at=when), run_id=str(number))
    before = warehouse.state()
    warehouse.load(*(fetch(c, v, fetched_at=when, is_reread=True) for c, v, when in told), run_id="again")
    assert warehouse.state() == before
    assert warehouse.sql(NOW) == [(1.0, FRIDAY)], "known by the fetch that brought it back"
    known = "select level_m from core.readings_as_of(%s)"
    assert [warehouse.one(known, when) for when in (MONDAY, TUESDAY, FRIDAY - MINUTE, FRIDAY)] == [1.0, 2.0, 2.0, 1.0]


def test_a_value_that_was_taken_back_before_its_neighbours_are_read_again_stays_taken_back(warehouse, fetch) -> None:
    """The row's own fetches are not among those read again: what it was told stands in the order it was told in."""
    covers = {"covers": (at(1), at(2))}
    for number, (content, level, when) in enumerate((("x", 1.0, MONDAY), ("y", 2.0, TUESDAY), ("x", 1.0, FRIDAY))):
        warehouse.load(fetch(content, "nothing", level, fetched_at=when, **covers), run_id=str(number))
    around = [fetch("a", 5.0, covers=(at(0), at(1))), fetch("b", "nothing", "nothing", 6.0, covers=(at(2), at(3)))]
    for batch in around:
        warehouse.load(batch, run_id=batch.sha256)
    warehouse.load(*(replace(batch, is_reread=True) for batch in around), run_id="again")
    assert warehouse.sql(NOW) == [(5.0, at(0)), (1.0, FRIDAY), (6.0, at(2))]
    assert warehouse.sql(PAST) == [(1.0, False), (2.0, False)]


@pytest.mark.parametrize("seed", range(8))
def test_a_table_read_again_has_the_versions_of_one_that_was_never_misread(warehouse, other_warehouse, seed) -> None:
    """Random fetches of random stretches, loaded under three contracts in turn, against the last contract alone."""
    rng = random.Random(seed)  # noqa: S311
    contracts = [lambda level: level, lambda level: None if level < 0 else level, lambda level: level * 2]
    fetches = []
    for number in range(6):
        first = rng.randrange(0, 16)
        covers = Window(at(first), at(first) + timedelta(hours=rng.randrange(1, 8)))
        levels = {hour: rng.choice([-1.0, 1.0, 2.0]) for hour in range(24) if covers.contains(at(hour))}
        gone = {hour for hour in levels if rng.random() < 0.2}
        fetches.append((number, covers, levels, gone))

    def batch(place: Any, contract: int, fetch: Any, is_reread: bool) -> Batch:
        number, covers, levels, gone = fetch
        # What the last contract quarantines, the ones before it took in.
        rows = [
            {"at": hour, "level_m": contracts[contract](level), "note": str(contract)}
            for hour, level in levels.items()
            if contract < 2 or hour not in gone
        ]
        fetched_at = MONDAY + timedelta(hours=number)
        made = place.batch(rows, payload_id=place.payload(str(number), fetched_at=fetched_at.isoformat()))
        bounds = (covers.start, covers.end)
        return replace(made, fetched_at=fetched_at, is_reread=is_reread, covers=bounds, contract_sha256=str(contract))

    for place, contract in ((warehouse, 0), (other_warehouse, 2)):
        for fetch in fetches:
            place.load(batch(place, contract, fetch, is_reread=False), run_id=str(fetch[0]))
    for contract in (1, 2):
        again = [batch(warehouse, contract, fetch, is_reread=True) for fetch in fetches]
        warehouse.load(*again, run_id=f"contract {contract}")
    assert warehouse.sql(VERSIONS) == other_warehouse.sql(VERSIONS)
    for moment in (MONDAY - timedelta(days=30), MONDAY + timedelta(hours=2, minutes=1), FRIDAY):
        known = f"select valid_at, level_m from core.readings_as_of('{moment.isoformat()}') order by 1"
        assert warehouse.sql(known) == other_warehouse.sql(known)


def test_windows_of_an_older_contract_are_named_until_they_are_read_again(warehouse, fetch) -> None:
    def named() -> list[str]:
        with warehouse.engine.connect() as connection:
            return [str(window) for window in outdated_windows(connection, warehouse.spec, "meter")]

    today = warehouse.spec.sources["meter"].contract_sha256()
    warehouse.load(fetch("a", 1.0, contract_sha256="another"))
    assert named() == ["2025-01-01..2025-02-01"]
    warehouse.load(fetch("a", 1.0, contract_sha256=today, is_reread=True), run_id="part", window=first_week())
    assert named() == ["2025-01-01..2025-02-01"], "a part of it does not do"
    warehouse.load(fetch("a", 1.0, contract_sha256=today, is_reread=True), run_id="again")
    assert named() == []
    warehouse.load(fetch("a", 1.0, contract_sha256="another", is_reread=True), run_id="back")
    assert named() == ["2025-01-01..2025-02-01"], "what counts is how it was read last"


def test_a_window_is_judged_by_its_newest_reading_alone(warehouse, fetch) -> None:
    def read(window: Window, contract: str) -> list[str]:
        count = warehouse.one("select count(*) from ops.lineage")
        warehouse.load(fetch("a", 1.0, contract_sha256=contract, is_reread=True), run_id=str(count), window=window)
        with warehouse.engine.connect() as connection:
            return [str(window) for window in outdated_windows(connection, warehouse.spec, "meter")]

    today, week, month = warehouse.spec.sources["meter"].contract_sha256(), "2025-01-01..2025-01-08", str(JANUARY)
    assert read(first_week(), "another") == [week]
    assert read(JANUARY, today) == [], "a wider window read later holds it"
    assert read(first_week(), "another") == [week], "not one read before"
    assert read(JANUARY, today) == []
    assert read(JANUARY, "another") == [week, month], "what held the week was read anew since"
    assert read(first_week(), today) == [month]


def test_a_training_is_asked_for_once_all_that_was_misread_is_corrected(warehouse, fetch) -> None:
    run = Run(warehouse.spec, RunRef("monitor_readings", "m"), {}, None, [], FRIDAY, warehouse.engine, warehouse.lake)
    today, february = warehouse.spec.sources["meter"].contract_sha256(), Window(JANUARY.end, FRIDAY)
    for window in (JANUARY, february):
        warehouse.load(fetch("a", -200.0, contract_sha256="another"), run_id=str(window), window=window)
    warehouse.sql(
        "insert into ml.snapshot (snapshot_id, pipeline, uri, row_count, cut_at, holdout_start_at, is_simulated)"
        " values ('s', 'readings', '', 1, now(), now(), false)"
    )
    assert corrected_inputs(run) is None
    warehouse.load(fetch("a", None, contract_sha256=today, is_reread=True), run_id="first", window=JANUARY)
    assert corrected_inputs(run) is None, "February is still to be read again"
    warehouse.load(fetch("a", None, contract_sha256=today, is_reread=True), run_id="second", window=february)
    assert corrected_inputs(run) == "the inputs changed: 1 rows that we had misread were corrected"
    warehouse.sql(
        "insert into ml.decision (pipeline, window_start_at, window_end_at, verdict, reasons, evidence, dag_id, run_id)"
        " values ('readings', now(), now(), 'retrain', '{corrected}', '{}', 'monitor_readings', 'm')"
    )
    assert corrected_inputs(run) is None, "once"


def first_week() -> Window:
    return Window(JANUARY.start, JANUARY.start + timedelta(days=7))


def test_rows_of_a_file_that_no_window_holds_are_counted(warehouse, fetched) -> None:
    lines = ["at,level,pulses,note,open,read,sealed"]
    days = ("2024-12-31", "2025-01-01", "2025-01-31", "2025-02-01", "2025-02-02")
    lines += [f"{day}T00:00:00,1.0,1,a,true,{day}T00:00:00,{day}" for day in days]
    ended = warehouse.spec.schedule.model_copy(update={"end": date(2025, 2, 1)})
    run, brought = fetched("\n".join(lines) + "\n")
    run = replace(run, pipeline=run.pipeline.model_copy(update={"schedule": ended}))
    batch = examine(run, brought)
    assert (batch.row_count, batch.before_count, batch.after_count) == (2, 1, 1), "1 February is a later window's"
    warehouse.load(replace(batch, covers=(JANUARY.start, JANUARY.end)))
    with warehouse.engine.connect() as connection:
        assert rows_outside(connection, warehouse.spec) == {"meter": (1, 1)}
