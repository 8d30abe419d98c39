"""A pipeline that is removed leaves nothing but its decisions, and the others as they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from include.errors import PayloadLost
from include.lake.store import Lake
from include.monitoring.record import record_reference
from include.monitoring.reference import Reference
from include.promotion.ledger import append
from include.sources.payload import Payload, Spool
from include.warehouse import removal
from include.warehouse.batch import RunRef
from include.windows import Window

JANUARY = Window.parse("2025-01-01", "2025-02-01")
NAMED = """
select table_schema || '.' || table_name from information_schema.columns join information_schema.tables
    using (table_schema, table_name)
where column_name = 'pipeline' and table_type = 'BASE TABLE' and table_schema not in ('core', 'pg_catalog') order by 1
"""


@pytest.fixture
def loaded(warehouse) -> Any:
    """A warehouse with rows of `readings` in core, a revision in its history, features, a reference, a decision."""
    warehouse.load(warehouse.batch([{"at": 1}, {"at": 2}]))
    warehouse.load(warehouse.batch([{"at": 1}], payload_id=warehouse.payload("b")), run_id="second")
    warehouse.build_features()
    reference = Reference.of({"level_m": np.arange(100.0)})
    with warehouse.engine.begin() as connection:
        append(connection, "readings", JANUARY, "hold", ["fine"], {}, None, RunRef("monitor_readings", "first"))
        record_reference(connection, "readings", 1, reference, reference.to_bytes())
    return warehouse


def remove(warehouse: Any, pipeline: str = "readings") -> None:
    with warehouse.engine.begin() as connection:
        removal.remove(connection, pipeline)


def test_nothing_is_left_but_the_decisions_and_again_is_no_fault(loaded) -> None:
    remove(loaded)
    remove(loaded)
    left = {
        name: loaded.one(f"select count(*) from {name} where pipeline = 'readings'") for (name,) in loaded.sql(NAMED)
    }
    assert {name for name, count in left.items() if count} == {"ml.decision", "ml.ledger_head"}
    assert loaded.sql("select 1 from pg_class where relname like 'readings%%'") == []
    assert loaded.sql("select 1 from pg_proc where proname like 'readings%%'") == []


def test_what_is_told_beforehand_is_what_goes(loaded) -> None:
    with loaded.engine.connect() as connection:
        tables, rows = removal.own_tables(connection, "readings"), removal.shared_rows(connection, "readings")
    assert tables["core.readings"] == 2
    assert "core.readings_history" in tables
    assert [name for name in tables if name.startswith("feature.readings_")]
    assert (rows["raw.payload"], rows["ml.profile"]) == (2, 2)
    assert "ml.decision" not in rows


def test_another_pipeline_stays_as_it_is(loaded) -> None:
    before = loaded.state()
    remove(loaded, "reading")
    assert loaded.state() == before


def test_a_payload_that_another_pipeline_fetched_too_is_not_its_own(loaded) -> None:
    with loaded.engine.begin() as connection:
        assert removal.own_payloads(connection, "readings") == ["a", "b"]
        connection.exec_driver_sql(
            "create temp table other as select * from raw.payload where sha256 = 'b';"
            "update other set pipeline = 'other', payload_id = 1000; insert into raw.payload overriding system value"
            " select * from other"
        )
        assert removal.own_payloads(connection, "readings") == ["a"]


def test_a_table_that_loses_its_protection_would_be_emptied(loaded) -> None:
    """What keeps the decisions is that they refuse to be deleted: without it they would be told among what goes."""
    with loaded.engine.connect() as connection:
        connection.exec_driver_sql("drop trigger decision_is_append_only on ml.decision")
        assert removal.shared_rows(connection, "readings")["ml.decision"] == 1
        connection.rollback()


def test_the_lake_loses_what_is_the_pipelines_own_and_keeps_the_rest(warehouse) -> None:
    lake: Lake = warehouse.lake
    at = JANUARY.end
    stored = [
        lake.put(Payload(Spool.of([name]), "text/csv", {}, 200, {}, at, is_simulated=False)) for name in (b"a", b"b")
    ]
    for pipeline in ("readings", "other"):
        record = {"pipeline": pipeline, "source": "meter", "window": JANUARY.to_dict(), "fetch_id": "f", "part": 0}
        lake.put_manifest({**record, "part_count": 1, "sha256": "x", "fetched_at": at.isoformat()})
    for _ in range(2):
        lake.remove("readings", [stored[0].uri, "no payload"])
    assert lake.manifests("readings", "meter") == []
    assert len(lake.manifests("other", "meter")) == 1
    assert lake.open(stored[1].uri).read() == b"b"
    with pytest.raises(PayloadLost):
        lake.open(stored[0].uri).read()
