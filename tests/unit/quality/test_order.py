"""Rows whose time and key only grow cannot share them; anything else is looked at again."""

from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.quality.timing import Order


def holds(*batches: dict[str, list], names: tuple[str, ...] = ("a", "b")) -> bool:
    order = Order(names)
    for batch in batches:
        order.take(pa.RecordBatch.from_pydict({name: pa.array(values) for name, values in batch.items()}))
    return order.holds


@pytest.mark.parametrize(
    ("a", "b", "is_growing"),
    [
        ([1, 2, 3], [9, 8, 7], True),
        ([1, 1, 2], [1, 2, 0], True),
        ([1, 1], [1, 1], False),
        ([1, 1], [2, 1], False),
        ([2, 1], [1, 2], False),
        ([1], [1], True),
    ],
)
def test_the_first_column_counts_first(a: list[int], b: list[int], is_growing: bool) -> None:
    assert holds({"a": a, "b": b}) == is_growing


@pytest.mark.parametrize(
    ("low", "high"), [(False, True), ("Z", "a"), ("a", "ä"), ("", " "), (-1.5, 0.0), (2**53, 2**53 + 1)]
)
def test_keys_of_every_type_are_compared(low: object, high: object) -> None:
    assert holds({"a": [1, 1], "b": [low, high]})
    assert not holds({"a": [1, 1], "b": [high, low]})
    assert not holds({"a": [1, 1], "b": [high, high]})


def test_zero_and_minus_zero_are_one_key() -> None:
    assert not holds({"a": [-0.0, 0.0]}, names=("a",))


def test_without_rows_the_order_holds() -> None:
    assert holds()
    assert holds({"a": [], "b": []})


def test_once_broken_it_stays_broken() -> None:
    assert not holds({"a": [2, 1], "b": [0, 0]}, {"a": [3, 4], "b": [0, 0]})


@given(rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=8), cuts=st.sets(st.integers(0, 8)))
def test_it_is_the_same_however_rows_are_cut_and_true_only_where_no_two_are_alike(
    rows: list[tuple[int, int]], cuts: set[int]
) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut <= len(rows)), len(rows)]
    pieces = [rows[low:high] for low, high in pairwise(edges)]
    found = holds(*({"a": [a for a, _ in piece], "b": [b for _, b in piece]} for piece in pieces))
    assert found == all(one < next_ for one, next_ in pairwise(rows))
    assert not found or len(set(rows)) == len(rows)
