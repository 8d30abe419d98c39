"""What people answer with ops.label() is a version of the target: it enters trainings that could know it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pytest
import sqlalchemy.exc

from include.features.read import feature_rows
from include.steps.run import Run
from include.steps.snapshot import take_snapshot
from include.warehouse import removal
from include.warehouse.batch import RunRef
from include.windows import Window

JANUARY = Window.parse("2025-01-01", "2025-02-01")
ROWS = 240  # hours: the first ten days
LAST = JANUARY.start + timedelta(hours=ROWS - 1)  # its target, an hour later, never came
AT = JANUARY.start + timedelta(hours=30)
ASK = """
insert into ops.label_request
    (pipeline, entity, valid_at, why, doubt, predicted, model_version, least, most, allowed, run_id)
values ('readings', '', %s, 'surprising', 2, 1, 1, %s, %s, %s, 'm1') returning request_id
"""


@pytest.fixture
def filled(warehouse) -> Any:
    """Ten days of readings are loaded."""
    hours = [JANUARY.start + timedelta(hours=hour) for hour in range(ROWS)]
    warehouse.load(warehouse.batch([{"valid_at": at, "level_m": 1.0 + at.hour} for at in hours]))
    warehouse.build_features()
    return warehouse


def ask(
    warehouse: Any, at: datetime = AT, least: float | None = 0, most: float | None = 50, allowed: Any = None
) -> int:
    return int(warehouse.one(ASK, at, least, most, allowed))


def label(warehouse: Any, number: int, value: float, known_at: datetime | None = None) -> None:
    """Answer a request, as if it had been at a time."""
    warehouse.sql("select ops.label(%s, %s, 'read again')", number, value)
    if known_at:
        warehouse.sql("update ops.label_request set answered_at = %s where request_id = %s", known_at, number)


def targets(warehouse: Any, known_before: datetime) -> Any:
    return feature_rows(warehouse.engine, warehouse.spec, None, known_before).set_index("valid_at")


def test_a_label_known_before_the_cut_enters_the_snapshot_and_a_later_one_does_not(filled) -> None:
    label(filled, ask(filled), 42.0, JANUARY.end - timedelta(days=1))
    label(filled, ask(filled, AT + timedelta(days=1)), 43.0, JANUARY.end)
    run = Run(
        filled.spec, RunRef("train_readings", "t"), JANUARY.to_dict(), None, [], JANUARY.end, filled.engine, filled.lake
    )
    rows = filled.lake.get_frame(take_snapshot(run)["uri"]).set_index("valid_at")
    assert rows["target"][AT] == 42.0
    assert rows["target"][AT + timedelta(days=1)] == 8.0
    assert len(rows) == ROWS - 1
    assert rows["target_known_at"][AT] == AT + timedelta(hours=1), "like a revision: the row stays where it was"


def test_a_target_that_never_came_is_known_since_the_person_told_it(filled) -> None:
    told_at = JANUARY.end - timedelta(days=2)
    label(filled, ask(filled, LAST), 7.0, told_at)
    before, after = targets(filled, told_at), targets(filled, JANUARY.end)
    assert before["target"].isna()[LAST]
    assert before["target_known_at"].isna()[LAST]
    assert (after["target"][LAST], after["target_known_at"][LAST]) == (7.0, told_at)


def test_a_label_enters_only_trainings_of_the_target_it_was_asked_for(filled) -> None:
    own, another = ask(filled), ask(filled, AT + timedelta(hours=1))
    filled.sql("update ops.label_request set target = %s where request_id = %s", filled.spec.target.identity, own)
    filled.sql("update ops.label_request set target = 'level_m, 9 rows ahead' where request_id = %s", another)
    label(filled, own, 42.0)
    label(filled, another, 43.0)
    rows = targets(filled, datetime.now(UTC) + timedelta(days=1))
    assert rows["target"][AT] == 42.0
    assert rows["target"][AT + timedelta(hours=1)] != 43.0


def test_the_feature_table_stays_as_it_was(filled) -> None:
    before = filled.sql("select * from feature.readings order by valid_at")
    label(filled, ask(filled), 42.0)
    assert filled.sql("select * from feature.readings order by valid_at") == before


def test_the_answer_keeps_its_author_and_reason(filled) -> None:
    number = ask(filled)
    earliest = datetime.now(UTC) - timedelta(minutes=1)
    label(filled, number, 42.0)
    [(value, reason, by, at)] = filled.sql("select value, reason, answered_by, answered_at from ops.label_request")
    assert (value, reason, by) == (42.0, "read again", "warehouse")
    assert at > earliest


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("{number} + 1000, 4, 'why'", "there is no request"),
        ("null, 4, 'why'", "there is no request"),
        ("{number}, -0.1, 'why'", "the contract of readings does not take -0.1"),
        ("{number}, 50.5, 'why'", "(?s)does not take 50.5.*it takes a number, at least 0, at most 50, one of 1 2.5 42"),
        ("{number}, 4, 'why'", "does not take 4"),
        ("{number}, null, 'why'", "does not take null"),
        ("{number}, 'NaN', 'why'", "does not take NaN"),
        ("{number}, '-Infinity', 'why'", "does not take -Infinity"),
        ("{number}, 2.5, ' '", "an answer needs a reason"),
        ("{number}, 2.5, null", "an answer needs a reason"),
    ],
)
def test_what_cannot_be_a_target_is_refused_with_the_way_out(filled, call: str, told: str) -> None:
    number = ask(filled, allowed=[1, 2.5, 42])
    with pytest.raises(sqlalchemy.exc.DBAPIError, match=told) as caught:
        filled.sql(f"select ops.label({call.format(number=number)})")
    assert isinstance(caught.value.orig, psycopg2.Error)
    assert filled.one("select count(*) from ops.label_request where answered_at is not null") == 0
    label(filled, number, 42.0)


def test_a_value_has_no_bounds_where_the_contract_has_none_and_infinity_is_none(filled) -> None:
    number = ask(filled, least=None, most=None)
    with pytest.raises(sqlalchemy.exc.DBAPIError, match="does not take Infinity"):
        label(filled, number, float("inf"))
    label(filled, number, -1e9)


def test_an_answer_is_not_overwritten(filled) -> None:
    number = ask(filled)
    label(filled, number, 42.0)
    with pytest.raises(sqlalchemy.exc.DBAPIError, match=r"(?s)was answered by warehouse at .*: 42.*ops.flag"):
        label(filled, number, 43.0)
    assert filled.one("select value from ops.label_request") == 42.0


def test_requests_and_labels_go_with_their_pipeline(filled) -> None:
    label(filled, ask(filled), 42.0)
    with filled.engine.begin() as connection:
        assert removal.shared_rows(connection, "readings")["ops.label_request"] == 1
        removal.remove(connection, "readings")
    assert filled.one("select count(*) from ops.label_request") == 0
