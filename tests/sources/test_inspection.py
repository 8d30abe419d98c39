"""Drafts of sources: what is found in a file, how it is shown, and that the draft reads the file."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from include.errors import ConfigError, ContractBroken
from include.sources import parse
from include.sources.inspection import inspect, summary_of, yaml_of
from include.sources.inspection.sample import WHOLE
from include.spec.lines import read as read_yaml
from include.spec.load import load
from include.spec.model import CsvSource
from include.windows import Window

ROOT = Path(__file__).resolve().parents[2]
ALL_TIME = Window.parse("1990-01-01", "2080-01-01")
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def writer(content: str | bytes, name: str = "file.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return writer


def drafted(path: Path, member: str | None = None) -> CsvSource:
    """Return the printed draft as the spec reads it."""
    [source] = read_yaml(yaml_of(inspect(path, member))).data["sources"].values()
    return TypeAdapter(CsvSource).validate_json(json.dumps(source), strict=True, by_alias=True, by_name=False)


def test_the_draft_of_the_uci_file_reads_it_as_the_shipped_pipeline_does(
    write: Write, defect: Callable[[str], bytes], rows_of: Callable[..., pd.DataFrame]
) -> None:
    content = defect("uci_slice_with_blank_tail.csv")
    draft = drafted(write(content, "AirQualityUCI.csv"))
    shipped = (
        load(ROOT / "include/pipelines/air_quality/pipeline.yaml")
        .sources["station"]
        .model_copy(update={"member": None})
    )
    mine, theirs = (rows_of("p", "s", source, [content], ALL_TIME) for source in (draft, shipped))
    named = {column.from_: name for name, column in shipped.columns.items()}
    mine = mine.rename(columns={name: named[column.from_] for name, column in draft.columns.items()})
    assert len(mine) == 15
    assert list(draft.columns)[:3] == ["co_gt", "pt08_s1_co", "nmhc_gt"]
    pd.testing.assert_frame_equal(mine.drop(columns="available_at"), theirs.drop(columns="available_at"))
    assert [draft.columns[name].type for name in ("co_gt", "pt08_s1_co", "nmhc_gt")] == ["number", "integer", "integer"]


def test_the_draft_is_a_block_that_a_pipeline_can_hold(
    write: Write, tmp_path: Path, defect: Callable[[str], bytes]
) -> None:
    block = yaml_of(inspect(write(defect("uci_slice_with_blank_tail.csv"), "AirQualityUCI.csv")))
    whole = (ROOT / "tests/unit/spec/minimal.yaml").read_text()
    start, end = whole.index("sources:"), whole.index("features:")
    text = (whole[:start] + block + "\n" + whole[end:]).replace("fix_mxn", "co_gt")
    pipeline = tmp_path / "draft.yaml"
    pipeline.write_text(text)
    assert load(pipeline).sources["air_quality_uci"].columns["co_gt"].from_ == "CO(GT)"


MESSY = """Estación Ñandú;;;;
Generado el 2024-05-01;;;;
Fecha;Hora;Precio;Nivel (%);Sitio
;;MXN;;
13/04/24;09:05;"1.234,50";12,5;A
14/04/24;10:05;"2.234,50";13,5;B
15/04/24;11:05;N/E;14,5;"x; y"
16/04/24;12:05;34,1;;A
;;;;
;;;;
Total: 4
"""


def test_everything_unusual_about_a_file_is_declared(write: Write, rows_of: Callable[..., pd.DataFrame]) -> None:
    path = write(MESSY.encode("cp1252"))
    source = drafted(path)
    assert source.model_dump(exclude={"columns", "time", "title", "published"}, exclude_defaults=True) == {
        "kind": "csv_file", "connection": "local_files", "main": True, "path": "/file.csv",
        "delimiter": ";", "decimal": ",", "thousands": ".", "encoding": "cp1252",
        "skip_lines": 2, "skip_rows_after_header": 1, "skip_rows_at_end": 1,
    }  # fmt: skip
    assert (source.time.format, source.time.two_digit_years_from) == ("%d/%m/%y %H:%M", 1970)
    assert {name: column.unit for name, column in source.columns.items()} == {
        "precio": "MXN", "nivel_pct": "%", "sitio": "text",
    }  # fmt: skip
    assert source.columns["precio"].completeness < 0.8
    frame = rows_of("p", "s", source, [path.read_bytes()], ALL_TIME)
    assert frame["precio"].tolist() == ["1234.50", "2234.50", None, "34.1"]
    assert frame["valid_at"].dt.day.tolist() == [13, 14, 15, 16]
    said = summary_of(inspect(path))
    for expected in ("2 lines before the header", "2 blank rows", "CONFIRM that they are right", "'1.234,50'", "'N/E'"):
        assert expected in said


def dates(*texts: str) -> str:
    return "at,co\n" + "".join(f"{text},{place}.5\n" for place, text in enumerate(texts))


def test_a_day_beyond_twelve_is_shown_as_the_evidence_for_the_order(write: Write) -> None:
    for text, form, order in (("13/04/2024", "%d/%m/%Y", "day first"), ("04/13/2024", "%m/%d/%Y", "month first")):
        found = inspect(write(dates("04/03/2024", text)))
        assert found.clock is not None
        assert found.clock.format == form
        assert f"{order}: '{text}' has a number beyond 12" in summary_of(found)
        assert "AMBIGUOUS" not in yaml_of(found)


def test_without_such_a_day_the_order_is_said_to_be_ambiguous(write: Write) -> None:
    found = inspect(write(dates("04/03/2024", "05/03/2024", "06/03/2024")))
    assert "AMBIGUOUS: no day is beyond 12, so %d/%m/%Y and %m/%d/%Y both fit" in summary_of(found)
    assert "# AMBIGUOUS, CONFIRM: day and month could change places" in yaml_of(found)


TIMES = {
    "2024-03-10 18:00:00": "%Y-%m-%d %H:%M:%S", "2024-03-10T18:00:00Z": "%Y-%m-%dT%H:%M:%SZ", "20240310": "%Y%m%d",
    "2024-03-10T18:00:00+01:00": "%Y-%m-%dT%H:%M:%S%z", "10.03.2024 18:00": "%d.%m.%Y %H:%M", "10-Mar-2024": "%d-%b-%Y",
    "2024-03-10 18:00:00.123": "%Y-%m-%d %H:%M:%S.%f", "3/13/2024 6:00 PM": "%m/%d/%Y %I:%M %p",
}  # fmt: skip


@pytest.mark.parametrize("text", TIMES)
def test_the_usual_ways_to_write_a_time_are_found(write: Write, text: str) -> None:
    assert drafted(write(dates(text, text))).time.format == TIMES[text]


def test_a_date_over_several_columns_is_found_by_their_headers(write: Write) -> None:
    source = drafted(write("co,Year,Month,Day,Hour\n1.5,2024,1,5,20\n2.5,2024,1,5,21\n"))
    assert (source.time.columns, source.time.format) == (("Year", "Month", "Day", "Hour"), "%Y %m %d %H")


def test_a_file_without_header_or_time_is_drafted_with_positions_and_says_what_lacks(write: Write) -> None:
    found = inspect(write("1.5,a\n2.5,b\n3.5,\n"))
    assert "header: none" in yaml_of(found)
    assert "NOT FOUND" in yaml_of(found)
    assert "time: NOT FOUND" in summary_of(found)


def test_a_number_far_from_the_others_that_repeats_is_taken_for_missing_and_a_single_one_is_not(write: Write) -> None:
    numbers = ["12", "14", "11", "13", "12.5", "-999", "15", "-999", "-999.0"]
    lines = "".join(f"2024-01-{day:02},{text},{'70' if day == 3 else day}\n" for day, text in enumerate(numbers, 1))
    source = drafted(write("at,co,rain\n" + lines))
    assert source.columns["co"].missing == ("-999", "-999.0")
    assert source.columns["rain"].missing == ()


def test_quoted_decimals_in_a_file_of_commas_are_declared(write: Write) -> None:
    source = drafted(write('at,co\n2024-01-01,"12,5"\n2024-01-02,"13,25"\n'))
    assert (source.delimiter, source.decimal, source.quoted_decimals) == (",", ",", True)


def test_decimals_of_three_digits_only_are_to_be_confirmed(write: Write) -> None:
    found = inspect(write("at;co\n2024-01-01;1,250\n2024-01-02;2,375\n"))
    assert "CONFIRM that ',' is not a thousands mark" in yaml_of(found)


def test_names_that_are_the_same_or_missing_or_foreign_become_names(write: Write) -> None:
    source = drafted(write("Date,Año,Año,,valid_at,2nd,\n2024-01-01,1,2,3,4,5,\n2024-01-02,1,2,3,4,5,\n"))
    assert {name: column.from_ for name, column in source.columns.items()} == {
        "ano": "#2", "ano_2": "#3", "column_4": "#4", "valid_at_2": "valid_at", "c_2nd": "2nd",
    }  # fmt: skip


def test_times_that_repeat_ask_for_a_key(write: Write) -> None:
    found = inspect(write("at,co\n2024-01-01,1.5\n2024-01-01,2.5\n2024-01-02,3.5\n"))
    assert "2 rows share their time with another: declare what tells them apart as `key`" in summary_of(found)


def test_the_only_member_of_a_zip_is_taken_and_one_of_several_must_be_named(tmp_path: Path) -> None:
    path = tmp_path / "files.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data/a.csv", dates("2024-01-01", "2024-01-02"))
    assert drafted(path).member == "data/a.csv"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("b.csv", "x;y\n")
    with pytest.raises(ContractBroken, match=r"the zip holds 2 files, \['data/a.csv', 'b.csv'\]; choose one"):
        inspect(path)
    assert drafted(path, "data/a.csv").member == "data/a.csv"


def test_a_large_file_is_looked_at_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    line = "2024-01-01 00:00:00;{};a text that makes the line longer than it has to be\n"
    with path.open("w") as file:
        file.write("at;co;note\n")
        file.writelines(line.format(f"{n % 97},5") for n in range(WHOLE // 60))
        file.write(line.format("500000,5") + ";;\n" * 7)
    assert path.stat().st_size > WHOLE
    found = inspect(path)
    assert found.rows < 200_000
    assert found.layout.blank_tail == 7
    assert found.facts[0].most == 500000.5  # from the end of the file
    with zipfile.ZipFile(tmp_path / "large.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.write(path, "large.csv")
    zipped = inspect(tmp_path / "large.zip")
    assert zipped.layout == found.layout
    assert zipped.facts[0].most == 500000.5


BAD: dict[str, tuple[bytes, str]] = {
    "empty.csv": (b"", "the file is empty"),
    "binary.csv": (b"\x7fELF\x00\x01\x02" * 50, "NUL bytes, so it is no text"),
    "damaged.csv": (b"PK\x03\x04 no zip", "zip cannot be read"),
    "one_column.csv": (b"a\n1\n2\n", "none of .* parts its lines into columns"),
    "only_a_header.csv": (b"at,co\n", "has a header and no rows"),
    "decimals_split.csv": (b"at,co,t\n2024-01-01,1,5,2,5\n2024-01-02,1,5,2,5\n", "decimal commas were split"),
    "only_times.csv": (b"a,b\n2024-01-01,10:00\n2024-01-02,11:00\n", "no column beside its time"),
    "row_too_long.csv": (dates("2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04,x,y").encode(), "has 4 values"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_cannot_be_drafted_says_why(write: Write, name: str) -> None:
    content, expected = BAD[name]
    if name == "row_too_long.csv":
        content += b"2024-01-05,1\n"  # not at the end, where it would be a footer
    with pytest.raises(ContractBroken, match=expected) as caught:
        inspect(write(content, name))
    assert str(caught.value).startswith(name)


def test_no_file_and_a_folder_say_so(tmp_path: Path) -> None:
    cases: dict[Path, str] = {tmp_path / "none.csv": "cannot be read", tmp_path: "is a folder: name a file in it"}
    for path, expected in cases.items():
        with pytest.raises(ConfigError, match=expected):
            inspect(path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_tells_the_encoding(write: Write, encoding: str) -> None:
    found: Any = inspect(write(dates("2024-01-01", "2024-01-02").encode(encoding)))
    assert (found.sample.encoding, found.sample.evidence) == (encoding, "it begins with a byte order mark")


CELL = st.sampled_from(
    [
        "",
        " ",
        "1",
        "2,5",
        "1.234,5",
        "-200",
        "NA",
        "x",
        "ñ",
        '"a;b"',
        '"1,5"',
        "2024-03-13",
        "13/03/2024",
        "18.00",
        "#2",
    ]
)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.integers(2, 4).flatmap(lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), max_size=9)),
    mark=st.sampled_from([";", ",", "\t", "|"]),
    encoding=st.sampled_from(["utf-8", "cp1252", "utf-16"]),
)
def test_a_draft_reads_every_row_that_was_counted_for_it(
    rows: list[list[str]], mark: str, encoding: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any_table.csv"
    path.write_bytes("".join(mark.join(row) + "\n" for row in rows).encode(encoding))
    try:
        found = inspect(path)
        batches = list(parse("p", "s", drafted(path), [lambda: path.open("rb")], ALL_TIME))
    except ContractBroken:
        return
    assert sum(batch.num_rows for batch in batches) == found.rows
