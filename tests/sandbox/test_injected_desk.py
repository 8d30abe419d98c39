"""The simulated core banking with an injection, in a real PostgreSQL: the view shows it and no row is changed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg2
import pytest

from include.errors import SourceUnavailable
from include.sandbox.core_banking import seed
from include.sandbox.injected_desk import COLUMNS, apply
from include.sandbox.injection import CORE_BANKING, Injection, lot
from tests.sandbox.test_core_banking import COLUMNS as VIEW_COLUMNS
from tests.sandbox.test_core_banking import STATE

START, END = datetime(2025, 7, 1, tzinfo=UTC), datetime(2025, 8, 1, tzinfo=UTC)
SCALE = Injection("usdmxn", "operations.amount_usd", CORE_BANKING, "amount_usd", "scale", "1.5", START, END, factor=1.5)
LOST = replace(SCALE, kind="missing", factor=1.0, share=0.3)
TYPES = "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 'desk.operation'::regclass"


class Desk:
    """Applies injections and reads the view."""

    def __init__(self, url: str) -> None:
        self.url, self.link = url, psycopg2.connect(url)
        self.link.autocommit = True

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        with self.link.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    def operations(self, *injections: Injection) -> dict[int, tuple[Any, ...]]:
        """Return the changed columns by operation."""
        apply(self.url, injections)
        return self.shown()

    def shown(self) -> dict[int, tuple[Any, ...]]:
        return {row[0]: row[1:] for row in self.sql(f"SELECT operation_id, {', '.join(COLUMNS)} FROM desk.operation")}

    def touched(self) -> set[int]:
        rows = self.sql(
            f"SELECT operation_id FROM desk.operation WHERE executed_at >= '{START}' AND executed_at < '{END}'"
        )
        return {number for (number,) in rows}


@pytest.fixture(scope="module")
def desk(bank_url: str) -> Iterator[Desk]:
    seed(bank_url)
    desk = Desk(bank_url)
    yield desk
    desk.link.close()


def test_a_scaled_amount_takes_its_net_amount_along_and_rows_outside_stay(desk: Desk) -> None:
    before, after, touched = desk.operations(), desk.operations(SCALE), desk.touched()
    assert touched
    for number, (amount, side, is_bank_rate, net) in before.items():
        larger = (amount * Decimal("1.5")).quantize(Decimal("0.01")) if number in touched else amount
        assert after[number][0] == pytest.approx(larger, abs=Decimal("0.01"))
        assert after[number][1:3] == (side, is_bank_rate)
        assert abs(after[number][3]) == after[number][0]
        assert (after[number][3] > 0) == (net > 0)


@pytest.mark.parametrize(
    ("field", "constant", "place"),
    [("side_code", "buy", 1), ("is_bank_rate", True, 2), ("amount_usd", 12.5, 0), ("net_usd", 12.5, 3)],
)
def test_every_column_can_be_frozen_as_its_own_type(desk: Desk, field: str, constant: Any, place: int) -> None:
    frozen = replace(SCALE, field=field, kind="freeze", factor=1.0, constant=constant)
    after = desk.operations(frozen)
    assert {after[number][place] for number in desk.touched()} == {constant}
    assert dict(desk.sql(TYPES)) == VIEW_COLUMNS


def test_the_values_that_go_missing_are_those_that_the_other_services_would_lose(desk: Desk) -> None:
    after = desk.operations(LOST)
    gone = {number for number, row in after.items() if row[0] is None}
    assert gone == {number for number in desk.touched() if lot("amount_usd", str(number)) < 0.3}
    assert {after[number][3] for number in gone} == {None}


def test_what_has_gone_missing_is_not_frozen(desk: Desk) -> None:
    frozen = replace(SCALE, kind="freeze", factor=1.0, constant=12.5)
    after = desk.operations(LOST, frozen)
    assert {after[number][0] for number in desk.touched()} == {None, Decimal("12.50")}


def test_taken_back_everything_is_as_it_was_and_no_row_was_ever_changed(desk: Desk) -> None:
    state = desk.sql(STATE)
    before = desk.operations()
    desk.operations(SCALE, LOST)
    assert desk.sql(STATE) == state
    assert desk.operations() == before
    comment = "SELECT obj_description('desk.operation'::regclass), col_description('desk.operation'::regclass, 3)"
    assert desk.sql(comment)[0][0].startswith("SIMULATED")
    assert desk.sql(comment)[0][1]


def test_injections_of_other_services_are_none_of_its_own(desk: Desk) -> None:
    assert desk.operations(replace(SCALE, service="banxico")) == desk.operations()


def test_seeding_again_leaves_what_stands(desk: Desk) -> None:
    after = desk.operations(SCALE)
    seed(desk.url)
    assert {
        row[0]: row[1:] for row in desk.sql(f"SELECT operation_id, {', '.join(COLUMNS)} FROM desk.operation")
    } == after
    desk.operations()


def test_a_database_that_does_not_answer_is_worth_a_retry_and_its_password_stays_secret() -> None:
    with pytest.raises(SourceUnavailable, match="core_banking does not answer") as caught:
        apply("postgresql://core_banking:hidden-word@127.0.0.1:9/core_banking", [])
    assert "hidden-word" not in str(caught.value)
