"""Day and month that changed places: refused with that explanation, and honest files are left alone."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta

import pytest

from include.errors import ContractBroken
from include.sources import parse
from include.spec.model import CsvSource
from include.windows import Window

MARCH = Window.parse("2024-03-01", "2024-04-01")


def rows(dates: list[str], window: Window = MARCH, form: str = "%d/%m/%Y", fetched_at: datetime | None = None) -> int:
    """Return how many rows of a file with these dates the window gets."""
    source = CsvSource.model_validate(
        {
            "kind": "csv_file", "connection": "files", "title": "A file", "path": "/x.csv",
            "time": {"columns": ["fecha"], "format": form},
            "columns": {"v": {"from": "v", "unit": "1", "description": "a value"}},
        }
    )  # fmt: skip
    content = ("fecha,v\n" + "".join(f"{text},{n}.5\n" for n, text in enumerate(dates))).encode()
    batches = parse("p", "s", source, [lambda: io.BytesIO(content)], window, fetched_at=fetched_at)
    return sum(batch.num_rows for batch in batches)


def days(first: date, count: int, form: str, step: int = 1) -> list[str]:
    return [(first + timedelta(days=step * n)).strftime(form) for n in range(count)]


TURNED = {
    "the first twelve days": days(date(2024, 3, 1), 12, "%m/%d/%Y"),
    "a few days": days(date(2024, 3, 4), 4, "%m/%d/%Y"),
    "a whole month": days(date(2024, 3, 1), 31, "%m/%d/%Y"),
    "hours of some days": [f"03/0{day}/2024 {hour:02}:00" for day in (1, 2, 5) for hour in range(24)],
    "days until the twelfth, as a spreadsheet turns them": [
        *days(date(2024, 3, 1), 12, "%m/%d/%Y"), *days(date(2024, 3, 13), 19, "%d/%m/%Y"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("kind", TURNED)
def test_dates_that_fit_only_when_turned_round_are_refused(kind: str) -> None:
    form = "%d/%m/%Y %H:%M" if ":" in TURNED[kind][0] else "%d/%m/%Y"
    with pytest.raises(
        ContractBroken, match=r"day and month of its dates have changed places: .*write `format: %m/%d/%Y"
    ):
        rows(TURNED[kind], form=form)


def test_one_day_is_enough_for_a_window_of_a_day() -> None:
    with pytest.raises(ContractBroken, match="they leave the window"):
        rows(["03/04/2024"], Window.parse("2024-03-04", "2024-03-05"))


def test_the_stretch_of_the_file_tells_whatever_the_window() -> None:
    kind = "days until the twelfth, as a spreadsheet turns them"
    with pytest.raises(ContractBroken, match="they leave the stretch of the others, 2024-03 to 2024-03"):
        rows(TURNED[kind], Window.parse("2024-01-01", "2025-01-01"))


YEAR = days(date(2024, 1, 1), 366, "%d/%m/%Y")
HONEST = {
    "every day of a year": (YEAR, 31),
    "the firsts of months": ([f"01/{month:02}/2024" for month in range(1, 13)], 1),
    "the fifteenth of months": ([f"15/{month:02}/2024" for month in range(1, 13)], 1),
    "the first and the sixteenth": ([f"{day}/{month:02}/2024" for month in range(1, 13) for day in ("01", "16")], 2),
    "the window alone": (days(date(2024, 3, 1), 31, "%d/%m/%Y"), 31),
    "days that read the same both ways": (["03/03/2024"], 1),
    "one day of another month": (["03/04/2024"], 0),
    "the week before and after": (days(date(2024, 2, 26), 40, "%d/%m/%Y"), 31),
    "a typo in one date": ([*YEAR[:300], "03/25/2024", *YEAR[301:]], 32),
    "two events": (["13/03/2024", "03/02/2024"], 1),
}


@pytest.mark.parametrize("kind", HONEST)
def test_honest_dates_are_read_as_declared(kind: str) -> None:
    dates, expected = HONEST[kind]
    assert rows(dates) == expected


def test_firsts_of_months_that_lie_in_the_future_are_days_of_january() -> None:
    dates, january = days(date(2024, 1, 1), 12, "%m/%d/%Y"), Window.parse("2024-01-01", "2024-02-01")
    assert rows(dates, january, fetched_at=datetime(2025, 1, 1, tzinfo=UTC)) == 1
    with pytest.raises(ContractBroken, match="they leave the window"):
        rows(dates, january, fetched_at=datetime(2024, 1, 13, tzinfo=UTC))


def test_an_order_of_its_own_is_never_turned() -> None:
    assert rows(days(date(2024, 3, 1), 12, "%Y-%m-%d"), form="%Y-%m-%d") == 12
    assert rows(days(date(2024, 3, 1), 12, "%d %b %Y"), form="%d %b %Y") == 12
