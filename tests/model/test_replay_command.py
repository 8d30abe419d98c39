"""``ciclo replay`` as people call it, on a real warehouse and without Airflow or MLflow."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from include.commands.cli import app
from include.errors import CicloError, ConfigError, NothingToDo
from include.features.table import refresh
from include.lake.store import Lake
from include.local import postgres, preparation
from include.local.environment import database_url
from include.promotion.ledger import append
from include.settings import settings
from include.spec.load import load_each
from include.warehouse.engine import connect_engine
from include.warehouse.migrate import upgrade
from include.windows import Window

PLANT = Path(__file__).with_name("plant.yaml").read_text("utf-8")
PLAN = "replay: {start: 2024-01-01, end: 2024-03-11, step: week}"
SPAN = Window.parse("2024-01-01", "2024-03-11")


@pytest.fixture(scope="module")
def server(own_postgres_url: str) -> str:
    """Give a server with our databases, and a migrated warehouse to make others of."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CICLO_POSTGRES_URL", own_postgres_url)
        settings.cache_clear()
        preparation.create_databases()
        upgrade(database_url("warehouse"))
        with closing(postgres.connect(own_postgres_url)) as link, link.cursor() as cursor:
            cursor.execute("alter database warehouse rename to migrated")
    settings.cache_clear()
    return own_postgres_url


@pytest.fixture
def world(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plant_of: Callable[..., Any]) -> Iterator[Any]:
    """Give the plant with a weekly plan, on the warehouse that commands read, empty for each test."""
    folder = tmp_path / "pipelines" / "plant"
    folder.mkdir(parents=True)
    (folder / "pipeline.yaml").write_text(PLANT.replace("replay: {start: 2024-01-01, end: 2024-03-01}", PLAN))
    monkeypatch.setenv("CICLO_POSTGRES_URL", server)
    monkeypatch.setenv("CICLO_PIPELINES", str(folder.parent))
    settings.cache_clear()
    with closing(postgres.connect(server)) as link, link.cursor() as cursor:
        cursor.execute("create database warehouse owner warehouse template migrated strategy file_copy")
        engine = connect_engine(database_url("warehouse"))
        yield plant_of(load_each()[0]["plant"], engine, Lake(f"file://{tmp_path}/lake"))
        engine.dispose()
        cursor.execute("drop database warehouse with (force)")
    settings.cache_clear()


@pytest.fixture
def loaded(world: Any, readings: Any) -> Any:
    """Give the plant with ten weeks of rows, whose relation changes after the fifth."""
    early, late = Window.parse("2024-01-01", "2024-02-05"), Window.parse("2024-02-05", "2024-03-11")
    world.load(SPAN, pd.concat([readings(early), readings(late, slope=-1.0)], ignore_index=True))
    return world


def replay(*arguments: str) -> list[str]:
    """Call the command and return the lines it prints; its errors are raised."""
    result = CliRunner().invoke(app, ["replay", "plant", *arguments], env={"COLUMNS": "200"})
    if isinstance(result.exception, CicloError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def rows_of(lines: list[str]) -> dict[str, list[str]]:
    """Return the table's rows by their first cell; a cell that goes on in the next line is put together."""
    rows: dict[str, list[str]] = {}
    for line in (line for line in lines if line.startswith("│")):
        first, *others = (cell.strip() for cell in line[1:-1].split("│"))
        name = first or list(rows)[-1]
        rows[name] = [f"{old} {new}".strip() for old, new in zip(rows.get(name, [""] * 8), others, strict=True)]
    return rows


def champion(world: Any, version: int, candidate: str, verdict: str = "promote") -> None:
    evidence = {"chosen": candidate} if verdict == "promote" else {}
    with world.engine.begin() as connection:
        ref = world.run("train", f"v{version}").ref
        append(connection, "plant", SPAN, verdict, ["for the test"], evidence, version, ref)


def test_it_prints_the_policies_and_the_best_of_each_size(loaded: Any) -> None:
    lines = replay("--candidate", "linear")
    rows = rows_of(lines)
    assert list(rows)[:4] == ["never", "every_window", "published", "default"]
    assert sum(name.startswith("best of") for name in rows) == 8
    assert rows["never"][0] == "0"
    assert rows["every_window"][4] == "+0.0"
    assert rows["every_window"][7] == "2024-01-15 to 2024-02-26"
    assert float(rows["default"][6]) < float(rows["never"][6])
    assert "fits linear on all but the held-out days" in " ".join(lines)
    assert not any("SIMULATED" in line for line in lines)


def test_the_recipe_is_the_champions_by_the_ledger_also_after_a_rollback(loaded: Any) -> None:
    champion(loaded, 1, "linear")
    assert any("fits linear" in line for line in replay("--policy", "never"))
    champion(loaded, 2, "naive")
    assert any("fits naive" in line for line in replay("--policy", "never"))
    champion(loaded, 1, "linear", verdict="rollback")
    assert any("fits linear" in line for line in replay("--policy", "never"))


def test_it_writes_the_error_over_time_and_a_page(loaded: Any, tmp_path: Path) -> None:
    files = ("--csv", str(tmp_path / "error.csv"), "--chart", str(tmp_path / "page.html"))
    told = replay("--candidate", "linear", "--policy", "never", "--policy", "default", *files)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "error.csv").read_text())))
    assert len(rows) == 2 * 10
    assert {row["policy"] for row in rows} == {"never", "default"}
    assert "<svg" in (tmp_path / "page.html").read_text()
    assert f"Chart: {tmp_path / 'page.html'}" in told


def test_whole_trainings_are_played_with_their_gate(loaded: Any) -> None:
    rows = rows_of(replay("--all-candidates", "--policy", "every_window"))
    trainings, _, promotions, *_ = rows["every_window"]
    assert 1 <= int(promotions) < int(trainings) == 7


def test_a_policy_is_suggested_on_the_first_part_and_reported_on_the_rest(loaded: Any) -> None:
    told = " ".join(replay("--candidate", "linear", "--policy", "never", "--suggest"))
    assert "on the windows up to 2024-" in told
    assert "on the windows after it" in told


def test_days_and_a_price_are_taken(loaded: Any) -> None:
    days = ("--from", "2024-01-15", "--to", "2024-02-26")
    lines = replay("--candidate", "linear", "--policy", "every_window", "--price", "10", *days)
    assert "2024-01-15 to 2024-02-26" in lines[0]
    assert rows_of(lines)["every_window"][5] == "10.00"


def test_excluded_rows_and_simulated_data_are_told_and_left_out(loaded: Any) -> None:
    before = replay("--candidate", "linear", "--policy", "never")
    with loaded.engine.begin() as connection:
        mark = "select ops.flag('plant', '2024-02-12', '2024-02-19', 'analyst', 'the sensor was off')"
        connection.exec_driver_sql(mark)
        connection.exec_driver_sql("update raw.payload set is_simulated = true")
    refresh(loaded.engine, loaded.spec)
    after = replay("--candidate", "linear", "--policy", "never")
    assert rows_of(after)["never"] != rows_of(before)["never"]
    assert "SIMULATED" in after[0]
    assert "SIMULATED sources: meter." in after


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--policy", "nevr"], r"plant has no policy 'nevr': did you mean 'never'\?; .*monitoring\.policies in "),
        (["--candidate", "forest"], "plant has no candidate 'forest': use one of naive, linear"),
        (["--candidate", "linear", "--all-candidates"], "leave --candidate out"),
        ([], "it has no champion yet; say which recipe to train with --candidate, one of naive, linear"),
        (["--candidate", "linear", "--from", "soon"], "--from 'soon' is no day: write it like 2004-09-01"),
        (["--candidate", "linear", "--from", "2024-09-01"], "nothing lies between 2024-09-01 and 2024-03-11"),
    ],
)
def test_what_cannot_be_played_is_one_sentence_with_the_way_out(loaded: Any, arguments: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        replay(*arguments)


def test_before_anything_is_loaded_it_says_so(world: Any) -> None:
    with pytest.raises(NothingToDo, match="nothing is loaded yet: play its plan with ciclo run plant"):
        replay("--candidate", "linear")


def test_too_few_windows_are_told(loaded: Any) -> None:
    with pytest.raises(NothingToDo, match=r"1 of the 2 windows .* end with the 200 rows that a training needs"):
        replay("--candidate", "linear", "--to", "2024-01-15")


def test_a_champion_of_a_candidate_that_is_gone_is_told(loaded: Any) -> None:
    champion(loaded, 1, "boosting")
    with pytest.raises(ConfigError, match=r"its champion is a boosting, which pipeline.yaml no longer has"):
        replay()


def test_a_warehouse_that_is_down_is_told_as_everywhere(
    monkeypatch: pytest.MonkeyPatch, loaded: Any, free_ports: Callable[[], int]
) -> None:
    monkeypatch.setenv("CICLO_POSTGRES_URL", f"postgresql://postgres:x@127.0.0.1:{free_ports()}/postgres")
    settings.cache_clear()
    with pytest.raises(ConfigError, match="make run or ciclo up"):
        replay("--candidate", "linear")


def test_an_unknown_pipeline_is_told(loaded: Any) -> None:
    result = CliRunner().invoke(app, ["replay", "plnt"])
    assert isinstance(result.exception, ConfigError)
    assert str(result.exception) == "there is no pipeline plnt; there are plant"
