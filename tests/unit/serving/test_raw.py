"""Raw rows of a request, hashed as the warehouse has them before they are looked at."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from include.serving.inputs import BadRequest
from include.serving.raw import raw_rows
from include.sources.masking import keyed_hash
from include.spec.inputs import input_model
from include.spec.load import parse

PLANT = (Path(__file__).parents[2] / "model" / "plant.yaml").read_text("utf-8")
FROM_A_FILE = """    kind: csv_file
    main: true
    connection: plant_files
    title: The plant's hourly file
    path: /meter.csv
    time: {columns: [Time], format: "%Y-%m-%d %H:%M"}
"""
FROM_A_TABLE = """    kind: sql
    main: true
    connection: plant_database
    title: The plant's readings
    table: plant.reading
    time_column: measured_at
    key: [owner]
"""
OWNER = """    columns:
      owner: {from: owner, type: text, unit: code, personal: hash, required: true, description: Whose sensor it is}
      owner_name: {from: owner_name, type: text, unit: text, personal: drop, description: Its owner's name}
"""
ROW = {"valid_at": "2024-01-02T00:00:00Z", "co_mg_m3": 1.0, "first_sensor": 2.0, "second_sensor": 3.0}


@pytest.fixture
def reader() -> Any:
    """Give what reads raw rows of a source with personal data."""
    text = PLANT.replace(FROM_A_FILE, FROM_A_TABLE).replace("    columns:\n", OWNER)
    pipeline = parse(text, "plant.yaml")
    return SimpleNamespace(model=SimpleNamespace(pipeline=pipeline), record=input_model(pipeline))


def test_who_a_raw_row_is_about_is_hashed_as_the_warehouse_has_it(reader: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CICLO_SERVING_HASH_KEY", "key")
    rows = raw_rows(reader, [ROW | {"owner": "Ana Pérez"}])
    assert rows["owner"].tolist() == [keyed_hash("key", "Ana Pérez")]


def test_what_never_leaves_its_source_is_not_taken_in_a_raw_row(reader: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CICLO_SERVING_HASH_KEY", "key")
    with pytest.raises(BadRequest) as refused:
        raw_rows(reader, [ROW | {"owner": "1", "owner_name": "Ana Pérez"}])
    assert refused.value.faults == ["raw[0].owner_name: there is no such field"]


def test_a_raw_row_about_a_person_is_refused_where_there_is_no_key(
    reader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CICLO_SERVING_HASH_KEY", raising=False)
    with pytest.raises(BadRequest) as refused:
        raw_rows(reader, [ROW | {"owner": "Ana Pérez"}])
    assert refused.value.faults == ["raw[0]: owner must be hashed and there is no hash_key: set it"]
