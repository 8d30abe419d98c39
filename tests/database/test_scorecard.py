"""The ML Test Score counts what the records say, and tells what they do not say."""

from __future__ import annotations

from include.scorecard.marking import Mark, mark_all
from include.spec.model import Pipeline
from tests.database.conftest import Warehouse

PRIVACY = "The data pipeline has appropriate privacy controls"


def mark(warehouse: Warehouse, name: str, spec: Pipeline | None = None) -> Mark:
    """Return the mark of a test over the one pipeline there is."""
    with warehouse.engine.connect() as connection:
        marks = mark_all(connection, {warehouse.spec.pipeline: spec or warehouse.spec})
    return next(one for one in marks if one.name == name)


def personal(warehouse: Warehouse) -> Pipeline:
    """Return a spec whose readers' notes are personal."""
    meter = warehouse.spec.sources["meter"]
    columns = {**meter.columns, "note": meter.columns["note"].model_copy(update={"personal": "hash"})}
    sources = {**warehouse.spec.sources, "meter": meter.model_copy(update={"columns": columns})}
    return warehouse.spec.model_copy(update={"sources": sources})


def test_personal_columns_that_were_never_loaded_are_not_measured(warehouse: Warehouse) -> None:
    never = mark(warehouse, PRIVACY, personal(warehouse))
    assert never.evidence == {"readings": "not measured, no value is loaded: readings.note"}
    assert never.missing == ["readings"]
    warehouse.load(warehouse.batch([{"at": 1, "level_m": 1.0}]))
    warehouse.sql("alter table core.readings drop column note cascade")
    assert mark(warehouse, PRIVACY, personal(warehouse)).evidence == never.evidence


def test_personal_values_are_hashes_or_are_named(warehouse: Warehouse) -> None:
    warehouse.load(warehouse.batch([{"at": 1, "note": "0123456789abcdef" * 2}]))
    assert mark(warehouse, PRIVACY, personal(warehouse)).missing == []
    warehouse.load(warehouse.batch([{"at": 1, "note": "ana"}]), run_id="second")
    plain = mark(warehouse, PRIVACY, personal(warehouse))
    assert plain.evidence == {"readings": "not hashed: readings.note"}
    assert plain.missing == ["readings"]
