"""Cells fit their reference, counts on them merge, and nothing is lost or counted twice."""

from dataclasses import fields

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from include.monitoring import histogram
from include.monitoring.grid import FINE, fit
from include.monitoring.histogram import Counts, count, count_rows

CHANCE = np.random.default_rng(4)
LEVELS = CHANCE.normal(20, 3, 5000)
SHAPES = {
    "normal": LEVELS,
    "skewed": np.exp(CHANCE.normal(0, 2, 5000)),
    "mostly_zero": np.where(CHANCE.random(5000) < 0.9, 0.0, CHANCE.exponential(3, 5000)),
    "categories": CHANCE.integers(0, 7, 5000).astype(float),
    "flag": CHANCE.integers(0, 2, 5000).astype(float),
    "far_from_zero": 1e9 + CHANCE.normal(size=5000),
    "codes_close_together": CHANCE.choice([1.0, 1.0000001, 1e6], 5000),
    "constant": np.full(5000, 7.0),
    "one_wild_value": np.append(CHANCE.normal(10, 1, 249), 1e6),
}


def assert_same(one: Counts, other: Counts) -> None:
    for field in fields(Counts):
        np.testing.assert_allclose(getattr(one, field.name), getattr(other, field.name), rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_counts_of_two_parts_are_those_of_the_whole(shape):
    values = SHAPES[shape]
    grid = fit(values)
    assert_same(count(grid, values[:1234]) + count(grid, values[1234:]), count(grid, values))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_value_has_one_cell_and_it_is_the_one_that_counts_it(shape):
    values = SHAPES[shape]
    grid = fit(values)
    wild = np.concatenate([values, values * 1.7 - 3, [-1e100, 1e100]])
    counts = count(grid, wild)
    assert counts.cells.sum() == counts.values == len(wild)
    assert len(counts.cells) == grid.size
    np.testing.assert_array_equal(np.bincount(grid.cell_of(wild), minlength=grid.size), counts.cells)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_edges_of_the_cells_rise(shape):
    grid = fit(SHAPES[shape])
    assert len(grid.edges) == grid.size + 1
    assert (np.diff(grid.edges) >= 0).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_the_mean_is_exact(shape):
    values = SHAPES[shape]
    counts = count(fit(values), values)
    assert counts.mean == pytest.approx(values.mean(), rel=1e-13)
    assert counts.deviation == pytest.approx(values.std(), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("shape", ["normal", "skewed"])
def test_no_cell_holds_much_of_the_reference(shape):
    counts = count(fit(SHAPES[shape]), SHAPES[shape])
    assert counts.cells.max() <= (3 if shape == "normal" else 20) * counts.values / FINE


def test_a_value_that_many_rows_have_has_a_cell_of_its_own():
    values = SHAPES["mostly_zero"]
    grid = fit(values)
    assert not grid.is_exact
    assert count(grid, values).cells.max() == (values == 0).sum()


def test_few_values_have_a_cell_each_and_unseen_ones_lie_in_the_gaps_between():
    grid = fit(SHAPES["categories"])
    assert grid.values.tolist() == [0, 1, 2, 3, 4, 5, 6]
    cells = count(grid, np.array([0.0, 3.0, 3.0, 3.5, -1.0, 9.0])).cells
    assert cells[1::2].tolist() == [1, 0, 0, 2, 0, 0, 0]
    assert cells[0::2].tolist() == [1, 0, 0, 0, 1, 0, 0, 1]


def test_values_that_differ_by_rounding_are_the_same():
    grid = fit(np.tile([0.1, 0.3], 100))
    assert count(grid, np.array([0.1 + 0.2, 0.3])).cells[3] == 2


def test_a_few_rows_of_a_number_are_no_categories():
    assert not fit(CHANCE.normal(size=50)).is_exact
    assert fit(np.tile(np.arange(50.0), 3)).is_exact
    assert not fit(np.append(np.tile(np.arange(10.0), 10), [20.0, 30.0])).is_exact, "2 of 102 values came once"
    assert fit(np.append(np.tile(np.arange(10.0), 10), 20.0)).is_exact, "1 of 101 values came once"


def test_one_wild_value_of_a_short_reference_does_not_swallow_the_others():
    values = SHAPES["one_wild_value"]
    counts = count(fit(values), values)
    assert counts.cells.max() <= 3
    assert counts.held_mean == pytest.approx(values[:-1].mean(), abs=1)


def test_what_is_no_number_or_too_large_to_square_is_missing():
    counts = count(fit(LEVELS), np.array([20.0, np.nan, np.inf, -np.inf, 22.0, 1e200]))
    assert (counts.rows, counts.missing, counts.mean) == (6, 4, pytest.approx(21))


def test_values_beyond_the_reference_are_counted_and_those_at_its_ends_are_not():
    grid = fit(LEVELS)
    ends = np.array([LEVELS.min(), LEVELS.max()])
    assert count(grid, ends).beyond == 0
    assert count(grid, ends + np.array([-1e-9, 1e-9])).beyond == 2


def test_values_longer_than_a_chunk_are_counted_alike(monkeypatch):
    grid, values = fit(LEVELS), np.where(CHANCE.random(5000) < 0.1, np.nan, LEVELS)
    whole = count(grid, values)
    monkeypatch.setattr(histogram, "CHUNK", 700)
    assert_same(count(grid, values), whole)


def test_counts_on_different_grids_do_not_merge():
    one, other = (count(fit(values), values) for values in (LEVELS, LEVELS + 1))
    with pytest.raises(ValueError, match="different grids"):
        one + other


def test_frames_tables_arrays_and_parts_of_them_are_counted_alike():
    times = pd.date_range("2026-01-01", periods=100, freq="h", tz="UTC")
    values, flags = np.where(np.arange(100) % 9 == 0, np.nan, LEVELS[:100]), np.arange(100) % 2
    frame = pd.DataFrame({"valid_at": times, "x": values, "flag": flags, "other": "text"})
    table = pa.Table.from_pandas(frame)
    ways = [
        frame,
        table,
        table.to_batches(max_chunksize=30),
        (part for part in (frame[:40], frame[40:])),
        {"valid_at": times.to_numpy(), "x": values, "flag": flags, "other": flags},
    ]
    grids = {"x": fit(LEVELS), "flag": fit(np.tile([0.0, 1.0], 9)), "absent": fit(LEVELS)}
    for way in ways:
        counted = count_rows(grids, way)
        assert (counted.rows, counted.span_ns) == (100, 99 * 3_600_000_000_000)
        assert set(counted.subjects) == {"x", "flag"}
        assert counted.columns == {"valid_at", "x", "flag", "other"}
        assert_same(counted.subjects["x"], count(grids["x"], values))
        assert counted.subjects["x"].missing == 12
    assert count_rows(grids, frame[:0]).rows == 0
