"""Which rows load, which are set aside and why, and when the whole batch stops."""

import json
from collections.abc import Callable

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.quality.check import Checked, check
from include.quality.contract import Result
from include.spec.load import load_all

FINE = [str(n) for n in range(30)]
HOUR = "2025-01-01T00:00Z"


def outcome(checked: Checked, rule: str, column: str) -> Result:
    [found] = [r for r in checked.results if (r.rule, r.column) == (rule, column)]
    return found


def rejected(checked: Checked) -> list[tuple[int, str, str]]:
    frame = checked.rejected[["row_number", "rule", "column_name"]]
    return list(frame.itertuples(index=False, name=None))


def test_clean_rows_pass_typed(contract: Callable, received: Callable) -> None:
    source = contract(x={"required": True, "min": 0, "max": 50}, is_open={"type": "boolean"})
    checked = check(source, received(x=FINE, is_open=["true"] * 30))
    assert checked.accepted["x"].tolist() == [float(n) for n in range(30)]
    assert checked.accepted["is_open"].dtype == "boolean"
    assert list(checked.accepted) == ["valid_at", "available_at", "x", "is_open", "payload_id"]
    assert checked.rejected.empty
    assert all(result.is_passed for result in checked.results)
    assert checked.stopped_by == []


@pytest.mark.parametrize(
    ("facts", "text", "rule", "reason"),
    [
        ({"min": 0}, "-0.1", "range", "x = -0.1: expected at least 0"),
        ({"max": 50}, "50.1", "range", "x = 50.1: expected at most 50"),
        ({"type": "integer", "max": 50}, "51", "range", "x = 51: expected at most 50"),
        ({}, "17,35", "type", "x = '17,35' cannot be read"),
        ({}, "inf", "type", "x = 'inf' cannot be read"),
        ({"required": True}, None, "required", "expected a value of x"),
        ({"type": "integer", "required": True}, None, "required", "expected a value of x"),
    ],
)
def test_a_broken_value_sets_aside_its_row_and_no_other(
    contract: Callable, received: Callable, facts: dict, text: str | None, rule: str, reason: str
) -> None:
    checked = check(contract(x=facts), received(x=[*FINE[:12], text, *FINE[13:]]))
    assert rejected(checked) == [(12, rule, "x")]
    assert checked.rejected["reason"].item() == reason
    assert len(checked.accepted) == 29
    assert (outcome(checked, rule, "x").is_passed, outcome(checked, rule, "x").unexpected_count) == (False, 1)
    assert checked.stopped_by == []


def test_the_bounds_themselves_are_believable(contract: Callable, received: Callable) -> None:
    assert check(contract(x={"min": 0, "max": 1}), received(x=["0", "1"])).rejected.empty


def test_a_missing_value_that_is_not_required_is_no_fault(contract: Callable, received: Callable) -> None:
    checked = check(contract(x={"min": 0}), received(x=["1", None]))
    assert checked.rejected.empty
    assert checked.accepted["x"].isna().tolist() == [False, True]


def test_a_row_whose_time_cannot_be_read_is_set_aside(contract: Callable, received: Callable) -> None:
    raw = received(x=["1", "2"])
    raw.loc[1, "valid_at"] = pd.NaT
    checked = check(contract(x={}), raw)
    assert rejected(checked) == [(1, "time", "valid_at")]


def test_of_rows_equal_in_everything_the_first_is_kept(contract: Callable, received: Callable) -> None:
    checked = check(contract(x={}, y={}), received(valid_at=[HOUR] * 3, x=["1", "1.0", "1"], y=[None] * 3))
    assert rejected(checked) == [(1, "repeated", "*"), (2, "repeated", "*")]
    assert checked.accepted["x"].tolist() == [1.0]
    assert outcome(checked, "repeated", "*").unexpected_count == 2
    assert outcome(checked, "unique", "valid_at").is_passed


def test_rows_with_one_key_that_differ_are_all_set_aside(contract: Callable, received: Callable) -> None:
    checked = check(contract(x={}), received(valid_at=[HOUR, HOUR, HOUR, "2025-01-02T00:00Z"], x=["1", "2", "1", "3"]))
    assert rejected(checked) == [(0, "unique", "valid_at"), (1, "unique", "valid_at"), (2, "repeated", "*")]
    assert checked.accepted["x"].tolist() == [3.0]


def test_the_same_time_under_another_key_is_another_row(contract: Callable, received: Callable) -> None:
    source = contract(key=("id",), id={"type": "integer", "required": True}, x={})
    checked = check(source, received(valid_at=[HOUR] * 4, id=["1", "2", "2", "3"], x=["5", "5", "6", "5"]))
    assert rejected(checked) == [(1, "unique", "*"), (2, "unique", "*")]
    assert checked.accepted["id"].tolist() == [1, 3]


def test_a_row_that_breaks_several_rules_is_set_aside_once_with_every_reason(
    contract: Callable, received: Callable
) -> None:
    checked = check(contract(x={"max": 5}, y={"required": True}), received(x=["9"], y=[None]))
    assert rejected(checked) == [(0, "range", "x")]
    assert checked.rejected["reason"].item() == "x = 9.0: expected at most 5; expected a value of y"


def test_a_rejected_row_is_kept_as_it_came(contract: Callable, received: Callable) -> None:
    raw = received(x=["1,5"], note=['ünd "so", on'], gone=[None])
    checked = check(contract(x={}, note={"type": "text"}, gone={}), raw)
    assert checked.rejected["payload_id"].item() == 1
    assert json.loads(checked.rejected["raw_row"].item()) == {
        "valid_at": "2025-01-01 00:00:00+00:00",
        "available_at": "2025-01-01 00:00:00+00:00",
        "x": "1,5",
        "note": 'ünd "so", on',
        "gone": None,
    }


def test_personal_columns_that_never_leave_the_source_are_not_asked_for(received: Callable) -> None:
    operations = load_all()["usdmxn"].sources["operations"]
    kept = {name: ["1"] for name, column in operations.columns.items() if column.personal != "drop"}
    assert check(operations, received(**kept)).rejected.empty


@pytest.mark.parametrize(("severity", "stops"), [("stop", ["completeness"]), ("warn", [])])
def test_too_few_values_stop_the_batch_or_only_warn(
    contract: Callable, received: Callable, severity: str, stops: list[str]
) -> None:
    source = contract(x={"completeness": 0.9, "severity": severity})
    checked = check(source, received(x=[*FINE[:26], *[None] * 4]))
    found = outcome(checked, "completeness", "x")
    assert (found.is_passed, found.severity, found.unexpected_count) == (False, severity, 4)
    assert [result.rule for result in checked.stopped_by] == stops
    assert len(checked.accepted) == 30


def test_rows_set_aside_for_one_column_do_not_make_another_incomplete(contract: Callable, received: Callable) -> None:
    source = contract(x={"completeness": 0.9}, y={"max": 0})
    checked = check(source, received(x=[*FINE, *FINE[:26], *[None] * 4], y=["1"] * 30 + ["0"] * 30))
    assert len(checked.accepted) == 30
    assert [result.rule for result in checked.stopped_by] == ["rejected"]


def test_just_enough_values_pass(contract: Callable, received: Callable) -> None:
    checked = check(contract(x={"completeness": 0.9}), received(x=[*FINE[:27], *[None] * 3]))
    assert checked.stopped_by == []


def test_too_many_rows_set_aside_stop_the_batch(contract: Callable, received: Callable) -> None:
    checked = check(contract(max_rejected=0.06, x={"max": 27}), received(x=FINE))
    assert [result.rule for result in checked.stopped_by] == ["rejected"]
    assert outcome(checked, "rejected", "*").observed == "2 of 30 rows set aside (6.7%)"
    assert check(contract(max_rejected=0.07, x={"max": 27}), received(x=FINE)).stopped_by == []


def test_shares_of_a_handful_of_rows_say_nothing(contract: Callable, received: Callable) -> None:
    checked = check(contract(x={}, y={"max": 0}), received(x=[None] * 5, y=["1"] * 4 + ["0"]))
    assert checked.stopped_by == []
    assert not outcome(checked, "completeness", "x").is_passed
    assert not outcome(checked, "rejected", "*").is_passed


def test_a_batch_without_rows_passes(contract: Callable, received: Callable) -> None:
    checked = check(contract(x={"required": True}), received(x=[]))
    assert checked.stopped_by == []
    assert all(result.is_passed for result in checked.results)


def test_every_broken_row_is_named_beyond_the_cap_of_great_expectations_samples(
    contract: Callable, received: Callable
) -> None:
    texts = [str(n) for n in range(1000)]
    checked = check(contract(x={"max": 499}), received(x=texts))
    assert checked.rejected["row_number"].tolist() == list(range(500, 1000))
    assert outcome(checked, "range", "x").unexpected_count == 500


def test_every_row_of_many_that_share_a_composite_key_is_named(contract: Callable, received: Callable) -> None:
    source = contract(key=("id",), id={"required": True}, x={})
    raw = received(valid_at=[HOUR] * 600, id=["7"] * 600, x=[str(n) for n in range(600)])
    assert len(check(source, raw).rejected) == 600


# Few different texts, so that rows collide; among them each kind of defect.
ROWS = st.lists(
    st.tuples(
        st.sampled_from([HOUR, "2025-01-01T01:00Z", "2025-01-01T02:00Z", None]),
        st.sampled_from(["1", "2", None]),
        st.sampled_from(["1", "1.0", "9", "abc", "inf", None]),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, data=st.data())
def test_each_row_is_accepted_or_rejected_and_their_order_changes_nothing(
    contract: Callable, received: Callable, rows: list[tuple], data: st.DataObject
) -> None:
    source = contract(key=("id",), id={"required": True}, x={"max": 5})
    times, ids, values = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    raw = received(valid_at=times, id=ids, x=values) if rows else received(id=[], x=[])
    order = data.draw(st.permutations(range(len(raw))))
    checked, shuffled = check(source, raw), check(source, raw.iloc[order])
    assert len(checked.accepted) + len(checked.rejected) == len(raw)
    assert not checked.accepted.duplicated(["id", "valid_at"]).any()
    assert checked.results == shuffled.results
    by = ["valid_at", "id"]
    pd.testing.assert_frame_equal(
        checked.accepted.sort_values(by, ignore_index=True), shuffled.accepted.sort_values(by, ignore_index=True)
    )
    pd.testing.assert_frame_equal(
        checked.rejected, shuffled.rejected.sort_values("row_number", ignore_index=True), check_dtype=False
    )
