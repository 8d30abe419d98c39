"""A prediction's page shows the rows that its features read back, of every source that they read."""

from __future__ import annotations

from datetime import timedelta

from include.page.data.predictions import core_rows
from include.spec.model import Pipeline
from tests.database.conftest import JANUARY, Warehouse

FEATURES = [
    {"kind": "value", "column": "level_m"},
    {"kind": "lag", "column": "level_m", "periods": [1, 50]},
    {"kind": "trailing", "column": "repairs.cost_mxn", "days": 2, "stat": "sum"},
]


def test_rows_that_features_read_back_are_shown_the_newest_first_and_the_rest_counted(warehouse: Warehouse) -> None:
    document = warehouse.spec.model_dump(mode="json", by_alias=True) | {"features": FEATURES}
    spec = Pipeline.model_validate(document)
    hours = [JANUARY.start + timedelta(hours=hour) for hour in range(100)]
    repair = {"site_code": "a", "ticket_code": 1}
    warehouse.load(
        warehouse.batch([{"valid_at": at, "level_m": 1.0} for at in hours]),
        warehouse.batch([repair | {"valid_at": at, "cost_mxn": 2.0} for at in hours[::24]], source="repairs"),
    )
    made = {"valid_at": hours[80], "entity": None}
    with warehouse.engine.connect() as connection:
        read = core_rows(connection, spec, made, known_at=hours[80])
    main, repairs = read["core.readings"], read["core.readings_repairs"]
    assert [row["valid_at"] for row in main.rows] == hours[80:39:-1]
    assert (main.read_back, main.from_at, main.earlier) == (50, hours[30], 10)
    assert [row["valid_at"] for row in repairs.rows] == [hours[72], hours[48]]
    assert (repairs.read_back, repairs.from_at, repairs.earlier) == (2, hours[48], 0)
    assert all(row["payload_id"] for row in (*main.rows, *repairs.rows))


def test_a_source_that_no_feature_reads_is_not_shown(warehouse: Warehouse) -> None:
    at = JANUARY.start + timedelta(hours=1)
    repairs = warehouse.batch([{"at": 0, "site_code": "a", "ticket_code": 1}], source="repairs")
    warehouse.load(warehouse.batch([{"at": 0, "level_m": 1.0}, {"at": 1, "level_m": 1.0}]), repairs)
    with warehouse.engine.connect() as connection:
        read = core_rows(connection, warehouse.spec, {"valid_at": at, "entity": None}, known_at=at)
    assert [[row["valid_at"] for row in one.rows] for one in read.values()] == [[at]]
    assert read["core.readings"].read_back == 0
