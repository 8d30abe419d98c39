"""Which rows load, which are quarantined and why, and when the whole batch is blocked."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.quality import verdicts
from include.quality.batch_check import QUARANTINED, BatchCheck
from include.quality.contract import Result, breaches
from include.sources.frame import explain
from include.spec.load import load_all
from include.spec.model import CsvSource
from include.windows import Window

FINE = [str(n) for n in range(30)]
HOUR = "2025-01-01T00:00Z"


@dataclass
class Checked:
    """All that a check gave."""

    accepted: pa.Table
    quarantined: pa.Table
    results: list[Result]
    is_ordered: bool

    @property
    def blocked_by(self) -> list[str]:
        return [result.rule for result in breaches(self.results)]

    def result(self, rule: str, column: str) -> Result:
        [found] = [r for r in self.results if (r.rule, r.column) == (rule, column)]
        return found

    def accepted_as(self, name: str) -> list[Any]:
        return self.accepted.column(name).to_pylist()

    def why(self) -> list[tuple[int, str, str]]:
        rows = self.quarantined.to_pylist()
        return [(row["row_number"], row["rule"], row["column_name"]) for row in rows]

    def reasons(self) -> list[str]:
        return self.quarantined.column("reason").to_pylist()


def check(source: CsvSource, *batches: pa.RecordBatch) -> Checked:
    checker = BatchCheck(source)
    parts = [checker.take(batch) for batch in batches]
    accepted = pa.Table.from_batches([part.accepted for part in parts])
    quarantined = pa.Table.from_batches([part.quarantined for part in parts])
    assert accepted.num_rows == checker.received - checker.quarantined
    assert quarantined.num_rows == checker.quarantined
    return Checked(accepted, quarantined, verdicts.results(checker), checker.is_ordered)


def test_clean_rows_pass_typed(contract: Callable, received: Callable) -> None:
    source = contract(x={"required": True, "min": 0, "max": 50}, is_open={"type": "boolean"})
    checked = check(source, received(x=FINE, is_open=["true"] * 30))
    assert checked.accepted_as("x") == [float(n) for n in range(30)]
    assert checked.accepted.schema.field("is_open").type == pa.bool_()
    assert checked.accepted.column_names == ["valid_at", "available_at", "payload", "row_number", "x", "is_open"]
    assert checked.quarantined.num_rows == 0
    assert checked.quarantined.column_names == list(QUARANTINED)
    assert all(result.is_passed for result in checked.results)
    assert checked.blocked_by == []


@pytest.mark.parametrize(
    ("facts", "text", "rule", "reason"),
    [
        ({"min": 0}, "-0.1", "range", "x = -0.1: expected at least 0"),
        ({"max": 50}, "50.1", "range", "x = 50.1: expected at most 50"),
        ({"type": "integer", "max": 50}, "51", "range", "x = 51: expected at most 50"),
        ({}, "17,35", "type", "x = '17,35' cannot be read"),
        (
            {},
            "inf",
            "type",
            "x = 'inf' cannot be read: it is no finite number; where it means 'no value', name it in `missing`",
        ),
        ({"required": True}, None, "required", "expected a value of x"),
        ({"type": "integer", "required": True}, None, "required", "expected a value of x"),
    ],
)
def test_a_broken_value_quarantines_its_row_and_no_other(
    contract: Callable, received: Callable, facts: dict, text: str | None, rule: str, reason: str
) -> None:
    checked = check(contract(x=facts), received(x=[*FINE[:12], text, *FINE[13:]]))
    assert checked.why() == [(12, rule, "x")]
    assert checked.reasons() == [reason]
    assert checked.accepted_as("row_number") == [n for n in range(30) if n != 12]
    assert (checked.result(rule, "x").is_passed, checked.result(rule, "x").unexpected_count) == (False, 1)
    assert checked.blocked_by == []


def test_the_bounds_themselves_are_believable(contract: Callable, received: Callable) -> None:
    assert check(contract(x={"min": 0, "max": 1}), received(x=["0", "1"])).why() == []


def test_a_missing_value_that_is_not_required_is_no_fault(contract: Callable, received: Callable) -> None:
    checked = check(contract(x={"min": 0}), received(x=["1", None]))
    assert checked.why() == []
    assert checked.accepted_as("x") == [1.0, None]


def test_a_whole_number_beyond_the_precision_of_floats_passes_exactly_beside_a_missing_one(
    contract: Callable, received: Callable
) -> None:
    texts = ["9007199254740993", None, "9223372036854775807", "-1"]
    checked = check(contract(x={"type": "integer", "min": 0}), received(x=texts))
    assert checked.accepted_as("x") == [9007199254740993, None, 9223372036854775807]
    assert checked.reasons() == ["x = -1: expected at least 0"]


def test_a_row_whose_time_cannot_be_read_is_quarantined(contract: Callable, received: Callable) -> None:
    checked = check(contract(x={}), received(valid_at=[HOUR, None], x=["1", "2"]))
    assert checked.why() == [(1, "time", "valid_at")]
    assert checked.reasons() == ["the row's time cannot be read"]
    assert checked.result("time", "valid_at").unexpected_count == 1


def test_the_text_in_place_of_a_time_is_shown_where_the_source_tells_it(contract: Callable, received: Callable) -> None:
    raw = received(valid_at=[HOUR, None, None], x=["1", "2", "3"])
    told = explain(raw, lambda rows: [f"'{row}30' as '%H%M' in UTC" for row in rows])
    reasons = [f"the row's time cannot be read: '{row}30' as '%H%M' in UTC" for row in (1, 2)]
    assert check(contract(x={}), told).reasons() == reasons


def test_a_text_that_differs_from_an_allowed_one_only_in_its_unicode_form_says_so(
    contract: Callable, received: Callable
) -> None:
    composed, apart = "Quer\u00e9taro", "Quere\u0301taro"
    source = contract(x={"type": "text", "allowed": [composed]})
    [reason, other] = check(source, received(x=[apart, "Puebla"] + [composed] * 28)).reasons()
    assert reason.endswith("(the same letters in another Unicode form: write them as the contract does, or list both)")
    assert "Unicode" not in other


def test_a_row_that_breaks_several_rules_is_quarantined_once_with_every_reason(
    contract: Callable, received: Callable
) -> None:
    checked = check(contract(x={"max": 5}, y={"required": True}), received(x=["9"], y=[None]))
    assert checked.why() == [(0, "range", "x")]
    assert checked.reasons() == ["x = 9.0: expected at most 5; expected a value of y"]


def test_a_row_that_cannot_be_read_is_not_asked_for_more(contract: Callable, received: Callable) -> None:
    source = contract(x={"max": 5}, y={"required": True})
    checked = check(source, received(valid_at=[None, HOUR], x=["abc", "9"], y=[None, "1"]))
    assert checked.why() == [(0, "type", "x"), (1, "range", "x")]
    assert checked.reasons()[0] == "x = 'abc' cannot be read; the row's time cannot be read"
    assert checked.result("required", "y").is_passed


def test_a_quarantined_row_is_kept_as_it_came(contract: Callable, received: Callable) -> None:
    raw = received(x=["1,5"], note=['ünd "so", on'], gone=[None])
    checked = check(contract(x={}, note={"type": "text"}, gone={}), raw)
    [row] = checked.quarantined.to_pylist()
    assert (row["payload"], row["row_number"]) == (0, 0)
    assert json.loads(row["raw_row"]) == {
        "valid_at": "2025-01-01 00:00:00+00:00",
        "available_at": "2025-01-01 00:00:00+00:00",
        "x": "1,5",
        "note": 'ünd "so", on',
        "gone": None,
    }


def test_rows_of_several_payloads_keep_their_places(contract: Callable, received: Callable) -> None:
    raw = received(x=["1", "abc", "2", "abc"])
    raw = raw.set_column(2, "payload", pa.array([0, 0, 1, 1], pa.int32()))
    raw = raw.set_column(3, "row_number", pa.array([7, 8, 0, 1], pa.int64()))
    checked = check(contract(x={}), raw)
    places = [
        list(zip(table.column("payload").to_pylist(), table.column("row_number").to_pylist(), strict=True))
        for table in (checked.accepted, checked.quarantined)
    ]
    assert places == [[(0, 7), (1, 0)], [(0, 8), (1, 1)]]


def test_personal_columns_that_never_leave_the_source_are_not_asked_for(received: Callable) -> None:
    operations = load_all()["usdmxn"].sources["operations"]
    kept = {name: ["1"] for name, column in operations.columns.items() if column.personal != "drop"}
    kept["side_code"] = ["buy"]
    assert check(operations, received(**kept)).why() == []


@pytest.mark.parametrize(("severity", "stops"), [("stop", ["completeness"]), ("warn", [])])
def test_too_few_values_block_the_batch_or_only_warn(
    contract: Callable, received: Callable, severity: str, stops: list[str]
) -> None:
    source = contract(x={"completeness": 0.9, "severity": severity})
    checked = check(source, received(x=[*FINE[:26], *[None] * 4]))
    found = checked.result("completeness", "x")
    assert (found.is_passed, found.severity, found.unexpected_count) == (False, severity, 4)
    assert checked.blocked_by == stops
    assert checked.accepted.num_rows == 30


def test_quarantined_rows_for_one_column_do_not_make_another_incomplete(contract: Callable, received: Callable) -> None:
    source = contract(x={"completeness": 0.9}, y={"max": 0})
    checked = check(source, received(x=[*FINE, *FINE[:26], *[None] * 4], y=["1"] * 30 + ["0"] * 30))
    assert checked.accepted.num_rows == 30
    assert checked.blocked_by == ["rejected"]


def test_rows_that_cannot_be_read_do_not_make_another_column_incomplete(contract: Callable, received: Callable) -> None:
    source = contract(x={"completeness": 0.9}, y={})
    checked = check(source, received(x=[*FINE, *FINE[:26], *[None] * 4], y=["abc"] * 30 + ["0"] * 30))
    found = checked.result("completeness", "x")
    assert (found.is_passed, found.row_count, found.unexpected_count) == (True, 60, 4)


def test_just_enough_values_pass(contract: Callable, received: Callable) -> None:
    assert check(contract(x={"completeness": 0.9}), received(x=[*FINE[:27], *[None] * 3])).blocked_by == []


def test_too_many_quarantined_rows_block_the_batch(contract: Callable, received: Callable) -> None:
    checked = check(contract(max_rejected=0.06, x={"max": 27}), received(x=FINE))
    assert checked.blocked_by == ["rejected"]
    assert checked.result("rejected", "*").observed == "2 of 30 rows quarantined (6.7%)"
    assert check(contract(max_rejected=0.07, x={"max": 27}), received(x=FINE)).blocked_by == []


def test_a_share_is_judged_over_all_parts_and_not_in_each(contract: Callable, received: Callable) -> None:
    source = contract(max_rejected=0.06, x={"max": 27})
    parts = [received(x=FINE[:28]), received(x=FINE[28:]), received(x=["1"] * 10)]
    assert check(source, *parts[:2]).blocked_by == ["rejected"]
    assert check(source, *parts).blocked_by == []


def test_shares_of_a_handful_of_rows_block_as_those_of_many(contract: Callable, received: Callable) -> None:
    checked = check(contract(x={}, y={"max": 0}), received(x=[None] * 5, y=["1"] * 4 + ["0"]))
    assert checked.blocked_by == ["completeness", "rejected"]


HOURS_OF_A_DAY = [
    {"kind": "rows", "name": "enough", "min": 24},
    {"kind": "rows", "name": "each_hour", "every": "1 hour"},
    {"kind": "mean", "name": "band", "column": "x", "min": 10, "max": 20},
]


@pytest.mark.parametrize(
    ("count", "blocked_by"),
    [
        *[(24, ["band"]), (23, ["enough", "each_hour", "band"]), (5, ["enough", "each_hour", "band"])],
        *[(1, ["enough", "each_hour", "band"]), (0, ["enough", "each_hour"])],
    ],
)
@pytest.mark.parametrize("severity", ["stop", "warn"])
def test_counts_expected_times_and_bands_hold_however_few_rows_came(
    contract: Callable, received: Callable, count: int, blocked_by: list[str], severity: str
) -> None:
    source = contract(x={})
    checks = [{**one, "severity": severity} for one in HOURS_OF_A_DAY]
    source = CsvSource.model_validate(source.model_dump(by_alias=True) | {"checks": checks})
    checker = BatchCheck(source, Window.parse("2025-01-01", "2025-01-02"))
    checker.take(received(x=["1000"] * count))
    results = verdicts.results(checker)
    assert [r.rule for r in breaches(results)] == (blocked_by if severity == "stop" else [])
    assert {r.rule for r in results if not r.is_passed} >= set(blocked_by)


def test_a_batch_without_rows_is_empty_and_nothing_else_of_it_is_judged(contract: Callable, received: Callable) -> None:
    checked = check(contract(x={"required": True}), received(x=[]))
    assert checked.blocked_by == []
    assert [result.rule for result in checked.results if result.is_judged] == ["empty"]


def test_a_source_that_gave_no_batch_at_all_passes_with_every_result(contract: Callable, received: Callable) -> None:
    source = contract(x={"required": True})
    assert verdicts.results(BatchCheck(source)) == check(source, received(x=[])).results


def test_every_broken_row_is_named_beyond_the_cap_of_great_expectations_samples(
    contract: Callable, received: Callable
) -> None:
    checked = check(contract(x={"max": 499}), received(x=[str(n) for n in range(1000)]))
    assert checked.quarantined.column("row_number").to_pylist() == list(range(500, 1000))
    assert checked.result("range", "x").unexpected_count == 500


@pytest.mark.parametrize(
    ("key", "column", "expected"),
    [((), "valid_at", "one row for each valid_at"), (("id",), "*", "one row for each id, valid_at")],
)
def test_one_row_for_each_key_and_time_is_part_of_every_contract(
    contract: Callable, received: Callable, key: tuple[str, ...], column: str, expected: str
) -> None:
    checked = check(contract(key=key, id={"required": True}), received(id=["1", "2"]))
    found = checked.result("unique", column)
    assert (found.is_passed, found.expected, found.row_count) == (True, expected, 2)
    assert checked.result("repeated", "*").is_passed


@pytest.mark.parametrize(
    ("times", "ids", "is_ordered"),
    [
        ([HOUR, HOUR, "2025-01-01T01:00Z"], ["a", "b", "a"], True),
        ([HOUR, HOUR, "2025-01-01T01:00Z"], ["b", "a", "a"], False),
        ([HOUR, HOUR], ["a", "a"], False),
        ([HOUR, None, "2025-01-01T01:00Z"], ["a", "a", "a"], True),  # the quarantined one is no part of the order
    ],
)
def test_rows_are_ordered_where_time_and_key_only_grow(
    contract: Callable, received: Callable, times: list[str], ids: list[str], is_ordered: bool
) -> None:
    source = contract(key=("id",), id={"type": "text", "required": True})
    raw = received(valid_at=times, id=ids)
    assert check(source, raw).is_ordered == is_ordered
    assert check(source, *(raw.slice(at, 1) for at in range(len(times)))).is_ordered == is_ordered


@pytest.mark.parametrize(
    ("key", "rule", "column", "reason"),
    [
        ((), "repeated", "*", "the very same row came before"),
        ((), "unique", "valid_at", "expected one row for each valid_at"),
        (("x",), "repeated", "*", "the very same row came before"),
        (("x",), "unique", "*", "expected one row for each x, valid_at"),
    ],
)
def test_rows_found_to_share_their_key_are_counted_as_quarantined(
    contract: Callable, received: Callable, key: tuple[str, ...], rule: str, column: str, reason: str
) -> None:
    checker = BatchCheck(contract(key=key, max_rejected=0.05, x={"required": True}))
    raw = received(x=FINE)
    checker.take(raw)
    checker.note(rule, column, 30, [reason, reason])
    quarantined = checker.quarantine(raw, [(3, rule, column, reason), (8, rule, column, reason)]).to_pylist()
    assert [(row["row_number"], row["rule"], row["column_name"], row["reason"]) for row in quarantined] == [
        (3, rule, column, reason),
        (8, rule, column, reason),
    ]
    assert json.loads(quarantined[0]["raw_row"])["x"] == "3"
    results = {(result.rule, result.column): result for result in verdicts.results(checker)}
    assert (results[rule, column].is_passed, results[rule, column].unexpected_count) == (False, 2)
    assert results[rule, column].row_count == 30
    assert results["rejected", "*"].observed == "2 of 30 rows quarantined (6.7%)"
    assert [result.rule for result in breaches(verdicts.results(checker))] == ["rejected"]


# Few different texts, so that rows collide; among them each kind of defect.
ROWS = st.lists(
    st.tuples(
        st.sampled_from([HOUR, "2025-01-01T01:00Z", "2025-01-01T02:00Z", None]),
        st.sampled_from(["1", "2", None]),
        st.sampled_from(["1", "1.0", "9", "abc", "inf", None]),
    ),
    max_size=25,
)


def batch_of(received: Callable, rows: list[tuple]) -> pa.RecordBatch:
    times, ids, values = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    return received(valid_at=times, id=ids, x=values)


def in_place(table: pa.Table) -> list[dict[str, Any]]:
    return sorted(table.to_pylist(), key=lambda row: row["row_number"])


@settings(max_examples=20, deadline=None)
@given(rows=ROWS, data=st.data())
def test_each_row_is_accepted_or_quarantined_and_their_order_changes_nothing(
    contract: Callable, received: Callable, rows: list[tuple], data: st.DataObject
) -> None:
    source = contract(key=("id",), id={"required": True}, x={"max": 5})
    raw = batch_of(received, rows)
    order = pa.array(data.draw(st.permutations(range(len(rows)))), pa.int64())
    checked, shuffled = check(source, raw), check(source, raw.take(order))
    places = checked.accepted_as("row_number") + checked.quarantined.column("row_number").to_pylist()
    assert sorted(places) == list(range(len(rows)))
    assert checked.results == shuffled.results
    assert in_place(checked.accepted) == in_place(shuffled.accepted)
    assert in_place(checked.quarantined) == in_place(shuffled.quarantined)


@settings(max_examples=25, deadline=None)
@given(rows=ROWS, data=st.data())
def test_how_rows_are_cut_into_batches_changes_nothing(
    contract: Callable, received: Callable, rows: list[tuple], data: st.DataObject
) -> None:
    source = contract(key=("id",), id={"required": True}, x={"max": 5, "completeness": 0.8})
    raw = batch_of(received, rows)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=5)))
    bounds = zip([0, *cuts], [*cuts, len(rows)], strict=True)
    whole, cut = check(source, raw), check(source, *(raw.slice(low, high - low) for low, high in bounds))
    assert cut.results == whole.results
    assert cut.is_ordered == whole.is_ordered
    assert cut.accepted.combine_chunks().equals(whole.accepted.combine_chunks())
    assert cut.quarantined.combine_chunks().equals(whole.quarantined.combine_chunks())
