"""Decimal commas that a comma-separated file split into columns: refused whatever the header, and honest files pass."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from include.errors import ContractBroken
from include.sources.inspection import inspect
from include.sources.payload import Extract
from include.sources.text.delimited import Dialect, batches
from include.windows import Window

EXTRACT = Extract("p", "s", Window.parse("2024-01-01", "2024-02-01"))
DICE = random.Random(5)  # noqa: S311 - no secret


def table(header: str, row: str, count: int = 60) -> str:
    """Return a file; in `row` stand n, the number of the row, and w, d, dd: whole, one digit, two digits at random."""
    lines = [header] if header else []
    for n in range(count):
        named = {"n": n, "day": f"2024-{1 + n // 28:02}-{1 + n % 28:02}", "hour": n % 24, "flag": n % 2}
        named |= {
            "w": DICE.randint(-5, 40),
            "w2": DICE.randint(100, 900),
            "d": DICE.randint(0, 9),
            "d2": DICE.randint(0, 9),
        }
        named |= {"dd": f"{DICE.randint(0, 99):02}", "pct": DICE.randint(30, 100), "month": 1 + n % 12}
        lines.append(row.format(**named))
    return "\n".join(lines) + "\n"


SPLIT = {
    "header padded": table("fecha,co,t,,", "{day},{w},{d},{w2},{d2}"),
    "header padded, two digits": table("fecha,co,", "{day},{w},{dd}"),
    "header repeated": table("fecha,co,co,t,t", "{day},{w},{d},{w2},{d2}"),
    "header repeated, two digits": table("fecha,co,co", "{day},{w},{dd}"),
    "header made unique": table("fecha,co,co.1", "{day},{w},{d}"),
    "header with a gap": table("fecha,co,,lugar", "{day},{w},{d},centro"),
    "header split as well": table("fecha,CO (mg/m3, media),T (C, media)", "{day},{w},{d},{w2},{d2}"),
    "header of other columns": table("fecha,co,t,rh,ah", "{day},{w},{d},{w2},{d2}"),
    "no header": table("", "{day},{w},{d}"),
    "no header, two digits": table("", "{day},{w},{dd},{w2},{dd}"),
    "header too short": table("fecha,co,t", "{day},{w},{d},{w2},{d2}"),
    "numbers of a program": table("Unnamed: 0,Unnamed: 1,Unnamed: 2", "{day},{w},{d}"),
    "one value more in some rows": table("fecha,co,lugar", "{day},{w},centro", 40)
    + table("", "{day},{w},{d},norte", 15),
    "one value less in some rows": table("fecha,co,co", "{day},{w},{d}", 40) + table("", "{day},{w}", 3),
    "one value more in the rows without header": table("", "{day},{w},sur", 30) + table("", "{day},{w},{d},sur", 30),
}


@pytest.mark.parametrize("kind", SPLIT)
def test_split_decimals_are_refused_whatever_the_header_is(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text(SPLIT[kind])
    explanation = "decimal commas were split into extra columns.*ask for the file with another delimiter"
    with pytest.raises(ContractBroken, match=explanation):
        inspect(path)
    with path.open("rb") as stream, pytest.raises(ContractBroken, match=explanation):
        list(batches(EXTRACT, stream, Dialect(has_header=not kind.startswith(("no header", "one value more in the")))))


HONEST = {
    "an hour": table("fecha,visitas,hora", "{day},{w2},{hour}"),
    "an hour before": table("fecha,hora,visitas", "{day},{hour},{w2}"),
    "an hour with zeros": table("fecha,visitas,hora", "{day},{w2},{hour:02}"),
    "hours without header": table("", "{day},{w2},{hour:02}"),
    "a percentage": table("fecha,temp,humedad", "{day},{w},{pct}"),
    "percentages of two": table("fecha,temp,humedad,nubes", "{day},{w},{pct},{pct}"),
    "counts": table("fecha,casual,registered,cnt", "{day},{w},{w2},{w2}"),
    "flags and codes": table("fecha,visitas,mes,laborable", "{day},{w2},{month},{flag}"),
    "one digit with a name of its own": table("fecha,visitas,calidad", "{day},{w2},{d}"),
    "codes with zeros": table("fecha,estado,municipio,casos", "{day},{hour:02},{dd},{w2}"),
    "the same name twice": table("fecha,temp,temp", "{day},{w2},{w2}"),
    "numbers made unique": table("fecha,temp,temp_2", "{day},{pct},{pct}"),
    "columns without a name": table("fecha,visitas,,hora", "{day},{w2},,{hour}"),
    "decimal points beside digits": table("fecha,temp,temp", "{day},{w}.5,{d}"),
    "decimal commas in quotes": table("fecha,temp,temp", '{day},"{w},5",{d}'),
    "flags beside numbers of a program": table("V1,V2,V3", "{day},{w2},{flag}"),
}


@pytest.mark.parametrize("kind", HONEST)
def test_honest_whole_numbers_pass(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text(HONEST[kind])
    assert inspect(path).rows == 60
    with path.open("rb") as stream:
        parts = list(batches(EXTRACT, stream, Dialect(has_header="without header" not in kind)))
    assert sum(len(part.columns[0]) for part in parts) == 60
