"""Rows that a source deleted: taken out of the table, kept in the history, and known to be gone from then on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from include.sources import Endpoint
from include.steps import ingest
from include.steps.extract import extract
from include.steps.run import Run
from include.warehouse.batch import Batch, RunRef
from include.windows import Window

JANUARY = Window.parse("2025-01-01", "2025-02-01")
MONDAY, TUESDAY, WEDNESDAY, FRIDAY = (datetime(2025, 2, day, 9, tzinfo=UTC) for day in (3, 4, 5, 7))
MINUTE = timedelta(minutes=1)
NOW = "select level_m, available_at from core.readings order by valid_at"
PAST = "select level_m, withdrawn_at, is_corrected from core.readings_history order by valid_at, recorded_at"
KNOWN = "select level_m from core.readings_as_of(%s) order by valid_at"
DELETED = "select observed, is_passed from ops.quality_result where rule = 'deleted' order by 1"


def at(hour: int) -> datetime:
    return datetime(2025, 1, 1, hour, tzinfo=UTC)


@pytest.fixture
def whole(warehouse: Any) -> Any:
    """A warehouse whose main source answers with every row of a window."""
    return warehouse.with_spec(lambda sources: sources["meter"].update(complete=True, empty_window="fine"))


@pytest.fixture
def fetch(whole: Any) -> Callable[..., Batch]:
    """Give a function that makes the batch of a fetch: the level of each hour, None where there is no row."""

    def fetch(content: str, *levels: float | None, fetched_at: datetime = MONDAY, **more: Any) -> Batch:
        rows = [{"at": hour, "level_m": level} for hour, level in enumerate(levels) if level is not None]
        number = whole.payload(content, fetched_at=fetched_at.isoformat())
        quarantined = more.pop("quarantined", ())
        facts = {"fetched_at": fetched_at, "covers": (JANUARY.start, JANUARY.end)}
        return replace(whole.batch(rows, payload_id=number, quarantined=quarantined), **facts | more)

    return fetch


def known(warehouse: Any, moment: datetime) -> list[float]:
    return [level for (level,) in warehouse.sql(KNOWN, moment)]


def test_a_row_that_was_deleted_is_in_the_history_and_known_to_be_gone_from_then_on(whole: Any, fetch: Any) -> None:
    whole.load(fetch("a", 5.0, 6.0))
    loaded = whole.loaded(fetch("b", 5.0, fetched_at=TUESDAY), run_id="second")
    assert (loaded.counts.withdrawn, loaded.counts.unchanged, loaded.counts.received) == (1, 1, 1)
    assert whole.sql(NOW) == [(5.0, at(0))]
    assert whole.sql(PAST) == [(6.0, TUESDAY, False)]
    assert known(whole, TUESDAY - MINUTE) == [5.0, 6.0]
    assert known(whole, TUESDAY) == [5.0]
    assert whole.sql("select withdrawn_count from mart.load order by loaded_at") == [(0,), (1,)]
    assert whole.sql(DELETED) == [("0 rows withdrawn", True), ("1 rows withdrawn", True)]
    [change] = loaded.changes
    assert (change.valid_first, change.available_first, change.available_last) == (at(1), at(1), TUESDAY)


def test_the_window_again_changes_nothing(whole: Any, fetch: Any) -> None:
    whole.load(fetch("a", 5.0, 6.0, 7.0))
    whole.load(fetch("b", 5.0, None, 7.0, fetched_at=TUESDAY), run_id="second")
    before = whole.state()
    again = whole.load(fetch("b", 5.0, None, 7.0, fetched_at=FRIDAY), run_id="third")
    assert (again.withdrawn, again.unchanged) == (0, 2)
    assert whole.state() == before


def test_a_row_that_comes_back_is_a_new_version_known_since_it_is_back(whole: Any, fetch: Any) -> None:
    whole.load(fetch("a", 5.0, 6.0))
    whole.load(fetch("b", 5.0, fetched_at=TUESDAY), run_id="second")
    assert whole.load(fetch("a", 5.0, 6.0, fetched_at=WEDNESDAY), run_id="third").inserted == 1
    assert whole.sql(NOW) == [(5.0, at(0)), (6.0, WEDNESDAY)], "its bytes had come before it was deleted"
    assert whole.load(fetch("b", 5.0, fetched_at=FRIDAY), run_id="fourth").withdrawn == 1
    assert whole.sql(PAST) == [(6.0, TUESDAY, False), (6.0, FRIDAY, False)]
    times = (MONDAY, TUESDAY, WEDNESDAY, FRIDAY)
    assert [known(whole, moment) for moment in times] == [[5.0, 6.0], [5.0], [5.0, 6.0], [5.0]]


def test_an_answer_without_rows_deletes_nothing_where_an_empty_window_is_not_fine(whole: Any, fetch: Any) -> None:
    careful = whole.with_spec(lambda sources: sources["meter"].update(empty_window="warn"))
    careful.load(fetch("a", 5.0, 6.0))
    assert careful.load(fetch("b", fetched_at=TUESDAY), run_id="second").withdrawn == 0
    assert careful.sql(NOW) == [(5.0, at(0)), (6.0, at(1))]
    told = "not judged which rows were deleted at the source: it has no row, and `empty_window` is not fine"
    assert (told, False) in careful.sql(DELETED)


def test_a_window_whose_rows_are_all_deleted_is_empty_and_can_be_filled_again(whole: Any, fetch: Any) -> None:
    whole.load(fetch("a", 5.0, 6.0))
    assert whole.load(fetch("none", fetched_at=TUESDAY), run_id="second").withdrawn == 2
    assert whole.sql(NOW) == []
    assert whole.one("select withdrawn_count from mart.load order by loaded_at desc limit 1") == 2
    assert whole.load(fetch("none", fetched_at=TUESDAY), run_id="again").withdrawn == 0
    assert whole.load(fetch("c", 5.0, 7.0, fetched_at=FRIDAY), run_id="third").inserted == 2
    assert whole.sql(NOW) == [(5.0, FRIDAY), (7.0, FRIDAY)]
    assert known(whole, TUESDAY) == []


def test_deleted_changed_and_new_rows_of_one_answer_are_told_apart(whole: Any, fetch: Any) -> None:
    whole.load(fetch("a", 1.0, 2.0, 3.0, None))
    counts = whole.load(fetch("b", 1.0, None, 3.5, 4.0, fetched_at=TUESDAY), run_id="second")
    assert (counts.unchanged, counts.withdrawn, counts.revised, counts.inserted) == (1, 1, 1, 1)
    assert sorted(whole.sql(PAST)) == [(2.0, TUESDAY, False), (3.0, None, False)]


def test_rows_outside_of_what_was_asked_for_stay(whole: Any, fetch: Any) -> None:
    whole.load(fetch("a", 1.0, 2.0, 3.0))
    counts = whole.load(fetch("b", None, 9.0, fetched_at=TUESDAY, covers=(at(1), at(2))), run_id="second")
    assert (counts.revised, counts.withdrawn) == (1, 0)
    assert whole.load(fetch("c", None, fetched_at=TUESDAY, covers=(at(1), at(2))), run_id="third").withdrawn == 1
    assert [level for level, _ in whole.sql(NOW)] == [1.0, 3.0]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"quarantined": [(9, "range", "level_m", "too high", "{}")]}, "1 rows are quarantined"),
        ({"is_overridden": True}, "it is no whole answer"),
        ({"payload_ids": ()}, "it is no whole answer"),
        ({"covers": None}, "it is no whole answer"),
    ],
)
def test_an_answer_that_is_not_whole_deletes_nothing_and_says_so(
    whole: Any, fetch: Any, more: dict[str, Any], said: str
) -> None:
    whole.load(fetch("a", 1.0, 2.0))
    assert whole.load(fetch("b", 1.0, fetched_at=TUESDAY, **more), run_id="second").withdrawn == 0
    assert [level for level, _ in whole.sql(NOW)] == [1.0, 2.0]
    assert whole.sql(DELETED)[1] == (f"not judged which rows were deleted at the source: {said}", False)


def test_without_the_declaration_nothing_is_deleted(warehouse: Any, whole: Any, fetch: Any) -> None:
    warehouse.load(fetch("a", 1.0, 2.0))
    assert warehouse.load(fetch("b", 1.0, fetched_at=TUESDAY), run_id="second").withdrawn == 0
    assert [level for level, _ in warehouse.sql(NOW)] == [1.0, 2.0]
    assert warehouse.sql(DELETED) == []


def test_an_older_answer_that_is_loaded_late_does_not_delete_what_came_after_it(whole: Any, fetch: Any) -> None:
    whole.load(fetch("b", 1.0, 2.0, fetched_at=TUESDAY))
    assert whole.load(fetch("a", 1.0, fetched_at=MONDAY), run_id="late").withdrawn == 0


def test_a_load_that_dies_deletes_nothing(whole: Any, fetch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from include.warehouse import record

    whole.load(fetch("a", 1.0, 2.0))
    before = whole.state()
    with monkeypatch.context() as patch:
        patch.setattr(record, "record_lineage", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            whole.load(fetch("b", 1.0, fetched_at=TUESDAY), run_id="second")
    changed = {name for name, state in whole.state().items() if state != before[name]}
    assert changed <= {"raw.payload"}
    assert whole.load(fetch("b", 1.0, fetched_at=TUESDAY), run_id="second").withdrawn == 1


def test_reading_again_what_says_the_same_keeps_what_was_deleted(whole: Any, fetch: Any) -> None:
    told = (("a", (5.0, 6.0, 7.0), MONDAY), ("b", (5.0, None, 7.0), TUESDAY), ("c", (5.0, 6.0), FRIDAY))
    for number, (content, levels, when) in enumerate(told):
        whole.load(fetch(content, *levels, fetched_at=when), run_id=str(number))
    assert whole.sql(PAST) == [(6.0, TUESDAY, False), (7.0, FRIDAY, False)]
    assert whole.sql(NOW) == [(5.0, at(0)), (6.0, FRIDAY)]
    before = whole.state()
    again = [fetch(content, *levels, fetched_at=when, is_reread=True) for content, levels, when in told]
    counts = whole.load(*again, run_id="again")
    assert (counts.withdrawn, counts.corrected, counts.revised, counts.inserted) == (0, 0, 0, 0)
    changed = {name for name, state in whole.state().items() if state != before[name]}
    assert changed <= {"ops.quality_result", "ops.watermark"}


def test_what_was_misread_is_corrected_beside_what_was_deleted(whole: Any, fetch: Any) -> None:
    whole.load(fetch("a", -200.0, 6.0))
    whole.load(fetch("b", -200.0, fetched_at=TUESDAY), run_id="second")
    again = [fetch("a", 1.0, 6.0, is_reread=True), fetch("b", 1.0, fetched_at=TUESDAY, is_reread=True)]
    counts = whole.load(*again, run_id="again")
    assert (counts.corrected, counts.withdrawn) == (1, 0)
    assert whole.sql(NOW) == [(1.0, at(0))]
    assert sorted(whole.sql(PAST)) == [(-200.0, None, True), (6.0, TUESDAY, False)]
    assert [known(whole, moment) for moment in (MONDAY, TUESDAY)] == [[1.0, 6.0], [1.0]]


def test_a_deleted_row_that_we_had_misread_is_corrected_and_stays_deleted(whole: Any, fetch: Any) -> None:
    whole.load(fetch("a", 5.0, -200.0))
    whole.load(fetch("b", 5.0, fetched_at=TUESDAY), run_id="second")
    again = [fetch("a", 5.0, 6.0, is_reread=True), fetch("b", 5.0, fetched_at=TUESDAY, is_reread=True)]
    assert whole.load(*again, run_id="again").withdrawn == 0
    assert whole.sql(NOW) == [(5.0, at(0))]
    assert sorted(whole.sql(PAST)) == [(-200.0, None, True), (6.0, TUESDAY, False)]
    assert [known(whole, moment) for moment in (MONDAY, TUESDAY)] == [[5.0, 6.0], [5.0]]


def test_a_row_deleted_in_the_answer_that_comes_with_a_reading_again_is_withdrawn(whole: Any, fetch: Any) -> None:
    whole.load(fetch("a", 5.0, 6.0))
    counts = whole.load(fetch("a", 5.0, 6.0, is_reread=True), fetch("b", 5.0, fetched_at=TUESDAY), run_id="again")
    assert (counts.withdrawn, counts.corrected, counts.revised) == (1, 0, 0)
    assert whole.sql(PAST) == [(6.0, TUESDAY, False)]
    back = [fetch("a", 5.0, 6.0, is_reread=True), fetch("b", 5.0, fetched_at=TUESDAY, is_reread=True)]
    assert whole.load(*back, fetch("c", 5.0, 7.0, fetched_at=FRIDAY), run_id="back").withdrawn == 0
    assert whole.sql(NOW) == [(5.0, at(0)), (7.0, FRIDAY)]


def test_all_rows_of_a_window_deleted_are_still_deleted_when_it_is_read_again(whole: Any, fetch: Any) -> None:
    whole.load(fetch("a", 5.0, 6.0))
    whole.load(fetch("none", fetched_at=TUESDAY), run_id="second")
    before = whole.sql(PAST)
    whole.load(fetch("a", 5.0, 6.0, is_reread=True), fetch("none", fetched_at=TUESDAY, is_reread=True), run_id="again")
    assert (whole.sql(NOW), whole.sql(PAST)) == ([], before)


FEATURES = "select valid_at, level_m, target from feature.readings order by valid_at"


def test_features_and_targets_do_not_hold_a_deleted_row(whole: Any, fetch: Any) -> None:
    whole.load(fetch("a", 1.0, 2.0, 3.0))
    whole.build_features()
    whole.load(fetch("b", 1.0, None, 3.0, fetched_at=TUESDAY), run_id="second")
    whole.build_features()
    assert whole.sql(FEATURES) == [(at(0), 1.0, 3.0), (at(2), 3.0, None)]
    whole.load(fetch("a", 1.0, 2.0, 3.0, fetched_at=FRIDAY), run_id="third")
    whole.build_features()
    assert whole.sql(FEATURES) == [(at(0), 1.0, 2.0), (at(1), 2.0, 3.0), (at(2), 3.0, None)]


def test_a_feature_made_before_the_deletion_keeps_what_was_known_then(whole: Any, fetch: Any) -> None:
    """A row of Saturday looks one row back at the deleted one, which was still there; one of March does not see it."""
    whole = whole.with_spec(lambda sources: None)
    spec = whole.spec.model_dump(mode="json", by_alias=True)
    spec["features"] = [{"kind": "lag", "column": "level_m", "periods": [1]}]
    whole.spec = type(whole.spec).model_validate(spec)
    rows = [{"valid_at": datetime(2025, 1, day, tzinfo=UTC), "level_m": float(day)} for day in (1, 2, 3)]
    later = [{"valid_at": datetime(2025, 3, day, tzinfo=UTC), "level_m": 30.0 + day} for day in (1, 2)]
    cover = (JANUARY.start, datetime(2025, 4, 1, tzinfo=UTC))

    def load(content: str, rows: list[dict[str, Any]], when: datetime) -> None:
        number = whole.payload(content, fetched_at=when.isoformat())
        batch = replace(whole.batch(rows, payload_id=number), fetched_at=when, covers=cover)
        whole.load(batch, run_id=content)

    load("a", rows, MONDAY)
    load("b", [rows[0], rows[2], *later], TUESDAY)
    load("c", [rows[0], *later], FRIDAY)
    whole.build_features()
    lag = "select extract(day from valid_at)::int, level_m_lag_1 from feature.readings order by valid_at"
    assert whole.sql(lag) == [(1, None), (1, 1.0), (2, 31.0)], "what is gone by then is not looked back at"
    load("d", [rows[0], rows[2], *later], datetime(2025, 2, 8, tzinfo=UTC))
    whole.build_features()
    assert whole.sql(lag) == [(1, None), (3, 2.0), (1, 3.0), (2, 31.0)], "the row of the 2nd was there on the 3rd"


def test_a_table_of_a_database_is_followed_from_its_wall_times_to_its_deletions(
    warehouse: Any, warehouse_url: str
) -> None:
    """Rows of a place at UTC-6: the first belongs to the next day of UTC, the second one is deleted after the load."""
    columns = {
        "number": {"from": "id", "type": "integer", "unit": "code", "required": True, "description": "Number"},
        "level_m": {"from": "x", "type": "decimal", "unit": "m", "description": "Level"},
    }
    desk = {"kind": "sql", "main": True, "connection": "desk", "title": "Desk", "table": "desk.op", "key": ["number"]}
    desk |= {"time_column": "at", "timezone": "America/Mexico_City", "columns": columns}
    desk |= {"complete": True, "empty_window": "fine"}
    spec = warehouse.with_spec(lambda sources: sources.update(meter=desk)).spec
    warehouse.sql("create schema desk; create table desk.op (id int primary key, at timestamp not null, x numeric)")
    warehouse.sql(
        "insert into desk.op values (1, '2024-03-01 23:30', 12345678901234567.89), (2, '2024-03-02 00:10', 6),"
        " (3, '2024-03-01 17:59', 7)"
    )

    def ingest_day(run_id: str) -> dict[str, Any]:
        params = {"start": "2024-03-02", "end": "2024-03-03"}
        end = datetime(2024, 3, 4, tzinfo=UTC)
        run = Run(spec, RunRef("ingest_readings", run_id), params, None, [], end, warehouse.engine, warehouse.lake)
        checked = ingest.check(run, extract(run, "meter", lambda: Endpoint(warehouse_url)))
        return ingest.load(run, [checked])[0]

    now = "select number, valid_at, level_m from core.readings order by 1"
    first = (1, datetime(2024, 3, 2, 5, 30, tzinfo=UTC), Decimal("12345678901234567.89"))
    assert ingest_day("first")["inserted"] == 2
    assert warehouse.sql(now) == [first, (2, datetime(2024, 3, 2, 6, 10, tzinfo=UTC), Decimal(6))]
    warehouse.sql("delete from desk.op where id = 2")
    assert ingest_day("second")["withdrawn"] == 1
    assert warehouse.sql(now) == [first]
    assert warehouse.sql("select number, withdrawn_at >= recorded_at from core.readings_history") == [(2, True)]
    assert ingest_day("third")["withdrawn"] == 0
    warehouse.sql("delete from desk.op")
    assert ingest_day("fourth")["withdrawn"] == 1, "a load, although the source has no row"
