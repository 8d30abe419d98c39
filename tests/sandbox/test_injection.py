"""What each kind of injection does to a value, and that the file of those that stand is kept whole."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest

from include.errors import ConfigError
from include.sandbox import standing
from include.sandbox.injection import KINDS, SERVICES, Injection, change, decimals, lot, of_field, sent, service_of

START = datetime(2025, 7, 1, tzinfo=UTC)
BEFORE = START - timedelta(microseconds=1)
SHIFT = Injection("p", "fix_mxn", "banxico", "SF43718", "shift", "0.5sd", START, offset=0.5)
SCALE = replace(SHIFT, kind="scale", amount="1.2", factor=1.2, offset=0.0)
FREEZE = replace(SHIFT, kind="freeze", amount="", offset=0.0, constant=17.25)
MISSING = replace(SHIFT, kind="missing", amount="0.3", offset=0.0, share=0.3)
SWAP = replace(SCALE, kind="unit-swap", amount="0.001", factor=0.001)


@pytest.mark.parametrize(
    ("injection", "becomes"), [(SHIFT, 20.5), (SCALE, 24.0), (FREEZE, 17.25), (SWAP, 0.02), (MISSING, 20.0)]
)
def test_each_kind_changes_a_value_from_its_start_on_and_none_before(injection: Injection, becomes: float) -> None:
    kept = next(START + timedelta(days=n) for n in range(9) if change(20.0, START + timedelta(days=n), [injection]))
    assert change(20.0, kept, [injection]) == becomes
    assert change(20.0, BEFORE, [injection]) == 20.0


def test_every_kind_there_is_is_tested() -> None:
    assert {each.kind for each in (SHIFT, SCALE, FREEZE, MISSING, SWAP)} == set(KINDS)


@pytest.mark.parametrize("injection", [SHIFT, SCALE, FREEZE, MISSING, SWAP])
def test_a_missing_value_stays_missing(injection: Injection) -> None:
    assert change(None, START, [injection]) is None


def test_an_injection_with_an_end_leaves_what_comes_after_it() -> None:
    ending = replace(SHIFT, end=START + timedelta(days=1))
    assert change(20.0, START + timedelta(hours=23), [ending]) == 20.5
    assert change(20.0, START + timedelta(days=1), [ending]) == 20.0


def test_two_injections_of_a_column_add_up_in_the_order_in_which_they_were_made() -> None:
    assert change(20.0, START, [SHIFT, SCALE]) == pytest.approx(24.6)
    assert change(20.0, START, [SCALE, SHIFT]) == 24.5


def test_about_the_share_asked_for_goes_missing_and_always_the_same_values() -> None:
    hours = [START + timedelta(hours=n) for n in range(5000)]
    gone = [change(1.0, hour, [MISSING]) is None for hour in hours]
    assert sum(gone) / len(gone) == pytest.approx(0.3, abs=0.02)
    assert gone == [change(1.0, hour, [MISSING]) is None for hour in hours]
    assert [change(1.0, hour, [replace(MISSING, share=1.0)]) for hour in hours] == [None] * 5000


def test_columns_lose_other_values_than_each_other() -> None:
    assert lot("SF43718", START.isoformat()) != lot("SF43783", START.isoformat())


def test_a_scaled_value_keeps_the_senders_decimals_and_a_swapped_unit_its_digits() -> None:
    assert sent(17.3456, START, [SCALE], 4) == 20.8147
    assert (sent(17.3456, START, [SWAP], 4), decimals(4, START, [SWAP])) == (0.0173456, 7)
    assert decimals(4, BEFORE, [SWAP]) == 4
    assert decimals(1, START, [replace(SWAP, factor=1000.0)]) == 1


def test_a_value_that_is_not_touched_is_the_very_same() -> None:
    assert sent(0.1 + 0.2, BEFORE, [SHIFT], 1) == 0.1 + 0.2


def test_only_a_columns_own_injections_change_it() -> None:
    assert of_field([SHIFT, replace(SCALE, field="SF43783")], "SF43718") == (SHIFT,)


def test_paths_belong_to_one_service_each() -> None:
    assert [service_of(path) for path in SERVICES.values()] == list(SERVICES)
    assert service_of("/health") is None


def test_an_injection_says_what_it_does_and_from_when_to_when() -> None:
    assert str(SHIFT) == "fix_mxn: shift 0.5sd (value +0.5) from 2025-07-01"
    assert str(replace(SWAP, factor=1.8, offset=32.0, end=START + timedelta(hours=36))) == (
        "fix_mxn: unit-swap 0.001 (value times 1.8 +32) from 2025-07-01 to 2025-07-02 12:00"
    )
    assert "(always 17.25)" in str(FREEZE)
    assert "(30% of the values)" in str(MISSING)


def test_what_stands_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert standing.read(tmp_path / "sandbox") == ()
    every = (SHIFT, replace(FREEZE, end=START + timedelta(days=1)), replace(FREEZE, constant="buy"))
    standing.replace(tmp_path / "sandbox", every)
    assert standing.read(tmp_path / "sandbox") == every
    standing.replace(tmp_path / "sandbox", [])
    assert standing.read(tmp_path / "sandbox") == ()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1]", "{}x", '[{"pipeline": "p"}]', json.dumps([SHIFT.to_dict() | {"more": 1}])]
    + [json.dumps([SHIFT.to_dict() | wrong]) for wrong in ({"kind": "twist"}, {"start": "2025-07-01"}, {"end": "x"})],
)
def test_a_file_that_is_no_list_of_injections_is_named_with_the_way_out(tmp_path: Path, text: str) -> None:
    (tmp_path / standing.FILE).write_text(text)
    with pytest.raises(ConfigError, match=r"injections\.json cannot be read .*mend it, or delete it"):
        standing.read(tmp_path)


def test_two_that_change_it_at_once_both_stand(tmp_path: Path) -> None:
    def add(number: int) -> None:
        with standing.changing(tmp_path):
            standing.replace(tmp_path, [*standing.read(tmp_path), replace(SHIFT, offset=float(number))])

    threads = [Thread(target=add, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {each.offset for each in standing.read(tmp_path)} == set(range(20))
