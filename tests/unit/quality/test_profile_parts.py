"""The parts of a profile agree with the libraries they stand in for."""

import math

import numpy as np
import pyarrow as pa
import pytest
import scipy.stats
from datasketches import update_theta_sketch
from hypothesis import given, settings
from hypothesis import strategies as st

from include.quality.profiling.defaults import DATES, numbers
from include.quality.profiling.distinct import LG_SIZE, Distinct, hashes
from include.quality.profiling.distribution import Distribution
from include.quality.profiling.moments import Moments
from include.quality.profiling.numbers import decimals
from include.quality.profiling.sample import SIZE, Sample, row_numbers

INT64 = st.integers(-(2**63), 2**63 - 1)


def moments(values: np.ndarray) -> Moments:
    return Moments.of(values, values.min().item(), values.max().item())


def theta(values: list[int]) -> bytes:
    sketch = update_theta_sketch(LG_SIZE)
    for value in values:
        sketch.update(value)
    sketch.trim()
    return bytes(sketch.compact().serialize())


@settings(max_examples=50, deadline=None)
@given(values=st.lists(INT64, max_size=50))
def test_hashes_are_those_of_the_library(values: list[int]) -> None:
    kept = np.frombuffer(theta(values), np.uint64)
    for hashed in hashes(np.array(values, np.int64)):
        assert hashed in kept


@pytest.mark.parametrize("count", [10, 4096, 4097, 150_000])
def test_a_sketch_shown_only_what_it_keeps_is_the_one_shown_everything(count: int) -> None:
    values = np.random.default_rng(count).integers(-(2**63), 2**63 - 1, count)
    found, half, other = Distinct(), Distinct(), Distinct()
    for part in np.array_split(values, 7):
        found.take_numbers(part)
    half.take_numbers(values[: count // 3])
    other.take_numbers(values[count // 4 :])
    assert found.to_bytes() == theta(values.tolist())
    assert half.merged(other).estimate() == found.estimate()
    again = Distinct.from_bytes(found.to_bytes())
    again.take_numbers(values[:5])
    assert again.estimate() == found.estimate()


@settings(deadline=None)
@given(
    values=st.lists(st.floats(-1e6, 1e6).map(lambda value: round(value, 3)), min_size=2, max_size=30),
    cut=st.integers(1),
)
def test_moments_merge_to_those_of_scipy(values: list[float], cut: int) -> None:
    array = np.array(values)
    cut = 1 + cut % (len(values) - 1)
    found = moments(array[:cut]) + moments(array[cut:])
    assert found.average() == pytest.approx(array.mean(), rel=1e-9, abs=1e-6)
    assert found.deviation() == pytest.approx(array.std(ddof=1), rel=1e-9, abs=1e-6)
    if array.std() > 1:
        assert found.skewness() == pytest.approx(scipy.stats.skew(array), rel=1e-6, abs=1e-6)


def test_the_moments_of_nothing_add_nothing() -> None:
    some = moments(np.array([1.0, 2.0]))
    assert some + Moments() == Moments() + some == some
    assert Moments().average() is Moments().deviation() is Moments().skewness() is None


def test_huge_and_small_values_merge() -> None:
    small, huge = np.array([1.0, 2.0, 4.0]), np.array([1e300, 3e300])
    both = np.concatenate([small, huge])
    for found in (moments(small) + moments(huge), moments(huge) + moments(small), moments(both)):
        assert found.average() == pytest.approx(both.mean())
        assert found.deviation() == pytest.approx((both / 1e300).std(ddof=1) * 1e300)
        assert found.skewness() == pytest.approx(scipy.stats.skew(both / 1e300))
    assert moments(np.array([-1.7e308, 1.7e308])).deviation() is None


@given(values=st.lists(st.decimals(-10_000, 10_000, places=4), min_size=1, max_size=10))
def test_decimals_are_those_of_the_text_without_zeros_at_its_end(values: list) -> None:
    wanted = max(len(f"{value}".rstrip("0").partition(".")[2]) for value in values)
    assert decimals(np.array([float(value) for value in values])) == wanted


def test_digits_of_huge_numbers_are_no_decimals() -> None:
    assert decimals(np.array([1e22, 1.7e308, -(2.0**60)])) == 0
    assert decimals(np.array([1 / 3])) == 15


@settings(max_examples=50, deadline=None)
@given(values=st.lists(st.integers(0, 9), min_size=1, max_size=30), share=st.floats(0, 1))
def test_a_quantile_of_counted_values_is_that_of_numpy(values: list[int], share: float) -> None:
    found = Distribution(*np.unique(np.array(values), return_counts=True), len(values))
    assert found.quantile(share) == pytest.approx(np.quantile(values, share))


def test_a_sample_is_the_same_in_any_order_and_every_row_is_as_likely() -> None:
    rows = pa.RecordBatch.from_pydict({"row_number": pa.array(range(100_000), pa.int64())})
    numbers_, values = row_numbers(rows, 0), np.arange(100_000)
    found = []
    for order in (values, values[::-1], np.random.default_rng(1).permutation(values)):
        sample = Sample()
        for part in np.array_split(order, 9):
            sample.take(numbers_[part], values[part])
        found.append(np.sort(sample.whole()[1]))
    assert all(np.array_equal(found[0], other) for other in found)
    assert len(found[0]) == SIZE
    assert scipy.stats.kstest(found[0] / 100_000, "uniform").pvalue > 0.01


def test_defaults_of_times_are_the_days_in_their_own_unit() -> None:
    assert numbers("timestamp") == tuple(day * 86_400_000_000 for day in numbers("date"))
    assert len(numbers("date")) == len(DATES)
    assert not math.isnan(sum(numbers("number")))
