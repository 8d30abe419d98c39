"""The EDA report shows every column of what is loaded, asks no network, and is not written for nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.reporting.eda import reading, report
from include.spec.model import Pipeline
from include.warehouse.engine import transaction
from include.warehouse.tables import ensure_table

START = datetime(2025, 1, 1, tzinfo=UTC)
Fill = Callable[..., None]


@pytest.fixture
def fill(warehouse) -> Fill:
    """Give a function that puts hourly rows straight into ``core.readings``; the levels are given, None is missing."""

    def put(levels: list[float | None], is_simulated: bool = False) -> None:
        with transaction(warehouse.engine) as connection, connection.cursor() as cursor:
            for source in warehouse.spec.sources:
                ensure_table(cursor, warehouse.spec, source)
        number = warehouse.payload()
        warehouse.sql("update raw.payload set is_simulated = %s", is_simulated)
        for hour, level in enumerate(levels):
            at = START + timedelta(hours=hour)
            warehouse.sql(
                "insert into core.readings (valid_at, available_at, payload_id, level_m, pulse_count, note, is_open,"
                " sealed_date) values (%s, %s, %s, %s, %s, %s, %s, %s)",
                *(at, at, number, level, hour, "<b>dry</b>" if hour % 2 else "wet", hour % 3 == 0, at.date()),
            )

    return put


@pytest.fixture
def written(warehouse, warehouse_url: str, tmp_path: Path) -> Callable[[], dict[str, str]]:
    """Give a function that writes the reports and returns their texts by file name."""

    def write() -> dict[str, str]:
        pages = report.write(warehouse_url, {"readings": warehouse.spec}, tmp_path / "eda")
        return {page.name: page.read_text(encoding="utf-8") for page in pages}

    return write


def test_the_page_of_a_small_warehouse_shows_every_column_with_its_unit(
    warehouse, fill: Fill, written: Callable[[], dict[str, str]]
) -> None:
    fill([1.0, 2.0, None, 4.0, 3.0, 2.5, 1.5, 2.0, 2.0, 90.0])
    page = written()["readings.html"]
    for name, column in warehouse.spec.sources["meter"].columns.items():
        assert f"<code>{name}</code></th><td>{column.unit}</td>" in page
        assert f"<code>{name}</code> <span" in page
    assert "10 rows" in page
    assert "2025-01-01" in page
    assert "Sampled." not in page


def test_simulated_data_are_marked_on_the_page_and_in_the_index(
    fill: Fill, written: Callable[[], dict[str, str]]
) -> None:
    fill([1.0, 2.0], is_simulated=True)
    assert all('<span class="badge">SIMULATED</span>' in page for page in written().values())


def test_real_data_are_not_marked_as_simulated(fill: Fill, written: Callable[[], dict[str, str]]) -> None:
    fill([1.0, 2.0])
    assert not any("SIMULATED" in page for page in written().values())


def test_the_page_asks_nothing_of_the_network_and_its_charts_have_alternative_texts(
    fill: Fill, written: Callable[[], dict[str, str]]
) -> None:
    fill([float(n % 7) for n in range(40)])
    for page in written().values():
        assert re.findall(r"(?:https?:)?//[a-z]", page) == []
        assert not re.search(r"<(script|link|iframe|img)\b|@import", page)
        charts = re.findall(r"<svg[^>]*>", page)
        assert all(re.search(r'role="img" aria-label="[^"]+"', chart) for chart in charts)
    assert "<svg" in written()["readings.html"]


def test_what_the_data_say_is_not_read_as_html(fill: Fill, written: Callable[[], dict[str, str]]) -> None:
    fill([float(n) for n in range(40)])
    page = written()["readings.html"]
    assert "<b>dry" not in page
    assert "&lt;b&gt;dry" in page


def test_key_figures_are_those_of_the_rows(warehouse, fill: Fill) -> None:
    fill([1.0, 2.0, None, 4.0, 3.0, 2.5, 1.5, 2.0, 2.0, 90.0])
    with warehouse.engine.connect() as connection:
        [found] = reading.portraits(connection, warehouse.spec)
    level = found.exact["level_m"]
    assert (level["n"], level["min"], level["max"], level["iqr"], level["z"]) == (9, 1.0, 90.0, 1, 1)
    assert found.distributions["level_m"].quantile(0.5) == 2.0
    assert found.outliers["level_m"] == [(START + timedelta(hours=9), 90.0)]
    assert found.bins["n_level_m"].tolist() == [1, 1, 0, 1, 1, 1, 1, 1, 1, 1]


def test_an_hour_without_rows_is_a_step_without_rows(warehouse, fill: Fill) -> None:
    fill([float(n) for n in range(10)])
    warehouse.sql("delete from core.readings where level_m = 3")
    with warehouse.engine.connect() as connection:
        [found] = reading.portraits(connection, warehouse.spec)
    assert found.step.name == "hour"
    assert found.bins["rows"].tolist() == [1, 1, 1, 0, 1, 1, 1, 1, 1, 1]


def test_quarantined_rows_are_counted_at_their_own_time(
    warehouse, fill: Fill, written: Callable[[], dict[str, str]]
) -> None:
    fill([1.0, 2.0, 3.0])
    number = warehouse.one("select min(payload_id) from raw.payload")
    warehouse.sql(
        "insert into ops.quarantine (pipeline, source, window_start_at, window_end_at, payload_id, row_number, rule,"
        " column_name, reason, raw_row, run_id, valid_at, fetched_at, pending)"
        " select 'readings', 'meter', %s, %s, %s, n, 'range', 'level_m', 'level_m = -200', '{}', 'r', %s, %s, '{}'"
        " from generate_series(1, 3) n",
        *(START, START + timedelta(days=1), number, START + timedelta(hours=1), START),
    )
    with warehouse.engine.connect() as connection:
        [found] = reading.portraits(connection, warehouse.spec)
    assert found.quarantined == [(START + timedelta(hours=1), 3)]
    page = written()["readings.html"]
    assert "3 rows of the source are quarantined" in page
    assert "level_m = -200" in page


def test_a_big_table_is_sampled_and_says_so(
    fill: Fill, written: Callable[[], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "SAMPLE_ROWS", 50)
    fill([float(n % 11) for n in range(200)])
    first = written()["readings.html"]
    assert "Sampled." in first
    assert "200 rows" in first
    assert written()["readings.html"] == first


def test_a_column_whose_few_values_no_sampled_row_has_says_so(
    warehouse, fill: Fill, written: Callable[[], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "SAMPLE_ROWS", 50)
    fill([None, 1.0] + [None] * 198)
    with warehouse.engine.connect() as connection:
        [portrait] = reading.portraits(connection, warehouse.spec)
    assert (portrait.exact["level_m"]["n"], portrait.sample["level_m"].count()) == (1, 0)
    assert "No sampled row has a value." in written()["readings.html"]


def test_one_row_and_columns_without_any_value_make_a_page(fill: Fill, written: Callable[[], dict[str, str]]) -> None:
    fill([None])
    assert "No row has a value." in written()["readings.html"]


def test_checks_that_did_not_hold_are_shown(warehouse, fill: Fill, written: Callable[[], dict[str, str]]) -> None:
    fill([1.0, 2.0])
    warehouse.sql(
        "insert into ops.quality_result (pipeline, source, window_start_at, window_end_at, batch_sha256, rule,"
        " column_name, severity, is_passed, row_count, unexpected_count, observed, expected, run_id, stage, dimension)"
        " values ('readings', 'meter', now(), now(), 'x', 'completeness', 'level_m', 'warn', false, 2, 2,"
        " '2 of 2 rows break it', 'at least 80%% have a value', 'r', 'core', 'completeness')"
    )
    page = written()["readings.html"]
    assert "2 of 2 rows break it" in page
    assert "Every check held" not in page


def test_an_empty_warehouse_writes_nothing_and_says_what_to_do(
    warehouse_url: str, spec: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report.main(warehouse_url, {"readings": spec}, tmp_path / "eda") == 0
    assert capsys.readouterr().out == "No EDA report: nothing is loaded yet; make run loads it.\n"
    assert not (tmp_path / "eda").exists()


def test_a_warehouse_that_does_not_run_writes_nothing_and_says_what_to_do(
    spec: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str], free_ports: Callable[[], int]
) -> None:
    url = f"postgresql://warehouse:none@127.0.0.1:{free_ports()}/warehouse"
    assert report.main(url, {"readings": spec}, tmp_path / "eda") == 0
    assert "make run" in capsys.readouterr().out
    assert not (tmp_path / "eda").exists()
