"""Delimited files, plain and zipped, from a slice of the real UCI file to files that are broken."""

from __future__ import annotations

import gzip
import io
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from include.errors import ContractBroken, SourceUnavailable
from include.sandbox.station import simulate
from include.sources import Endpoint, Limits, csv_file, fetch, frame, parse
from include.sources.frame import noted
from include.sources.payload import Extract
from include.sources.text import archive, numbers
from include.sources.text.instants import times_of
from include.spec import lines
from include.spec.model import CsvSource, TimeColumns
from include.windows import Window

Read = Callable[..., pd.DataFrame]
ALL_TIME = Window.parse("2004-01-01", "2006-01-01")
HEADERS = {
    "co_mg_m3": "CO(GT)", "co_sensor": "PT08.S1(CO)", "nmhc_ug_m3": "NMHC(GT)", "benzene_ug_m3": "C6H6(GT)",
    "temperature_deg_c": "T", "relative_humidity_pct": "RH", "vapour_pressure_kpa": "AH",
}  # fmt: skip


def source_of(headers: dict[str, str], /, **changes: Any) -> CsvSource:
    column = {"unit": "1", "description": "a value"}
    spec = {
        "kind": "csv_file",
        "connection": "uci_air_quality",
        "title": "A station",
        "path": "/station.csv",
        "time": {"columns": ["Date", "Time"], "format": "%d/%m/%Y %H.%M.%S"},
        "published": {"after": "1 hour"},
        "columns": {name: {"from": header, **column} for name, header in headers.items()},
    }
    return CsvSource.model_validate(spec | changes)


def small(**changes: Any) -> CsvSource:
    """Return the spec of a file ``at,co,place`` with a number and a text."""
    spec: dict[str, Any] = {"time": {"columns": ["at"], "format": "%Y-%m-%d %H:%M"}}
    return source_of({"co_mg_m3": "co", "place": "place"}, **(spec | changes))


def zipped(content: bytes, name: str = "AirQualityUCI.csv") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


UCI = source_of(
    HEADERS, path="/static/public/360/air+quality.zip", member="AirQualityUCI.csv", delimiter=";", decimal=",",
    missing=["-200", "-200,0"],
)  # fmt: skip
SMALL = small()
TEXT_PLACE = {
    "co_mg_m3": {"from": "co", "unit": "mg/m3", "description": "a value"},
    "place": {"from": "place", "type": "text", "unit": "text", "description": "a text"},
}


@pytest.fixture
def read(rows_of: Callable[..., pd.DataFrame]) -> Read:
    """Read one payload of the station."""

    def reader(content: bytes, source: CsvSource = SMALL, window: Window = ALL_TIME) -> pd.DataFrame:
        return rows_of("air_quality", "station", source, [content], window)

    return reader


def test_the_uci_file_reads_with_points_without_its_blank_tail(read: Read, defect: Callable[[str], bytes]) -> None:
    frame = read(zipped(defect("uci_slice_with_blank_tail.csv")), UCI)
    assert list(frame.columns) == ["valid_at", "available_at", *HEADERS]
    assert len(frame) == 15
    assert frame.iloc[0].tolist() == [
        pd.Timestamp("2004-03-10T18:00Z"), pd.Timestamp("2004-03-10T19:00Z"),
        "2.6", "1360", "150", "11.9", "13.6", "48.9", "0.7578",
    ]  # fmt: skip
    assert frame["nmhc_ug_m3"].tolist()[-3:] == [None, None, None]
    assert frame["co_mg_m3"].tolist()[1] == "2"


def test_a_window_takes_its_hours_and_leaves_its_end_to_the_next(read: Read, defect: Callable[[str], bytes]) -> None:
    content = zipped(defect("uci_slice_with_blank_tail.csv"))
    march, april = Window.parse("2004-03-01", "2004-04-01"), Window.parse("2004-04-01", "2004-05-01")
    assert len(read(content, UCI, march)) == 10
    assert read(content, UCI, april)["valid_at"].dt.hour.tolist() == [0, 1]
    assert len(read(content, UCI, Window.parse("2004-05-01", "2004-06-01"))) == 0


def test_a_whole_file_accounts_for_every_hour(read: Read) -> None:
    content = zipped(simulate())  # the real file's format and size, 114 blank lines included
    frame = read(content, UCI)
    assert len(frame) == 9357
    assert frame["valid_at"].notna().all()
    assert frame["valid_at"].is_unique
    assert 0.15 < frame["co_mg_m3"].isna().mean() < 0.21
    assert not frame["temperature_deg_c"].dropna().str.contains(",").any()
    months = Window.parse("2004-03-01", "2005-05-01").split("month")
    assert sum(len(read(content, UCI, month)) for month in months) == 9357


@pytest.mark.parametrize(
    "content",
    [
        b"at,co,place\n2004-03-10 18:00,2.6,street\n",
        b"\xef\xbb\xbfat,co,place\r\n2004-03-10 18:00,2.6,street\r\n",
        b"\r\n at , co ,place\r\n2004-03-10 18:00,2.6,street",
        b'place,co,at,,\n"street","2.6","2004-03-10 18:00",,\n,,,,\n ,,,,\n',
    ],
)
def test_byte_order_mark_line_ends_order_and_unnamed_columns_do_not_matter(read: Read, content: bytes) -> None:
    frame = read(content)
    assert frame[["co_mg_m3", "place"]].to_numpy().tolist() == [["2.6", "street"]]
    assert frame["valid_at"].tolist() == [pd.Timestamp("2004-03-10T18:00Z")]


def test_quoted_delimiters_quotes_and_line_ends_are_part_of_the_value(read: Read) -> None:
    frame = read(b'at,co,place\n2004-03-10 18:00,1,"a, ""b""\nc"\n')
    assert frame["place"].tolist() == ['a, "b"\nc']


def test_values_leave_as_they_came(read: Read) -> None:
    frame = read(b"at,co,place\n2004-03-10 18:00,n/a, street \n2004-03-10 19:00,1e3,NULL\n")
    assert frame["co_mg_m3"].tolist() == ["n/a", "1e3"]
    assert frame["place"].tolist() == [" street ", "NULL"]


def test_missing_markers_count_per_source_and_per_column(read: Read) -> None:
    columns = {
        "co_mg_m3": {"from": "co", "unit": "mg/m3", "description": "a value", "missing": ["-1"]},
        "place": {"from": "place", "type": "text", "unit": "text", "description": "a text"},
    }
    frame = read(
        b"at,co,place\n2004-03-10 18:00, -1 ,-1\n2004-03-10 19:00,?, ?\n", small(columns=columns, missing=["?"])
    )
    assert frame["co_mg_m3"].tolist() == [None, None]
    assert frame["place"].tolist() == ["-1", None]


def test_a_blank_row_in_the_middle_is_kept_and_has_no_time(read: Read) -> None:
    frame = read(b"at,co,place\n2004-03-10 18:00,1,a\n,,\n2004-03-10 19:00,2,b\n,,\n")
    assert frame["valid_at"].isna().tolist() == [False, True, False]


def test_a_row_with_an_unreadable_time_is_kept(read: Read) -> None:
    frame = read(b"at,co,place\n2004-03-32 18:00,1,a\n,2,b\n", window=Window.parse("2020-01-01", "2020-01-02"))
    assert frame["valid_at"].isna().all()
    assert frame["co_mg_m3"].tolist() == ["1", "2"]


def test_a_header_without_rows_gives_no_rows_in_the_usual_shape(read: Read) -> None:
    for content in (b"at,co,place\n", b"at,co,place", b"at,co,place\r\n,,\r\n"):
        frame = read(content)
        assert len(frame) == 0
        assert frame.dtypes.astype(str).tolist() == ["datetime64[us, UTC]"] * 2 + ["object"] * 2


def test_local_times_become_utc_and_the_doubtful_hour_has_none() -> None:
    rule = TimeColumns(columns=("at",), format="%Y-%m-%d %H:%M", timezone="Europe/Rome")
    times = times_of(rule, [["2004-03-10 18:00", "2004-07-10 18:00", "2004-10-31 02:30", "2004-03-28 02:30"]])
    assert times.dt.hour.tolist()[:2] == [17, 16]
    assert times.isna().tolist() == [False, False, True, True]


AUTUMN = ["00:00", "00:30", "01:00", "01:30", "01:00", "01:30", "02:00", "02:30"]  # 3 November 2024 in New York


def in_new_york(clocks: list[str]) -> list[str]:
    rule = TimeColumns(columns=("t",), format="%Y-%m-%d %H:%M", timezone="America/New_York")
    return times_of(rule, [[f"2024-11-03 {clock}" for clock in clocks]]).dt.strftime("%H:%M").fillna("-").tolist()


@pytest.mark.parametrize(
    ("clocks", "utc"),
    [
        (AUTUMN, ["04:00", "04:30", "05:00", "05:30", "06:00", "06:30", "07:00", "07:30"]),
        (AUTUMN[::-1], ["07:30", "07:00", "06:30", "06:00", "05:30", "05:00", "04:30", "04:00"]),
        (["00:00", "01:00", "01:00", "02:00"], ["04:00", "05:00", "06:00", "07:00"]),
        (["02:00", "01:00", "01:00", "00:00"], ["07:00", "06:00", "05:00", "04:00"]),
    ],
)
def test_the_hour_a_clock_change_repeats_is_told_by_the_order_of_the_rows(clocks: list[str], utc: list[str]) -> None:
    assert in_new_york(clocks) == utc


@pytest.mark.parametrize(
    "clocks",
    [
        ["00:00", "01:00", "02:00"],  # only one of the two hours
        ["00:00", "00:00", "01:00", "01:00", "02:00", "02:00"],  # two sensors, each with one of the two
        ["00:00", "01:00", "01:00", "01:00", "02:00"],
        ["00:00", "01:30", "01:00", "01:30", "01:00", "02:00"],  # against the direction of the others
        ["01:00", "01:00"],  # no other row tells the direction
    ],
)
def test_a_repeated_hour_whose_order_tells_nothing_is_unreadable(clocks: list[str]) -> None:
    told = {utc for clock, utc in zip(clocks, in_new_york(clocks), strict=True) if clock.startswith("01")}
    assert told == {"-"}


def test_an_offset_in_the_text_counts_more_than_the_zone() -> None:
    rule = TimeColumns(columns=("at",), format="%Y-%m-%dT%H:%M%z", timezone="Europe/Rome")
    times = times_of(rule, [["2004-03-10T18:00-06:00", "2004-03-10T18:00Z", "never"]])
    assert times.tolist()[:2] == [pd.Timestamp("2004-03-11T00:00Z"), pd.Timestamp("2004-03-10T18:00Z")]
    assert times.isna().tolist() == [False, False, True]


def test_a_decimal_comma_changes_only_numbers(read: Read) -> None:
    columns = {
        "co_mg_m3": {"from": "co", "unit": "mg/m3", "description": "a value"},
        "place": {"from": "place", "type": "text", "unit": "text", "description": "a text"},
    }
    content = b"at;co;place\n2004-03-10 18:00;-,5;1,5\n2004-03-10 19:00;1,5E+03;x\n2004-03-10 20:00;1,2,3;y\n"
    frame = read(content, small(columns=columns, delimiter=";", decimal=","))
    assert frame["co_mg_m3"].tolist() == ["-.5", "1.5E+03", "1,2,3"]
    assert frame["place"].tolist()[0] == "1,5"


BROKEN = {
    "header_missing.csv": (b"at,place\n2004-03-10 18:00,a\n", r"header 'co' is missing among the 2 headers"),
    "header_renamed.csv": (b"at,CO,places\n2004-03-10 18:00,1,a\n", r"header 'co' is missing"),
    "header_nearly_the_same.csv": (b"at,co,plaace\n2004-03-10 18:00,1,a\n", r"renamed to 'plaace'"),
    "header_twice.csv": (b"at,co,place,co\n2004-03-10 18:00,1,a,2\n", r"header 'co' occurs 2 times"),
    "time_header_missing.csv": (b"when,co,place\n2004-03-10 18:00,1,a\n", r"header 'at' is missing"),
    "row_too_long.csv": (b"at,co,place\n2004-03-10 18:00,1,a\n2004-03-10 19:00,1,5,a\n", "row 3 has 4 values where"),
    "row_too_short.csv": (b"at,co,place\n2004-03-10 18:00,1\n", "row 2 has 2 values where the header has 3"),
    "quote_open.csv": (b'at,co,place\n2004-03-10 18:00,1,"a\n2004-03-10 19:00,2,b\n', "ends inside a quoted value"),
    "another_encoding.csv": (b"at,co,place\n2004-03-10 18:00,1,\xf1\n", "not UTF-8|cannot be read"),
    "utf_16.csv": ("at,co,place\n2004-03-10 18:00,1,a\n".encode("utf-16"), "NUL|UTF-8"),
    "nul_bytes.csv": (b"at,co,place\n2004-03-10 18:00,1,\x00\n", "NUL bytes"),
    "line_of_ten_megabytes.csv": (b"at,co,place\n2004-03-10 18:00,1," + b"x" * 10_000_000, "longer than a megabyte"),
    "header_of_ten_megabytes.csv": (b"x" * 10_000_000, "header"),
    "empty.csv": (b"", "no header"),
    "only_line_ends.csv": (b"\r\n\r\n", "no header"),
    "web_page.csv": (b"<html>\n<body>Service closed</body>", "header 'at' is missing"),
    "a_zip.csv": (zipped(b"at,co,place\n"), "is a zip; name the file inside it as `member`"),
    "workbook.xlsx": (zipped(b"<x/>", "[Content_Types].xml"), "is an Excel workbook, .*; save its sheet as CSV"),
    "workbook.xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00", "is a workbook of an old Excel.*; save its sheet as CSV"),
    "database.sqlite": (b"SQLite format 3\x00\x10", "is an SQLite database, .*; export the table as CSV"),
    "damaged.csv.gz": (gzip.compress(b"at,co,place\n")[:-9], "the gzip cannot be read"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_breaks_the_contract_and_says_how(read: Read, name: str, says_what_to_do: Any) -> None:
    content, expected = BROKEN[name]
    with pytest.raises(ContractBroken, match=expected) as caught:
        read(content)
    says_what_to_do(caught.value, "air_quality", "station", ALL_TIME)


def test_other_encodings_are_read_when_declared(read: Read) -> None:
    content = "at,co,place\n2004-03-10 18:00,1,ñandú €\n"
    assert read(content.encode("cp1252"), small(encoding="cp1252"))["place"].tolist() == ["ñandú €"]


def test_numbers_in_groups_of_three_lose_their_mark_and_others_stay_as_they_came(read: Read) -> None:
    lines = ["1.234,56", "-12.345.678", "12.34,5", "1.2345,6", "7,5", "1.234,", "0,5"]
    content = b"at;co;place\n" + b"".join(f"2004-03-10 18:00;{text};1.234,5\n".encode() for text in lines)
    frame = read(content, small(delimiter=";", decimal=",", thousands=".", columns=TEXT_PLACE))
    assert frame["co_mg_m3"].tolist() == ["1234.56", "-12345678", "12.34,5", "1.2345,6", "7.5", "1.234,", "0.5"]
    assert set(frame["place"]) == {"1.234,5"}


@pytest.mark.parametrize(("mark", "written"), [("'", "1'234.5"), (" ", "1 234.5"), ("\u00a0", "1\u00a0234.5")])
def test_other_marks_between_thousands_are_read_when_declared(read: Read, mark: str, written: str) -> None:
    content = f"at;co;place\n2004-03-10 18:00;{written};a\n2004-03-10 19:00;{written[:4]}.5;a\n".encode()
    frame = read(content, small(delimiter=";", thousands=mark))
    assert frame["co_mg_m3"].tolist() == ["1234.5", f"{written[:4]}.5"]


def test_a_point_that_groups_no_three_digits_is_refused_because_it_may_be_a_decimal(read: Read) -> None:
    source = small(delimiter=";", decimal=",", thousands=".")
    with pytest.raises(ContractBroken, match=r"numbers with a point.*not in groups of three digits"):
        read(b"at;co;place\n2004-03-10 18:00;1.5;a\n", source)


def test_quoted_decimals_may_use_the_delimiter(read: Read) -> None:
    source = small(decimal=",", quoted_decimals=True)
    frame = read(b'at,co,place\n2004-03-10 18:00,"12,5",a\n2004-03-10 19:00,3,b\n', source)
    assert frame["co_mg_m3"].tolist() == ["12.5", "3"]


def test_unquoted_decimals_that_use_the_delimiter_are_refused_with_that_explanation(read: Read) -> None:
    source = small(decimal=",", quoted_decimals=True)
    with pytest.raises(ContractBroken, match="decimal commas were split into extra columns"):
        read(b"at,co,place\n2004-03-10 18:00,12,5,a\n", source)


@given(texts=st.lists(st.text(alphabet='0123456789,.+-eE x\n"', max_size=9) | st.floats().map(repr), max_size=8))
@example(texts=["-,5", "1,5E+03", "1,2,3", "-200,0", ",", "1,", "+,", "--1,5"])
@example(texts=["1,5", "-200,0", "-2,25"])
def test_the_quick_rewriting_of_decimal_commas_gives_what_the_patterns_give(texts: list[str]) -> None:
    source = small(delimiter=";", decimal=",", missing=["-200,0"])
    values = pa.array(["", *texts], pa.string()).slice(1)
    column, extract = source.columns["co_mg_m3"], Extract("p", "s", ALL_TIME)
    is_missing = pa.array([text.strip() == "-200,0" for text in texts], pa.bool_())
    try:
        expected = numbers._rewritten(extract, source, column, values, is_missing).to_pylist()
    except ContractBroken:
        with pytest.raises(ContractBroken):
            numbers.plain(extract, source, column, values)
    else:
        found = numbers.plain(extract, source, column, values).to_pylist()
        assert found == [t if m else e for t, m, e in zip(texts, is_missing.to_pylist(), expected, strict=True)]


def test_a_file_without_header_is_read_by_position(read: Read) -> None:
    columns = {"co_mg_m3": {"from": "#2", "unit": "mg/m3", "description": "a value"}}
    time = {"columns": ["#4", "#3", "#1"], "format": "%Y %m %d"}
    frame = read(b"9,2.5,3,2004\n10,2.6,3,2004\n", small(columns=columns, time=time, header="none"))
    assert frame["valid_at"].dt.day.tolist() == [9, 10]
    assert frame["co_mg_m3"].tolist() == ["2.5", "2.6"]


def test_points_in_a_file_of_decimal_commas_are_refused_because_they_may_be_thousands(read: Read) -> None:
    source = small(delimiter=";", decimal=",")
    with pytest.raises(ContractBroken, match="column 'co' holds numbers with a point"):
        read(b"at;co;place\n2004-03-10 18:00;1.234;a\n", source)


def test_a_zip_without_the_member_names_what_it_has(read: Read) -> None:
    with pytest.raises(ContractBroken, match=r"no member 'AirQualityUCI.csv' but \['other.csv'\]"):
        read(zipped(b"", "other.csv"), UCI)


def test_a_damaged_zip_breaks_the_contract(read: Read, defect: Callable[[str], bytes]) -> None:
    whole = zipped(defect("uci_slice_with_blank_tail.csv"))
    for content in (b"", b"no zip", whole[:-30], whole[:60] + b"\x00" * 30 + whole[90:]):
        with pytest.raises(ContractBroken, match="zip cannot be read"):
            read(content, UCI)


def test_a_member_is_found_by_the_one_name_a_glob_fits(read: Read, defect: Callable[[str], bytes]) -> None:
    content = zipped(defect("uci_slice_with_blank_tail.csv"), "data/AirQualityUCI_2024.csv")
    glob = UCI.model_copy(update={"member": "*/AirQuality*.csv"})
    assert len(read(content, glob)) == 15


def test_all_members_that_a_glob_fits_are_read_in_order_each_with_its_name(read: Read) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive_:
        for month in ("02", "01", "03"):
            archive_.writestr(
                f"data/2004_{month}.csv", f"at,co,place\n2004-{month}-10 18:00,1,a\n2004-{month}-11 18:00,2,b\n"
            )
        archive_.writestr("read_me.txt", "no data")
    source = small(member="data/*.csv", columns={**TEXT_PLACE, "file": {**TEXT_PLACE["place"], "from": "#member"}})
    frame = read(packed.getvalue(), source)
    assert frame["valid_at"].dt.month.tolist() == [1, 1, 2, 2, 3, 3]
    assert frame["file"].tolist()[::2] == [f"data/2004_{month}.csv" for month in ("01", "02", "03")]
    [*batches] = parse("p", "s", source, [lambda: io.BytesIO(packed.getvalue())], ALL_TIME)
    assert [row for batch in batches for row in batch.column("row_number").to_pylist()] == list(range(6))


def test_a_zip_in_a_zip_is_refused(read: Read) -> None:
    with pytest.raises(ContractBroken, match=r"the member 'AirQualityUCI.csv' is a zip itself"):
        read(zipped(zipped(b"at,co,place\n")), UCI)


def test_an_encrypted_member_is_refused(read: Read) -> None:
    content = bytearray(zipped(b"at,co,place\n"))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + flags] |= 1  # the flag that says: encrypted
    with pytest.raises(ContractBroken, match=r"the member .AirQualityUCI.csv. is encrypted"):
        read(bytes(content), UCI)


def test_a_member_far_larger_than_its_packed_size_is_refused_before_it_fills_anything(read: Read) -> None:
    line = b"10/03/2004;18.00.00;2,6;1360;150;11,9;13,6;48,9;0,7578\n"
    header = b"Date;Time;CO(GT);PT08.S1(CO);NMHC(GT);C6H6(GT);T;RH;AH\n"
    content = zipped(header + line * (65 * 1024 * 1024 // len(line)))
    tracemalloc.start()
    with pytest.raises(ContractBroken, match="unpacks to more than 67,108,864 bytes, 100 times its packed size"):
        read(content, UCI, Window.parse("2025-01-01", "2025-01-02"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150_000_000


def test_a_file_in_a_folder_is_kept_as_it_is(tmp_path: Path, read: Read, defect: Callable[[str], bytes]) -> None:
    content = zipped(defect("uci_slice_with_blank_tail.csv"))
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "a b.zip").write_bytes(content)
    source = UCI.model_copy(update={"path": "/static/a b.zip"})
    [payload] = fetch("air_quality", "station", source, Endpoint(f"file://{tmp_path}"), ALL_TIME)
    assert payload.content == content
    assert payload.media_type == "application/zip"
    assert payload.headers["content-length"] == str(len(content))
    assert payload.request == {"method": "READ", "url": f"file://{tmp_path}/static/a b.zip"}
    assert len(read(payload.content, source)) == 15


def test_a_file_in_an_object_store_is_kept_as_it_is() -> None:
    import fsspec

    fsspec.filesystem("memory").pipe_file("/bucket/year/file.csv", b"at,co,place\n")
    source = small(path="/year/file.csv")
    [payload] = fetch("air_quality", "station", source, Endpoint("memory://bucket"), ALL_TIME)
    assert payload.content == b"at,co,place\n"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give an empty bucket called files, behind the real S3 protocol."""
    import boto3
    import s3fs
    from moto.server import ThreadedMotoServer

    store = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    store.start()
    host, port = store.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "for-a-test")
    client = boto3.client("s3", region_name="us-east-1")
    client.create_bucket(Bucket="files")
    s3fs.S3FileSystem.clear_instance_cache()
    yield client
    s3fs.S3FileSystem.clear_instance_cache()
    store.stop()


def test_a_file_in_a_bucket_is_kept_as_it_is_and_one_that_is_not_there_says_so(bucket: Any) -> None:
    bucket.put_object(Bucket="files", Key="year/file.csv", Body=b"at,co,place\n" * 200_000)
    source = small(path="/year/file.csv")
    [payload] = fetch("air_quality", "station", source, Endpoint("s3://files"), ALL_TIME)
    assert payload.body.size == 200_000 * len(b"at,co,place\n")
    assert payload.headers["etag"]
    with pytest.raises(SourceUnavailable, match=r"s3://files/year/none.csv is not there"):
        list(fetch("air_quality", "station", small(path="/year/none.csv"), Endpoint("s3://files"), ALL_TIME))


GOOD_ROWS = b"".join(b"2004-03-%02d %02d:00,%d,Le\xc3\xb3n\n" % (1 + n // 24, n % 24, n) for n in range(60))


def reasons(content: bytes, source: CsvSource = SMALL) -> dict[int, str]:
    """Return why rows have no time, by their number."""
    batches = list(parse("p", "s", source, [lambda: io.BytesIO(content)], ALL_TIME))
    assert sum(batch.num_rows for batch in batches) == 61
    return {row: why for batch in batches for row, why in frame.untimed(batch).items()}


ODD = {
    "a value too many": (b"2004-03-09 00:00,1,calle 5, local 2\n", "row 62 has 4 values where the header has 3: '2004"),
    "a value too few": (b"2004-03-09 00:00,1\n", "row 62 has 2 values where the header has 3"),
    "a byte of another encoding": (b"2004-03-09 00:00,1,Le\xf3n\n", "row 62 holds bytes that are not UTF-8: '2004"),
    "a time that does not fill its format": (b"2004-03-09 130,1,a\n", "'2004-03-09 130' as '%Y-%m-%d %H:%M' in UTC"),
    "the header again": (b"at,co,place\n", "'at' as '%Y-%m-%d %H:%M' in UTC"),
    "a note at the end": (b"Total\n", "row 62 has 1 values where the header has 3: 'Total'"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
def test_one_odd_row_is_told_by_itself_and_the_others_are_read(read: Read, kind: str) -> None:
    row, expected = ODD[kind]
    told = reasons(b"at,co,place\n" + GOOD_ROWS + row)
    assert list(told) == [60]
    assert told[60].startswith(expected)
    frame_ = read(b"at,co,place\n" + GOOD_ROWS[: GOOD_ROWS.index(b"2004-03-02")] + row + GOOD_ROWS)
    assert frame_["valid_at"].isna().tolist().index(True) == 24


def test_more_odd_rows_than_a_few_refuse_the_file_and_say_the_first(read: Read) -> None:
    with pytest.raises(ContractBroken, match=r"row 2 has 2 values where the header has 3; ask the publisher"):
        read(b"at,co,place\n" + b"2004-03-09 00:00,1\n" * 4 + GOOD_ROWS)
    with pytest.raises(ContractBroken, match="the file is not UTF-8, first in row 62; correct `encoding`"):
        read(b"at,co,place\n" + GOOD_ROWS.replace(b"\xc3\xb3", b"o") + b"2004-03-09 00:00,1,Le\xf3n\n")


def test_spaces_around_quoted_values_are_none_of_theirs(read: Read) -> None:
    frame = read(b'at, co, place\n2004-03-10 18:00, 1, "Monterrey, NL"\n2004-03-10 19:00, "2" ,"a, ""b"" , c"\n')
    assert frame["place"].tolist() == ["Monterrey, NL", 'a, "b" , c']
    assert frame["co_mg_m3"].tolist() == [" 1", "2"]


def test_a_row_is_never_left_out_as_a_footer(read: Read) -> None:
    rows_ = b"at,co,place\n" + GOOD_ROWS
    source = small(skip_rows_at_end=2)
    assert len(read(rows_ + b"Total,60,\nFuente: INEGI\n", source)) == 60
    for content in (rows_, rows_ + b"Fuente: INEGI\n"):
        with pytest.raises(ContractBroken, match=r"of the 2 lines at the end, .* have a time, so they are rows"):
            read(content, source)


@pytest.mark.parametrize("end", [b"\x1a", b"\r\n\x1a", b"\r\n\x1a\r\n"])
def test_the_end_of_file_mark_of_dos_is_no_row(read: Read, end: bytes) -> None:
    assert len(read(b"at,co,place\r\n2004-03-10 18:00,1,a\r\n2004-03-10 19:00,2,b" + end)) == 2


@pytest.mark.parametrize("block", [16, 100_000])
def test_a_byte_order_mark_in_the_middle_is_left_out(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.sources.text.delimited.FIRST_BLOCK", block)
    content = b"at,co,place\n2004-03-10 18:00,1,a\n\xef\xbb\xbf2004-03-10 19:00,2,b\n"
    [*batches] = parse("p", "s", SMALL, [lambda: io.BytesIO(content)], ALL_TIME)
    assert not any(frame.untimed(batch) for batch in batches)


def test_a_gzip_is_unpacked(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"at,co,place\n2004-03-10 18:00,1,a\n"
    assert len(read(gzip.compress(content))) == 1
    monkeypatch.setattr(archive, "MAX_MEMBER_BYTES", 1000)
    with pytest.raises(ContractBroken, match="the gzip unpacks to more than 1,000 bytes"):
        read(gzip.compress(content + b"2004-03-10 19:00,1,a\n" * 100))


def test_amounts_are_read_as_accounts_write_them_where_that_is_declared(read: Read) -> None:
    texts = ["$1,234.50", "(1,234.50)", "$ 99.00", "125.00-", "\u2212300.25", "5.2%", "-7", "1,000 MXN", "n/a", "(5"]
    rows_ = "".join(f'2004-03-10 {n:02}:00,"{text}",-\n' for n, text in enumerate(texts))
    source = small(columns=TEXT_PLACE, thousands=",", quoted_decimals=True, accounting=True)
    numbers_ = ["1234.50", "-1234.50", "99.00", "-125.00", "-300.25", "5.2", "-7", "1000", "n/a", "(5"]
    assert read(f"at,co,place\n{rows_}".encode(), source)["co_mg_m3"].tolist() == numbers_


def test_flags_mean_what_is_declared_in_whatever_case(read: Read) -> None:
    flag = {"ok": {"from": "ok", "type": "boolean", "unit": "flag", "description": "a flag"}}
    content = "at,ok\n" + "".join(
        f"2004-03-10 {n:02}:00,{text}\n" for n, text in enumerate(["Sí", "no", " SÍ ", "tal vez"])
    )
    frame_ = read(content.encode(), small(columns=flag, flags={"Sí": True, "No": False}))
    assert frame_["ok"].tolist() == ["true", "false", "true", "tal vez"]


def test_the_documented_source_is_one_that_the_spec_takes() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "sources.md").read_text()
    section = page[page.index("## csv_file") : page.index("## sql")]
    block = section[section.index("```yaml") + len("```yaml") :].partition("```")[0]
    [spec] = lines.read(block).data["sources"].values()
    assert CsvSource.model_validate(spec, by_alias=True).thousands == "."


def test_a_file_that_is_not_there_or_none_says_what_to_check(tmp_path: Path, says_what_to_do: Any) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "large.csv").write_bytes(b"x" * 101)
    cases = [
        (f"file://{tmp_path}", "/folder", "is a folder; check the host"),
        (f"file://{tmp_path}", "/large.csv", "is larger than 100 bytes; ask for a smaller file"),
        ("nostore://bucket", "/a.csv", "cannot be opened .*; check the host"),
    ]
    for url, path, expected in cases:
        endpoint = Endpoint(url, limits=Limits(max_bytes=100))
        with pytest.raises(ContractBroken, match=expected) as caught:
            list(fetch("air_quality", "station", small(path=path), endpoint, ALL_TIME))
        says_what_to_do(caught.value, "air_quality", "station", ALL_TIME)


@pytest.mark.parametrize(("declared", "hours"), [({}, 6), ({"wait": "2 days"}, 48)])
def test_a_file_that_is_not_there_is_waited_for_as_long_as_the_source_says(
    tmp_path: Path, declared: dict[str, str], hours: int
) -> None:
    with pytest.raises(
        SourceUnavailable, match=r"/none.csv is not there; if it does not come .* check `path`"
    ) as absent:
        list(fetch("p", "s", small(path="/none.csv", **declared), Endpoint(f"file://{tmp_path}"), ALL_TIME))
    assert absent.value.patience == timedelta(hours=hours)
    assert absent.value.retry_after is None


@pytest.mark.parametrize(
    ("ignore", "others"),
    [
        ([], ["No", "station"]),
        (["No", "station"], []),
        (["station"], ["No"]),
        (["#1", "#4"], []),
        (["No", "station", "gone"], []),
    ],
)
def test_columns_nobody_needs_are_ignored_and_others_are_noted(ignore: list[str], others: list[str]) -> None:
    content = b"No,at,co,station,place\n1,2005-01-01 10:00,2.5,Aotizhongxin,street\n"
    source = small(ignore=ignore)
    batches = list(csv_file.parse(Extract("p", "s", ALL_TIME), source, [lambda: io.BytesIO(content)]))
    assert {name for batch in batches for name in noted(batch.schema)} == set(others)


def test_a_file_has_an_hour_and_eight_gibibytes_unless_its_connection_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Limits] = []

    def ask(extract: Any, endpoint: Endpoint, path: str) -> Any:
        seen.append(endpoint.limits)
        raise extract.unavailable("enough")

    monkeypatch.setattr(csv_file.http, "get", ask)
    for limits in (Limits(), Limits(total_seconds=5)):
        with pytest.raises(SourceUnavailable):
            list(fetch("air_quality", "station", SMALL, Endpoint("https://example.org", limits=limits), ALL_TIME))
    assert (seen[0].total_seconds, seen[0].max_bytes) == (3600, 8 * 2**30)
    assert seen[1].total_seconds == 5


def test_a_zip_bomb_is_not_unpacked_beyond_the_limit(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBER_BYTES", 1_000_000)
    with pytest.raises(ContractBroken, match="unpacks to more than 1,000,000 bytes"):
        read(zipped(b"0" * 1_000_001), UCI)


def test_the_file_is_kept_as_it_came(read: Read, server: Any, quick: Any, defect: Callable[[str], bytes]) -> None:
    content = zipped(defect("uci_slice_with_blank_tail.csv"))
    server.answers(content, media_type="application/zip", ETag='"abc"', X_Data_Origin="SIMULATED")
    [payload] = fetch("air_quality", "station", UCI, Endpoint(server.url, limits=quick), ALL_TIME)
    assert server.paths == ["/static/public/360/air+quality.zip"]
    assert payload.content == content
    assert payload.headers["etag"] == '"abc"'
    assert payload.is_simulated
    assert len(read(payload.content, UCI)) == 15


def test_a_zip_cut_short_can_pass(server: Any, quick: Any, says_what_to_do: Any) -> None:
    server.answers(zipped(b"at,co,place\n")[:-10], media_type="application/zip")
    with pytest.raises(SourceUnavailable, match="not sent whole") as caught:
        list(fetch("air_quality", "station", UCI, Endpoint(server.url, limits=quick), ALL_TIME))
    says_what_to_do(caught.value, "air_quality", "station", ALL_TIME)


def test_a_moved_file_is_followed_where_no_token_could_leak(server: Any, other_server: Any, quick: Any) -> None:
    server.answers(b"", 302, Location=f"{other_server.url}/moved.csv")
    other_server.answers(b"at,co,place\n", media_type="text/csv")
    [payload] = fetch("air_quality", "station", SMALL, Endpoint(server.url, limits=quick), ALL_TIME)
    assert payload.content == b"at,co,place\n"
    assert other_server.paths == ["/moved.csv"]


@pytest.mark.parametrize("media_type", ["application/json", "image/png", "application/xml"])
def test_another_media_type_than_a_file_breaks_the_contract(server: Any, quick: Any, media_type: str) -> None:
    server.answers(b"at,co,place\n", media_type=media_type)
    with pytest.raises(ContractBroken, match=media_type):
        list(fetch("air_quality", "station", SMALL, Endpoint(server.url, limits=quick), ALL_TIME))
