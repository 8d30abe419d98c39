"""A connection that nobody declared is told before a task waits for its pool for ever."""

from pathlib import Path

from include.spec.load import load, load_all, undeclared

MINIMAL = Path(__file__).with_name("minimal.yaml")


def test_every_shipped_pipeline_names_declared_connections():
    assert undeclared(load_all().values()) == []


def test_a_connection_that_is_not_declared_is_told_with_file_line_field_and_fix(tmp_path):
    file = tmp_path / "peso.yaml"
    file.write_text(MINIMAL.read_text().replace("connection: banxico_api", "connection: nope_api"))
    [fault] = undeclared([load(file)])
    line = file.read_text().splitlines().index("    connection: nope_api") + 1
    assert f"peso.yaml:{line}: sources.fix.connection: 'nope_api'" in fault
    assert "is not declared as a connection and a pool; declare it in airflow_settings.yaml" in fault


def test_a_connection_without_its_pool_is_told(tmp_path):
    settings = tmp_path / "airflow_settings.yaml"
    settings.write_text("airflow: {connections: [{conn_id: banxico_api}], pools: []}")
    [fault] = undeclared([load(MINIMAL)], settings)
    assert "is not declared as a pool" in fault
