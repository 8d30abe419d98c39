"""A warehouse that an earlier version filled is upgraded with nothing lost and nothing to be trained again."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import psycopg2
import pytest
from alembic import command
from alembic.config import Config

import include.warehouse.migrate as migrate
from include.local.postgres import with_database
from include.promotion import chain
from include.warehouse.batch import Batch
from include.warehouse.engine import connect_engine
from include.windows import Window

JANUARY = Window.parse("2025-01-01", "2025-02-01")

# What the version before features had tables of their own left behind, a row or two of each table that changes.
BEFORE = """
insert into ops.run (dag_id, run_id, pipeline, window_start_at, window_end_at, received_count, inserted_count,
    revised_count, unchanged_count, quarantined_count, checks_passed_count, checks_total_count, is_simulated, loaded_at)
values ('ingest_p', 'r1', 'p', '2025-01-01', '2025-02-01', 3, 3, 0, 0, 0, 5, 5, false, '2025-02-01');
insert into ml.prediction (pipeline, entity, valid_at, model_version, predicted, lower_bound, upper_bound, is_seen,
    is_simulated, run_id)
values ('p', '', '2025-01-01', 1, 1.5, 1, 2, true, false, 's1'),
    ('p', '', '2025-01-31', 1, 2.5, 2, 3, false, false, 's1');
insert into ops.quarantine (pipeline, source, window_start_at, window_end_at, rule, column_name, reason, status,
    fetched_at, pending, run_id)
values ('p', 's', '2025-01-01', '2025-02-01', 'range', 'a', 'too high', 'accepted', '2025-02-01',
    '{[2025-01-01, 2025-02-01)}', 'r1');
insert into ops.alert (pipeline, kind, message, run_id) values ('p', 'failure', 'no way', 'r1');
insert into feature.vector values ('p', '', '2025-01-31', 1, '{"a": 1}');
insert into ml.drift (pipeline, window_start_at, window_end_at, model_version, feature, row_count,
    threshold_pct, is_breached)
values ('p', '2025-01-01', '2025-02-01', 1, 'a', 3, 10, false);
insert into ml.performance (pipeline, window_start_at, window_end_at, model_version, row_count, r2, rmse, mae, coverage)
values ('p', '2025-01-01', '2025-02-01', 1, 3, 0.5, 1, 1, 0.9);
insert into ml.profile (pipeline, scope, scope_id, feature, row_count, null_count, mean)
values ('p', 'window', '2025-01-01..2025-02-01', 'a', 3, 1, 2.5), ('p', 'snapshot', 's', 'a', 3, 0, 2.5);
insert into ml.decision (pipeline, window_start_at, window_end_at, verdict, reasons, evidence, model_version,
    dag_id, run_id)
values ('p', '2025-01-01', '2025-02-01', 'promote', array['first'], '{}', 1, 'train_p', 't1');
"""


@pytest.fixture
def old_database(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database as revision 0003 left it, with rows."""
    name = f"old_{uuid4().hex[:12]}"
    with closing(psycopg2.connect(postgres_url)) as link:
        link.autocommit = True
        link.cursor().execute(f"create database {name}")
        url = with_database(postgres_url, name)
        with monkeypatch.context() as patch:
            patch.setattr(command, "upgrade", lambda config, _, upgrade=command.upgrade: upgrade(config, "0003"))
            migrate.upgrade(url)
        with closing(psycopg2.connect(url)) as old:
            old.autocommit = True
            old.cursor().execute(BEFORE)
        yield url
        link.cursor().execute(f"drop database {name} with (force)")


def rows(url: str, query: str) -> list[tuple]:
    with closing(psycopg2.connect(url)) as link, link.cursor() as cursor:
        cursor.execute("set timezone = 'UTC'")
        cursor.execute(query)
        return cursor.fetchall()


def downgrade(url: str, revision: str) -> None:
    engine = connect_engine(url)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(migrate.Path(migrate.__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
    engine.dispose()


def test_nothing_is_lost(old_database: str) -> None:
    kept = {
        "select valid_at, predicted, lower_bound, upper_bound, model_version, run_id from ml.prediction order by 1",
        "select entity, valid_at, features from feature.vector",
        "select verdict, reasons, model_version, decided_at from ml.decision",
        "select run_id, inserted_count from ops.run",
        "select kind, message from ops.alert",
        "select scope, scope_id, feature, row_count, null_count, mean from ml.profile order by 1",
    }
    before = {query: rows(old_database, query) for query in kept}
    migrate.upgrade(old_database)
    assert {query: rows(old_database, query) for query in kept} == before
    engine = connect_engine(old_database)
    with engine.connect() as connection:
        assert chain.verify(connection, "p") == (1, None), "the decisions that were there are chained"
    engine.dispose()


def test_figures_of_the_monitor_become_rows_and_come_back(old_database: str) -> None:
    before = rows(old_database, "select row_count, r2, rmse, mae, coverage from ml.performance")
    migrate.upgrade(old_database)
    assert rows(old_database, "select kind, subject, statistic, value, status, row_count from ml.drift") == [
        ("covariate", "a", "mean_shift_pct", None, "unknown", 3)
    ]
    assert dict(rows(old_database, "select statistic, value from ml.performance where status = 'ok'")) == {
        "r2": 0.5, "rmse": 1.0, "mae": 1.0, "coverage": 0.9,
    }  # fmt: skip
    downgrade(old_database, "0014")
    assert rows(old_database, "select row_count, r2, rmse, mae, coverage from ml.performance") == before
    assert rows(old_database, "select feature, is_breached from ml.drift") == [("a", False)]


def test_going_back_drops_the_references_and_keeps_the_profiles_of_before(old_database: str) -> None:
    scopes = "select scope from ml.profile order by 1"
    migrate.upgrade(old_database)
    with closing(psycopg2.connect(old_database)) as link, link, link.cursor() as cursor:
        cursor.execute(
            "insert into ml.profile (pipeline, scope, scope_id, feature, row_count, reference)"
            " values ('p', 'version', '1', '*', 3, 'bytes')"
        )
    downgrade(old_database, "0015")
    assert rows(old_database, scopes) == [("snapshot",), ("window",)]
    migrate.upgrade(old_database)
    assert rows(old_database, scopes) == [("snapshot",), ("window",)]


def test_what_is_new_is_told_of_what_is_old(old_database: str) -> None:
    migrate.upgrade(old_database)
    assert rows(old_database, "select kind, is_honest from ml.prediction order by valid_at") == [
        ("batch", False),
        ("batch", True),
    ]
    assert rows(old_database, "select status, run_id from ops.window_status") == [("loaded", "r1")]
    assert rows(old_database, "select severity, status from ops.alert") == [("critical", "expired")], (
        "nobody is flooded"
    )
    assert rows(old_database, "select status, is_waiting from ops.quarantine") == [("overridden", True)]
    assert rows(old_database, "select version, to_at from mart.live_version") == [(1, None)]
    assert rows(old_database, "select count(*) from mart.latest_prediction") == [(2,)]
    assert rows(old_database, "select count(*) from feature.set") == [(0,)], "the next load builds the features"


def test_going_back_keeps_the_predictions_too(old_database: str) -> None:
    migrate.upgrade(old_database)
    downgrade(old_database, "0003")
    assert rows(old_database, "select is_seen from ml.prediction order by valid_at") == [(True,), (False,)]
    assert rows(old_database, "select status from ops.quarantine") == [("accepted",)]


def test_tables_of_sources_go_back_before_corrections_and_forth_again(warehouse, warehouse_url: str) -> None:
    facts = {"covers": (JANUARY.start, JANUARY.end), "fetched_at": JANUARY.end}
    first, second = warehouse.payload("a"), warehouse.payload("b", fetched_at="2025-02-02T00:00Z")

    def reread(level: float) -> Batch:
        batch = warehouse.batch([{"level_m": level}, {"at": 1, "level_m": 2.0}], payload_id=first)
        return replace(batch, is_reread=True, **facts)

    history = "select level_m{} from core.readings_history order by recorded_at"
    known = "select level_m from core.readings_as_of('2025-02-01T12:00Z') order by valid_at"
    warehouse.load(replace(reread(-200.0), is_reread=False))
    warehouse.load(warehouse.batch([{"at": 1, "level_m": 3.0}], payload_id=second), run_id="second")
    warehouse.load(reread(1.0), run_id="third")
    before = warehouse.sql("select * from core.readings order by valid_at"), warehouse.sql(known)
    assert sorted(warehouse.sql(history.format(", is_corrected"))) == [(-200.0, True), (2.0, False)]

    downgrade(warehouse_url, "0007")
    assert warehouse.sql(history.format("")) == [(2.0,)], "without the column nobody could tell what was misread"
    assert (warehouse.sql("select * from core.readings order by valid_at"), warehouse.sql(known)) == before

    migrate.upgrade(warehouse_url)
    assert warehouse.sql(history.format(", is_corrected")) == [(2.0, False)]
    assert (warehouse.sql("select * from core.readings order by valid_at"), warehouse.sql(known)) == before
    assert warehouse.one("select count(*) from ops.lineage where window_start_at is null") == 0
    warehouse.sql("update core.readings_history set is_corrected = true")
    assert warehouse.sql(known) == [(1.0,)], "the function passes over what was misread before anything is loaded"
    warehouse.sql("update core.readings_history set is_corrected = false")
    assert warehouse.load(reread(5.0), run_id="fourth").corrected == 1
    assert warehouse.sql(known) == [(5.0,), (2.0,)], "what was misread is seen as corrected, as before"


def test_tables_of_sources_go_back_before_deletions_and_forth_again(warehouse, warehouse_url: str) -> None:
    whole = warehouse.with_spec(lambda sources: sources["meter"].update(complete=True))
    facts = {"covers": (JANUARY.start, JANUARY.end)}
    known = "select level_m from core.readings_as_of('2025-03-01') order by valid_at"

    def answer(content: str, month: int, *levels: float) -> Batch:
        fetched_at = datetime(2025, month, 1, tzinfo=UTC)
        number = whole.payload(content, fetched_at=fetched_at.isoformat())
        rows = [{"at": hour, "level_m": level} for hour, level in enumerate(levels)]
        return replace(whole.batch(rows, payload_id=number), fetched_at=fetched_at, **facts)

    whole.load(answer("a", 2, 1.0, 2.0, 3.0))
    whole.load(answer("b", 3, 1.0, 2.0), run_id="second")
    assert whole.sql(known) == [(1.0,), (2.0,)]
    downgrade(warehouse_url, "0011")
    assert whole.sql(known) == [(1.0,), (2.0,), (3.0,)], "without the column nobody could tell what was deleted"
    migrate.upgrade(warehouse_url)
    assert whole.sql(known) == [(1.0,), (2.0,), (3.0,)]
    assert whole.load(answer("c", 4, 1.0), run_id="third").withdrawn == 1
    assert whole.sql(known) == [(1.0,), (2.0,), (3.0,)], "that was known in April"
    assert whole.sql(known.replace("-03-", "-04-")) == [(1.0,), (3.0,)]
