"""Rows that were revised are read as they stood when a feature's row arrived."""

import numpy as np
import pandas as pd

from include.features.build import build
from include.features.versions import known_at, newest, revised_at

DAYS = [f"2020-01-{day:02d}" for day in range(1, 7)]


def at(text):
    return pd.Timestamp(text, tz="UTC")


def revised(rows, place, available_at, **values):
    """Add a version of the row at a place."""
    version = rows.iloc[[place]].assign(available_at=at(available_at), **values)
    return pd.concat([rows, version], ignore_index=True)


def test_a_revision_is_read_from_the_moment_it_was_known_and_not_before(spec_of, tables_of):
    spec = spec_of("kind: lag, column: co, periods: [1]", "kind: rolling, column: co, window: 3, stats: [sum]")
    tables = tables_of(spec, reading={"valid_at": DAYS, "co": [1, 2, 3, 4, 5, 6]})
    tables["reading"] = revised(tables["reading"], 1, "2020-01-04T12:00", co=200.0)
    frame = build(spec, tables)
    assert frame["co_lag_1"].tolist()[1:] == [1, 2, 3, 4, 5]
    assert frame["co_sum_3"].tolist()[2:] == [6, 9, 12, 15]
    tables["reading"] = revised(tables["reading"], 3, "2020-01-04T18:00", co=400.0)
    assert build(spec, tables)["co_sum_3"].tolist()[2:] == [6, 9, 3 + 400 + 5, 400 + 5 + 6]


def test_the_features_of_the_revised_row_itself_stay_what_they_were(spec_of, tables_of):
    spec = spec_of("kind: value, column: co")
    tables = tables_of(spec, reading={"valid_at": DAYS[:3], "co": [1, 2, 3]})
    tables["reading"] = revised(tables["reading"], 1, "2020-01-09", co=200.0)
    frame = build(spec, tables)
    assert frame["co"].tolist() == [1, 2, 3]
    assert frame["available_at"].tolist() == [at(f"{day}T01:00") for day in DAYS[:3]]


def test_a_revised_target_has_its_newest_value_and_the_time_it_was_first_known(spec_of, tables_of):
    spec = spec_of("kind: value, column: under", horizon=1)
    tables = tables_of(spec, reading={"valid_at": DAYS[:3], "co": [1, 2, None]})
    tables["reading"] = revised(tables["reading"], 1, "2020-01-09", co=200.0)
    tables["reading"] = revised(tables["reading"], 2, "2020-01-05", co=3.0)
    frame = build(spec, tables)
    assert frame["target"].tolist()[:2] == [200.0, 3.0]
    assert frame["target_known_at"].tolist()[:2] == [at("2020-01-02T01:00"), at("2020-01-05")]


def test_an_old_month_that_is_revised_does_not_become_the_newest(spec_of, tables_of):
    spec = spec_of("kind: value, column: prices.inpc", "kind: ratio, column: prices.inpc, periods: 1, name: monthly")
    months = ["2019-09-01", "2019-10-01", "2019-11-01"]
    days = ["2020-01-01", "2020-01-03"]
    tables = tables_of(
        spec, reading={"valid_at": days, "co": [1, 2]}, prices={"valid_at": months, "inpc": [100.0, 110.0, 121.0]}
    )
    tables["prices"] = revised(tables["prices"], 1, "2020-01-02", inpc=100.0)
    frame = build(spec, tables)
    assert frame["inpc"].tolist() == [121.0, 121.0]
    np.testing.assert_allclose(frame["monthly"], [1.1, 1.21])


def test_a_revised_event_counts_on_the_days_it_happened_and_not_again(spec_of, tables_of):
    spec = spec_of("kind: trailing, column: operations.net, days: 2, stat: sum")
    operations = {"valid_at": ["2020-01-01T00:00Z"], "net": [10.0]}
    tables = tables_of(spec, reading={"valid_at": DAYS[:5], "co": range(5)}, operations=operations)
    tables["operations"] = revised(tables["operations"], 0, "2020-01-02T00:30", net=70.0)
    assert build(spec, tables)["net_sum_2d"].tolist() == [10.0, 70.0, 0.0, 0.0, 0.0]


def test_a_value_that_came_back_is_not_dated_before_the_one_it_replaced():
    """The same bytes again keep the time they were first fetched; the version still came last."""
    rows = pd.DataFrame({"valid_at": [at("2020-01-01")] * 3, "co": [1.0, 2.0, 1.0]})
    rows["available_at"] = [at("2020-01-01"), at("2020-01-05"), at("2020-01-01")]
    assert revised_at(rows, ()) == {at("2020-01-05")}
    assert known_at(rows, (), at("2020-01-04"))["co"].tolist() == [1.0]
    assert known_at(rows, (), at("2020-01-05"))["co"].tolist() == [1.0, 2.0, 1.0]
    assert newest(rows, ())["co"].tolist() == [1.0]


def test_rows_that_were_never_revised_are_left_as_they_are():
    rows = pd.DataFrame({"valid_at": [at("2020-01-01"), at("2020-01-02")], "station": ["a", "a"], "co": [1.0, 2.0]})
    rows["available_at"] = rows["valid_at"]
    assert revised_at(rows, ("station",)) == set()
    assert newest(rows, ("station",)) is rows
    assert known_at(rows, ("station",), None) is rows


def test_the_same_time_at_two_stations_is_not_a_revision():
    rows = pd.DataFrame({"valid_at": [at("2020-01-01")] * 2, "station": ["a", "b"], "co": [1.0, 2.0]})
    rows["available_at"] = rows["valid_at"]
    assert revised_at(rows, ("station",)) == set()
    assert newest(rows, ("station",))["co"].tolist() == [1.0, 2.0]
