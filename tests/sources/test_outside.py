"""Rows outside the window are counted by every kind, and a finding where most are and a window was asked for."""

import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter

from include.sources import parse
from include.sources.payload import Outside
from include.spec.model import AnySource
from include.steps.outside import NEAR, misplaced_result
from include.windows import Window

MARCH = Window.parse("2024-03-01", "2024-04-01")
DAYS = [datetime(2024, month, 3, tzinfo=UTC) for month in range(1, 13)]
COMMON = {"connection": "c", "title": "Some rows"}
VALUE = {"unit": "1", "description": "A value"}


def rest(params: dict[str, str]) -> dict:
    time = {"from": ["date"], "format": "%Y-%m-%d"}
    return {"kind": "http_json", "path": "/x", "params": params, "time": time, "columns": {"x": {"from": "x", **VALUE}}}


def in_json(days: list[datetime]) -> str:
    return json.dumps([{"date": f"{day:%Y-%m-%d}", "x": 1} for day in days])


FILE = {"kind": "csv_file", "path": "/x.csv", "time": {"columns": ["date"], "format": "%Y-%m-%d"},
        "columns": {"x": {"from": "x", **VALUE}}}  # fmt: skip
TABLE = {"kind": "sql", "table": "desk.x", "time_column": "date", "columns": {"x": {"from": "x", **VALUE}}}
KINDS = {
    "http_json": (rest({"from": "{start}"}), in_json, True),
    "http_json whole": (rest({}), in_json, False),
    "csv_file": (FILE, lambda days: "date,x\n" + "".join(f"{day:%Y-%m-%d},1\n" for day in days), False),
    "sql": (TABLE, lambda days: "date,x\n" + "".join(f"{day:%Y-%m-%dT%H:%M:%S.%fZ},1\n" for day in days), True),
    "banxico": (
        {"kind": "banxico", "columns": {"x": {"from": "SF43718", **VALUE}}},
        lambda days: json.dumps(
            {"bmx": {"series": [
                {"idSerie": "SF43718", "datos": [{"fecha": f"{day:%d/%m/%Y}", "dato": "1"} for day in days]}]}}
        ),
        True,
    ),
    "inegi": (
        {"kind": "inegi", "columns": {"x": {"from": "910392", **VALUE}}},
        lambda days: json.dumps(
            {"Series": [{"INDICADOR": "910392", "FREQ": "8", "OBSERVATIONS": [
                {"TIME_PERIOD": f"{day:%Y/%m}", "OBS_VALUE": "1"} for day in days]}]}
        ),
        False,
    ),
}  # fmt: skip


def count(kind: str, days: list[datetime], near: timedelta = NEAR) -> tuple[int, Outside, AnySource]:
    document, write, _ = KINDS[kind]
    source = TypeAdapter(AnySource).validate_python(COMMON | document)
    outside = Outside(near=near)
    payload = write(days).encode()
    batches = parse("p", "s", source, [lambda: io.BytesIO(payload)], MARCH, outside=outside)
    return sum(batch.num_rows for batch in batches), outside, source


@pytest.mark.parametrize("kind", KINDS)
def test_rows_outside_the_window_are_counted(kind: str) -> None:
    inside, outside, _ = count(kind, DAYS)
    assert (inside, outside.count) == (1, 11)
    assert outside.far == (10 if kind == "inegi" else 11), "a month that begins where the window ends is not far"


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_about_other_times_is_a_finding_where_a_window_was_asked_for(kind: str) -> None:
    inside, outside, source = count(kind, DAYS)
    found = misplaced_result(source, outside, inside)
    assert (found is not None and not found.is_passed) == KINDS[kind][2]
    if found:
        assert found.observed.startswith(
            "11 of 12 rows lie outside the window, 11 far, from 2024-01-03 00:00 to 2024-12"
        )


@pytest.mark.parametrize("kind", ["http_json", "sql", "banxico"])
@pytest.mark.parametrize("days", [
    [MARCH.start - timedelta(days=1), MARCH.start + timedelta(days=3), MARCH.end, MARCH.end + timedelta(days=1)],
    [MARCH.start + timedelta(days=day) for day in range(31)],
    [*(MARCH.start + timedelta(days=day) for day in range(10)), *DAYS[4:10]],
])  # fmt: skip
def test_bounds_that_are_not_exact_and_a_few_other_rows_are_none(kind: str, days: list[datetime]) -> None:
    inside, outside, source = count(kind, days)
    assert inside + outside.count == len(days)
    found = misplaced_result(source, outside, inside)
    assert found is None or found.is_passed
