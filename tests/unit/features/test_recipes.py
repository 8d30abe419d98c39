"""Each recipe against values worked out by hand."""

import numpy as np
import pandas as pd
import pytest

HOURS = [f"2020-01-01T{hour:02d}:00Z" for hour in range(6)]
NAN = float("nan")


def hourly(**columns):
    count = len(next(iter(columns.values())))
    return {"valid_at": HOURS[:count], **columns}


def assert_column(frame, name, expected):
    np.testing.assert_allclose(frame[name].to_numpy(), np.array(expected, dtype=float), rtol=1e-12)
    assert frame[name].dtype == "float64"


def test_a_value_is_the_column_itself(build_from):
    frame = build_from("kind: value, column: co", reading=hourly(co=[1, None, 3]))
    assert_column(frame, "co", [1, NAN, 3])


def test_a_delayed_value_is_that_of_an_earlier_row(build_from):
    frame = build_from("kind: value, column: under, delay: 2, name: old", reading=hourly(under=[1, 2, 3, 4]))
    assert_column(frame, "old", [NAN, NAN, 1, 2])


def test_a_lag_counts_rows_and_not_hours_across_a_gap(build_from):
    gap = {"valid_at": [HOURS[0], HOURS[1], HOURS[5]], "co": [1, 2, 6]}
    frame = build_from("kind: lag, column: co, periods: [1, 2]", reading=gap)
    assert_column(frame, "co_lag_1", [NAN, 1, 2])
    assert_column(frame, "co_lag_2", [NAN, NAN, 1])


def test_a_difference_is_the_value_minus_the_earlier_one(build_from):
    frame = build_from("kind: difference, column: under, periods: [1, 3]", reading=hourly(under=[5, 7, None, 4, 9]))
    assert_column(frame, "under_diff_1", [NAN, 2, NAN, NAN, 5])
    assert_column(frame, "under_diff_3", [NAN, NAN, NAN, -1, 2])


def test_rolling_statistics_include_the_row_and_need_the_whole_window(build_from):
    recipe = "kind: rolling, column: under, window: 3, stats: [mean, std, min, max, sum]"
    frame = build_from(recipe, reading=hourly(under=[1, 2, 6, None, 3, 5]))
    assert_column(frame, "under_mean_3", [NAN, NAN, 3, NAN, NAN, NAN])
    assert_column(frame, "under_std_3", [NAN, NAN, np.sqrt(7), NAN, NAN, NAN])
    assert_column(frame, "under_min_3", [NAN, NAN, 1, NAN, NAN, NAN])
    assert_column(frame, "under_max_3", [NAN, NAN, 6, NAN, NAN, NAN])
    assert_column(frame, "under_sum_3", [NAN, NAN, 9, NAN, NAN, NAN])


def test_a_ratio_of_two_columns_is_unknown_where_the_divisor_is_zero_or_missing(build_from):
    reading = hourly(co=[6, 6, 6, None], under=[2, 0, None, 3])
    assert_column(
        build_from("kind: ratio, column: co, over: under", reading=reading), "co_over_under", [3, NAN, NAN, NAN]
    )


def test_a_ratio_over_time_divides_by_the_value_some_rows_earlier(build_from):
    frame = build_from("kind: ratio, column: under, periods: 2, name: growth", reading=hourly(under=[2, 4, 3, 0, 6]))
    assert_column(frame, "growth", [NAN, NAN, 1.5, 0, 2])


def test_a_ratio_of_two_columns_beside_the_main_source_takes_both_from_one_row(build_from):
    """A missing value must not shift one of the columns against the other."""
    rates = {"valid_at": ["2019-12-28", "2019-12-29", "2019-12-30"], "tiie": [None, 6, 8], "target": [1, 2, 4]}
    frame = build_from("kind: ratio, column: rates.tiie, over: rates.target", reading=hourly(co=[1]), rates=rates)
    assert_column(frame, "tiie_over_target", [2])
    rates["target"] = [1, 3, None]
    frame = build_from("kind: ratio, column: rates.tiie, over: rates.target", reading=hourly(co=[1]), rates=rates)
    assert_column(frame, "tiie_over_target", [NAN])


def test_calendar_parts_of_an_hour_are_local(build_from):
    recipe = "kind: calendar, parts: [hour_of_day, day_of_week, day_of_month, month_of_year]"
    reading = {"valid_at": ["2020-01-01T00:00Z", "2020-01-01T06:00Z"], "co": [1, 2]}
    frame = build_from(recipe, timezone="America/Mexico_City", reading=reading)
    assert_column(frame, "hour_of_day", [18, 0])
    assert_column(frame, "day_of_week", [1, 2])  # Tuesday, 31 December; Wednesday, 1 January
    assert_column(frame, "day_of_month", [31, 1])
    assert_column(frame, "month_of_year", [12, 1])


def test_one_row_at_midnight_is_still_an_hour_and_not_a_date(build_from):
    """Read from the rows instead of the spec, a single midnight would look like a date."""
    recipe = "kind: calendar, parts: [hour_of_day]"
    frame = build_from(recipe, timezone="America/Mexico_City", reading=hourly(co=[1]))
    assert_column(frame, "hour_of_day", [18])


def test_calendar_parts_of_a_date_are_those_of_the_date_in_any_zone(tables_of):
    from include.features.build import build
    from include.spec.load import load_all

    spec = load_all()["usdmxn"]
    days = ["2025-01-03", "2025-03-03"]  # a Friday and a Monday; midnight UTC is still the day before in Mexico
    frame = build(spec, tables_of(spec, fix={"valid_at": days, "fix_mxn": [20, 20]}))
    assert_column(frame, "day_of_week", [4, 0])
    assert_column(frame, "month_of_year_is_3", [0, 1])


@pytest.mark.parametrize(
    ("format_", "zone", "expected"),
    [("%Y-%m-%d", "Asia/Tokyo", 3), ("%Y-%m-%d", "UTC", 2), ("%Y-%m-%d %H:%M", "UTC", 3)],
)
def test_a_date_in_a_file_is_read_in_the_zone_of_the_file_and_an_hour_in_that_of_the_schedule(format_, zone, expected):
    from include.features.build import build
    from include.spec.load import load_all

    spec = load_all()["air_quality"]
    station = spec.sources["station"]
    time = station.time.model_copy(update={"format": format_, "timezone": zone})
    schedule = spec.schedule.model_copy(update={"timezone": "Asia/Tokyo"})
    sources = {"station": station.model_copy(update={"time": time})}
    spec = spec.model_copy(update={"sources": sources, "schedule": schedule})
    at = pd.Series(pd.to_datetime(["2020-01-01T15:00Z"])).astype("datetime64[us, UTC]")  # Wednesday; Thursday in Tokyo
    rows = pd.DataFrame({name: [1.0] for name in station.columns}).assign(valid_at=at, available_at=at)
    assert_column(build(spec, {"station": rows}), "day_of_week", [expected])


def test_one_hot_marks_its_categories_and_nothing_else(build_from):
    recipes = [
        "kind: one_hot, column: kind_code, categories: [road, park]",
        "kind: one_hot, column: level, categories: [1, 2]",
    ]
    reading = hourly(kind_code=["road", "park", "sea", None], level=[1, 2, None, 3])
    frame = build_from(*recipes, "kind: one_hot, column: day_of_week, categories: [2]", reading=reading)
    assert_column(frame, "kind_code_is_road", [1, 0, 0, 0])
    assert_column(frame, "kind_code_is_park", [0, 1, 0, 0])
    assert_column(frame, "level_is_1", [1, 0, 0, 0])
    assert_column(frame, "level_is_2", [0, 1, 0, 0])
    assert_column(frame, "day_of_week_is_2", [1, 1, 1, 1])


def test_a_one_hot_of_another_source_is_all_zeros_before_anything_is_known(build_from):
    operations = {"valid_at": ["2020-01-01T02:30Z"], "operation": [7]}
    frame = build_from(
        "kind: one_hot, column: operations.operation, categories: [7, 8]",
        reading=hourly(co=[1, 2, 3]),
        operations=operations,
    )
    assert_column(frame, "operation_is_7", [0, 0, 1])
    assert_column(frame, "operation_is_8", [0, 0, 0])


def test_a_flag_or_whole_number_that_is_missing_is_unknown(build_from):
    recipes = ["kind: value, column: is_valid", "kind: difference, column: level, periods: [1]"]
    frame = build_from(*recipes, reading=hourly(is_valid=[True, None, False], level=[1, None, 5]))
    assert_column(frame, "is_valid", [1, NAN, 0])
    assert_column(frame, "level_diff_1", [NAN, NAN, NAN])


def test_trailing_statistics_count_the_events_of_the_last_days_up_to_the_row(build_from):
    days = ["2020-01-01T11:00Z", "2020-01-03T11:00Z", "2020-01-05T11:00Z", "2020-01-20T11:00Z"]
    operations = {
        "valid_at": ["2020-01-01T12:00Z", "2020-01-03T11:30Z", "2020-01-03T12:00Z", "2020-01-05T12:30Z"],
        "net": [10, 20, None, 70],
        "is_won": [True, False, True, None],
    }
    stats = [f"kind: trailing, column: operations.net, days: 2, stat: {stat}" for stat in ("sum", "mean", "count")]
    won = "kind: trailing, column: operations.is_won, days: 3, stat: mean, name: share"
    frame = build_from(*stats, won, reading={"valid_at": days, "co": [1, 2, 3, 4]}, operations=operations)
    # A row is available one hour after its time: the two days before 12:00 on the 3rd begin after 12:00 on the 1st.
    assert_column(frame, "net_sum_2d", [10, 20, 0, 0])
    assert_column(frame, "net_mean_2d", [10, 20, NAN, NAN])
    assert_column(frame, "net_count_2d", [1, 1, 0, 0])
    assert_column(frame, "share", [1, 2 / 3, 0.5, NAN])


def test_stations_never_see_each_other(build_from):
    reading = {
        "valid_at": [HOURS[0], HOURS[0], HOURS[1], HOURS[1], HOURS[2]],
        "station": ["b", "a", "b", "a", "b"],
        "co": [10, 1, 20, 2, 40],
    }
    recipes = ["kind: lag, column: co, periods: [1]", "kind: rolling, column: co, window: 2, stats: [mean]"]
    frame = build_from(*recipes, "kind: difference, column: co, periods: [1]", reading=reading)
    assert frame["entity"].tolist() == ["a", "a", "b", "b", "b"]
    assert_column(frame, "co_lag_1", [NAN, 1, NAN, 10, 20])
    assert_column(frame, "co_mean_2", [NAN, 1.5, NAN, 15, 30])
    assert_column(frame, "co_diff_1", [NAN, 1, NAN, 10, 20])
    assert_column(frame, "target", [2, NAN, 20, 40, NAN])


def test_the_target_of_a_row_is_known_when_the_later_row_is_available(build_from):
    frame = build_from("kind: value, column: under", horizon=2, reading=hourly(co=[1, 2, 3, None, 5]))
    assert_column(frame, "target", [3, NAN, 5, NAN, NAN])
    known = frame["target_known_at"]
    assert known[0] == pd.Timestamp("2020-01-01T03:00Z")
    assert known.isna().tolist() == [False, True, False, True, True]


def test_an_event_comes_where_one_of_the_next_values_is_above_and_not_where_all_are_known_below(build_from):
    frame = build_from("kind: value, column: under", horizon="2, above: 4", reading=hourly(co=[0, 1, 1, None, 9, 1]))
    assert_column(frame, "target", [0, NAN, 1, 1, NAN, NAN])
    assert frame["target_at"][0] == pd.Timestamp("2020-01-01T02:00Z")
    assert frame["target_known_at"][0] == pd.Timestamp("2020-01-01T03:00Z")
    assert frame["target_at"].isna().tolist() == [False] * 4 + [True] * 2


def test_exactly_the_limit_is_not_above_it(build_from):
    frame = build_from("kind: value, column: under", horizon="1, above: 4", reading=hourly(co=[0, 4, 4.1, 0]))
    assert_column(frame, "target", [0, 1, 0, NAN])


def test_the_order_of_the_rows_does_not_matter(spec_of, tables_of):
    from include.features.build import build

    spec = spec_of("kind: lag, column: co, periods: [1]", "kind: value, column: rates.tiie")
    rates = {"valid_at": ["2019-12-28", "2019-12-29", "2019-12-30"], "tiie": [1, 2, 3]}
    tables = tables_of(spec, reading=hourly(co=[1, 2, 3, 4, 5, 6]), rates=rates)
    shuffled = {name: rows.sample(frac=1, random_state=3) for name, rows in tables.items()}
    pd.testing.assert_frame_equal(build(spec, shuffled), build(spec, tables))


def test_without_rows_the_frame_is_empty_and_has_its_columns(build_from):
    recipes = ["kind: value, column: co", "kind: value, column: rates.tiie", "kind: calendar, parts: [hour_of_day]"]
    frame = build_from(*recipes, "kind: trailing, column: operations.net, days: 2, stat: sum")
    assert frame.empty
    assert list(frame.columns) == [
        *("entity", "valid_at", "available_at", "co", "tiie", "hour_of_day", "net_sum_2d"),
        *("target", "target_at", "target_known_at", "target_since_at"),
    ]


def test_a_source_without_rows_leaves_its_features_unknown(build_from):
    frame = build_from(
        "kind: value, column: rates.tiie",
        "kind: ratio, column: prices.inpc, periods: 12, name: inflation",
        reading=hourly(co=[1, 2]),
    )
    assert_column(frame, "tiie", [NAN, NAN])
    assert_column(frame, "inflation", [NAN, NAN])


FRANKFURTER = """
pipeline: peso
title: The FIX by an API
description: Date-only rows under a schedule in Mexico.
owner: tests
impact: tier_3
schedule: {cron: "0 * * * *", timezone: America/Mexico_City, start: 2020-01-01}
sources:
  fix:
    kind: http_json
    main: true
    connection: frankfurter
    title: USD/MXN FIX of Banco de México, served by Frankfurter
    path: /v2/rates
    time: TIME
    PUBLISHED
    columns:
      fix_mxn: {from: rate, unit: MXN/USD, description: FIX exchange rate of the day}
features: [{kind: calendar, parts: [day_of_week, day_of_month, month_of_year, hour_of_day]}]
target: {column: fix_mxn, horizon: 1}
training: {min_rows: 20, split: {holdout: 14 days}, candidates: {naive: {kind: naive}}}
thresholds: {r2_min: 0.5}
replay: {start: 2020-01-01, end: 2020-02-01}
"""


@pytest.mark.parametrize(
    ("time", "published", "parts"),
    [
        ("{from: [date]}", 'published: {time: "12:00", timezone: America/Mexico_City}', [4, 1, 3, 0]),
        ("{from: [date]}", "published: {months: 1, day: 9}", [4, 1, 3, 0]),
        ("{from: [date], timezone: UTC}", "", [4, 1, 3, 0]),
        ('{from: [date], format: "%Y-%m-%d"}', "", [4, 1, 3, 0]),
        ("{from: [date]}", "published: {after: 1 hour}", [3, 29, 2, 18]),  # an hour of the day before
        ('{from: [date], format: "%Y-%m-%d %H:%M"}', 'published: {time: "12:00"}', [3, 29, 2, 18]),
    ],
)
def test_a_date_of_an_api_is_that_date_in_every_calendar_part(time, published, parts):
    from include.features.build import build
    from include.spec.load import parse

    spec = parse(FRANKFURTER.replace("TIME", time).replace("PUBLISHED", published), "pipeline.yaml")
    at = pd.Series(pd.to_datetime(["2024-03-01T00:00Z"])).astype("datetime64[us, UTC]")  # a Friday
    frame = build(spec, {"fix": pd.DataFrame({"valid_at": at, "available_at": at, "fix_mxn": [17.0]})})
    assert frame[["day_of_week", "day_of_month", "month_of_year", "hour_of_day"]].to_numpy().tolist() == [parts]


@pytest.mark.parametrize(("outlier", "value"), [(1e17, 1.0), (1e12, 0.5), (-1e300, 0.1), (1e17, 3.0)])
@pytest.mark.parametrize("stat", ["sum", "mean"])
def test_a_trailing_statistic_forgets_an_outlier_that_is_past(build_from, outlier, value, stat):
    days = pd.date_range("2023-11-01T12:00Z", periods=120, freq="D")
    events = {"valid_at": [str(day) for day in days], "net": [outlier] + [value] * 119}  # until 28 February
    times = pd.date_range("2024-02-29T12:30Z", periods=6, freq="D")
    reading = {"valid_at": [str(day) for day in times], "co": [1] * 6}
    recipe = f"kind: trailing, column: operations.net, days: 7, stat: {stat}"
    frame = build_from(recipe, reading=reading, operations=events)
    sums = [sum([value] * count) for count in (6, 5, 4, 3, 2, 1)]
    means = [total / count for total, count in zip(sums, (6, 5, 4, 3, 2, 1), strict=True)]
    assert_column(frame, f"net_{stat}_7d", sums if stat == "sum" else means)


@pytest.mark.parametrize("stat", ["mean", "sum", "std", "min", "max"])
def test_a_rolling_statistic_forgets_an_outlier_that_is_past(build_from, stat):
    tail = [0.5, 1.0, 0.25, 0.75]
    frame = build_from(f"kind: rolling, column: co, window: 3, stats: [{stat}]", reading=hourly(co=[1e17, 1e12, *tail]))
    expected = [getattr(pd.Series(tail[at : at + 3]), stat)() for at in range(2)]
    assert_column(frame[-2:], f"co_{stat}_3", expected)
