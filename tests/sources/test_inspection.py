"""Drafts of sources: what is found in a file, how it is shown, and that the draft reads the file."""

from __future__ import annotations

import io
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
    "2024-Mar": "%Y-%b", "2024 Mar": "%Y %b",
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


def test_a_column_of_years_is_the_time_of_yearly_rows_only(write: Write) -> None:
    yearly, monthly = "Year,jobs\n2001,7\n2002,8\n2003,9\n", "Year,jobs\n2001,7\n2001,8\n2002,9\n"
    assert drafted(write(yearly)).time.format == "%Y"
    assert "time: NOT FOUND" in summary_of(inspect(write(monthly)))


def test_a_letter_that_stands_alone_is_a_code_and_no_flag(write: Write) -> None:
    source = drafted(write("at,a,b\n2024-01-01,F,F\n2024-01-02,F,T\n2024-01-03,F,F\n"))
    assert {name: column.type for name, column in source.columns.items()} == {"a": "text", "b": "boolean"}


def test_times_that_repeat_ask_for_a_key(write: Write) -> None:
    found = inspect(write("at,co\n2024-01-01,1.5\n2024-01-01,2.5\n2024-01-02,3.5\n"))
    assert "2 rows share their time with another: declare what tells them apart as `key`" in summary_of(found)
    assert "# key: [a_column]    # 2 rows share their time with another and do not load" in yaml_of(found)


@pytest.mark.parametrize(
    ("header", "unit"),
    [("GHI (W/m^2)", "W/m^2"), ("light (lx)", "lx"), ("vis (m)", "m"), ("T (min)", "1"), ("flow (max)", "1")],
)
def test_units_in_headers_are_taken_and_words_that_are_none_are_not(write: Write, header: str, unit: str) -> None:
    (column,) = drafted(write(f"at,{header}\n2024-01-01,1\n2024-01-02,2\n")).columns.values()
    assert column.unit == unit


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
    "book.xlsx": (b"", "is an Excel workbook, not delimited text; save its sheet as CSV"),
    "data.sqlite": (b"SQLite format 3\x00", "is an SQLite database.*; export the table as CSV"),
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
    if name == "book.xlsx":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("[Content_Types].xml", "<x/>")
        content = packed.getvalue()
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


def table(header: str, *rows: str) -> str:
    return "\n".join([header, *rows]) + "\n"


DAYS = [f"2024-03-{day:02}" for day in range(1, 29)]
EXPORT = """"Banco de México"

"Tipos de cambio diarios"

"Fecha de consulta: 05/03/2026 12:00:00"

"Título","Tipo de cambio, pesos por dólar"
"Periodo disponible","12/11/1991 - 04/03/2026"
"Periodicidad","Diaria"
"Cifra","Tipo de Cambio"
"Unidad","Pesos por Dólar"
"Base",""
"Aviso",""
"Tipo de información","Niveles"


"Fecha","SF43718"
"""
FIXES = [f"{day:02}/01/2024,{'N/E' if day == 5 else f'17.{day:02}00'}" for day in range(2, 30)]
# What a file holds, and what its draft must say: time columns, format, rows, and further keys.
FILES: dict[str, tuple[str | bytes, list[str], str, int, dict[str, Any]]] = {
    "hour 24": (
        table("Fecha,Hora,PM10", *(f"{day},{hour:02}:00,{hour}" for day in DAYS for hour in range(1, 25))),
        ["Fecha", "Hora"], "%Y-%m-%d %H:%M", 28 * 24, {"time.hour_24": True},
    ),
    "hours from 1 to 24 under any name": (
        table("fecha,intervalo,v", *(f"{day},{hour},{hour}.5" for day in DAYS for hour in range(1, 25))),
        ["fecha", "intervalo"], "%Y-%m-%d %H", 28 * 24, {"time.hour_24": True},
    ),
    "hours without zeros": (
        table("date,hhmm,temp", *(f"{day},{hour * 100},{hour}" for day in DAYS for hour in range(24))),
        ["date", "hhmm"], "%Y-%m-%d %H%M", 28 * 24, {"time.fill_zeros": True},
    ),
    "three events": (
        table("date,hhmm,level", "2024-03-01,130,7", "2024-03-02,215,8", "2024-03-03,945,9"),
        ["date", "hhmm"], "%Y-%m-%d %H%M", 3, {"time.fill_zeros": True},
    ),
    "seconds without zeros": (
        table("fecha,hora,v", *(f"{day},{hour}3015,{hour}" for day in DAYS for hour in (1, 9, 12))),
        ["fecha", "hora"], "%Y-%m-%d %H%M%S", 84, {"time.fill_zeros": True},
    ),
    "an hour column": (
        table("instant,dteday,yr,hr,cnt", *(f"1,{day},0,{hour},{hour}" for day in DAYS for hour in range(24))),
        ["dteday", "hr"], "%Y-%m-%d %H", 28 * 24, {},
    ),
    "hours of sunshine": (
        table("fecha,horas_sol", *(f"{day},{n % 14}" for n, day in enumerate(DAYS))), ["fecha"], "%Y-%m-%d", 28, {},
    ),
    "hours and minutes": (
        table("fecha,hr,minuto,v", *(f"{day},{h},{m},{h}" for day in DAYS for h in range(24) for m in (0, 30))),
        ["fecha", "hr", "minuto"], "%Y-%m-%d %H %M", 28 * 48, {},
    ),
    "fraction left out": (
        table("ts,v", *(f"2024-03-01T10:00:{n:02}{f'.{n}' if n % 20 else ''},{n}" for n in range(60))),
        ["ts"], "iso", 60, {},
    ),
    "offsets that change": (
        table("ts,v", "2024-03-30T10:00:00+01:00,1", "2024-03-31T10:00:00+02:00,2", "2024-04-01 10:00:00Z,3"),
        ["ts"], "iso", 3, {},
    ),
    "months in Spanish": (
        table("fecha,monto", *(f"15-{month}-2024,{n}" for n, month in enumerate(("ene", "abr", "ago", "dic")))),
        ["fecha"], "%d-%b-%Y", 4, {},
    ),
    "months in French words": (
        table("date;v", *(f"{n} {month} 2024;{n}" for n, month in enumerate(("janvier", "août", "février"), 1))),
        ["date"], "%d %b %Y", 3, {},
    ),
    "months only": (table("Periodo,v", *(f"2024/{m:02},{m}.5" for m in range(1, 13))), ["Periodo"], "%Y/%m", 12, {}),
    "year and month": (
        table("anio,mes,v", *(f"{y},{m},{m}.5" for y in (2023, 2024) for m in range(1, 13))),
        ["anio", "mes"], "%Y %m", 24, {},
    ),
    "a line separator in a text": (
        table("fecha,v,nota", *(f"{day},1,ok" for day in DAYS[:-1]), f"{DAYS[-1]},1,uno\u2028dos"),
        ["fecha"], "%Y-%m-%d", 28, {"columns.nota.type": "text"},
    ),
    "a form feed in a text": (
        table("fecha,v,nota", *(f"{day},1,ok" for day in DAYS[:-1]), f"{DAYS[-1]},1,uno\x0cdos"),
        ["fecha"], "%Y-%m-%d", 28, {},
    ),
    "a mark of the end": (table("fecha,v", *(f"{day},1" for day in DAYS)) + "\x1a", ["fecha"], "%Y-%m-%d", 28, {}),
    "a last row with a value too many": (
        table("fecha,v,nota", *(f"{day},1,ok" for day in DAYS[:-1]), f"{DAYS[-1]},1,a, b"),
        ["fecha"], "%Y-%m-%d", 28, {},
    ),
    "totals in quotes at the end": (
        table("fecha,v", *(f"{day},1.5" for day in DAYS), "Total", '"Fuente: INEGI, 2024"'),
        ["fecha"], "%Y-%m-%d", 28, {"skip_rows_at_end": 2},
    ),
    "spaces before quotes": (
        table("fecha, ciudad, v", *(f'{day}, "Monterrey, NL", 1' for day in DAYS)),
        ["fecha"], "%Y-%m-%d", 28, {"quote": "double"},
    ),
    "a web export": ((EXPORT + table(FIXES[0], *FIXES[1:])).encode("latin-1"), ["Fecha"], "%d/%m/%Y", 28, {
        "skip_lines": 16, "encoding": "cp1252",
    }),
    "a web export with few rows": (
        EXPORT + table(FIXES[0], *FIXES[1:4]), ["Fecha"], "%d/%m/%Y", 4, {"skip_lines": 16},
    ),
    "metadata with numbers": (
        table("Estacion,Merced", "Lat,19.42", "Altitud,2245", "Año,2024", "fecha,v", *(f"{day},1.5" for day in DAYS)),
        ["fecha"], "%Y-%m-%d", 28, {"skip_lines": 4},
    ),
    "metadata with numbers over few rows": (
        table("Estacion,Merced", "Latitud,19.42", "Altitud,2245", "fecha,v", *(f"{day},1.5" for day in DAYS[:3])),
        ["fecha"], "%Y-%m-%d", 3, {"skip_lines": 3},
    ),
    "a title and its date": (
        table("Reporte mensual", "Generado: 2024-05-01", "fecha,v", *(f"{day},1.5" for day in DAYS)),
        ["fecha"], "%Y-%m-%d", 28, {"skip_lines": 2},
    ),
    "a header of indices": (
        table("0,1,2", *(f"{day},{n},{n}.5" for n, day in enumerate(DAYS))), ["0"], "%Y-%m-%d", 28, {"header": "names"},
    ),
    "a header of indices over numbers alone": (
        table("0,1,2", *(f"{day.replace('-', '')},{n},{n}" for n, day in enumerate(DAYS))),
        ["0"], "%Y%m%d", 28, {"header": "names"},
    ),
    "a header of indices behind a blank": (
        table(",0,1", *(f"{day},{n},{n}.5" for n, day in enumerate(DAYS))), ["#1"], "%Y-%m-%d", 28, {"header": "names"},
    ),
    "no header": (
        table(*(f"{day},{n},{n}.5" for n, day in enumerate(DAYS))), ["#1"], "%Y-%m-%d", 28, {"header": "none"},
    ),
    "a header with a line end": (
        table('fecha,"CO\n(mg/m3)"', *(f"{day},1.5" for day in DAYS)),
        ["fecha"], "%Y-%m-%d", 28, {"columns.co_mg_m3.unit": "mg/m3"},
    ),
    "UTF-16 without a mark": (
        table("fecha;v", *(f"{day};1" for day in DAYS)).encode("utf-16-le"),
        ["fecha"], "%Y-%m-%d", 28, {"encoding": "utf-16-le"},
    ),
    "one byte of another encoding": (
        table("fecha,lugar", *(f"{day},México" for day in DAYS)).encode() + b"2024-03-29,M\xe9xico\n",
        ["fecha"], "%Y-%m-%d", 29, {"encoding": "utf-8-sig"},
    ),
    "a file put together": (
        "\ufeff".join(["", *(table("fecha,v", *(f"{day},1" for day in part)) for part in (DAYS[:14], DAYS[14:]))]),
        ["fecha"], "%Y-%m-%d", 29, {"columns.v.type": "integer"},
    ),
}  # fmt: skip


def value_of(source: CsvSource, path: str) -> Any:
    value: Any = source
    for step in path.split("."):
        value = value[step] if isinstance(value, dict) else getattr(value, step)
    return value


@pytest.mark.parametrize("kind", FILES)
def test_the_draft_of_any_kind_of_file_reads_all_its_rows(
    kind: str, write: Write, rows_of: Callable[..., pd.DataFrame]
) -> None:
    content, columns, form, count, further = FILES[kind]
    path = write(content)
    source = drafted(path)
    assert (list(source.time.columns), source.time.format) == (columns, form)
    assert {key: value_of(source, key) for key in further} == further
    times = rows_of("p", "s", source, [path.read_bytes()], ALL_TIME)["valid_at"]
    odd = {"one byte of another encoding": 1, "a file put together": 1, "a last row with a value too many": 1}.get(
        kind, 0
    )
    assert (len(times), times.isna().sum(), times.dropna().is_unique) == (count, odd, True)
    assert summary_of(inspect(path)).count("LOST: ") == odd + (kind == "a file put together")


COLUMNS = {
    "codes with zeros": (["01", "02", "31"], "text"), "postal codes": (["06001", "06002", "10000"], "text"),
    "a zero alone": (["0", "1", "10"], "integer"), "whole numbers": (["5", "-3", "12"], "integer"),
    "decimals": (["5", "-3.5", "12"], "number"), "barcodes": (["4131672700000", "4131672700037"], "integer"),
    "more digits than 64 bits": (["12345678901234567890123", "1"], "text"), "flags": (["true", "false"], "boolean"),
    "yes and no": (["Sí", "No"], "boolean"), "oui et non": (["oui", "non"], "boolean"),
    "yes alone": (["Sí", "Sí"], "text"),
    "fractions below one": (["0.5", "0.25"], "number"), "amounts": (["$1.50", "(2.25)", "3.00-"], "number"),
    "per cent": (["5.2%", "4.8%"], "number"), "words": (["a", "b"], "text"),
}  # fmt: skip


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_column_has_the_type_of_its_values(kind: str, write: Write) -> None:
    values, expected = COLUMNS[kind]
    rows = [f"{day};{values[n % len(values)]}" for n, day in enumerate(DAYS)]
    assert drafted(write(table("fecha;x", *rows))).columns["x"].type == expected


MARKS = {
    "whole and broken": (["1.500", "850,50", "12.000", "99,90"], ",", ".", [1500.0, 850.5, 12000.0, 99.9]),
    "the English way": (["1,500", "850.50", "12,000"], ".", ",", [1500.0, 850.5, 12000.0]),
    "millions": (["1.500.000", "2.750.000"], ",", ".", [1500000.0, 2750000.0]),
    "both in one": (["1.500,25", "99,90"], ",", ".", [1500.25, 99.9]),
    "decimals only": (["1,5", "99,90"], ",", None, [1.5, 99.9]),
}


@pytest.mark.parametrize("kind", MARKS)
def test_marks_of_thousands_and_decimals_are_told_from_all_numbers_together(
    kind: str, write: Write, rows_of: Callable[..., pd.DataFrame]
) -> None:
    texts, decimal, thousands, numbers = MARKS[kind]
    path = write(table("fecha;importe", *(f"{DAYS[n]};{text}" for n, text in enumerate(texts))))
    source = drafted(path)
    assert (source.decimal, source.thousands) == (decimal, thousands)
    read = rows_of("p", "s", source, [path.read_bytes()], ALL_TIME)["importe"]
    assert [float(text) for text in read] == numbers


@pytest.mark.parametrize(
    ("header", "unit"),
    [("Viento (m/s)", "m/s"), ("Humedad (%)", "%"), ("Presión [hPa]", "hPa"), ("PM2.5 (µg/m³)", "ug/m3"), ("x", "1")],
)
def test_units_in_headers_are_taken(header: str, unit: str, write: Write) -> None:
    [column] = drafted(write(table(f"fecha,{header}", *(f"{day},1.5" for day in DAYS)))).columns.values()
    assert column.unit == unit


@pytest.mark.parametrize(
    ("word", "written", "expected"),
    [("Mérida", "latin-1", "cp1252"), ("Besançon à l’été", "cp1252", "cp1252"), ("µg/m³", "latin-1", "cp1252"),
     ("Привет, как дела сегодня", "cp1251", "cp1251")],
)  # fmt: skip
def test_a_western_file_is_taken_for_western(word: str, written: str, expected: str, write: Write) -> None:
    assert drafted(write(table("a;b", *(f"{day};{word}" for day in DAYS)).encode(written))).encoding == expected


def test_rows_of_one_time_are_told_apart_by_a_key_and_never_by_a_value(write: Write) -> None:
    stations = [f"{day},{site},{n}.5" for n, day in enumerate(DAYS) for site in "AB"]
    source = drafted(write(table("fecha,estacion,v", *stations)))
    assert (source.key, source.columns["estacion"].required) == (("estacion",), True)
    values = [f"{day},{n * 2 + half}" for n, day in enumerate(DAYS) for half in (0, 1)]
    assert drafted(write(table("fecha,v", *values))).key == ()


def test_all_files_of_a_zip_that_begin_alike_are_named_together(tmp_path: Path) -> None:
    path = tmp_path / "year.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for month in range(1, 4):
            archive.writestr(
                f"datos/2024_{month:02}.csv", table("fecha,v", *(f"2024-{month:02}-{d:02},1" for d in range(1, 11)))
            )
    source = drafted(path)
    assert source.member == "datos/*.csv"
    batches = parse("p", "s", source, [lambda: path.open("rb")], ALL_TIME)
    assert sum(batch.num_rows for batch in batches) == 30


def test_a_text_column_that_is_almost_numbers_shows_what_is_none(write: Write) -> None:
    rows = [f"{day},{'12 aprox' if n == 3 else n}" for n, day in enumerate(DAYS)]
    assert "x: text, for not all are numbers: '12 aprox', 0 to 27" in summary_of(inspect(write(table("at,x", *rows))))


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
