"""What holds for any contract and any rows: order and cuts change nothing, no row is lost, and plain
Great Expectations, asked once about the whole, says the same."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import great_expectations as gx
import great_expectations.expectations as gxe
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.quality import verdicts
from include.quality.batch_check import BatchCheck
from include.quality.contract import Result
from include.quality.neighbours import find
from include.spec.model import CsvSource
from include.spec.quality import Frozen, Step
from include.windows import Window

FEW = settings(max_examples=20, derandomize=True, deadline=None)
MANY = settings(max_examples=50, derandomize=True, deadline=None)
FIRST = datetime(2025, 1, 1, tzinfo=UTC)
WINDOW = Window(FIRST, FIRST + timedelta(hours=6))
INSTANT = pa.timestamp("us", "UTC")

# Few different texts, so that rows collide; among them each kind of defect, and what two readers may read differently.
NUMBERS = (None, "1", "2.5", "-3", "9", "1.0", "0.25")
WHOLE = (None, "1", "2", "7", "-1")
TEXTS = (None, "AB", "cd", "abc", "x", "ABC", "ÄB", "AB\n")
FOREIGN = ("seÃ±al", "ana@example.org")  # of rules that Great Expectations has no expectation of its own for
UNREADABLE = ("abc", "inf", "1,5")
HOURS = (*range(6), 6, 9, None)  # the last ones lie after the window, or cannot be read
CHECKS = (
    {"kind": "rule", "name": "below", "rule": "n <= k"},
    {"kind": "rows", "name": "each_hour", "every": "1 hour", "share": 0.8},
    {"kind": "rows", "name": "enough", "min": 3, "max": 20},
    # Off the grid of the values, so that the last bit of a sum decides nothing.
    {"kind": "mean", "name": "level", "column": "n", "min": 0.123, "max": 3.217},
    {"kind": "sd", "name": "spread", "column": "n", "max": 2.871, "severity": "warn"},
    {
        "kind": "expectation",
        "name": "above",
        "type": "expect_column_pair_values_a_to_be_greater_than_b",
        "arguments": {"column_A": "n", "column_B": "k", "or_equal": True},
        "severity": "warn",
    },
    {
        "kind": "expectation",
        "name": "no_x",
        "type": "expect_column_values_to_not_match_regex",
        "arguments": {"column": "t", "regex": "^x"},
    },
)


def source_of(columns: dict[str, dict[str, Any]], checks: Sequence[dict[str, Any]] = (), **facts: Any) -> CsvSource:
    named = {name: {"from": name, "unit": "1", "description": "A value"} | own for name, own in columns.items()}
    whole = {"kind": "csv_file", "connection": "somewhere", "title": "Some rows", "path": "/rows.csv"}
    time = {"columns": ["at"], "format": "%Y-%m-%d"}
    return CsvSource.model_validate(whole | facts | {"time": time, "columns": named, "checks": list(checks)})


def some(**choices: Sequence[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Draw facts of a column: some of these keys, each with one of its values."""
    return st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in choices.items()})


NUMBER = some(min=[0, 1], max=[2.5, 5], decimals=[0, 1], required=[True], completeness=[0.8, 1.0], fresh=["2 hours"])
INTEGER = some(allowed=[[1, 2], [7]], required=[True], completeness=[0.9]).map(
    lambda facts: facts | {"type": "integer"}
)
TEXT = some(
    format=["[A-Z]{2}", "[a-z]+|x"], length=[(1, 2), (2, 3)], allowed=[["AB", "cd"]], severity=["warn"], required=[True]
).map(lambda facts: facts | {"type": "text"})
CONTRACTS = st.builds(
    lambda n, k, t, checks, share: source_of({"n": n, "k": k, "t": t}, checks, max_rejected=share),
    *(NUMBER, INTEGER, TEXT),
    st.lists(st.sampled_from(CHECKS), unique_by=lambda check: check["name"]),
    st.sampled_from([0.05, 0.3]),
)


def rows_of(hours: Sequence[Any], *columns: Sequence[str | None], fewest: int = 0) -> st.SearchStrategy[list]:
    return st.lists(st.tuples(*map(st.sampled_from, (hours, *columns))), min_size=fewest, max_size=fewest + 30)


def batch_of(rows: list[tuple]) -> pa.RecordBatch:
    """Put rows as a parser hands them over; each keeps its number wherever it goes."""
    hours, *columns = zip(*rows, strict=True) if rows else ((), (), (), ())
    at = pa.array([None if hour is None else FIRST + timedelta(hours=hour) for hour in hours], INSTANT)
    places = {"payload": pa.array([0] * len(rows), pa.int32()), "row_number": pa.array(range(len(rows)), pa.int64())}
    texts = {name: pa.array(values, pa.string()) for name, values in zip("nkt", columns, strict=True)}
    return pa.RecordBatch.from_pydict({"valid_at": at, "available_at": at, **places, **texts})


def cut(data: st.DataObject, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    cuts = sorted(data.draw(st.lists(st.integers(0, batch.num_rows), max_size=3)))
    for low, high in zip([0, *cuts], [*cuts, batch.num_rows], strict=True):
        yield batch.slice(low, high - low)


def shuffled(data: st.DataObject, batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.take(pa.array(data.draw(st.permutations(range(batch.num_rows))), pa.int64()))


@dataclass
class Checked:
    """All that a check gave; rows by their number."""

    accepted: list[dict[str, Any]]
    quarantined: list[dict[str, Any]]
    results: list[Result]


def check(source: CsvSource, *batches: pa.RecordBatch) -> Checked:
    checker = BatchCheck(source, WINDOW)
    parts = [checker.take(batch) for batch in batches]
    accepted = [row for part in parts for row in part.accepted.to_pylist()]
    quarantined = [row for part in parts for row in part.quarantined.to_pylist()]
    assert (len(accepted) + len(quarantined), len(quarantined)) == (checker.received, checker.quarantined)
    assert checker.received == sum(batch.num_rows for batch in batches)
    return Checked(
        *(sorted(rows, key=lambda row: row["row_number"]) for rows in (accepted, quarantined)),
        verdicts.results(checker),
    )


@FEW
@given(
    source=CONTRACTS,
    rows=rows_of(HOURS, (*NUMBERS, *UNREADABLE), (*WHOLE, *UNREADABLE), (*TEXTS, *FOREIGN)),
    data=st.data(),
)
def test_neither_the_order_of_rows_nor_their_cuts_change_a_verdict_and_none_is_lost(
    source: CsvSource, rows: list[tuple], data: st.DataObject
) -> None:
    batch = batch_of(rows)
    whole = check(source, batch)
    numbers = [row["row_number"] for row in (*whole.accepted, *whole.quarantined)]
    assert sorted(numbers) == list(range(len(rows)))
    assert check(source, *cut(data, shuffled(data, batch))) == whole


ORDERED = source_of(
    {"n": {}, "k": {"type": "integer"}, "t": {"type": "text"}}, [{"kind": "ordered", "name": "runs_on"}]
)


@FEW
@given(rows=rows_of(HOURS, ["1"], ["1"], ["a"]), data=st.data())
def test_only_ordered_is_about_the_order_and_cuts_do_not_change_what_it_finds(
    rows: list[tuple], data: st.DataObject
) -> None:
    batch = batch_of(rows)
    whole = check(ORDERED, batch)
    assert check(ORDERED, *cut(data, batch)) == whole
    broken = {row["row_number"] for row in whole.quarantined if row["rule"] == "runs_on"}
    # A time in the future makes no other row late, nor does one that cannot be read.
    hours = [-1 if hour is None or hour >= 6 else hour for hour, *_ in rows]
    assert broken == {at for at, hour in enumerate(hours) if 0 <= hour < max(hours[:at], default=0)}
    in_order = pa.array(sorted(range(len(rows)), key=hours.__getitem__), pa.int64())
    assert "runs_on" not in {row["rule"] for row in check(ORDERED, batch.take(in_order)).quarantined}


# Neighbours


STEP = Step.model_validate({"kind": "step", "name": "jump", "column": "n", "max": 2, "within": "2 hours"})
FROZEN = Frozen.model_validate({"kind": "frozen", "name": "still", "column": "n", "rows": 2, "within": "2 hours"})
SERIES = st.lists(  # one row for each site and hour, as those that share their key are quarantined before
    st.tuples(st.sampled_from("ab"), st.integers(0, 15), st.none() | st.integers(0, 5)),
    max_size=25,
    unique_by=lambda row: row[:2],
)


def series(rows: list[tuple[str, int, int | None]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(
        {
            "valid_at": pa.array([FIRST + timedelta(hours=hour) for _, hour, _ in rows], INSTANT),
            "site": pa.array([site for site, *_ in rows], pa.string()),
            "n": pa.array([value for *_, value in rows], pa.float64()),
            "payload": pa.array([0] * len(rows), pa.int32()),
            "row_number": pa.array(range(len(rows)), pa.int64()),
        }
    )


def broken_one_by_one(rows: list[tuple[str, int, int | None]]) -> dict[str, set[tuple[int, int]]]:
    """Look at each row and those before it of the same site, as the rules are worded."""
    found: dict[str, set[tuple[int, int]]] = {"jump": set(), "still": set()}
    before: dict[str, tuple[int, int | None, int]] = {}  # hour, value, and how often it came in a row
    for place, (site, hour, value) in sorted(enumerate(rows), key=lambda item: item[1][1]):
        last_hour, last, times = before.get(site, (-99, None, 0))
        is_neighbour = hour - last_hour <= 2 and last is not None and value is not None
        times = times + 1 if is_neighbour and value == last else 1
        if is_neighbour and abs(value - last) > STEP.max:
            found["jump"].add((0, place))
        if value is not None and times > FROZEN.rows:
            found["still"].add((0, place))
        before[site] = (hour, value, times)
    return found


@MANY
@given(rows=SERIES, data=st.data())
def test_neighbours_are_those_in_time_however_rows_come(rows: list[tuple], data: st.DataObject) -> None:
    checks, batch = [STEP, FROZEN], series(rows)
    found = find([batch], checks, ["site"])
    assert {name: set(places) for name, places in found.items()} == broken_one_by_one(rows)
    assert find(cut(data, shuffled(data, batch)), checks, ["site"]) == found


@MANY
@given(rows=SERIES, hour=st.integers(0, 15))
def test_rows_of_the_batch_before_are_neighbours_and_are_not_quarantined_again(rows: list[tuple], hour: int) -> None:
    batch, checks = series(rows), [STEP, FROZEN]
    is_before = pa.array([own < hour for _, own, _ in rows], pa.bool_())
    is_after = pa.array([own >= hour for _, own, _ in rows], pa.bool_())
    before = pa.Table.from_batches([batch.filter(is_before)]).select(["valid_at", "site", "n"])
    found = find([batch.filter(is_after)], checks, ["site"], before)
    late = {(0, at) for at, (_, own, _) in enumerate(rows) if own >= hour}
    assert {name: set(places) for name, places in found.items()} == {
        name: places & late for name, places in broken_one_by_one(rows).items()
    }


# Plain Great Expectations


PLAIN = st.builds(
    lambda n, k, t, checks: source_of({"n": n, "k": k, "t": t}, checks),  # no decimals: Great Expectations has none
    some(min=[0, 1], max=[2.5, 5], required=[True], completeness=[0.8, 0.9, 1.0]),
    *(INTEGER, TEXT),
    st.lists(
        st.sampled_from([own for own in CHECKS if own["kind"] == "expectation"]), unique_by=lambda own: own["name"]
    ),
)


def raw_rules(source: CsvSource) -> dict[tuple[str, str], Any]:
    """Write down as expectations, by hand, what the contract asks of the text as it came."""
    found: dict[tuple[str, str], Any] = {}
    for name, column in source.columns.items():
        if column.format is not None:
            found["format", name] = gxe.ExpectColumnValuesToMatchRegex(column=name, regex=rf"\A(?:{column.format})\Z")
        if column.length is not None:
            low, high = column.length
            length = gxe.ExpectColumnValueLengthsToBeBetween(column=name, min_value=low, max_value=high)
            found["length", name] = length
    return found


def core_rules(source: CsvSource) -> dict[tuple[str, str], Any]:
    """Write down what it asks of each typed row."""
    found: dict[tuple[str, str], Any] = {}
    for name, column in source.columns.items():
        if column.required:
            found["required", name] = gxe.ExpectColumnValuesToNotBeNull(column=name)
        if column.min is not None or column.max is not None:
            between = gxe.ExpectColumnValuesToBeBetween(column=name, min_value=column.min, max_value=column.max)
            found["range", name] = between
        if column.allowed:
            found["allowed", name] = gxe.ExpectColumnValuesToBeInSet(column=name, value_set=list(column.allowed))
    for own in source.checks:
        if own.name == "above":
            above = gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="n", column_B="k", or_equal=True)
            found["above", "*"] = above
        else:
            found[own.name, "t"] = gxe.ExpectColumnValuesToNotMatchRegex(column="t", regex="^x")
    return found


def shares(source: CsvSource) -> dict[tuple[str, str], Any]:
    """Write down what it asks of the whole batch."""
    return {
        ("completeness", name): gxe.ExpectColumnValuesToNotBeNull(column=name, mostly=column.completeness)
        for name, column in source.columns.items()
    }


@pytest.fixture(scope="session")
def plain() -> Callable[..., dict[tuple[str, str], tuple[bool, int, set[int]]]]:
    """Give a function that asks Great Expectations as its manual does: about a whole frame, one by one.

    It returns for each rule whether it holds, how many rows break it, and their numbers.
    """
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    whole = (
        context.data_sources.add_pandas("all").add_dataframe_asset("all").add_batch_definition_whole_dataframe("all")
    )

    def run(
        frame: pd.DataFrame, rules: dict[tuple[str, str], Any]
    ) -> dict[tuple[str, str], tuple[bool, int, set[int]]]:
        batch, found = whole.get_batch({"dataframe": frame}), {}
        for place, expectation in rules.items():
            item = batch.validate(expectation, result_format={"result_format": "COMPLETE"})
            assert not item.exception_info.get("raised_exception"), item.exception_info
            result = item.result
            broken = set(result.get("unexpected_index_list") or ())
            found[place] = (item.success, result.get("unexpected_count", 0), broken)
        return found

    return run


def rows_broken(found: dict[tuple[str, str], tuple[bool, int, set[int]]]) -> set[int]:
    return {number for *_, broken in found.values() for number in broken}


@FEW
@given(source=PLAIN, rows=rows_of(range(6), NUMBERS, WHOLE, TEXTS, fewest=10), data=st.data())
def test_verdict_counts_and_rows_are_those_of_plain_great_expectations_on_the_whole(
    plain: Callable, source: CsvSource, rows: list[tuple], data: st.DataObject
) -> None:
    batch = batch_of(rows)
    checked = check(source, *cut(data, batch))
    texts = batch.select(["n", "k", "t"]).to_pandas()
    typed = texts.assign(n=texts["n"].astype(float), k=texts["k"].astype(float))
    raw = plain(texts, raw_rules(source))
    core = plain(typed.drop(index=list(rows_broken(raw))), core_rules(source))  # an earlier fault is enough
    verdicts = raw | core | plain(typed, shares(source))
    ours = {(own.rule, own.column): (own.is_passed, own.unexpected_count) for own in checked.results}
    assert {place: ours[place] for place in verdicts} == {place: own[:2] for place, own in verdicts.items()}
    stops = {place: own for place, own in (raw | core).items() if place[0] != "above"}  # that one only warns
    assert {row["row_number"] for row in checked.quarantined} == rows_broken(stops)
    for row in checked.quarantined:
        broke = [place for place, (*_, broken) in stops.items() if row["row_number"] in broken]
        assert (row["rule"], row["column_name"]) == broke[0]
        assert len(row["reason"].split("; ")) == len(broke)
