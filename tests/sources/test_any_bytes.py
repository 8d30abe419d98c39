"""Whatever bytes come: rows in the agreed shape, or an error that says what to do. Nothing else."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from include.errors import ContractBroken
from include.sources import parse
from include.sources.inspection import inspect, summary_of, yaml_of
from include.sources.sql import csv_line
from include.spec.model import AnySource
from include.windows import Window

HERE = Path(__file__).parent
WINDOW = Window.parse("2004-01-01", "2027-01-01")
COLUMN = {"unit": "1", "description": "a value"}
TIME = {"columns": ["Date", "Time"], "format": "%d/%m/%Y %H.%M.%S"}
SPECS: dict[str, dict[str, Any]] = {
    "banxico": {
        "kind": "banxico",
        "published": {"time": "12:00", "timezone": "America/Mexico_City"},
        "columns": {"fix": {"from": "SF43718", **COLUMN}, "yen": {"from": "SF46406", **COLUMN}},
    },
    "inegi": {
        "kind": "inegi",
        "published": {"months": 1, "day": 9, "time": "06:00", "timezone": "America/Mexico_City"},
        "columns": {"inpc": {"from": "910392", **COLUMN}},
    },
    "csv_file": {
        "kind": "csv_file", "path": "/x", "delimiter": ";", "decimal": ",", "time": TIME, "missing": ["-200"],
        "columns": {"co": {"from": "CO(GT)", **COLUMN}, "t": {"from": "T", **COLUMN}},
    },
    "every_option": {
        "kind": "csv_file", "path": "/x", "delimiter": ",", "decimal": ",", "quoted_decimals": True, "thousands": ".",
        "skip_lines": 1, "header": "none", "skip_rows_at_end": 1, "encoding": "utf-16",
        "time": {"columns": ["#1"], "format": "%d.%m.%y", "two_digit_years_from": 1990, "timezone": "Europe/Rome"},
        "columns": {"co": {"from": "#2", **COLUMN}, "place": {"from": "#3", "type": "text", **COLUMN}},
    },
    "zipped": {
        "kind": "csv_file", "path": "/x", "member": "a.csv", "delimiter": ";", "time": TIME,
        "columns": {"co": {"from": "CO(GT)", **COLUMN}},
    },
    "sql": {
        "kind": "sql", "table": "desk.operation", "time_column": "executed_at",
        "columns": {"amount": {"from": "amount_usd", **COLUMN}},
    },
}  # fmt: skip
SOURCES: dict[str, Any] = {
    name: TypeAdapter(AnySource).validate_python({"connection": "c", "title": "a source", **spec})
    for name, spec in SPECS.items()
}
UCI = (HERE / "fixtures" / "uci_slice_with_blank_tail.csv").read_bytes()


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", content)
    return buffer.getvalue()


GOOD: dict[str, bytes] = {
    "banxico": (HERE / "wire/banxico/missing_NE_thousands.json").read_bytes(),
    "inegi": (HERE / "wire/inegi/bie-bise_inpc_910392.json").read_bytes(),
    "csv_file": UCI,
    "every_option": 'A title\n10.03.04,"1.234,5",a\n11.03.04,"2,5",b\nTotal\n'.encode("utf-16"),
    "zipped": zipped(UCI),
    "sql": csv_line(["executed_at", "amount_usd"]) + csv_line(["2025-01-01T00:00:00.000000Z", "1.5"]),
}


def rows(name: str, content: bytes) -> pd.DataFrame:
    """Return the rows as one frame, None where a text is missing."""
    batches = list(parse("p", "s", SOURCES[name], [lambda: io.BytesIO(content)], WINDOW))
    if not batches:
        return pd.DataFrame()
    frame = pa.Table.from_batches(batches).drop_columns(["payload", "row_number"]).to_pandas()
    texts = list(SOURCES[name].columns)
    return frame.assign(**{text: frame[text].astype(object).where(frame[text].notna(), None) for text in texts})


def gives_rows_or_says_why(name: str, content: bytes) -> None:
    source = SOURCES[name]
    try:
        frame = rows(name, content)
    except ContractBroken as error:
        why = str(error)
    else:
        is_as_agreed(source, frame)
        return
    assert why.startswith("pipeline p, source s, window 2004-01-01..2027-01-01: ")
    assert "airflow dags trigger ingest_p" in why


def is_as_agreed(source: Any, frame: pd.DataFrame) -> None:
    if frame.empty:
        return
    assert list(frame.columns) == ["valid_at", "available_at", *source.columns]
    assert frame[["valid_at", "available_at"]].dtypes.astype(str).unique().tolist() == ["datetime64[us, UTC]"]
    known = frame["valid_at"].dropna()
    assert ((known >= WINDOW.start) & (known < WINDOW.end)).all()
    assert (frame["available_at"].dropna() >= known).all()
    for column in source.columns:
        assert frame[column].dtype == object
        for value in frame[column]:
            assert value is None or (isinstance(value, str) and value.strip() and value.encode())


@pytest.mark.parametrize("name", SOURCES)
def test_the_unharmed_payload_gives_rows(name: str) -> None:
    assert len(rows(name, GOOD[name])) > 0


@pytest.mark.parametrize("name", SOURCES)
@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=400))
@example(content=b"")
@example(content=b"null")
@example(content=b"0")
@example(content=b'""')
@example(content=b'{"bmx": {"series": [null]}}')
@example(content=b'{"Series": [null]}')
@example(content=b"1" * 5000)
def test_any_bytes_give_rows_or_say_why(name: str, content: bytes) -> None:
    gives_rows_or_says_why(name, content)


@pytest.mark.parametrize("name", SOURCES)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_payload_changed_anywhere_gives_rows_or_says_why(name: str, data: st.DataObject) -> None:
    content = bytearray(GOOD[name])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        length = data.draw(st.integers(0, 6))
        content[at : at + length] = data.draw(st.binary(max_size=6) | st.sampled_from([b'"', b";", b"\n", b"9" * 30]))
    gives_rows_or_says_why(name, bytes(content))


TEXT = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)


@settings(max_examples=200, deadline=None)
@given(values=st.lists(st.none() | TEXT, min_size=1, max_size=5))
def test_any_text_a_database_holds_comes_through_unchanged(values: list[str | None]) -> None:
    lines = [csv_line(["2025-01-01T00:00:00.000000Z", value]) for value in values]
    content = csv_line(["executed_at", "amount_usd"]) + b"".join(lines)
    frame = rows("sql", content)
    assert frame["amount"].tolist() == [value if value and value.strip() else None for value in values]


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=300) | TEXT.map(str.encode))
@example(content=b"")
@example(content=b"a,b\n1,2\n")
@example(content=b";\n;\n")
@example(content=b"\xff\xfe;\x00")
@example(content=b"PK\x03\x04")
def test_any_bytes_can_be_inspected_or_say_why(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    is_inspected_or_says_why(tmp_path_factory.getbasetemp() / "any.csv", content)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_file_changed_anywhere_can_be_inspected_or_says_why(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(UCI)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 6))] = data.draw(
            st.binary(max_size=6) | st.sampled_from([b'"', b";", b"\n", b"9" * 30, b"-200", "ñ".encode(), b"\\u0000"])
        )
    is_inspected_or_says_why(tmp_path_factory.getbasetemp() / "changed.csv", bytes(content))


def is_inspected_or_says_why(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        found = inspect(path)
    except ContractBroken as error:
        why = str(error)
    else:
        assert yaml_of(found).count("sources:") == 1
        assert summary_of(found).startswith(path.name)
        return
    assert why.startswith(f"{path.name}: ")
    assert "; " in why
    assert "\n" not in why
