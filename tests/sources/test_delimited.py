"""Delimited text in blocks: where it is cut never changes a row, and nothing holds the whole of it."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.errors import ContractBroken
from include.sources.payload import Extract
from include.sources.text import delimited
from include.sources.text.delimited import MOST_ROWS, Dialect, batches
from include.windows import Window

EXTRACT = Extract("p", "s", Window.parse("2025-01-01", "2025-02-01"))
SMALLEST = 16


class Forward(io.RawIOBase):
    """A stream that goes forward only, and gives less than it is asked for."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks = chunks
        self.left = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        self.left = self.left or next(self.chunks, b"")
        given_, self.left = self.left[:size], self.left[size:]
        return given_


def rows(content: bytes, dialect: Dialect, block: int = delimited.FIRST_BLOCK) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    chunks = iter([content[:5], content[5:]])
    for table in batches(EXTRACT, Forward(chunk for chunk in chunks if chunk), dialect, block):
        if table.is_footer:
            continue
        assert table.first_row == len(found)
        found += zip(*(column.to_pylist() for column in table.columns), strict=True)
    return [row if any(cell.strip() for cell in row) else ("",) * len(row) for row in found]


def outcome(content: bytes, dialect: Dialect, block: int) -> Any:
    try:
        return rows(content, dialect, block)
    except ContractBroken as error:
        return str(error).partition(" (")[0]


CELL = st.text(alphabet='ab1.,;"\n\r é', max_size=6)


@settings(max_examples=300, deadline=None)
@given(
    table=st.lists(st.tuples(CELL, CELL, CELL), max_size=12),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    block=st.integers(SMALLEST, 80),
)
def test_any_table_comes_through_unchanged_wherever_it_is_cut(
    table: list[tuple[str, str, str]], end: str, block: int
) -> None:
    lines = [("x", "y", "z"), *table]
    content = end.join(",".join('"' + cell.replace('"', '""') + '"' for cell in line) for line in lines).encode()
    used = max((i + 1 for i, row in enumerate(table) if "".join(row).strip()), default=0)
    expected = [row if "".join(row).strip() else ("", "", "") for row in table[:used]]
    assert rows(content, Dialect(), block) == expected


@settings(max_examples=500, deadline=None)
@given(
    content=st.text(alphabet='ab1,;"\n\r é', max_size=120),
    dialect=st.builds(
        Dialect,
        skip_lines=st.integers(0, 2),
        has_header=st.booleans(),
        skip_rows_after_header=st.integers(0, 1),
        skip_rows_at_end=st.integers(0, 2),
        has_quotes=st.booleans(),
        encoding=st.sampled_from(["utf-8", "utf-16", "latin-1"]),
    ),
)
def test_small_and_large_blocks_give_the_same_rows_of_any_text(content: str, dialect: Dialect) -> None:
    """A refused file is refused either way; only what is noticed first may differ."""
    encoded = content.encode(dialect.encoding)
    small, large = outcome(encoded, dialect, SMALLEST), outcome(encoded, dialect, 1_000_000)
    assert small == large or (isinstance(small, str) and isinstance(large, str))


def test_batches_are_bounded_and_numbered_on() -> None:
    content = b"a,b\n" + b"1,2\n" * 300_000
    found = list(batches(EXTRACT, io.BytesIO(content), Dialect()))
    counts = [len(table.columns[0]) for table in found]
    assert sum(counts) == 300_000
    assert max(counts) <= MOST_ROWS
    assert [table.first_row for table in found] == [sum(counts[:i]) for i in range(len(counts))]


def test_memory_does_not_grow_with_the_file() -> None:
    def peak(blocks: int) -> int:
        chunks = iter([b"a,b\n", *[b"1.25,some text\n" * 70_000] * blocks])
        tracemalloc.start()
        for _ in batches(EXTRACT, Forward(chunks), Dialect()):
            pass
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(40) <= 1.1 * peak(10)


def test_blank_rows_are_left_out_at_the_end_only_however_many() -> None:
    content = b"a,b\n1,2\n" + b" ,\n" * 200_000 + b"3,4\n" + b",\n" * 200_000
    found = rows(content, Dialect(), 1000)
    assert len(found) == 200_002
    assert found[0] == ("1", "2")
    assert found[-1] == ("3", "4")
    assert set(found[1:-1]) == {("", "")}


def test_a_preamble_rows_of_units_and_a_footer_are_left_out() -> None:
    content = b'\xef\xbb\xbfStation "5", raw\r\n\r\nat,co\r\n,mg/m3\r\n2025,1\r\n2026,2\r\n,\r\nTotal: 2\r\n\r\n'
    dialect = Dialect(skip_lines=2, skip_rows_after_header=1, skip_rows_at_end=1)
    for block in (SMALLEST, 100_000):
        assert rows(content, dialect, block) == [("2025", "1"), ("2026", "2")]


def test_columns_are_found_by_position_where_they_have_no_name_or_the_same() -> None:
    [table, *_] = batches(EXTRACT, io.BytesIO(b"1,2\n"), Dialect(has_header=False))
    assert table.headers == ("", "")
    [_, table] = batches(EXTRACT, io.BytesIO(b"a,a,,#9\n1,2,3,4\n"), Dialect())
    picked = table.pick(EXTRACT, ["#1", "#2", "#3", "#9"])
    assert [column.to_pylist() for column in picked.values()] == [["1"], ["2"], ["3"], ["4"]]
    with pytest.raises(ContractBroken, match=r"header 'a' occurs 2 times; name it by its position, such as '#1'"):
        table.pick(EXTRACT, ["a"])
    with pytest.raises(ContractBroken, match=r"there is no column #5, the file has 4"):
        table.pick(EXTRACT, ["#5"])


@pytest.mark.parametrize("content", [b'a,b\n5" pipe,1\n6" pipe,2\n', b'a,b\n"x"y,1\n', b'a,b\n1, "2" x\n'])
def test_a_quote_inside_a_value_is_refused_unless_quotes_are_said_to_be_letters(content: bytes) -> None:
    for block in (SMALLEST, 100_000):
        with pytest.raises(ContractBroken, match=r"quotation mark stands inside a value.*write `quote: none`"):
            rows(content, Dialect(), block)
    assert rows(content, Dialect(has_quotes=False))[0][0].count('"') == content.split(b",")[1].count(b'"')


LONG = {
    "in the first block": b"a,b\n1," + b"x" * 1_100_000 + b"\n2,3\n",
    "far on": b"a,b\n" + b"1,2\n" * 2_000_000 + b"1," + b"x" * 10_000_000 + b"\n",
    "in parts": b"a,b\n" + b"x" * 700_000 + b"," + b"x" * 700_000 + b"\n",
    "in the preamble": b"x" * 10_000_000 + b"\na,b\n",
}


@pytest.mark.parametrize("place", LONG)
def test_a_line_of_more_than_a_megabyte_is_refused_wherever_it_stands(place: str) -> None:
    dialect = Dialect(skip_lines=int("preamble" in place))
    for block in (SMALLEST, 1_000_000):
        with pytest.raises(ContractBroken, match="longer than a megabyte"):
            rows(LONG[place], dialect, block)


def test_a_line_of_just_under_a_megabyte_is_read() -> None:
    value = "x" * 1_000_000
    for block in (SMALLEST, 4_000_000):
        assert rows(f"a,b\n1,{value}\n2,3\n".encode(), Dialect(), block) == [("1", value), ("2", "3")]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "shift_jis", "gb18030", "cp1252"])
def test_an_encoding_is_read_across_the_borders_of_blocks(encoding: str) -> None:
    text = "a,b\n" + "".join(f"{n},{'日本' if encoding not in ('cp1252',) else 'ñü'}\n" for n in range(200))
    found = rows(text.encode(encoding), Dialect(encoding=encoding), SMALLEST)
    assert [row[0] for row in found] == [str(n) for n in range(200)]


SPLIT = {
    "decimals_split.csv": b"at,co,t\n2025-01-01 00:00,2,6,13,6\n",
    "decimals_split_and_padded.csv": b"at,co,t,,\n2025-01-01 00:00,2,6,13,6\n",
    "decimals_split_in_a_wide_row.csv": b",".join([b"at"] + [b"c"] * 90) + b"\n2025" + b",2,6" * 90 + b"\n",
}


@pytest.mark.parametrize("name", SPLIT)
def test_decimal_commas_split_into_columns_are_recognised(name: str) -> None:
    with pytest.raises(ContractBroken, match="decimal commas were split into extra columns; ask for the file with"):
        rows(SPLIT[name], Dialect())


def test_a_row_that_is_longer_for_another_reason_is_not_called_split() -> None:
    with pytest.raises(ContractBroken, match="row 2 has 4 values where the header has 3; ask the publisher"):
        rows(b"at,co,place\n2025-01-01 00:00,2.6,street,left\n", Dialect())
