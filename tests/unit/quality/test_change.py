"""A batch that suddenly is not like the last ones is told of; the seasons and chance are not."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.quality.change import MIN_HISTORY, changes
from include.quality.profile import Profile
from include.quality.typing import cast
from include.spec.source import Column

MONTHS = Path(__file__).with_name("air_quality_months.json")
NUMBER = Column.model_validate({"from": "x", "unit": "1", "description": "A value"})
Texts = list[str | None]


def facts(**columns: Texts) -> dict[str, dict[str, Any]]:
    rows = pa.RecordBatch.from_pydict({name: pa.array(texts, pa.string()) for name, texts in columns.items()})
    profile = Profile(dict.fromkeys(columns, NUMBER))
    profile.take(rows, {name: cast(rows.column(name), NUMBER) for name in columns})
    return profile.facts()


def day(seed: int, rows: int = 200) -> Texts:
    values = 50 + 10 * np.random.default_rng(seed).standard_normal(rows)
    return [f"{value:.2f}" for value in values]


def usual(count: int = 8) -> list[dict[str, dict[str, Any]]]:
    return [facts(x=day(seed)) for seed in range(count)]


def figures(texts: Texts, history: Sequence[dict] | None = None) -> set[str]:
    return {change.figure for change in changes(facts(x=texts), usual() if history is None else history)}


def units_swapped(texts: Texts) -> Texts:
    return [f"{float(text or 0) * 1000:.2f}" for text in texts]


def sensor_frozen(texts: Texts) -> Texts:
    return [texts[0]] * len(texts)


def sensor_nearly_frozen(texts: Texts) -> Texts:
    return [f"{50 + (float(text or 0) - 50) / 50:.2f}" for text in texts]


def third_missing(texts: Texts) -> Texts:
    return [None if at % 10 < 3 else text for at, text in enumerate(texts)]


def half_the_rows(texts: Texts) -> Texts:
    return texts[::2]


def twice_the_rows(texts: Texts) -> Texts:
    return texts * 2


def zeros_for_missing(texts: Texts) -> Texts:
    return ["0" if at % 5 == 0 else text for at, text in enumerate(texts)]


def letters_for_numbers(texts: Texts) -> Texts:
    return ["N/E" if at % 10 == 0 else text for at, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("defect", "figure"),
    [
        (units_swapped, "mean"),
        (units_swapped, "median"),
        (units_swapped, "standard_deviation"),
        (sensor_frozen, "standard_deviation"),
        (sensor_frozen, "distinct_share"),
        (sensor_nearly_frozen, "standard_deviation"),
        (third_missing, "null_share"),
        (half_the_rows, "rows"),
        (twice_the_rows, "rows"),
        (zeros_for_missing, "default_share"),
        (letters_for_numbers, "type_conformity"),
    ],
)
def test_a_defect_is_told_of(defect: Callable[[Texts], Texts], figure: str) -> None:
    assert figure in figures(defect(day(99)))


@pytest.mark.parametrize("seed", range(100, 130))
def test_another_day_like_the_last_ones_is_not(seed: int) -> None:
    assert figures(day(seed)) == set()


def test_noise_on_a_history_that_never_moved_is_not() -> None:
    history = [facts(x=day(1))] * 8
    nearly = day(2, 196)
    nearly[3] = None
    assert figures(nearly, history) == set()


def test_a_constant_that_stays_one_is_not_and_one_that_moves_is() -> None:
    history = [facts(x=["7"] * 50)] * 6
    assert figures(["7"] * 50, history) == set()
    assert {"mean", "median"} <= figures(["8"] * 50, history)


def test_batches_of_one_row_are_compared_by_level() -> None:
    history = [facts(x=[f"{17 + step / 50}"]) for step in range(8)]
    assert figures(["17.3"], history) == set()
    assert figures(["17300"], history) >= {"mean", "median"}


def test_too_few_batches_and_new_columns_say_nothing() -> None:
    broken = facts(x=units_swapped(day(99)), new=day(1))
    assert changes(broken, usual(MIN_HISTORY - 1)) == []
    assert {change.column for change in changes(broken, usual(MIN_HISTORY))} == {"x"}


def test_a_column_that_is_all_missing_is_told_of_and_one_that_always_was_is_not() -> None:
    assert "null_share" in figures([None] * 200)
    assert figures([None] * 200, [facts(x=[None] * 200)] * 6) == set()


def test_a_missing_half_is_told_once_for_all_columns_in_a_sentence() -> None:
    history = [facts(x=day(seed), y=day(seed + 50)) for seed in range(6)]
    (change,) = changes(facts(x=day(99, 100), y=day(98, 100)), history)
    assert (change.column, change.now, change.usual) == ("*", 100, 200)
    assert change.sentence == "number of rows of the batch is 100, usually 200 (last 6 batches)"


def test_the_order_of_the_history_and_the_way_through_json_change_nothing() -> None:
    now, history = facts(x=sensor_frozen(day(99))), usual()
    kept = json.loads(json.dumps(history))
    assert changes(now, history) == changes(json.loads(json.dumps(now)), kept[::-1])


@settings(max_examples=50, deadline=None)
@given(
    batches=st.lists(
        st.lists(st.none() | st.sampled_from(["0", "1e308", "-1e308", "N/E", "5"]), max_size=6), min_size=5, max_size=8
    )
)
def test_whatever_comes_there_is_an_answer(batches: list[Texts]) -> None:
    now, *history = [facts(x=texts) for texts in batches]
    for change in changes(now, history):
        assert change.now != change.usual
        assert change.sentence


def months() -> list[dict[str, dict[str, Any]]]:
    """Return what a profile says of each month of the UCI file "Air Quality" (CC BY 4.0), -200 as missing."""
    kept = json.loads(MONTHS.read_text(encoding="utf-8"))
    names = kept.pop("figures")
    return [
        {column: dict(zip(names, values, strict=True)) for column, values in columns.items()}
        for columns in kept.values()
    ]


def test_the_seasons_of_a_year_of_air_are_not_told_of_but_what_tripled_is() -> None:
    profiles = months()
    found = [(at, change) for at in range(4, 14) for change in changes(profiles[at], profiles[max(0, at - 12) : at])]
    assert len(found) < 12
    assert {change.column for at, change in found if at < 13} <= {"NOx(GT)", "PT08.S4(NO2)"}
    assert [change.figure for at, change in found if at == 13] == ["rows"]  # four days of April
    assert not {"null_share", "standard_deviation", "default_share"} & {change.figure for _, change in found}
