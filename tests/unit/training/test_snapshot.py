"""Which rows a training may read, and where they are cut."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.errors import NothingToDo
from include.spec.load import load_all
from include.training.snapshot import Content, hash_rows, holdout_start, readable, refuse_few, sizes, split

START = pd.Timestamp("2020-01-01", tz="UTC")


def spec(**training):
    """Give air_quality with 14 days held out and other facts of its training; its target has no anchor."""
    base = load_all()["air_quality"]
    return base.model_copy(update={"training": base.training.model_copy(update={"min_rows": 20, **training})})


def anchored():
    base = load_all()["usdmxn"]
    return base.model_copy(update={"training": base.training.model_copy(update={"min_rows": 3})})


def frame(valid_hours, known_hours):
    times = pd.DataFrame(
        {
            "valid_at": [START + pd.Timedelta(hours=h) for h in valid_hours],
            "target_known_at": [pd.NaT if h is None else START + pd.Timedelta(hours=h) for h in known_hours],
        }
    )
    return times.astype("datetime64[us, UTC]").assign(entity="")


def hourly(count, delay=1):
    return frame(range(count), [hour + delay for hour in range(count)])


def test_only_rows_whose_target_was_known_before_the_cut_are_read():
    rows = frame([1, 2, 3, 4], [2, 3, 4, None])
    assert len(readable(spec(), rows, START + pd.Timedelta(hours=4))) == 2


def test_a_row_without_its_anchor_is_not_read():
    rows = frame([1, 2, 3, 4], [2, 3, 4, 5]).assign(fix_mxn=[20.0, None, 20.1, 20.2])
    assert readable(anchored(), rows, START + pd.Timedelta(days=1))["valid_at"].dt.hour.tolist() == [1, 3, 4]


def test_with_a_lookback_older_rows_are_not_read():
    rows = hourly(1000)
    cut = START + pd.Timedelta(hours=1000)
    assert readable(spec(lookback="10 days"), rows, cut)["valid_at"].min() == cut - pd.Timedelta(days=10)


def test_too_few_rows_are_nothing_to_do_and_say_how_many_are_needed():
    with pytest.raises(NothingToDo, match=r"air_quality: 19 rows with a known target before 2020-01-02 00:00 UTC.* 20"):
        refuse_few(spec(), 19, START + pd.Timedelta(days=1))


def test_force_asks_for_fewer_rows_but_not_for_none():
    many = spec(min_rows=1000)
    refuse_few(many, 20, START + pd.Timedelta(days=9), force=True)
    with pytest.raises(NothingToDo, match="19 rows"):
        refuse_few(many, 19, START + pd.Timedelta(days=9), force=True)


@pytest.mark.parametrize("hours", [24, 14 * 24])
def test_rows_that_fill_only_one_part_are_nothing_to_do_and_say_what_to_change(hours):
    rows = hourly(hours)
    with pytest.raises(NothingToDo, match=r"leaves 0 to fit and .* shorten training\.split\.holdout or load more"):
        split(spec(), rows, holdout_start(spec(), rows["valid_at"].max()))


def test_the_holdout_is_the_newest_part_of_the_asked_length():
    rows = hourly(24 * 30)
    start = holdout_start(spec(), rows["valid_at"].max())
    assert start == rows["valid_at"].max() - timedelta(days=14)
    assert start.tzinfo is UTC or start.utcoffset() == timedelta(0)
    parts = split(spec(), rows, start)
    assert len(parts.holdout) == 14 * 24
    assert parts.holdout["valid_at"].min() > start


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 500)), min_size=20, max_size=60),
    cut=st.integers(0, 2500),
)
def test_no_row_to_fit_has_its_target_known_after_the_holdout_starts(rows, cut):
    """However late a target becomes known, what the holdout is to test was not read while fitting."""
    valid = sorted(hour for hour, _ in rows)
    late = frame(valid, [hour + delay for hour, (_, delay) in zip(valid, rows, strict=True)])
    try:
        used = readable(spec(), late, START + pd.Timedelta(hours=cut))
        refuse_few(spec(), len(used), START + pd.Timedelta(hours=cut))
        start = holdout_start(spec(), used["valid_at"].max())
        parts = split(spec(), used, start)
    except NothingToDo:
        return
    assert (parts.fit["target_known_at"] <= start).all()
    assert (parts.holdout["valid_at"] > start).all()
    assert parts.fit["target_known_at"].max() <= parts.holdout["valid_at"].min()
    assert set(parts.fit.index).isdisjoint(parts.holdout.index)
    assert (used["target_known_at"] < START + pd.Timedelta(hours=cut)).all()


def test_a_row_whose_target_became_known_in_the_holdout_is_in_neither_part():
    rows = frame([*range(100), 500], [*range(1, 99), 400, 400, 501])
    parts = split(spec(), rows, datetime(2020, 1, 5, tzinfo=UTC))  # hour 96
    assert parts.fit["valid_at"].max() == START + pd.Timedelta(hours=95)
    assert parts.holdout["valid_at"].tolist() == [START + pd.Timedelta(hours=h) for h in (97, 98, 99, 500)]


def test_both_parts_are_in_time_order_whoever_a_row_is_about():
    """The feature table gives all rows of the first entity first: what is newest would be the last entity's."""
    rows = pd.concat([hourly(60).assign(entity=name) for name in ("north", "south")], ignore_index=True)
    parts = split(spec(), rows, START + pd.Timedelta(hours=40))
    for part in (parts.fit, parts.holdout):
        assert part["valid_at"].is_monotonic_increasing
        assert part["entity"].tolist() == ["north", "south"] * (len(part) // 2)
    assert parts.holdout.index.tolist()[:2] == [41, 101]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_what_a_snapshot_holds_is_the_same_however_its_rows_are_cut(size):
    rows = hourly(50).assign(entity="north", target=range(50)).astype({"target": "float64"})
    frames = [rows[:0], *(rows[first : first + size] for first in range(0, 50, size))]
    content = Content()
    assert sum(len(frame) for frame in content.of(frames)) == content.rows == 50
    assert (content.sha256, content.newest) == (hash_rows(rows), rows["valid_at"].max())
    start = START + pd.Timedelta(hours=40)
    parts = split(spec(), rows, start)
    assert sizes(frames, start) == (len(parts.fit), len(parts.holdout))


def test_another_value_another_name_or_another_order_is_another_snapshot():
    rows = hourly(50).assign(target=range(50))
    others = [rows.assign(target=1), rows.rename(columns={"target": "aim"}), rows[::-1]]
    assert len({hash_rows(frame) for frame in [rows, *others]}) == 4
