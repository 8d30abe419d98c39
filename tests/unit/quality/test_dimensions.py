"""Counts become scores: each defect lowers its own dimension, and what nobody measured has no score."""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, get_args

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.quality import verdicts
from include.quality.batch_check import BatchCheck
from include.quality.contract import Result
from include.quality.dimensions import DIMENSIONS, scores
from include.quality.rules import rules
from include.quality.score import Agreement, BatchFacts
from include.spec.load import load_all
from include.spec.model import CsvSource
from include.spec.quality import Dimension
from include.windows import Window

START = datetime(2025, 1, 1, tzinfo=UTC)
ROWS = 100
END = START + timedelta(hours=ROWS)
VALUES = [str(10 + hour % 7) for hour in range(ROWS)]
CLEAN = {"x": VALUES, "y": VALUES, "town": ["Roma"] * ROWS, "who": ["0f3a"] * ROWS}
COLUMNS = {
    "x": {"decimals": 1, "fresh": "6 hours", "min": -50, "max": 1000},
    "y": {"unique": False},
    "town": {"type": "text", "length": [2, 20]},
    "who": {"type": "text", "personal": "hash"},
}
CHECKS = [
    {"kind": "rule", "name": "not_below", "rule": "x >= y"},
    {"kind": "ordered", "name": "forward"},
    {"kind": "rows", "name": "each_hour", "every": "1 hour", "share": 0.5},
    {"kind": "mean", "name": "usual_mean", "column": "y", "min": 5, "max": 20},
    {"kind": "step", "name": "no_jump", "column": "y", "max": 50},
    {"kind": "reference", "name": "known_town", "column": "town", "to": "core.towns.town"},
    {"kind": "agrees", "name": "as_elsewhere", "column": "x", "with": "y", "within_pct": 2},
]
FACTS = BatchFacts(
    received=ROWS,
    late=0,
    traced=ROWS,
    covers=(START, END),
    newest_at={"x": END - timedelta(hours=1), "*": END - timedelta(hours=1)},
    agreements={"as_elsewhere": Agreement(ROWS, 0, 1.0)},
)
Scored = dict[tuple[str, str], float]


def source(columns: dict[str, Any] = COLUMNS, checks: list = CHECKS, key: tuple[str, ...] = ()) -> CsvSource:
    facts = {name: {"from": name, "unit": "1", "description": "A value"} | own for name, own in columns.items()}
    return CsvSource.model_validate(
        {
            **{"kind": "csv_file", "connection": "somewhere", "title": "Some rows", "path": "/rows.csv", "key": key},
            **{"time": {"columns": ["at"], "format": "%Y-%m-%d"}, "columns": facts, "checks": checks},
        }
    )


def scored(
    received: Callable[..., pa.RecordBatch],
    facts: BatchFacts = FACTS,
    spec: CsvSource | None = None,
    valid_at: list[str | None] | None = None,
    notes: tuple[tuple[str, str, int], ...] = (),
    **texts: list[str | None],
) -> Scored:
    spec = spec or source()
    check = BatchCheck(spec, Window(START, END))
    check.take(received(valid_at=valid_at, **(CLEAN | texts)))
    for rule, column, count in (("known_town", "town", 0), ("no_jump", "y", 0), *notes):
        check.note(rule, column, 0 if count else check.received, ["as told"] * count)
    found = scores(spec, verdicts.results(check), check.profile.facts(), facts)
    return {(score.dimension, score.column): score.score for score in found}


def swapped(values: list[str], count: int, value: str | None) -> list[str | None]:
    """Return the values with the first ones replaced."""
    return [value] * count + values[count:]


def hours(*at: int) -> list[str | None]:
    return [(START + timedelta(hours=hour)).isoformat() for hour in at]


def test_every_dimension_of_the_spec_has_a_formula() -> None:
    assert tuple(DIMENSIONS) == get_args(Dimension)


def test_a_clean_batch_has_100_in_all_twelve_dimensions(received: Callable) -> None:
    found = scored(received)
    assert {dimension for dimension, column in found if column == "*"} == set(DIMENSIONS)
    assert set(found.values()) == {100.0}


# A defect, the rows as they came, the dimension and the column it lowers, and the score.
DEFECTS: dict[str, tuple[dict[str, Any], str, str, float]] = {
    "missing_values": ({"x": swapped(VALUES, 20, None)}, "completeness", "x", 80.0),
    "a_missing_hour": ({"valid_at": hours(*range(99), 0)}, "completeness", "*", 99.0),
    "unreadable_text": ({"x": swapped(VALUES, 5, "N/E")}, "validity", "x", 95.0),
    "minus_200_for_missing": ({"x": swapped(VALUES, 3, "-200")}, "validity", "x", 97.0),
    "a_word_too_short": ({"town": swapped(CLEAN["town"], 4, "R")}, "validity", "town", 96.0),
    "mojibake": ({"town": swapped(CLEAN["town"], 2, "CuautitlÃ¡n")}, "validity", "town", 98.0),
    "no_time": ({"valid_at": [None, *hours(*range(1, 100))]}, "validity", "valid_at", 99.0),
    "the_second_source_disagrees": (
        {"facts": replace(FACTS, agreements={"as_elsewhere": Agreement(80, 20, 0.75)})},
        *("accuracy", "x", 75.0),
    ),
    "contradicting_columns": ({"x": swapped(VALUES, 10, "0")}, "consistency", "*", 90.0),
    "time_runs_backwards": ({"valid_at": hours(1, 0, *range(2, 100))}, "consistency", "*", 99.0),
    "rows_that_contradict_each_other": ({"notes": (("unique", "valid_at", 6),)}, "consistency", "*", 94.0),
    "a_row_twice": ({"notes": (("repeated", "*", 1),)}, "uniqueness", "*", 99.0),
    "a_duplicated_hour": ({"notes": (("unique", "valid_at", 2),)}, "uniqueness", "valid_at", 98.0),
    "late_rows": ({"facts": replace(FACTS, late=25)}, "timeliness", "*", 75.0),
    "an_old_newest_value": (
        {"facts": replace(FACTS, newest_at={"x": END - timedelta(hours=24)})},
        *("currency", "x", 25.0),
    ),
    "a_town_nobody_knows": ({"notes": (("known_town", "town", 7),)}, "integrity", "town", 93.0),
    "rows_without_a_time": ({"valid_at": [None, None, *hours(*range(2, 100))]}, "integrity", "*", 98.0),
    "outliers": ({"y": swapped(VALUES, 1, "500"), "x": ["900"] * ROWS}, "reasonability", "y", 99.0),
    "a_jump": ({"notes": (("no_jump", "y", 3),)}, "reasonability", "y", 97.0),
    "swapped_units": (
        {"y": [f"{value}000" for value in VALUES], "x": swapped(VALUES, 0, "")},
        *("reasonability", "y", 50.0),
    ),
    "too_many_decimals": ({"x": swapped(VALUES, 8, "19.25")}, "precision", "x", 92.0),
    "bytes_nobody_verified": ({"facts": replace(FACTS, traced=60)}, "traceability", "*", 60.0),
    "an_address_in_a_text": ({"town": swapped(CLEAN["town"], 30, "ana@example.org")}, "compliance", "town", 70.0),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_lowers_the_score_of_its_own_dimension(received: Callable, defect: str) -> None:
    given_, dimension, column, score = DEFECTS[defect]
    found = scored(received, **given_)
    assert found[dimension, column] == score
    assert found[dimension, "*"] < 100


def test_the_batch_is_complete_as_its_columns_are_on_average_and_as_its_times_are(received: Callable) -> None:
    found = scored(received, x=swapped(VALUES, 20, None), valid_at=hours(*range(90), *range(10)))
    assert found["completeness", "*"] == 85.5  # (80 + 3 * 100) / 4, of which 90 of 100 hours


def test_rows_without_their_key_refer_to_nothing(received: Callable) -> None:
    spec = source({**COLUMNS, "y": {"required": True}}, key=("y",))
    found = scored(received, spec=spec, y=swapped(VALUES, 5, None), x=["19"] * ROWS)
    assert (found["integrity", "y"], found["integrity", "*"]) == (95.0, 95.0)


def test_an_unreadable_value_is_invalid_and_not_missing(received: Callable) -> None:
    found = scored(received, x=swapped(VALUES, 5, "N/E"))
    assert (found["completeness", "x"], found["validity", "x"]) == (100.0, 95.0)


def test_values_with_two_faults_count_twice_but_never_below_zero(received: Callable) -> None:
    spec = source({**COLUMNS, "town": {"type": "text", "length": [2, 20], "format": "[A-Z][a-z]+"}})
    found = scored(received, spec=spec, town=["x"] * ROWS)
    assert found["validity", "town"] == 0.0


def test_one_leak_is_not_made_good_by_clean_columns(received: Callable) -> None:
    found = scored(received, town=swapped(CLEAN["town"], 30, "ana@example.org"))
    assert (found["compliance", "who"], found["compliance", "*"]) == (100.0, 70.0)


def test_no_score_is_rounded_up_to_100() -> None:
    spec = load_all()["usdmxn"].sources["fix"]
    [late] = [score for score in scores(spec, [], {}, BatchFacts(received=10**9, late=1)) if score.column == "*"]
    assert late.score == 99.9999


def test_a_correlation_is_a_score_where_units_differ_and_none_of_few_rows(received: Callable) -> None:
    check = {"kind": "agrees", "name": "follows", "column": "x", "with": "y", "correlation": 0.5}
    spec = source(checks=[check, *CHECKS[4:6]])

    def accuracy(agreement: Agreement) -> float | None:
        facts = replace(FACTS, agreements={"follows": agreement})
        return scored(received, facts, spec).get(("accuracy", "*"))

    assert accuracy(Agreement(100, 0, 0.6)) == 60.0
    assert accuracy(Agreement(100, 0, -0.6)) == 0.0
    assert accuracy(Agreement(19, 0, 1.0)) is None
    assert accuracy(Agreement(100, 0, None)) is None


def test_what_nobody_measured_has_no_score(received: Callable) -> None:
    spec = source({"x": {}}, checks=[])
    check = BatchCheck(spec, Window(START, END))
    check.take(received(x=["5"] * ROWS))
    found = scores(spec, verdicts.results(check), check.profile.facts(), BatchFacts(received=ROWS))
    assert {score.dimension for score in found} == {
        *("completeness", "validity", "consistency", "uniqueness", "integrity", "compliance")
    }


def test_a_text_nobody_looked_at_leaves_the_batch_without_a_score_of_compliance() -> None:
    spec = source({"x": {}, "town": {"type": "text"}}, checks=[])
    profile = {name: {"rows": 5, "null_count": 0, "unreadable_count": 0} for name in spec.columns}
    found = scores(spec, [], profile, BatchFacts(received=5))
    assert {score.dimension for score in found} == {"completeness"}


def test_a_batch_without_rows_has_no_scores() -> None:
    assert scores(source(), [], {}, replace(FACTS, received=0)) == []


@pytest.mark.parametrize(
    ("every", "age", "score"),
    [
        ("1 hour", timedelta(hours=1), 100.0),
        ("1 hour", timedelta(hours=4), 25.0),
        ("weekday", timedelta(days=3), 100.0),
        ("month", timedelta(days=62), 50.0),
        (None, timedelta(hours=3), 100.0),
        (None, timedelta(hours=12), 25.0),
    ],
)
def test_without_a_declared_age_the_distance_of_the_times_tells_what_is_current(
    every: str | None, age: timedelta, score: float
) -> None:
    checks = [{"kind": "rows", "name": "all", "every": every}] if every else []
    facts = BatchFacts(received=ROWS, covers=(START, END), newest_at={"*": END - age})
    [found] = [one for one in scores(source({"x": {}}, checks), [], {}, facts) if one.dimension == "currency"]
    assert (found.column, found.score) == ("*", score)


@pytest.mark.parametrize(("key", "rows"), [(("x",), ROWS), ((), 1)])
def test_events_and_single_rows_have_no_distance_that_tells_an_age(key: tuple[str, ...], rows: int) -> None:
    facts = BatchFacts(received=rows, covers=(START, END), newest_at={"*": START})
    spec = source({"x": {"required": True}}, [], key)
    assert not [score for score in scores(spec, [], {}, facts) if score.dimension == "currency"]


@pytest.mark.parametrize("pipeline", ["air_quality", "usdmxn"])
def test_the_main_source_of_a_shipped_pipeline_is_measured_in_nine_dimensions_at_least(
    received: Callable, pipeline: str
) -> None:
    shipped = load_all()[pipeline]
    spec = shipped.sources[shipped.main]
    check = BatchCheck(spec, Window(START, END))
    texts = {name: [str(5 + hour % 2) for hour in range(ROWS)] for name in spec.columns}
    texts |= {"vapour_pressure_kpa": ["0.0436", "0.0561"] * (ROWS // 2)} if pipeline == "air_quality" else {}
    check.take(received(**texts))
    facts = BatchFacts(
        received=ROWS, late=0, traced=ROWS, covers=(START, END), newest_at={"*": check.spans["valid_at"][1]}
    )
    found = {
        s.dimension for s in scores(spec, verdicts.results(check), check.profile.facts(), facts) if s.column == "*"
    }
    assert found >= set(DIMENSIONS) - {"accuracy", "precision", "currency"}


SPEC = source()
COUNTS = st.integers(0, 10**12)


@st.composite
def results(draw: st.DrawFn) -> list[Result]:
    return [
        Result(rule.rule, rule.column, "warn", draw(st.booleans()), draw(COUNTS), draw(COUNTS), "", "")
        for rule in rules(SPEC)
    ]


@st.composite
def profiles(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    found = {}
    for name in draw(st.sets(st.sampled_from(list(SPEC.columns)))):
        rows = draw(COUNTS)
        nulls = draw(st.integers(0, rows))
        unreadable = draw(st.integers(0, rows - nulls))
        outliers = draw(st.none() | st.fixed_dictionaries({"count": st.none() | COUNTS}))
        found[name] = {
            **{"rows": rows, "null_count": nulls, "unreadable_count": unreadable, "outliers_robust_z": outliers}
        }
    return found


@given(
    results(),
    profiles(),
    st.builds(
        BatchFacts,
        received=COUNTS,
        late=st.none() | COUNTS,
        traced=st.none() | COUNTS,
        covers=st.none() | st.just((START, END)),
        newest_at=st.dictionaries(
            st.sampled_from(["*", *SPEC.columns]), st.datetimes(timezones=st.just(UTC)), max_size=3
        ),
        agreements=st.dictionaries(
            st.just("as_elsewhere"), st.builds(SimpleNamespace, compared=COUNTS, score=st.none() | st.floats())
        ),
    ),
)
@settings(max_examples=200, deadline=None)
def test_any_counts_give_scores_from_0_to_100_one_for_each_dimension_and_column(
    found: list[Result], profile: dict, facts: BatchFacts
) -> None:
    measured = scores(SPEC, found, profile, facts)
    assert all(math.isfinite(score.score) and 0 <= score.score <= 100 for score in measured)
    assert all(score.measured_count > 0 and score.basis for score in measured)
    places = [(score.dimension, score.column) for score in measured]
    assert len(places) == len(set(places))
    assert {dimension for dimension, _ in places} <= {dimension for dimension, column in places if column == "*"} | {
        "compliance"  # no score of the batch where one of its texts was not looked at
    }
