"""Loads are exactly once: again changes nothing, revisions add versions, all sources or none."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest

from include.errors import ConfigError, PayloadLost
from include.warehouse.batch import RunRef
from include.warehouse.engine import transaction
from include.warehouse.load import load_window
from include.windows import Window

FUTURE = datetime(2100, 1, 1, tzinfo=UTC)
ROWS = [{"at": 0, "level_m": 1.5}, {"at": 1, "level_m": 2.5, "note": "low"}, {"at": 2}]
REPAIRS = [
    {"at": 0, "site_code": "north", "ticket_code": 1, "cost_mxn": 10.0},
    {"at": 0, "site_code": "north", "ticket_code": 2, "cost_mxn": 20.0},
    {"at": 0, "site_code": "south", "ticket_code": 1, "cost_mxn": 30.0},
]


def changed(value: float) -> list[dict]:
    return [ROWS[0] | {"level_m": value}, *ROWS[1:]]


def test_new_rows_are_inserted_with_their_times_and_payload(warehouse) -> None:
    counts = warehouse.load(warehouse.batch(ROWS))
    assert (counts.received, counts.inserted, counts.revised, counts.unchanged) == (3, 3, 0, 0)
    found = warehouse.sql("select valid_at, available_at, payload_id, level_m, note from core.readings order by 1")
    hour = datetime(2025, 1, 1, 1, tzinfo=UTC)
    assert found[1] == (hour, hour, warehouse.payload(), 2.5, "low")
    assert found[2][3:] == (None, None)


@pytest.mark.parametrize("run_id", ["first", "second"])
def test_a_load_run_twice_changes_no_row(warehouse, run_id: str) -> None:
    warehouse.load(warehouse.batch(ROWS), warehouse.batch(REPAIRS, "repairs"))
    before = warehouse.state()
    counts = warehouse.load(warehouse.batch(ROWS), warehouse.batch(REPAIRS, "repairs"), run_id=run_id)
    assert (counts.received, counts.inserted, counts.revised, counts.unchanged) == (6, 0, 0, 6)
    assert warehouse.state() == before


def test_a_changed_value_adds_a_version_and_keeps_the_old_one(warehouse) -> None:
    warehouse.load(warehouse.batch(ROWS))
    [old] = warehouse.sql("select * from core.readings where level_m = 1.5")
    later = warehouse.payload("revised", fetched_at="2025-03-01T00:00Z")
    counts = warehouse.load(warehouse.batch(changed(9.5), payload_id=later), run_id="second")
    assert (counts.inserted, counts.revised, counts.unchanged) == (0, 1, 2)
    [(*kept, superseded_at, is_corrected, withdrawn_at)] = warehouse.sql("select * from core.readings_history")
    assert tuple(kept) == old
    assert (is_corrected, withdrawn_at) == (False, None), "the source changed it"
    [new] = warehouse.sql("select payload_id, recorded_at, available_at from core.readings where level_m = 9.5")
    assert new[:2] == (later, superseded_at)
    assert new[2] == datetime(2025, 3, 1, tzinfo=UTC), "nobody could know the revision before it was fetched"
    assert kept[2] < superseded_at


def test_a_value_that_goes_missing_or_comes_back_is_a_version_too(warehouse) -> None:
    for value in (1.5, None, 1.5):
        warehouse.load(warehouse.batch([{"level_m": value}]), run_id=str(value))
    assert warehouse.sql("select level_m from core.readings_history order by recorded_at") == [(1.5,), (None,)]
    assert warehouse.one("select level_m from core.readings") == 1.5


def test_an_old_answer_that_comes_again_was_not_known_before_the_one_it_replaces(warehouse) -> None:
    first = warehouse.payload("old", fetched_at="2025-02-01T00:00Z")
    warehouse.load(warehouse.batch(ROWS, payload_id=first))
    second = warehouse.payload("new", fetched_at="2025-03-01T00:00Z")
    warehouse.load(warehouse.batch(changed(9.5), payload_id=second), run_id="second")
    warehouse.load(warehouse.batch(ROWS, payload_id=first), run_id="third")
    at = warehouse.one("select available_at from core.readings where level_m = 1.5")
    assert at == datetime(2025, 3, 1, tzinfo=UTC)


def test_an_old_answer_that_is_fetched_again_is_known_by_that_fetch(warehouse) -> None:
    first, second = warehouse.payload("old"), warehouse.payload("new", fetched_at="2025-03-01T00:00Z")
    warehouse.load(warehouse.batch(ROWS, payload_id=first))
    warehouse.load(warehouse.batch(changed(9.5), payload_id=second), run_id="second")
    again = datetime(2025, 4, 1, tzinfo=UTC)
    warehouse.load(replace(warehouse.batch(ROWS, payload_id=first), fetched_at=again), run_id="third")
    assert warehouse.one("select available_at from core.readings where level_m = 1.5") == again
    row = "select count(*) from core.readings_as_of(%s) where level_m = {}"
    assert warehouse.one(row.format(9.5), again - timedelta(seconds=1)) == 1
    assert warehouse.one(row.format(1.5), again) == 1


def test_several_revisions_in_one_transaction_keep_every_version(warehouse) -> None:
    batches = [warehouse.batch(changed(value)) for value in (1.0, 2.0, 3.0)]
    with transaction(warehouse.engine) as connection:
        for batch in batches:
            load_window(
                connection,
                warehouse.lake,
                warehouse.spec,
                Window.parse("2025-01-01", "2025-02-01"),
                [batch],
                RunRef("d", "r"),
            )
    assert warehouse.sql("select level_m from core.readings_history order by recorded_at") == [(1.0,), (2.0,)]


def test_rows_are_told_apart_by_all_columns_of_a_composite_key(warehouse) -> None:
    counts = warehouse.load(warehouse.batch(REPAIRS, "repairs"))
    assert counts.inserted == 3
    revised = [REPAIRS[0], REPAIRS[1] | {"cost_mxn": 25.0}, REPAIRS[2]]
    counts = warehouse.load(warehouse.batch(revised, "repairs"), run_id="second")
    assert (counts.inserted, counts.revised, counts.unchanged) == (0, 1, 2)
    history = warehouse.sql("select site_code, ticket_code, cost_mxn from core.readings_repairs_history")
    assert history == [("north", 2, 20.0)]


def test_a_column_the_spec_has_gained_is_added_and_filled_as_a_revision(warehouse) -> None:
    warehouse.load(warehouse.batch(ROWS))
    column = {"from": "flow", "unit": "s", "description": "Flow"}
    wider = warehouse.with_spec(lambda sources: sources["meter"]["columns"].update(flow=column))
    counts = wider.load(wider.batch([{"at": 0, "level_m": 1.5, "flow": 7.0}]), run_id="second")
    assert counts.revised == 1
    assert wider.sql("select flow from core.readings order by valid_at") == [(7.0,), (None,), (None,)]
    assert wider.sql("select level_m, flow from core.readings_history") == [(1.5, None)]
    comments = "select col_description(attrelid, attnum) from pg_attribute where attname = 'flow'"
    assert wider.sql(comments) == [("Flow. Unit: s",)] * 3, "of the table, its history and the view of both"


def test_a_column_the_spec_has_lost_keeps_its_values(warehouse) -> None:
    warehouse.load(warehouse.batch(ROWS))
    narrower = warehouse.with_spec(lambda sources: sources["meter"]["columns"].pop("note"))
    assert narrower.load(narrower.batch(ROWS), run_id="second").unchanged == 3
    assert narrower.one("select note from core.readings where level_m = 2.5") == "low"


def test_a_column_of_another_type_is_refused_with_the_way_out(warehouse) -> None:
    warehouse.load(warehouse.batch(ROWS))
    other = warehouse.with_spec(lambda sources: sources["meter"]["columns"]["level_m"].update(type="integer"))
    with pytest.raises(ConfigError, match=r"level_m in core.readings is double precision and the spec says integer"):
        other.load(other.batch(ROWS[2:]), run_id="second")


def test_another_key_is_refused_with_the_way_out(warehouse) -> None:
    warehouse.load(warehouse.batch(REPAIRS, "repairs"))
    other = warehouse.with_spec(lambda sources: sources["repairs"].update(key=["site_code"]))
    with pytest.raises(ConfigError, match=r"one row for each site_code, ticket_code, valid_at and the spec says"):
        other.load(other.batch(REPAIRS[:1], "repairs"), run_id="second")


def test_a_fault_in_the_second_source_rolls_back_the_first(warehouse) -> None:
    warehouse.load(warehouse.batch(ROWS[:1]), warehouse.batch(REPAIRS[:1], "repairs"))
    before = warehouse.state()
    first, broken = warehouse.batch(ROWS), warehouse.batch([*REPAIRS, REPAIRS[1]], "repairs")
    with pytest.raises(psycopg2.errors.UniqueViolation):
        warehouse.load(first, broken, run_id="second")
    assert warehouse.state() == before
    assert warehouse.sql("select run_id from ops.run") == [("first",)]


def test_a_fault_in_the_very_first_load_leaves_no_table_behind(warehouse) -> None:
    first, gone = warehouse.batch(ROWS), warehouse.batch(REPAIRS, "repairs")
    assert warehouse.lake.clean(FUTURE) == 4
    with pytest.raises(PayloadLost, match="clear the task that wrote it"):
        warehouse.load(first, gone)
    assert warehouse.sql("select tablename from pg_tables where schemaname = 'core'") == []
    assert warehouse.load(warehouse.batch(ROWS), warehouse.batch(REPAIRS, "repairs")).inserted == 6


@pytest.mark.parametrize("is_known", [False, True])
def test_a_stream_that_was_swept_says_which_task_to_clear_and_rolls_back_the_source_before_it(
    warehouse, is_known: bool
) -> None:
    if is_known:
        warehouse.load(warehouse.batch(ROWS[:1]), warehouse.batch(REPAIRS[:1], "repairs"))
    gone = warehouse.batch(REPAIRS, "repairs", quarantined=[(7, "range", "cost_mxn", "too high", "{}")])
    warehouse.lake.clean(FUTURE)
    first = warehouse.batch(ROWS)
    before = warehouse.state()
    with pytest.raises(PayloadLost, match=r"accepted\.arrows .*clear the task that wrote it"):
        warehouse.load(first, gone, run_id="second")
    assert warehouse.state() == before
    with pytest.raises(PayloadLost, match=r"quarantined\.arrows .*clear the task that wrote it"):
        warehouse.load(first, replace(gone, row_count=0), run_id="second")
    assert warehouse.state() == before
    assert warehouse.load(first).received == 3, "what waits for the other source is still there"


@pytest.mark.parametrize("is_known", [False, True])
def test_a_stream_with_other_rows_than_were_counted_is_lost_and_rolls_everything_back(
    warehouse, is_known: bool
) -> None:
    if is_known:
        warehouse.load(warehouse.batch(ROWS[:1]))
    batch, empty = warehouse.batch(ROWS), warehouse.batch([])
    before = warehouse.state()
    for row_count in (2, 4):
        with pytest.raises(PayloadLost, match="clear the task that wrote it"):
            warehouse.load(replace(batch, row_count=row_count), run_id="second")
        assert warehouse.state() == before
    with pytest.raises(PayloadLost, match="clear the task that wrote it"):
        warehouse.load(replace(batch, accepted_uri=empty.accepted_uri), run_id="second")
    assert warehouse.state() == before


def test_a_load_leaves_its_streams_and_no_temporary_table(warehouse) -> None:
    aside = [(7, "range", "level_m", "too high", "{}")]
    batches = [warehouse.batch(ROWS, quarantined=aside), warehouse.batch(REPAIRS, "repairs")]
    warehouse.load(*batches)
    warehouse.load(*batches, run_id="second")
    assert warehouse.sql("select relname from pg_class where relpersistence <> 'p'") == []
    assert warehouse.load(*batches, run_id="third").unchanged == 6


def test_the_watermark_only_advances(warehouse) -> None:
    ends = ["2025-02-01", "2025-01-15", "2025-03-01"]
    seen = []
    for end in ends:
        warehouse.load(warehouse.batch(ROWS), run_id=end, window=Window.parse("2025-01-01", end))
        seen.append(warehouse.one("select loaded_until_at::date::text from ops.watermark"))
    assert seen == ["2025-02-01", "2025-02-01", "2025-03-01"]


def test_quarantined_rows_are_kept_once_as_they_came(warehouse) -> None:
    raw_row = '{"level_m": "1,5", "note": "ünd \\"so\\", 100 %"}'
    record = (7, "type", "level_m", "level_m = '1,5' cannot be read", raw_row)
    assert warehouse.load(warehouse.batch(ROWS, quarantined=[record])).quarantined == 1
    before = warehouse.state()
    assert warehouse.load(warehouse.batch(ROWS, quarantined=[record]), run_id="second").quarantined == 1
    assert warehouse.state() == before
    query = "select payload_id, row_number, rule, column_name, reason, raw_row, pipeline, source from ops.quarantine"
    as_it_came = {"level_m": "1,5", "note": 'ünd "so", 100 %'}
    assert warehouse.sql(query) == [(warehouse.payload(), *record[:4], as_it_came, "readings", "meter")]


def test_a_batch_without_rows_makes_the_table_and_leaves_the_watermark(warehouse) -> None:
    counts = warehouse.load(warehouse.batch([]))
    assert (counts.received, counts.inserted) == (0, 0)
    assert warehouse.one("select count(*) from core.readings") == 0
    assert warehouse.one("select count(*) from ops.watermark") == 0


def test_rows_that_were_all_quarantined_move_the_watermark_of_their_source_alone(warehouse) -> None:
    aside = [(0, "range", "level_m", "too high", "{}")]
    warehouse.load(warehouse.batch([], quarantined=aside), warehouse.batch([], "repairs"))
    assert warehouse.sql("select source from ops.watermark") == [("meter",)]


def test_a_run_is_recorded_with_counts_that_add_up(warehouse) -> None:
    aside = [(3, "range", "level_m", "too high", "{}")]
    warehouse.load(warehouse.batch(ROWS[:2]))
    warehouse.load(warehouse.batch([*changed(7.0)], quarantined=aside), run_id="second")
    counts = "received_count, inserted_count, revised_count, unchanged_count, quarantined_count"
    assert warehouse.sql(f"select {counts} from ops.run where run_id = 'second'") == [(4, 1, 1, 1, 1)]


def test_a_run_done_again_adds_a_record_only_where_rows_changed(warehouse) -> None:
    warehouse.load(warehouse.batch(ROWS))
    warehouse.load(warehouse.batch(ROWS))
    warehouse.load(warehouse.batch(changed(7.0)))
    counts = "inserted_count, revised_count, unchanged_count"
    assert warehouse.sql(f"select {counts} from ops.run order by loaded_at") == [(3, 0, 0), (0, 1, 2)]


def test_each_batch_of_a_load_has_a_row_of_lineage(warehouse) -> None:
    warehouse.load(warehouse.batch(ROWS))
    later = warehouse.payload("revised")
    aside = [(3, "range", "level_m", "too high", "{}")]
    batches = [warehouse.batch(changed(7.0), payload_id=later, quarantined=aside), warehouse.batch(REPAIRS, "repairs")]
    warehouse.load(*batches, run_id="second")
    counts = "received_count, inserted_count, revised_count, unchanged_count, quarantined_count"
    found = warehouse.sql(
        f"select source, batch_sha256, table_name, payload_ids, {counts} from ops.lineage"
        " where run_id = 'second' order by 1"
    )
    assert found == [
        ("meter", batches[0].sha256, "core.readings", [later], 4, 0, 1, 2, 1),
        ("repairs", batches[1].sha256, "core.readings_repairs", [warehouse.payload(source="repairs")], 3, 3, 0, 0, 0),
    ]
    together = "select count(*) from ops.lineage join ops.run using (dag_id, run_id, loaded_at)"
    assert warehouse.one(together) == 3


def test_lineage_of_a_run_done_again_is_added_only_where_rows_changed(warehouse) -> None:
    warehouse.load(warehouse.batch(ROWS))
    warehouse.load(warehouse.batch(ROWS))
    warehouse.load(warehouse.batch(changed(7.0)))
    counts = "inserted_count, revised_count, unchanged_count"
    assert warehouse.sql(f"select {counts} from ops.lineage order by loaded_at") == [(3, 0, 0), (0, 1, 2)]


def test_versions_of_one_row_in_several_batches_of_one_load_are_all_kept(warehouse) -> None:
    batches = []
    for month, value in enumerate((1.0, 2.0, 3.0, 4.0), start=2):
        number = warehouse.payload(str(value), fetched_at=f"2025-0{month}-01T00:00Z")
        batches.append(warehouse.batch(changed(value), payload_id=number))
    counts = warehouse.load(*batches)
    assert (counts.received, counts.inserted, counts.revised, counts.unchanged) == (12, 3, 3, 6)
    found = warehouse.sql("select level_m from core.readings_history order by recorded_at, available_at")
    assert found == [(1.0,), (2.0,), (3.0,)]
    assert warehouse.one("select level_m from core.readings where extract(hour from valid_at) = 0") == 4.0


def test_rows_between_those_that_are_there_are_inserted_and_the_others_left_alone(warehouse) -> None:
    warehouse.load(warehouse.batch([ROWS[0], ROWS[2]]))
    counts = warehouse.load(warehouse.batch([*ROWS, {"at": 3, "level_m": 4.0}]), run_id="second")
    assert (counts.inserted, counts.revised, counts.unchanged) == (2, 0, 2)
    assert warehouse.sql("select extract(hour from valid_at)::int from core.readings order by 1") == [
        (0,),
        (1,),
        (2,),
        (3,),
    ]


def test_the_key_begins_with_the_time(warehouse) -> None:
    warehouse.load(warehouse.batch(REPAIRS, "repairs"))
    keys = "select pg_get_constraintdef(oid) from pg_constraint where contype = 'p' and conrelid = %s::regclass"
    assert warehouse.one(keys, "core.readings_repairs") == "PRIMARY KEY (valid_at, site_code, ticket_code)"
    history = "PRIMARY KEY (valid_at, site_code, ticket_code, recorded_at)"
    assert warehouse.one(keys, "core.readings_repairs_history") == history
