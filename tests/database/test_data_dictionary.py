"""The data dictionary says what the database says, and a page that says something else is noticed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from include.errors import ConfigError
from include.reporting import erd
from include.reporting.data_dictionary import inspect, main, page
from include.reporting.facts import contract
from include.spec.load import load_all
from include.spec.model import Column, Pipeline
from include.warehouse.engine import connect_engine


@pytest.fixture
def dictionary(warehouse_url: str, tmp_path: Path) -> Callable[..., int]:
    """Give a function that writes or checks a page of the test's own; what it is given runs in the database first."""

    def run(*arguments: str, sql: str = "", pipelines: dict[str, Pipeline] | None = None) -> int:
        if sql:
            with connect_engine(warehouse_url).begin() as connection:
                connection.exec_driver_sql(sql)
        return main(arguments, warehouse_url, pipelines or load_all(), tmp_path / "data_dictionary.md")

    return run


def changed(path: str, fact: dict[str, object]) -> dict[str, Pipeline]:
    """Return the shipped pipelines, one column's facts changed."""
    pipelines = load_all()
    name, source, column = path.split(".")
    document = pipelines[name].model_dump(mode="json", by_alias=True, exclude_unset=True)
    document["sources"][source]["columns"][column] |= fact
    return pipelines | {name: Pipeline.model_validate(document)}


def test_the_page_has_every_table_and_column_with_its_comment(warehouse_url: str) -> None:
    schemas = inspect(warehouse_url, load_all())
    written = page(schemas, load_all())
    assert [schema.name for schema in schemas] == ["raw", "core", "feature", "ml", "ops", "mart"]
    for table in (table for schema in schemas for table in schema.tables):
        part = written.partition(f"### {table.full_name}")[2].partition("\n### ")[0]
        assert str(table.comment).rstrip(".") in part
        own = [column for column in table.columns if not table.name.endswith("_history") or column.name in part]
        assert all(f"| `{column.name}` |" in part or f"`{column.name}`" in part for column in own)
    assert "Carbon monoxide, hourly mean of the reference analyser. Unit: mg/m3" in written
    assert "0 to 50 mg/m3" in written
    assert "Creative Commons Attribution 4.0" in written


def test_a_history_is_told_by_what_it_has_beside_its_table(warehouse_url: str) -> None:
    written = page(inspect(warehouse_url, load_all()), load_all())
    part = written.partition("### core.air_quality_history")[2].partition("\n### ")[0]
    assert "`superseded_at`" in part
    assert "`co_mg_m3`" not in part


def test_a_page_just_written_is_current(dictionary: Callable[..., int]) -> None:
    assert dictionary() == 0
    assert dictionary("--check") == 0


def test_a_page_that_was_never_written_is_stale(
    dictionary: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert dictionary("--check") == 1
    assert "data_dictionary.md is not what the database and the pipelines say now: make docs" in capsys.readouterr().err


@pytest.mark.parametrize(
    "sql",
    [
        "comment on column ops.run.pipeline is 'Something else'",
        "comment on table raw.payload is 'Something else'",
        "alter table ops.alert add column told_count bigint; comment on column ops.alert.told_count is 'How often'",
        "alter table ops.alert alter column message drop not null",
    ],
)
def test_a_change_in_the_database_makes_the_page_stale(
    dictionary: Callable[..., int], capsys: pytest.CaptureFixture[str], sql: str
) -> None:
    dictionary()
    assert dictionary("--check", sql=sql) == 1
    assert "make docs (line " in capsys.readouterr().err


@pytest.mark.parametrize("fact", [{"max": 60}, {"completeness": 0.7}, {"note": "Another reason."}, {"decimals": 2}])
def test_a_changed_column_fact_makes_the_page_stale(dictionary: Callable[..., int], fact: dict[str, object]) -> None:
    dictionary()
    assert dictionary("--check", pipelines=changed("air_quality.station.co_mg_m3", fact)) == 1


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("create view mart.unexplained as select 1 as one", "mart.unexplained, mart.unexplained.one"),
        ("comment on column ops.run.pipeline is null", "ops.run.pipeline"),
        ("create function ops.unsaid(number bigint) returns bigint language sql return number", "ops.unsaid"),
        ("create schema stray", "stray"),
    ],
)
def test_what_has_no_comment_is_named_and_nothing_is_written(
    dictionary: Callable[..., int], tmp_path: Path, sql: str, named: str
) -> None:
    with pytest.raises(ConfigError, match=f"without a comment: {named}"):
        dictionary(sql=sql)
    assert not (tmp_path / "data_dictionary.md").exists()


def test_the_diagram_has_every_table_its_keys_and_what_leads_where(warehouse_url: str) -> None:
    schemas = inspect(warehouse_url, load_all())
    drawn = erd.page(schemas)
    for table in (table for schema in schemas for table in schema.tables if not table.current):
        assert (f'["{table.full_name}"]' in drawn) is (not table.is_view or table.full_name.startswith("mart."))
    assert "raw_payload ||--o{ ops_quarantine : payload_id" in drawn, "a foreign key"
    assert "raw_payload ||--o{ core_usdmxn : payload_id" in drawn, "a column whose comment says where it leads"
    assert "ml_decision ||..o{ mart_live_version : shows" in drawn


def test_a_table_that_the_diagram_lacks_makes_it_stale(
    dictionary: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    dictionary()
    made = "create table ops.told (told_id bigint primary key); comment on table ops.told is 'Told';"
    assert dictionary("--check", sql=f"{made} comment on column ops.told.told_id is 'Number'") == 1
    assert "erd.md is not what the database and the pipelines say now: make docs" in capsys.readouterr().err


def test_a_fact_that_columns_gain_is_told_without_being_known_here() -> None:
    class Gauged(Column):
        gauge: str | None = None

    column = Gauged.model_validate({"from": "x", "unit": "m", "description": "A level", "gauge": "brass"})
    assert "gauge `brass`" in contract(column)


def test_what_a_text_says_neither_breaks_its_table_nor_becomes_html(warehouse_url: str) -> None:
    schemas = inspect(warehouse_url, {})
    with connect_engine(warehouse_url).begin() as connection:
        connection.exec_driver_sql("comment on column ops.run.pipeline is 'one | two <b> and `a|b<c`'")
    schemas = inspect(warehouse_url, {})
    assert "| one \\| two &lt;b> and `a\\|b<c` |" in page(schemas, {})
