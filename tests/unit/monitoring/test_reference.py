"""A reference keeps blocks that add up to the whole, in few bytes, the same for the same rows."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from include.monitoring.axis import cut
from include.monitoring.reference import Reference
from include.quality.profile import pack, unpack

CHANCE = np.random.default_rng(5)
DAY = 86_400_000_000_000


def frame(rows=2016, **columns):
    times = pd.date_range("2026-01-05", periods=rows, freq="h", tz="UTC")
    return pd.DataFrame({"valid_at": times} | columns)


LEVELS = frame(
    level_m=CHANCE.normal(5, 2, 2016),
    kind_code=CHANCE.integers(0, 5, 2016).astype(float),
    patchy=np.where(np.arange(2016) % 500 < 200, np.nan, CHANCE.normal(size=2016)),
    empty=np.nan,
    steady=3.0,
)


def test_the_blocks_add_up_to_the_whole():
    for subject in Reference.of(LEVELS).subjects.values():
        assert len(subject.blocks) == 12
        assert subject.merged().sum() == subject.whole.rows == 2016
        assert subject.merged()[-1] == subject.whole.missing
        np.testing.assert_array_equal(subject.merged(0, 5) + subject.merged(5), subject.merged())
        if subject.grid is not None:
            coarse = np.bincount(subject.coarse, weights=subject.whole.cells)
            np.testing.assert_array_equal(coarse, subject.merged()[:-1])
            assert subject.part_rows.sum() == subject.whole.values
            assert subject.part_scores.sum() == pytest.approx(subject.whole.cells @ subject.scores, abs=1e-6)


def test_the_order_of_the_rows_changes_nothing():
    shuffled = LEVELS.sample(frac=1, random_state=1)
    assert_alike(Reference.of(LEVELS), Reference.of(shuffled))


def test_bytes_give_the_same_reference_and_the_same_reference_the_same_bytes():
    reference = Reference.of(LEVELS)
    content = reference.to_bytes()
    assert content == Reference.of(LEVELS).to_bytes()
    assert Reference.from_bytes(content).to_bytes() == content
    assert_alike(reference, Reference.from_bytes(content))


def test_an_older_reference_that_kept_the_sums_of_its_blocks_can_be_read():
    reference = Reference.of(LEVELS)
    state, arrays = unpack(reference.to_bytes())
    for head in state["subjects"]:
        head["shapes"]["block_totals"] = [12]
    arrays["block_totals"] = np.zeros(12 * len(state["subjects"]))
    assert_alike(reference, Reference.from_bytes(pack(state, arrays)))


def test_24_columns_over_60_weeks_take_less_than_400_kb():
    minutes = pd.date_range("2025-01-01", periods=60 * 7 * 288, freq="5min", tz="UTC")
    values = {f"x{n}": CHANCE.normal(size=len(minutes)) * (1 + n) for n in range(24)}
    content = Reference.of(pd.DataFrame({"valid_at": minutes} | values)).to_bytes()
    assert len(content) < 400_000


def test_many_years_are_kept_in_longer_blocks():
    times = pd.date_range("2006-01-01", "2026-01-01", freq="D", tz="UTC")
    rows = pd.DataFrame({"valid_at": times, "x": CHANCE.normal(size=len(times))})
    subject = Reference.of(rows, block="7 days").subjects["x"]
    assert 50 <= len(subject.blocks) <= 100
    assert subject.blocks.sum() == len(rows)


def test_few_rows_are_kept_in_ten_blocks_of_equal_numbers():
    subject = Reference.of(LEVELS[:240]).subjects["level_m"]
    assert subject.blocks.sum(axis=1).tolist() == [24] * 10 or set(subject.blocks.sum(axis=1)) <= {23, 24, 25, 27, 28}
    assert len(subject.blocks) == 10
    assert len(subject.part_rows) == 70


def test_without_times_the_order_of_the_rows_makes_the_blocks():
    subject = Reference.of({"x": np.arange(700.0)}).subjects["x"]
    assert subject.blocks.sum(axis=1).tolist() == [70] * 10
    assert [subject.merged(0, n)[:-1].nonzero()[0].max() for n in (1, 5, 10)] == [3, 19, 39]


def test_rows_of_one_time_lie_in_one_block():
    times = np.repeat(np.arange(20) * DAY, 50)
    axis = cut(times, 1000, timedelta(days=7))
    assert all(len(set(axis.block[times == day])) == 1 for day in set(times))


def test_a_stretch_without_rows_is_no_block():
    times = np.concatenate([np.arange(50), np.arange(400, 450)]) * DAY
    axis = cut(times, 100, timedelta(days=7))
    assert np.bincount(axis.block).min() > 0
    assert len(axis.starts) < 20


def test_references_of_different_rows_are_one_reference():
    learnt, foretold = LEVELS[["valid_at", "level_m"]], LEVELS[["valid_at", "steady"]][:500]
    both = Reference.of(learnt) | Reference.of(foretold)
    assert both.merged()["level_m"].rows == 2016
    assert Reference.from_bytes(both.to_bytes()).merged()["steady"].rows == 500


def test_a_subject_without_a_value_is_kept_as_such():
    subject = Reference.from_bytes(Reference.of(LEVELS).to_bytes()).subjects["empty"]
    assert (subject.grid, subject.whole.rows, subject.whole.values) == (None, 2016, 0)


@pytest.mark.parametrize("content", [b"", b"junk", pack({"kind": "profile"}, {})])
def test_other_bytes_are_refused(content):
    with pytest.raises(ValueError, match="hold no"):
        Reference.from_bytes(content)


def assert_alike(one, other):
    assert list(one.subjects) == list(other.subjects)
    for name, subject in one.subjects.items():
        twin = other.subjects[name]
        np.testing.assert_array_equal(subject.blocks, twin.blocks)
        np.testing.assert_array_equal(subject.whole.cells, twin.whole.cells)
        np.testing.assert_array_equal(subject.starts, twin.starts)
        np.testing.assert_allclose(subject.part_scores, twin.part_scores, rtol=1e-5, atol=1e-5)
        assert subject.whole.mean == pytest.approx(twin.whole.mean, rel=1e-12, nan_ok=True)
