"""Banxico's limits, with the clock as an argument."""

from datetime import datetime

from include.sandbox.banxico import limit_error
from include.sandbox.rate_limit import MEXICO_CITY, Limiter, Limits

NOON = datetime(2025, 6, 2, 12, tzinfo=MEXICO_CITY).timestamp()
MIDNIGHT = datetime(2025, 6, 3, tzinfo=MEXICO_CITY).timestamp()


def test_a_minute_later_the_newest_values_are_served_again() -> None:
    limiter = Limiter(Limits(recent=2))
    assert [limiter.admit("a", "recent", NOON + n) for n in range(3)] == [None, None, NOON + 60]
    assert limiter.admit("a", "recent", NOON + 60) is None


def test_five_minutes_later_history_is_served_again() -> None:
    limiter = Limiter(Limits(history=1))
    assert [limiter.admit("a", "history", NOON + n) for n in (0, 299, 300)] == [None, NOON + 300, None]


def test_over_the_daily_limit_history_waits_for_midnight_in_mexico_city() -> None:
    limiter = Limiter(Limits(day=1))
    assert limiter.admit("a", "history", NOON) is None
    assert limiter.admit("a", "history", NOON + 1) == MIDNIGHT
    assert limiter.admit("a", "history", MIDNIGHT) is None


def test_tokens_are_counted_apart() -> None:
    limiter = Limiter(Limits(recent=1))
    assert [limiter.admit(token, "recent", NOON) for token in ("a", "b")] == [None, None]


def test_the_documented_limits_are_the_defaults() -> None:
    assert Limits() == Limits(recent=80, history=200, day=10_000)


def test_the_refusal_names_the_second_of_return() -> None:
    error = limit_error(until=1672182387.0, now=1672182267.0).error
    assert (error["timeReset"], error["secondsToReset"]) == (1672182387, 120)
    assert error["detalle"].endswith("2022-12-27 17:06:27 America/Mexico_City")
