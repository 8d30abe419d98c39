"""Whatever bytes come: rows in the agreed shape, or an error that says what to do. Nothing else."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from include.errors import ContractBroken
from include.sources import parse
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
    "zipped": zipped(UCI),
    "sql": csv_line(["executed_at", "amount_usd"]) + csv_line(["2025-01-01T00:00:00.000000Z", "1.5"]),
}


def gives_rows_or_says_why(name: str, content: bytes) -> None:
    source = SOURCES[name]
    try:
        frame = parse("p", "s", source, content, WINDOW)
    except ContractBroken as error:
        why = str(error)
    else:
        is_as_agreed(source, frame)
        return
    assert why.startswith("pipeline p, source s, window 2004-01-01..2027-01-01: ")
    assert "airflow dags trigger ingest_p" in why


def is_as_agreed(source: Any, frame: pd.DataFrame) -> None:
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
    assert len(parse("p", "s", SOURCES[name], GOOD[name], WINDOW)) > 0


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
    frame: pd.DataFrame = parse("p", "s", SOURCES["sql"], content, WINDOW)
    assert frame["amount"].tolist() == [value if value and value.strip() else None for value in values]
