"""What an analyst marks with ops.flag() stays out of training, by policy, and the mark can be taken back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import psycopg2
import pytest
import sqlalchemy.exc

from include.errors import NothingToDo
from include.spec.model import Pipeline
from include.steps.excluded import trusted_features
from include.steps.run import Run
from include.steps.snapshot import take_snapshot
from include.warehouse.batch import RunRef
from include.windows import Window

JANUARY = Window.parse("2025-01-01", "2025-02-01")
ROWS = 240  # hours: the first ten days
FLAG = "select ops.flag('readings', %s, %s, 'analyst', 'the sensor was covered')"


@pytest.fixture
def filled(warehouse) -> Any:
    """Ten days of readings are loaded."""
    hours = [JANUARY.start + timedelta(hours=hour) for hour in range(ROWS)]
    rows = [{"valid_at": at, "level_m": 100.0 if at.day == 5 else 1.0 + at.hour} for at in hours]
    warehouse.load(warehouse.batch(rows), warehouse.batch([], "repairs"))
    warehouse.build_features()
    return warehouse


def run(warehouse: Any, **policy: Any) -> Run:
    spec: Pipeline = warehouse.spec
    spec = spec.model_copy(update={"quality": spec.quality.model_copy(update=policy)})
    ref, params = RunRef("train_readings", "first"), JANUARY.to_dict()
    return Run(spec, ref, params, None, [], JANUARY.end, warehouse.engine, warehouse.lake)


def snapshot_hours(warehouse: Any, **policy: Any) -> set[datetime]:
    taken = take_snapshot(run(warehouse, **policy))
    return set(warehouse.lake.get_frame(taken["uri"])["valid_at"].dt.to_pydatetime())


def test_without_a_mark_every_row_with_a_target_enters_training(filled) -> None:
    assert len(snapshot_hours(filled)) == ROWS - 1


def test_a_marked_day_stays_out_of_training_and_so_does_the_row_whose_target_it_gives(filled, caplog) -> None:
    filled.sql(FLAG, "2025-01-05", "2025-01-06")
    hours = snapshot_hours(filled)
    assert len(hours) == ROWS - 1 - 25
    assert {at.day for at in hours} == {1, 2, 3, 4, 6, 7, 8, 9, 10}
    assert datetime.fromisoformat("2025-01-04T23:00Z") not in hours
    assert "25 of 240 rows are left out" in caplog.text
    assert "2025-01-05..2025-01-06" in caplog.text


def test_one_row_can_be_marked_by_its_time(filled) -> None:
    filled.sql("select ops.flag('readings', timestamptz '2025-01-03 06:00Z', 'analyst', 'misprint')")
    assert len(snapshot_hours(filled)) == ROWS - 1 - 2


def test_a_mark_that_was_taken_back_keeps_nothing_out_and_stays_on_record(filled) -> None:
    number = filled.one(FLAG, "2025-01-05", "2025-01-06")
    filled.sql("select ops.unflag(%s, 'it was a flood after all')", number)
    assert len(snapshot_hours(filled)) == ROWS - 1
    kept = "select flagged_by, withdrawn_by, withdrawn_reason from ops.excluded"
    assert filled.sql(kept) == [("warehouse", "warehouse", "it was a flood after all")]


def test_a_pipeline_may_keep_what_is_marked(filled) -> None:
    filled.sql(FLAG, "2025-01-05", "2025-01-06")
    assert len(snapshot_hours(filled, excluded="keep")) == ROWS - 1


def test_a_mark_of_another_source_or_pipeline_keeps_nothing_out(filled) -> None:
    values = "('readings', 'repairs'), ('other', '*')"
    filled.sql(
        "insert into ops.excluded (pipeline, source, start_at, end_at, role, reason)"
        f" select p, s, '2025-01-05', '2025-01-06', 'analyst', 'doubt' from (values {values}) v (p, s)"
    )
    assert len(snapshot_hours(filled)) == ROWS - 1


def test_where_everything_is_marked_a_training_has_nothing_to_do_and_says_why(filled) -> None:
    filled.sql(FLAG, "2025-01-01", "2025-02-01")
    with pytest.raises(NothingToDo, match=r"readings: all 240 rows before .* are excluded: take marks back"):
        take_snapshot(run(filled))


def test_before_the_first_load_marks_have_nothing_to_keep_out(warehouse) -> None:
    warehouse.build_features()
    frame, left_out = trusted_features(run(warehouse), JANUARY.end)
    assert (len(frame), left_out) == (0, 0)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("ops.flag('nothing', '2025-01-01', '2025-01-02', 'analyst', 'doubt')", "nothing is loaded for a pipeline"),
        ("ops.flag('readings', '2025-01-02', '2025-01-01', 'analyst', 'doubt')", "a window ends after its start"),
        ("ops.flag('readings', '2025-01-02', null, 'analyst', 'doubt')", "a window ends after its start"),
        ("ops.flag('readings', '2025-01-01', '2025-01-02', 'analyst', ' ')", "a mark needs a role and a reason"),
        ("ops.flag('readings', '2025-01-01', '2025-01-02', '', 'doubt')", "a mark needs a role and a reason"),
        ("ops.unflag(999, 'no reason')", "no mark 999 stands, or no reason was given"),
    ],
)
def test_a_mark_needs_a_loaded_pipeline_a_role_and_a_reason(filled, call: str, said: str) -> None:
    with pytest.raises(sqlalchemy.exc.DBAPIError, match=said) as caught:
        filled.sql(f"select {call}")
    assert isinstance(caught.value.orig, psycopg2.Error)
