"""Each metric's query runs on the warehouse as it is, and what is told can be read by Prometheus."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from include.health.findings import health_of_all
from include.health.looking import Looked
from include.settings import settings
from include.telemetry import scrape
from include.telemetry.metrics import FAMILIES, exposition, of_health, of_queries


def test_what_the_warehouse_holds_is_told(warehouse) -> None:
    with warehouse.engine.begin() as connection:
        connection.exec_driver_sql(
            "insert into ops.alert (pipeline, kind, severity, message, run_id, destination, status)"
            " values ('readings', 'failure', 'critical', 'no', 'r', '', 'unaddressed')"
        )
    with warehouse.engine.connect() as connection:
        families = {one.name: one for one in read(exposition(of_queries(connection, FAMILIES)))}
    assert {family.name.removesuffix("_total") for family in FAMILIES} == set(families)
    [sample] = families["ciclo_alerts"].samples
    assert (sample.labels, sample.value) == (
        {"pipeline": "readings", "severity": "critical", "status": "unaddressed"},
        1,
    )


def test_what_is_not_known_is_no_zero() -> None:
    looked = Looked({}, {}, health_of_all({}, {}, ["readings"], None), ["the warehouse cannot be read"])
    families = {one.name: one for one in read(exposition(of_health(looked)))}
    assert {sample.value for sample in families["ciclo_health"].samples} == {2}
    assert families["ciclo_unreadable"].samples[0].value == 1
    assert families["ciclo_rows"].samples == []


def test_a_pipeline_whose_file_is_broken_is_degraded_and_does_not_vanish(
    warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "readings").mkdir()
    (tmp_path / "readings" / "pipeline.yaml").write_text("pipeline: [readings\n")
    monkeypatch.setenv("CICLO_PIPELINES", str(tmp_path))
    monkeypatch.setattr(scrape, "RUNS", ())
    settings.cache_clear()
    try:
        text = scrape.scraped(warehouse.engine, warehouse.engine, "http://127.0.0.1:1")
    finally:
        settings.cache_clear()
    [health] = [one for one in read(text) if one.name == "ciclo_health"]
    [run] = [one for one in health.samples if one.labels["aspect"] == "run"]
    assert (run.labels["pipeline"], run.labels["word"], run.value) == ("readings", "broken", 3)


def read(text: bytes) -> list:
    return list(text_string_to_metric_families(text.decode()))
