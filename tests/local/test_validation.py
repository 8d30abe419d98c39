"""All that is wrong in the files people write is told at once, and is gone once it is mended."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from include.local import environment
from include.local.validation import faults_of_all
from include.settings import Settings, settings

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = ROOT / "airflow_settings.yaml"
MINIMAL = ROOT / "tests" / "unit" / "spec" / "minimal.yaml"
Faults = Callable[..., dict[str, list[str]]]


@pytest.fixture
def written(options: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder of pipelines with one that is right."""
    monkeypatch.setenv("CICLO_PIPELINES", str(tmp_path / "pipelines"))
    settings.cache_clear()
    while settings().pipelines != tmp_path / "pipelines":  # a thread of an earlier test put back what it had read
        settings.cache_clear()
    file = tmp_path / "pipelines" / "peso" / "pipeline.yaml"
    file.parent.mkdir(parents=True)
    shutil.copy(MINIMAL, file)
    return file


@pytest.fixture
def faults(tmp_path: Path) -> Faults:
    """Give a function that looks at all files, with ``airflow_settings.yaml`` edited."""

    def look(old: str = "", new: str = "") -> dict[str, list[str]]:
        assert old in SETTINGS.read_text()
        edited = tmp_path / SETTINGS.name
        edited.write_text(SETTINGS.read_text().replace(old, new, 1) if old else SETTINGS.read_text())
        return faults_of_all(os.environ | environment.component_env(), edited)

    return look


def change(file: Path, old: str, new: str) -> int:
    """Edit a file and return the line of the change."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1


def test_what_ships_has_no_fault_whether_its_variables_are_set_or_not_asked_for(
    options: Settings, faults: Faults
) -> None:
    assert faults() == faults_of_all(environ=None) == {}
    assert list(faults_of_all(environ={})) == [SETTINGS.name]


@pytest.mark.parametrize(
    ("old", "new", "field", "fix"),
    [
        ("connection: banxico_api", "connection: nope_api", "sources.fix.connection", "declare it in airflow_settings"),
        ("unit: MXN/USD", "unit: pesos", "sources.fix.columns.fix_mxn.unit", "Any other is written like"),
        ("30 13 * * 1-5", "30 25 * * 1-5", "schedule.cron", "write 0 to 23"),
        ("pipeline: peso", "pipeline: dollar", "pipeline", "rename one of them"),
    ],
)
def test_a_fault_is_told_with_file_line_field_and_fix_until_it_is_mended(
    written: Path, faults: Faults, old: str, new: str, field: str, fix: str
) -> None:
    line = change(written, old, new)
    [fault] = faults()["peso"]
    assert fault.startswith(f"{written}:{line}: {field}: ")
    assert fix in fault
    change(written, new, old)
    assert faults() == {}


def test_a_connection_that_lacks_its_pool_alone_is_told(written: Path, faults: Faults) -> None:
    [fault] = faults("pool_name: banxico_api", "pool_name: banxico")["peso"]
    assert "'banxico_api' is not declared as a pool; declare it" in fault


def test_where_alerts_go_has_to_be_declared_and_needs_no_pool(written: Path, faults: Faults) -> None:
    change(written, "sources:", "alerts: {to: [{kind: webhook, connection: ops_chat}]}\n\nsources:")
    [told] = faults()["peso"]
    assert re.search(
        r"pipeline\.yaml:\d+: alerts\.to\[0\]\.connection: 'ops_chat' is not declared as a connection;", told
    )


def test_the_connection_of_a_queue_has_to_be_declared_and_needs_no_pool(written: Path, faults: Faults) -> None:
    queue = "events: {queue: {scheme: kafka, connection: brokers, topics: [a]}}\n\nsources:"
    change(written, "sources:", queue)
    told = [fault for fault in faults()["peso"] if "events.queue.connection" in fault]
    assert ["'brokers' is not declared as a connection; " in fault for fault in told] == [True]


def test_what_is_wrong_with_the_declarations_does_not_hide_what_is_wrong_with_a_pipeline(
    written: Path, faults: Faults
) -> None:
    change(written, "tier_3", "tier_9")
    told = faults("pool_slot: 2", "pool_slot: 0")
    assert list(told) == ["airflow_settings.yaml", "peso"]
    assert "pool_slot: '0' is no whole number from 1" in told["airflow_settings.yaml"][0]


@pytest.mark.parametrize(
    ("name", "fault"),
    [("pipeline.yml", "has the wrong ending; rename it"), ("notes.txt", "cannot be read (No such file")],
)
def test_a_folder_whose_file_is_called_otherwise_is_told_and_the_others_go_on(
    written: Path, faults: Faults, name: str, fault: str
) -> None:
    other = written.parents[1] / "other" / name
    other.parent.mkdir()
    other.write_text("")
    (written.parents[1] / "__pycache__").mkdir()
    told = faults()
    assert list(told) == ["other"]
    assert fault in told["other"][0]
