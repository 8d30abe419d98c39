"""Features are built from a real warehouse, its history included, and read as they were known at a time."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest

from include.features.read import feature_rows
from include.features.table import refresh
from include.spec.source import Column
from include.windows import Window

WINDOW = Window.parse("2024-01-01", "2024-01-02")
LATER = Window.parse("2024-01-02", "2024-01-03")


@pytest.fixture
def loaded(plant_world, readings):
    plant_world.load(WINDOW, readings(WINDOW))
    return plant_world


def read(world, until=WINDOW.end):
    """Return the rows about a time before `until`, with the targets known an hour later: as the last row's is."""
    refresh(world.engine, world.spec)
    window = Window(WINDOW.start, until)
    return feature_rows(world.engine, world.spec, window, window.end + timedelta(hours=1, seconds=1))


def test_before_the_first_load_there_are_no_rows(plant_world):
    frame = read(plant_world)
    assert frame.empty
    assert list(frame.columns[3:6]) == plant_world.spec.feature_names()


def test_rows_about_a_later_time_are_left_out(loaded, readings):
    loaded.load(LATER, readings(LATER))
    assert len(read(loaded)) == 24
    assert len(read(loaded, LATER.end)) == 48
    assert len(read(loaded, pd.Timestamp("2024-01-01T05:00Z"))) == 5


def test_the_rows_come_back_as_they_were_loaded(loaded, readings):
    frame, rows = read(loaded), readings(WINDOW)
    assert frame["first_sensor"].tolist() == rows["first_sensor"].tolist()
    assert frame["target"].tolist() == rows["co_mg_m3"].tolist()
    assert (frame["available_at"] == frame["valid_at"] + pd.Timedelta("1h")).all()
    assert (frame["target_known_at"] == frame["available_at"]).all()


def test_loading_the_same_rows_again_changes_nothing(loaded, readings):
    before = read(loaded)
    assert loaded.load(WINDOW, readings(WINDOW)).unchanged == 24
    pd.testing.assert_frame_equal(read(loaded), before, check_exact=True)


def test_a_revision_is_left_out_until_it_was_fetched(loaded, readings):
    before = read(loaded)
    corrected = readings(WINDOW).assign(co_mg_m3=7.0)
    assert loaded.load(WINDOW, corrected, fetched_at=LATER.end).revised == 24
    pd.testing.assert_frame_equal(read(loaded), before, check_exact=True)
    after = read(loaded, LATER.end)
    assert set(after["target"]) == {7.0}
    columns = ["valid_at", "available_at", *loaded.spec.feature_names(), "target_known_at"]
    pd.testing.assert_frame_equal(after[columns], before[columns], check_exact=True)


def test_a_value_that_is_withdrawn_later_leaves_no_target(loaded, readings):
    withdrawn = readings(WINDOW).tail(4).assign(co_mg_m3=None).astype({"co_mg_m3": "float64"})
    loaded.load(WINDOW, withdrawn, fetched_at=LATER.end)
    assert read(loaded)["target"].notna().sum() == 24
    assert read(loaded, LATER.end)["target"].notna().sum() == 20


def test_a_column_the_spec_gained_since_the_last_load_is_unknown(loaded):
    source = loaded.spec.sources["meter"]
    gained = Column.model_validate({"from": "S3", "unit": "sensor", "description": "A third sensor"})
    columns = {**source.columns, "third_sensor": gained}
    value = loaded.spec.features[0].model_copy(update={"column": "third_sensor"})
    loaded.spec = loaded.spec.model_copy(
        update={
            "sources": {"meter": source.model_copy(update={"columns": columns})},
            "features": (*loaded.spec.features, value),
        }
    )
    frame = read(loaded)
    assert frame["third_sensor"].isna().all()
    assert frame["first_sensor"].notna().all()
