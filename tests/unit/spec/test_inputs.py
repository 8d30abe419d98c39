"""A record of input values is held to the column facts that the batch check reads, and says what is wrong with it."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from include.quality.batch_check import BatchCheck
from include.spec.inputs import faults, input_model
from include.spec.load import load_all
from include.spec.model import Pipeline

COLUMNS: dict[str, dict[str, Any]] = {
    "co_mg_m3": {"unit": "mg/m3", "min": 0, "max": 50, "required": True, "decimals": 1},
    "pulse_count": {"type": "integer", "unit": "count", "min": -5},
    "grade": {"unit": "1", "allowed": [1, 2.5, 4]},
    "side_code": {"type": "text", "unit": "code", "allowed": ["buy", "sell"]},
    "currency_code": {"type": "text", "unit": "code", "length": [2, 3], "format": "[A-Z]+"},
    "is_open": {"type": "boolean", "unit": "flag"},
    "read_at": {"type": "timestamp", "unit": "UTC"},
    "sealed_date": {"type": "date", "unit": "UTC"},
}
GOOD: dict[str, Any] = {"co_mg_m3": 2.5, "pulse_count": 3, "grade": 2.5, "side_code": "buy", "currency_code": "MXN"}
GOOD |= {"is_open": True, "read_at": "2025-01-01T10:00:00Z", "sealed_date": "2025-01-01"}


def described(**changes: dict[str, Any]) -> Pipeline:
    """Return a pipeline with a column of each type, and more facts where they are named."""
    document = load_all()["air_quality"].model_dump(mode="json", by_alias=True, exclude_unset=True)
    facts = {name: {"from": name, "description": "A value", **column} for name, column in COLUMNS.items()}
    source = document["sources"]["station"] | {"columns": facts | changes, "missing": [], "checks": []}
    document |= {"sources": {"station": source}, "features": [{"kind": "value", "column": "grade"}]}
    document |= {"monitoring": {}, "promotion": {}, "behaviour": []}
    document["thresholds"] = {"r2_min": 0.5}
    document["target"] = {"column": "co_mg_m3", "horizon": 0}
    document["training"]["candidates"] = {"naive": {"kind": "naive"}}
    return Pipeline.model_validate(document)


SPEC = described()
MODEL = input_model(SPEC)


def refused(**changes: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        MODEL.model_validate(GOOD | changes)
    return faults(caught.value)


def test_a_record_that_keeps_the_contract_is_taken_with_its_types() -> None:
    record = MODEL.model_validate(GOOD).model_dump()
    times = {"read_at": datetime(2025, 1, 1, 10, tzinfo=UTC), "sealed_date": date(2025, 1, 1)}
    assert record == GOOD | times


def test_a_record_as_json_text_is_taken_the_same() -> None:
    assert MODEL.model_validate_json(json.dumps(GOOD)) == MODEL.model_validate(GOOD)


def test_a_time_without_an_offset_is_utc() -> None:
    record = MODEL.model_validate(GOOD | {"read_at": "2025-01-01T10:00:00"})
    assert record == MODEL.model_validate(GOOD | {"read_at": "2025-01-01T11:00:00+01:00"})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"co_mg_m3": -200.0}, "co_mg_m3 = -200.0: expected at least 0 mg/m3"),
        ({"co_mg_m3": 50.5}, "co_mg_m3 = 50.5: expected at most 50 mg/m3"),
        ({"co_mg_m3": "2.5"}, "co_mg_m3 = '2.5': expected a number in mg/m3"),
        ({"co_mg_m3": True}, "co_mg_m3 = True: expected a number in mg/m3"),
        ({"co_mg_m3": float("nan")}, "co_mg_m3 = nan: expected a number in mg/m3"),
        ({"co_mg_m3": None}, "co_mg_m3 is missing: expected a number in mg/m3"),
        ({"co_mg_m3": 2.55}, "co_mg_m3 = 2.55: expected at most 1 digits after the point in mg/m3"),
        ({"pulse_count": 2.5}, "pulse_count = 2.5: expected a whole number in count"),
        ({"pulse_count": 2**63}, f"pulse_count = {2**63}: expected a whole number in count, of 64 bits"),
        ({"grade": 3}, "grade = 3: expected one of 1, 2.5, 4"),
        ({"side_code": "hold"}, "side_code = 'hold': expected one of buy, sell"),
        ({"currency_code": "PESO"}, "currency_code = 'PESO': expected 2 to 3 letters"),
        ({"currency_code": "mxn"}, "currency_code = 'mxn': expected text like [A-Z]+"),
        ({"currency_code": "MX\n"}, "currency_code = 'MX\\n': expected text like [A-Z]+"),
        ({"is_open": 1}, "is_open = 1: expected true or false"),
        ({"read_at": "1735689600"}, "read_at = '1735689600': expected a time like 2025-01-31T14:00:00Z"),
        ({"read_at": 1735689600}, "read_at = 1735689600: expected a time like 2025-01-31T14:00:00Z"),
        ({"sealed_date": "2025-02-30"}, "sealed_date = '2025-02-30': expected a day like 2025-01-31"),
        ({"co_mgm3": 1}, "co_mgm3: there is no such field"),
    ],
)
def test_what_is_wrong_names_the_field_the_value_and_the_unit(change: dict[str, Any], said: str) -> None:
    assert refused(**change) == [said]


def test_a_missing_field_is_told_like_a_null() -> None:
    with pytest.raises(ValidationError) as caught:
        MODEL.model_validate({})
    assert faults(caught.value) == ["co_mg_m3 is missing: expected a number in mg/m3"]


def test_every_fault_of_a_record_is_told_at_once() -> None:
    assert len(refused(co_mg_m3=-1, grade=9, side_code="x")) == 3


def test_the_json_schema_carries_units_descriptions_and_limits() -> None:
    schema = MODEL.model_json_schema()
    co = schema["properties"]["co_mg_m3"]
    assert (co["unit"], co["minimum"], co["maximum"], co["description"]) == ("mg/m3", 0, 50, "A value")
    assert schema["required"] == ["co_mg_m3"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["side_code"]["enum"] == ["buy", "sell", None]


def test_every_shipped_source_has_a_model_without_the_columns_that_stay_at_the_source() -> None:
    for pipeline in load_all().values():
        for name, source in pipeline.sources.items():
            kept = {key for key, column in source.columns.items() if column.personal != "drop"}
            assert set(input_model(pipeline, name).model_fields) == kept


def accepted_by_the_batch_check(spec: Pipeline, *records: dict[str, Any]) -> list[bool]:
    """Tell of each record whether the check lets its values in, brought as a file would."""
    count = len(records)
    at = pa.array([datetime(2025, 1, 1, n // 60, n % 60, tzinfo=UTC) for n in range(count)], pa.timestamp("us", "UTC"))
    columns = {"valid_at": at, "available_at": at, "payload": pa.array([0] * count, pa.int32())}
    columns["row_number"] = pa.array(range(count), pa.int64())
    for name in spec.sources["station"].columns:
        columns[name] = pa.array([_text(record.get(name)) for record in records], pa.string())
    accepted = BatchCheck(spec.sources["station"]).take(pa.RecordBatch.from_pydict(columns)).accepted
    numbers = set(accepted.column("row_number").to_pylist())
    return [n in numbers for n in range(count)]


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, date) else str(value)


def accepted_by_the_model(record: dict[str, Any]) -> bool:
    try:
        MODEL.model_validate(record)
    except ValidationError:
        return False
    return True


SOMETIMES_GOOD: dict[str, st.SearchStrategy[Any]] = {
    "co_mg_m3": st.one_of(
        st.none(),
        st.integers(-2, 520).map(lambda n: n / 10),
        st.floats(-1, 51, allow_nan=False),
        st.sampled_from([0.0, -0.0, 50.0, 50.1, 1e-9, float("inf"), float("nan")]),
    ),
    "pulse_count": st.one_of(st.none(), st.integers(-7, 9), st.sampled_from([2**63 - 1, 2**63, -(2**63) - 1])),
    "grade": st.one_of(st.none(), st.sampled_from([1, 1.0, 2.5, 4, 3, 2.50001])),
    "side_code": st.one_of(st.none(), st.sampled_from(["buy", "sell", "Buy", "buy "])),
    "currency_code": st.one_of(st.none(), st.text("AZaé1", max_size=4), st.sampled_from(["MX\n", "MXN", "ÑÑ"])),
    "is_open": st.one_of(st.none(), st.booleans()),
    "read_at": st.one_of(st.none(), st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))),
    "sealed_date": st.one_of(st.none(), st.dates(date(1900, 1, 1), date(2100, 1, 1))),
}


@settings(max_examples=15, deadline=None)
@given(st.lists(st.fixed_dictionaries({}, optional=SOMETIMES_GOOD), min_size=1, max_size=30))
def test_a_record_is_taken_if_and_only_if_the_batch_check_takes_the_row(records: list[dict[str, Any]]) -> None:
    assert [accepted_by_the_model(record) for record in records] == accepted_by_the_batch_check(SPEC, *records)


def test_a_model_that_forgot_a_limit_would_disagree_with_the_batch_check() -> None:
    stricter = described(co_mg_m3={"from": "x", "description": "A value", **COLUMNS["co_mg_m3"], "max": 2})
    assert accepted_by_the_model(GOOD)
    typed = {"read_at": datetime(2025, 1, 1, 10, tzinfo=UTC), "sealed_date": date(2025, 1, 1)}
    assert accepted_by_the_batch_check(stricter, GOOD | typed) == [False]
    assert accepted_by_the_batch_check(SPEC, GOOD | typed) == [True]
