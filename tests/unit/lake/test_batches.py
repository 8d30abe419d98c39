"""Streams of checked rows: back as they were put, there whole or not at all, and noticed where they are damaged."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.errors import ContractBroken, PayloadLost, SourceUnavailable
from include.lake.store import Lake

FilesBelow = Callable[[str], list[str]]
Store = Callable[[str], tuple[fsspec.AbstractFileSystem, str]]
SCHEMA = pa.schema(
    [
        ("number", pa.int64()),
        ("place", pa.int32()),
        ("level", pa.float64()),
        ("note", pa.string()),
        ("is_open", pa.bool_()),
        ("read_at", pa.timestamp("us", "UTC")),
        ("day", pa.date32()),
    ]
)
ROWS = [
    (2**63 - 1, 2**31 - 1, 5e-324, "ñ€😀\x00\n", True, datetime(9999, 12, 31, 23, 59, 59, 999999, UTC), date.max),
    (-(2**63), -(2**31), -1.7976931348623157e308, "", False, datetime(1, 1, 1, tzinfo=UTC), date.min),
    (None,) * 7,
]
COLUMNS = [
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-(2**31), 2**31 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(codec="utf-8")),
    st.booleans(),
    st.datetimes(timezones=st.just(UTC)),
    st.dates(),
]
LOST = "clear the task that wrote it"


def batch_of(rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) or [()] * len(SCHEMA)
    return pa.RecordBatch.from_arrays(
        [pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
    )


def put(lake: Lake, *parts: list[tuple[Any, ...]], name: str = "batches/p/s/one/accepted") -> str:
    with lake.writing(name, SCHEMA) as stream:
        for rows in parts:
            stream.add(batch_of(rows))
    assert stream.row_count == sum(map(len, parts))
    return stream.uri


def rows_at(lake: Lake, uri: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for batch in lake.reading(uri) for row in batch.to_pylist()]


def test_rows_of_every_type_come_back_as_they_were_put(uri: str, files_below: FilesBelow) -> None:
    lake = Lake(uri)
    written = put(lake, ROWS, ROWS[:1])
    assert rows_at(lake, written) == [*ROWS, ROWS[0]]
    assert all(batch.schema == SCHEMA for batch in lake.reading(written))
    assert files_below(uri) == ["batches/p/s/one/accepted.arrows"]


@settings(max_examples=30, deadline=None)
@given(parts=st.lists(st.lists(st.tuples(*(st.none() | column for column in COLUMNS)), max_size=4), max_size=4))
def test_whatever_is_put_can_be_read_back(parts: list[list[tuple[Any, ...]]]) -> None:
    lake = Lake("memory://batches-property")
    assert rows_at(lake, put(lake, *parts)) == [row for rows in parts for row in rows]


def test_a_slice_of_a_batch_is_kept_without_the_rest(uri: str) -> None:
    lake = Lake(uri)
    with lake.writing("batches/p/slice", SCHEMA) as stream:
        stream.add(batch_of(ROWS).slice(1, 1))
    assert rows_at(lake, stream.uri) == ROWS[1:2]


@pytest.mark.parametrize("parts", [(), ([],), ([], [])])
def test_a_stream_without_rows_is_there_and_empty(uri: str, files_below: FilesBelow, parts: tuple) -> None:
    lake = Lake(uri)
    written = put(lake, *parts)
    assert rows_at(lake, written) == []
    assert len(files_below(uri)) == 1


def test_a_stream_can_be_read_again_and_left_in_the_middle(uri: str) -> None:
    lake = Lake(uri)
    written = put(lake, ROWS, ROWS)
    begun = lake.reading(written)
    assert next(begun).num_rows == 3
    begun.close()
    assert len(rows_at(lake, written)) == 6


def test_batches_are_read_one_at_a_time(uri: str) -> None:
    lake = Lake(uri)
    assert [batch.num_rows for batch in lake.reading(put(lake, ROWS, [], ROWS[:1]))] == [3, 1]


class Interrupted(Exception):
    """An error nobody else raises."""


@pytest.mark.parametrize("good_parts", [0, 1, 3])
@pytest.mark.parametrize(
    "error", [ContractBroken("a page is missing"), SourceUnavailable("later"), Interrupted("x"), KeyboardInterrupt()]
)
def test_a_block_that_is_interrupted_leaves_nothing_and_says_it_itself(
    uri: str, files_below: FilesBelow, good_parts: int, error: BaseException
) -> None:
    def write() -> None:
        with Lake(uri).writing("batches/p/broken", SCHEMA) as stream:
            for _ in range(good_parts):
                stream.add(batch_of(ROWS))
            raise error

    with pytest.raises(type(error)) as caught:
        write()
    assert caught.value is error
    assert files_below(uri) == []


def test_a_block_that_is_interrupted_keeps_what_was_written_before(uri: str, files_below: FilesBelow) -> None:
    lake = Lake(uri)
    written = put(lake, ROWS)
    with pytest.raises(pa.ArrowInvalid):
        put(lake, ROWS[:1], [("no number", *ROWS[0][1:])])
    assert rows_at(lake, written) == ROWS
    assert len(files_below(uri)) == 1


def test_a_batch_of_another_shape_is_refused_and_leaves_nothing(uri: str, files_below: FilesBelow) -> None:
    other = pa.RecordBatch.from_pydict({"number": ["text"]})
    with pytest.raises(pa.ArrowInvalid), Lake(uri).writing("batches/p/other", SCHEMA) as stream:
        stream.add(other)
    assert files_below(uri) == []


def test_a_stream_of_the_same_name_is_replaced(uri: str) -> None:
    lake = Lake(uri)
    first = put(lake, ROWS)
    assert put(lake, ROWS[:1]) == first
    assert rows_at(lake, first) == ROWS[:1]


def test_a_stream_is_found_after_the_lake_was_moved(tmp_path: Path) -> None:
    written = put(Lake(f"file://{tmp_path}/old"), ROWS)
    (tmp_path / "old").rename(tmp_path / "new")
    assert rows_at(Lake(f"file://{tmp_path}/new"), written) == ROWS


def test_cleaning_takes_old_streams_and_what_is_gone_is_said(uri: str, files_below: FilesBelow) -> None:
    lake = Lake(uri)
    written = put(lake, ROWS)
    assert lake.clean(datetime.now(UTC) - timedelta(hours=1)) == 0
    assert rows_at(lake, written) == ROWS
    assert lake.clean(datetime.now(UTC) + timedelta(hours=1)) == 1
    assert files_below(uri) == []
    with pytest.raises(PayloadLost, match=rf"accepted\.arrows .*{LOST}"):
        rows_at(lake, written)


@pytest.mark.parametrize(
    "name",
    ["payloads/ab/cd.zst", "batches/p/x.parquet", "batches/../x.arrows", "batches/.arrows", "snapshots/x.arrows"],
)
def test_only_a_stream_can_be_read(uri: str, name: str) -> None:
    with pytest.raises(PayloadLost, match=f"not the URI of a stream of batches: {LOST}"):
        rows_at(Lake(uri), f"{uri}/{name}")


@pytest.fixture(params=["file", "memory"])
def harmed(request: pytest.FixtureRequest, tmp_path: Path, store: Store) -> Callable[[bytes], list[tuple[Any, ...]]]:
    """Give a function that puts other bytes in place of a stream's, and reads it."""
    root = f"file://{tmp_path}/lake" if request.param == "file" else f"memory://{tmp_path.name}"
    lake = Lake(root)
    written = put(lake, ROWS, ROWS, ROWS)
    filesystem, path = store(root)
    file = f"{path}/batches/p/s/one/accepted.arrows"

    def read(content: bytes) -> list[tuple[Any, ...]]:
        filesystem.pipe_file(file, content)
        return rows_at(lake, written)

    read.whole = filesystem.cat_file(file)  # type: ignore[attr-defined]
    return read


def test_a_stream_that_was_cut_off_is_lost_or_ends_early_between_two_batches(harmed: Any) -> None:
    assert harmed(harmed.whole) == ROWS * 3
    # Arrow takes the end of the file for the end of the stream there: a load counts what it is given.
    early, lost = [], []
    for size in range(len(harmed.whole)):
        try:
            early.append(len(harmed(harmed.whole[:size])))
        except PayloadLost as error:
            lost.append(str(error))
    assert early == [0, 3, 6, 9]
    assert all(said.endswith(LOST) for said in lost)
    assert not any("\n" in said for said in lost)


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 200, b"\xff" * 200, b"ARROW1\x00\x00" * 20, b"at,level\n1,2\n" * 20]
)
def test_a_file_that_is_no_stream_is_lost(harmed: Any, content: bytes) -> None:
    with pytest.raises(PayloadLost, match=LOST):
        harmed(content)


def test_a_store_that_does_not_take_or_give_a_stream_is_unavailable(tmp_path: Path) -> None:
    lake = Lake(f"file://{tmp_path}/lake")
    (tmp_path / "lake").write_text("no folder")
    with pytest.raises(SourceUnavailable, match="the lake does not take or give"):
        put(lake, ROWS)
    with pytest.raises(SourceUnavailable, match="the lake does not take or give"):
        rows_at(lake, f"file://{tmp_path}/lake/batches/p/x.arrows")
