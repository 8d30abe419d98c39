"""Batches are gathered and read ahead without losing, adding or moving a row, and an error is not lost either."""

import threading
from collections.abc import Iterator

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.errors import ContractBroken
from include.quality.stream import ahead, gather


def batches(*sizes: int) -> list[pa.RecordBatch]:
    first = 0
    made = []
    for size in sizes:
        made.append(pa.RecordBatch.from_pydict({"n": pa.array(range(first, first + size), pa.int64())}))
        first += size
    return made


@given(sizes=st.lists(st.integers(0, 30), max_size=12), rows=st.integers(1, 40))
def test_gathered_batches_hold_the_same_rows_in_the_same_order(sizes: list[int], rows: int) -> None:
    found = list(gather(batches(*sizes), rows))
    assert [n for batch in found for n in batch.column("n").to_pylist()] == list(range(sum(sizes)))
    assert all(batch.num_rows for batch in found)
    assert all(batch.num_rows <= max(rows, *sizes) for batch in found)


def test_small_batches_are_put_together_up_to_the_size_and_a_large_one_stays_whole() -> None:
    assert [batch.num_rows for batch in gather(batches(4, 4, 4, 25, 1, 0, 1), 10)] == [8, 4, 25, 2]


def test_a_source_without_rows_gives_no_batch() -> None:
    assert list(gather(batches(0, 0))) == []
    assert list(gather([])) == []


def test_gathering_takes_no_more_than_it_needs() -> None:
    taken = []

    def source() -> Iterator[pa.RecordBatch]:
        for batch in batches(5, 5, 5, 5):
            taken.append(batch.num_rows)
            yield batch

    next(gather(source(), 5))
    assert len(taken) == 2


@given(items=st.lists(st.integers(), max_size=20), depth=st.integers(1, 3))
def test_what_is_read_ahead_comes_whole_and_in_order(items: list[int], depth: int) -> None:
    assert list(ahead(iter(items), depth)) == items


def test_an_error_comes_after_what_came_before_it_and_as_it_is() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ContractBroken("the second half is missing")

    seen: list[int] = []
    with pytest.raises(ContractBroken, match="the second half is missing"):
        seen.extend(ahead(source()))
    found = ahead(source())
    assert next(found) == 1
    with pytest.raises(ContractBroken):
        next(found)


def test_no_more_is_read_ahead_than_asked() -> None:
    made = []
    asked_beyond = threading.Event()

    def source() -> Iterator[int]:
        for n in range(100):
            made.append(n)
            if n == 2:
                asked_beyond.set()
            yield n

    found = ahead(source(), depth=1)
    assert next(found) == 0
    assert asked_beyond.wait(10)
    assert len(made) == 3, "one given, one waiting, one in the hand of the reader"
    found.close()


def test_a_reader_that_nobody_waits_for_ends() -> None:
    running = threading.active_count()

    def source() -> Iterator[int]:
        n = 0
        while True:
            yield n
            n += 1

    found = ahead(source())
    assert next(found) == 0
    found.close()
    assert threading.active_count() == running
