"""Quarantined rows that have something in common are a finding, however small their share; scattered ones are none."""

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from include.quality import verdicts
from include.quality.batch_check import BatchCheck
from include.quality.clusters import CHANCE, chance_at_most
from include.quality.contract import Result, breaches
from include.sources import parse
from include.spec.model import CsvSource
from include.windows import Window

MARCH = Window.parse("2024-03-01", "2024-04-01")
FIRST = datetime(2024, 3, 1, tzinfo=UTC)
SEED = 7


def read(source: CsvSource, lines: list[str], parts: int = 1) -> list[Result]:
    """Check a file as it is read, cut into parts."""
    checker = BatchCheck(source, MARCH)
    text = "\n".join(["at,x,station", *lines]).encode()
    [raw] = [batch for batch in parse("p", "s", source, [lambda: io.BytesIO(text)], MARCH) if batch.num_rows]
    for start in range(0, raw.num_rows, -(-raw.num_rows // parts)):
        checker.take(raw.slice(start, -(-raw.num_rows // parts)))
    return verdicts.results(checker)


def clustered(results: list[Result]) -> Result:
    [found] = [result for result in results if result.rule == "clustered"]
    return found


def source_of(contract: Callable, format: str = "%Y-%m-%d %H:%M", zone: str = "UTC", **changes: Any) -> CsvSource:
    columns = changes.pop("columns", {"x": {"max": 100}, "station": {"type": "text", "required": True}})
    document = contract(**columns).model_dump(by_alias=True) | {"key": ["station"] if "station" in columns else []}
    return CsvSource.model_validate(
        document | {"time": {"columns": ["at"], "format": format, "timezone": zone}} | changes
    )


def hourly(days: int, write: Callable[[datetime], str] = lambda at: f"{at:%Y-%m-%d %H:%M},1,a") -> list[str]:
    return [write(FIRST + timedelta(hours=hour)) for hour in range(24 * days)]


def hour_24(at: datetime) -> str:
    day = at if at.hour else at - timedelta(days=1)
    return f"{day:%Y-%m-%d} {at.hour or 24:02d}:00,1,a"


@pytest.mark.parametrize("parts", [1, 5])
def test_a_midnight_written_as_hour_24_is_lost_every_day_and_not_now_and_then(contract: Callable, parts: int) -> None:
    results = read(source_of(contract), [hour_24(FIRST + timedelta(hours=hour)) for hour in range(1, 241)], parts)
    assert next(result for result in results if result.rule == "rejected").is_passed
    found = clustered(results)
    assert (found.is_passed, found.severity, found.row_count) == (False, "warn", 10)
    assert found.observed == (
        "quarantined are all 10 rows whose time has the hour 24, such as '2024-03-01 24:00'"
    )  # fmt: skip


def second(n: int) -> str:
    at = FIRST + timedelta(seconds=n, microseconds=n % 20 and 251_000)
    return f"{at.replace(tzinfo=None).isoformat()},1,a"


LOST = {
    "whole seconds without a fraction": (
        ("%Y-%m-%dT%H:%M:%S.%f", {}),
        [second(n) for n in range(60)],
        "all 3 rows whose time is written like 9999-99-99T99:99:99, such as '2024-03-01T00:00:00'",
    ),
    "months in Spanish, of which some are as in English": (
        ("%d %b %Y", {}),
        [f"{day:02d} {month} 2024,1,a{day}" for day in range(1, 31) for month in ["mar"] * 29 + ["abr"]],
        "all 30 rows whose time has the month abr",
    ),
    "one station": (
        ("%Y-%m-%d %H:%M", {}),
        hourly(10, lambda at: f"{at:%Y-%m-%d %H:%M},{101 if at.hour == 3 else 1},{'b' if at.hour == 3 else 'a'}"),
        "10 of 10 rows with station = 'b'",
    ),
    "one hour of the local day": (
        ("%Y-%m-%d %H:%M", {"zone": "America/Mexico_City"}),
        hourly(10, lambda at: f"{at:%Y-%m-%d %H:%M},{101 if at.hour == 20 else 1},a"),
        "of the hour 20",
    ),
    "one weekday": (
        ("%Y-%m-%d %H:%M", {"max_rejected": 0.2}),
        hourly(28, lambda at: f"{at:%Y-%m-%d %H:%M},{101 if at.weekday() == 6 else 1},a"),
        "96 of 96 rows of a Sunday",
    ),
    "numbers with a thousands mark": (
        ("%Y-%m-%d %H:%M", {}),
        hourly(10, lambda at: f'{at:%Y-%m-%d %H:%M},"{"1,0" if at.day % 2 and at.hour == at.day else ""}05",a'),
        "all 5 rows whose x is written like 9,9, such as '1,005'",
    ),
    "a word for true": (
        ("%Y-%m-%d %H:%M", {"columns": {"x": {"type": "boolean"}}}),
        hourly(10, lambda at: f"{at:%Y-%m-%d %H:%M},{'Sí' if at.hour == at.day else 'No'},a"),
        "all 10 rows whose x is 'Sí'",
    ),
    "a new category": (
        ("%Y-%m-%d %H:%M", {"columns": {"x": {"type": "text", "allowed": ["buy", "sell"]}}}),
        hourly(10, lambda at: f"{at:%Y-%m-%d %H:%M},{'swap' if at.hour == at.day else 'buy'},a"),
        "all 10 rows whose x is 'swap'",
    ),
}


@pytest.mark.parametrize("name", LOST)
def test_what_quarantined_rows_have_in_common_is_named(contract: Callable, name: str) -> None:
    (format, changes), lines, told = LOST[name]
    results = read(source_of(contract, format, **changes), lines)
    assert breaches(results) == []
    assert not clustered(results).is_passed
    assert told in clustered(results).observed


@pytest.mark.parametrize("seed", range(20))
def test_scattered_rows_of_the_same_share_are_no_finding(contract: Callable, seed: int) -> None:
    lost = set(np.random.default_rng(seed).choice(240, 10, replace=False).tolist())
    lines = hourly(10)
    lines = [line.replace(",1,", ",101,") if n in lost else line for n, line in enumerate(lines)]
    found = clustered(read(source_of(contract), lines))
    assert (found.is_passed, found.observed) == (True, "quarantined are 10 scattered rows")


@pytest.mark.parametrize("garbage", ["", "?", "n/a", "2024-02-30 12:00", "garbage"])
def test_texts_that_have_no_form_in_common_with_a_time_are_no_cluster(contract: Callable, garbage: str) -> None:
    lost = set(np.random.default_rng(SEED).choice(240, 10, replace=False).tolist())
    lines = [line.replace(line[:16], garbage) if n in lost else line for n, line in enumerate(hourly(10))]
    assert clustered(read(source_of(contract), lines)).is_passed


def test_a_few_quarantined_rows_are_never_a_cluster(contract: Callable) -> None:
    lines = [line.replace(",1,", ",101,") if " 03:00" in line else line for line in hourly(2)]
    assert not [result for result in read(source_of(contract), lines) if result.rule == "clustered"]


def test_a_cluster_blocks_where_the_source_says_so(contract: Callable) -> None:
    lines = [hour_24(FIRST + timedelta(hours=hour)) for hour in range(1, 241)]
    results = read(source_of(contract, clustered="stop"), lines)
    assert [result.rule for result in breaches(results)] == ["clustered"]


def test_rows_that_break_a_rule_together_with_others_count_as_quarantined(contract: Callable) -> None:
    source = source_of(contract)
    lines = hourly(10)
    text = "\n".join(["at,x,station", *lines]).encode()
    checker = BatchCheck(source, MARCH)
    [raw] = [batch for batch in parse("p", "s", source, [lambda: io.BytesIO(text)], MARCH) if batch.num_rows]
    checker.take(raw)
    at_three = [n for n, line in enumerate(lines) if " 03:00" in line]
    checker.quarantine(raw, [(n, "step", "x", "far from the value before") for n in at_three])
    assert "10 of 10 rows of the hour 03" in clustered(verdicts.results(checker)).observed


def test_keys_of_which_each_has_a_row_are_not_counted(contract: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.quality.clusters.MOST_GROUPS", 100)
    lines = [f"{at:%Y-%m-%d %H:%M},{101 if at.hour == 3 else 1},s{n}"
             for n, at in enumerate(FIRST + timedelta(hours=hour) for hour in range(240))]  # fmt: skip
    checker = BatchCheck(source_of(contract), MARCH)
    for first in (0, 90, 180):
        text = "\n".join(["at,x,station", *lines[first : first + 90]]).encode()
        for raw in parse("p", "s", checker.source, [lambda text=text: io.BytesIO(text)], MARCH):
            checker.take(raw)
    assert "station" not in clustered(verdicts.results(checker)).observed
    assert len(checker.clusters.accepted["station"]) <= 100


def test_the_bound_is_never_below_the_exact_chance() -> None:
    from scipy.stats import hypergeom

    for rows, lost, total in [(240, 10, 10), (1000, 50, 40), (60, 3, 5), (720, 36, 103)]:
        for count in range(1, min(lost, total) + 1):
            exact = hypergeom.sf(count - 1, rows, lost, total)
            assert chance_at_most(count, total, lost / rows) >= exact * (1 - 1e-9)
    assert chance_at_most(4, 4, 10 / 240) * 32 < CHANCE


def test_rows_without_a_time_or_a_key_are_no_trouble(contract: Callable, received: Callable) -> None:
    source = source_of(contract)
    checker = BatchCheck(source, MARCH)
    raw = received(valid_at=[None] * 4, x=["1"] * 4, station=[None] * 4)
    assert isinstance(raw, pa.RecordBatch)
    checker.take(raw)
    assert clustered(verdicts.results(checker)).is_passed


def test_one_bad_day_of_a_month_is_no_bad_weekday(contract: Callable) -> None:
    lines = hourly(28, lambda at: f"{at:%Y-%m-%d %H:%M},{101 if at.day == 5 else 1},a")
    assert clustered(read(source_of(contract), lines)).is_passed
