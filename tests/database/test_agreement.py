"""Accuracy against a second source: real exchange rates, and what is wrong with each defect's fixture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg2.extras import execute_values

from include.quality.contract import Result, breaches
from include.quality.rules import check_rule
from include.quality.score import Agreement
from include.sandbox import market_data
from include.spec.load import load_all
from include.spec.model import Pipeline
from include.spec.quality import Agrees
from include.warehouse.agreement import judge_agreement, measure
from include.warehouse.engine import transaction
from include.warehouse.tables import ensure_table
from include.windows import Window

WINDOW = Window.parse("2025-07-01", "2025-08-01")
MARCH_2020 = Window.parse("2020-03-01", "2020-04-01")
WITHIN = {"kind": "agrees", "name": "as_by_the_ecb", "column": "fix_mxn", "with": "ecb.ecb_mxn"}
WITHIN |= {"within_pct": 2, "at_least": 0.8}
CORRELATED = {"kind": "agrees", "name": "moves_together", "column": "level_m", "with": "pulse_count"}
CORRELATED |= {"correlation": 0.75}
FIX, ECB = dict(market_data.fix()), dict(market_data.ecb_usd_mxn())
Rates = Mapping[date | datetime, float]
Judge = Callable[..., Result]


def check(facts: dict[str, Any], **more: Any) -> Agrees:
    return Agrees.model_validate(facts | more)


def month(rates: Mapping[date, float], window: Window = WINDOW) -> dict[date | datetime, float]:
    """Return the rates about a window's days."""
    return {day: rate for day, rate in rates.items() if window.start.date() <= day < window.end.date()}


def instant(at: date | datetime) -> datetime:
    return at if isinstance(at, datetime) else datetime(at.year, at.month, at.day, tzinfo=UTC)


def found(
    engine: Any,
    spec: Pipeline,
    asked: Agrees,
    tables: Mapping[str, Mapping[date | datetime, Any]],
    window: Window = WINDOW,
) -> Agreement:
    """Put rows into ``core``, as a load does, and measure in the same transaction; nothing stays."""
    with transaction(engine) as connection, connection.cursor() as cursor:
        for name, rows in tables.items():
            source, _, column = name.partition(".")
            ensure_table(cursor, spec, source)
            names = column.split(",")
            lines = [
                (instant(at), instant(at), 1, *(value if isinstance(value, tuple) else (value,)))
                for at, value in rows.items()
            ]
            insert = f"insert into core.{spec.table(source)} (valid_at, available_at, payload_id, {', '.join(names)})"
            execute_values(cursor, f"{insert} values %s", lines)
        agreement = measure(cursor, spec, spec.main, asked, window)
        connection.rollback()
    return agreement


@pytest.fixture
def judged(engine) -> Judge:
    """Give a function that compares the FIX with the ECB's rates and returns the verdict."""

    def judge(fix: Rates, ecb: Rates | None, window: Window = WINDOW, spec: Pipeline | None = None) -> Result:
        tables = {"fix.fix_mxn": fix} | ({"ecb.ecb_mxn": ecb} if ecb is not None else {})
        asked = check(WITHIN)
        return judge_agreement(asked, found(engine, spec or load_all()["usdmxn"], asked, tables, window))

    return judge


def test_the_fix_agrees_with_the_ecb(judged: Judge) -> None:
    result = judged(month(FIX), month(ECB))
    assert (result.is_passed, result.row_count, result.unexpected_count) == (True, 23, 0)
    assert (result.rule, result.column, result.severity) == ("as_by_the_ecb", "fix_mxn", "stop")
    assert (result.stage, result.dimension, result.is_row_level) == ("core", "accuracy", False)
    assert result.expected == check_rule(check(WITHIN)).expected


def test_the_wildest_month_still_agrees(judged: Judge) -> None:
    result = judged(month(FIX, MARCH_2020), month(ECB, MARCH_2020), MARCH_2020)
    assert (result.is_passed, result.row_count, result.unexpected_count) == (True, 21, 3)


def fix_in_cents() -> Rates:
    return {day: 100 * rate for day, rate in month(FIX).items()}


def series_of_another_currency() -> Rates:
    return {day: rate * 1.17 for day, rate in month(FIX).items()}  # about what a euro cost that month


def dollars_for_a_peso() -> Rates:
    return {day: 1 / rate for day, rate in month(FIX).items()}


@pytest.mark.parametrize("defect", [fix_in_cents, series_of_another_currency, dollars_for_a_peso])
def test_rates_of_something_else_are_caught(judged: Judge, defect: Callable[[], Rates]) -> None:
    result = judged(defect(), month(ECB))
    assert (result.is_passed, result.row_count, result.unexpected_count) == (False, 23, 23)
    assert breaches([result]) == [result]


def test_the_farthest_rows_are_told_with_time_and_values(judged: Judge) -> None:
    fix = month(FIX) | {day: 30.0 + day.day for day in map(date.fromisoformat, ("2025-07-01", "2025-07-15"))}
    fix |= {date(2025, 7, day): 20.5 for day in (2, 3, 4, 7)}
    result = judged(fix, month(ECB))
    assert not result.is_passed
    said = result.observed.split("; ")
    assert said[0] == "6 of 23 rows (26.1%) further apart"
    assert said[1].startswith("2025-07-15 00:00 UTC: fix_mxn 45, ecb.ecb_mxn 18.")
    assert said[2].startswith("2025-07-01 00:00 UTC: fix_mxn 31, ecb.ecb_mxn 18.682")
    assert len(said) == 4


def test_dates_shifted_by_one_day_are_not_seen_by_a_tolerance_of_levels(judged: Judge) -> None:
    days, rates = zip(*sorted(month(FIX).items()), strict=True)
    result = judged(dict(zip(days[1:], rates, strict=False)), month(ECB))
    assert (result.is_passed, result.row_count) == (True, 22)


@pytest.mark.parametrize("ecb", [None, {}], ids=["second_source_missing", "second_source_empty"])
def test_without_a_second_source_nothing_is_measured_and_it_says_so(judged: Judge, ecb: Rates | None) -> None:
    result = judged(month(FIX), ecb)
    assert (result.is_passed, result.row_count, result.severity) == (True, 0, "warn")
    assert result.observed.startswith("not measured: none of")


def test_few_rows_warn_and_block_nothing(judged: Judge) -> None:
    ecb = dict(sorted(month(ECB).items())[:19])
    result = judged(fix_in_cents(), ecb)
    assert (result.is_passed, result.row_count, result.severity) == (False, 19, "warn")
    assert "4 of 23 rows have no counterpart" in result.observed
    assert breaches([result]) == []


def test_rows_outside_the_window_are_not_compared(judged: Judge) -> None:
    assert judged(FIX, ECB).row_count == 23


def test_dates_that_begin_in_another_zone_are_the_same_dates(judged: Judge) -> None:
    plain = load_all()["usdmxn"]
    ecb = plain.sources["ecb"]
    there = ecb.model_copy(update={"time": ecb.time.model_copy(update={"timezone": "Europe/Berlin"})})
    spec = plain.model_copy(update={"sources": plain.sources | {"ecb": there}})
    berlin = {instant(day) - timedelta(hours=2): rate for day, rate in month(ECB).items()}  # summer: UTC+2
    result = judged(month(FIX), berlin, WINDOW, spec)
    assert (result.is_passed, result.row_count) == (True, 23)
    assert judged(month(FIX), berlin).row_count == 0  # read in UTC they are no dates: no instant is the same


def test_values_beyond_all_bounds_disagree_and_do_not_break_the_load(judged: Judge) -> None:
    odd = (1.7e308, -1.7e308, float("inf"), float("nan"), 0.0, 5e-324)
    days = sorted(month(FIX))
    fix = month(FIX) | dict(zip(days, odd, strict=False))
    ecb = month(ECB) | {days[0]: -1.7e308}
    assert judged(fix, ecb).unexpected_count == len(odd)


def test_two_zeros_agree(judged: Judge) -> None:
    zeros = dict.fromkeys(month(FIX), 0.0)
    assert judged(zeros, zeros).is_passed
    assert judged(month(FIX), zeros).unexpected_count == 23


HOURS = [datetime(2025, 7, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(60)]


@pytest.fixture
def correlated(engine, spec: Pipeline) -> Callable[[list[Any], list[Any]], Result]:
    """Give a function that judges two columns of one source by their correlation."""

    def judge(levels: list[Any], pulses: list[Any]) -> Result:
        rows = dict(zip(HOURS, zip(levels, pulses, strict=True), strict=False))
        asked = check(CORRELATED)
        return judge_agreement(asked, found(engine, spec, asked, {"meter.level_m,pulse_count": rows}))

    return judge


def wave(shift: int = 0) -> list[int]:
    return [(n + shift) % 12 * (12 - (n + shift) % 12) for n in range(60)]


def test_two_columns_that_rise_and_fall_together_agree(correlated) -> None:
    result = correlated([n**2 for n in wave()], wave())
    assert (result.is_passed, result.row_count, result.unexpected_count) == (True, 60, 0)
    assert result.observed == "1.000 over 60 rows"


def test_one_outlier_neither_makes_nor_hides_a_correlation(correlated) -> None:
    assert correlated([1e9, *wave()[1:]], wave()).is_passed
    assert not correlated([1e9, *wave(6)[1:]], [10**9, *wave()[1:]]).is_passed


@pytest.mark.parametrize(
    "levels", [wave(6), [-n for n in wave()], [3.0] * 60], ids=["shifted_by_half_a_day", "sign_turned", "frozen_sensor"]
)
def test_columns_that_do_not_move_together_are_caught(correlated, levels: list[Any]) -> None:
    result = correlated(levels, wave())
    assert (result.is_passed, result.row_count, result.unexpected_count) == (False, 60, 60)
    assert breaches([result]) == [result]


def test_a_frozen_sensor_is_told_by_name(correlated) -> None:
    assert "one of the two never changes" in correlated([3.0] * 60, wave()).observed


def test_rows_without_one_of_the_two_are_left_out(correlated) -> None:
    result = correlated(wave(), [None if n % 3 else pulse for n, pulse in enumerate(wave())])
    assert (result.is_passed, result.row_count) == (True, 20)
    assert "40 of 60 rows have no counterpart" in result.observed


def test_a_correlation_of_few_rows_is_not_judged(correlated) -> None:
    result = correlated(wave(6)[:19], wave()[:19])
    assert (result.is_passed, result.severity) == (True, "warn")
    assert "too few for a correlation" in result.observed


@given(compared=st.integers(20, 10**6), disagreeing=st.integers(0, 10**6))
def test_a_verdict_is_the_share_against_its_limit(compared: int, disagreeing: int) -> None:
    disagreeing = min(compared, disagreeing)
    score = 1 - disagreeing / compared
    result = judge_agreement(check(WITHIN), Agreement(compared, disagreeing, score, (), compared))
    assert result.is_passed == (score >= 0.8)
    assert result.severity == "stop"
