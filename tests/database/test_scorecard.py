"""The ML Test Score counts what the records say, and tells what they do not say."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.promotion.ledger import append
from include.scorecard.marking import Mark, mark_all
from include.scorecard.rubric import TESTS
from include.spec.model import Pipeline
from include.warehouse.batch import RunRef
from include.windows import Window
from tests.database.conftest import JANUARY, Warehouse

ROOT = Path(__file__).resolve().parents[2]
FEBRUARY = Window.parse("2025-02-01", "2025-03-01")
PRIVACY = "The data pipeline has appropriate privacy controls"
INVARIANTS, REGRESSED = "Data invariants hold for inputs", "Prediction quality has not regressed"
CORRELATE = "Offline and online metrics correlate"
TUNED, SLICES = "All hyperparameters have been tuned", "Model quality is sufficient on important data slices"
CHECK = """
insert into ops.quality_result (pipeline, source, window_start_at, window_end_at, batch_sha256, rule, column_name,
    severity, is_passed, row_count, unexpected_count, observed, expected, run_id, stage,
    dimension)
values ('readings', 'meter', %s, %s, %s, %s, 'level_m', %s, %s, 9, 0, '', '', 'r', 'core', 'validity')
"""


def mark(warehouse: Warehouse, name: str, spec: Pipeline | None = None) -> Mark:
    """Return the mark of a test over the one pipeline there is."""
    with warehouse.engine.connect() as connection:
        marks = mark_all(connection, {warehouse.spec.pipeline: spec or warehouse.spec})
    return next(one for one in marks if one.name == name)


def personal(warehouse: Warehouse) -> Pipeline:
    """Return a spec whose readers' notes are personal."""
    meter = warehouse.spec.sources["meter"]
    columns = {**meter.columns, "note": meter.columns["note"].model_copy(update={"personal": "hash"})}
    sources = {**warehouse.spec.sources, "meter": meter.model_copy(update={"columns": columns})}
    return warehouse.spec.model_copy(update={"sources": sources})


def test_personal_columns_that_were_never_loaded_are_not_measured(warehouse: Warehouse) -> None:
    never = mark(warehouse, PRIVACY, personal(warehouse))
    assert never.evidence == {"readings": "not measured, no value is loaded: readings.note"}
    assert never.missing == ["readings"]
    warehouse.load(warehouse.batch([{"at": 1, "level_m": 1.0}]))
    warehouse.sql("alter table core.readings drop column note cascade")
    assert mark(warehouse, PRIVACY, personal(warehouse)).evidence == never.evidence


def test_personal_values_are_hashes_or_are_named(warehouse: Warehouse) -> None:
    warehouse.load(warehouse.batch([{"at": 1, "note": "0123456789abcdef" * 2}]))
    assert mark(warehouse, PRIVACY, personal(warehouse)).missing == []
    warehouse.load(warehouse.batch([{"at": 1, "note": "ana"}]), run_id="second")
    plain = mark(warehouse, PRIVACY, personal(warehouse))
    assert plain.evidence == {"readings": "not hashed: readings.note"}
    assert plain.missing == ["readings"]


def test_invariants_hold_where_the_newest_window_broke_no_check_that_stops(warehouse: Warehouse) -> None:
    assert mark(warehouse, INVARIANTS).score == 0
    for window, batch, rule, severity, is_passed in (
        (JANUARY, "a", "range", "stop", False),  # an older window
        (FEBRUARY, "a", "required", "stop", False),  # came again, and is mended
        (FEBRUARY, "b", "required", "stop", True),
        (FEBRUARY, "b", "completeness", "warn", False),  # may break
    ):
        warehouse.sql(CHECK, window.start, window.end, batch, rule, severity, is_passed)
    held = mark(warehouse, INVARIANTS)
    assert (held.score, held.evidence) == (
        1,
        {"readings": "1 of 1 checks that stop passed in the newest windows"},
    )
    warehouse.sql(CHECK, FEBRUARY.start, FEBRUARY.end, "b", "unique", "stop", False)
    broken = mark(warehouse, INVARIANTS)
    assert broken.score == 0
    assert broken.evidence["readings"].endswith("1 of 2 checks that stop passed in the newest windows; broken: meter"
                                                " unique level_m")  # fmt: skip


def decide(warehouse: Warehouse, window: Window, odds: float | None, is_proven: bool) -> None:
    harm = {"odds": odds, "is_proven": is_proven, "text": f"{odds} : 1 that the error is more than promised"}
    with warehouse.engine.begin() as connection:
        place = (connection, "readings", window, "hold", [harm["text"]], {"figures": {"harm": harm}}, 1)
        append(*place, RunRef("monitor_readings", str(window)))


def test_quality_has_regressed_where_the_newest_verdict_is_harm(warehouse: Warehouse) -> None:
    assert mark(warehouse, REGRESSED).score == 0
    decide(warehouse, JANUARY, 1.5, is_proven=False)
    kept = mark(warehouse, REGRESSED)
    assert (kept.score, kept.evidence["readings"]) == (
        1,
        "window to 2025-02-01: 1.5 : 1 that the error is more than promised",
    )
    decide(warehouse, FEBRUARY, 250.0, is_proven=True)
    harmed = mark(warehouse, REGRESSED)
    assert (harmed.score, harmed.missing) == (0, ["readings"])
    assert "250.0 : 1" in harmed.evidence["readings"]


def promote(warehouse: Warehouse, version: int, **evidence: dict[str, object]) -> None:
    with warehouse.engine.begin() as connection:
        facts = {"rules": [], "selection_errors": {"linear": 0.2, "forest": 0.3}, **evidence}
        ref = RunRef("train_readings", str(version))
        append(connection, "readings", JANUARY, "promote", ["errs least"], facts, version, ref)


def test_by_hand_counts_half_only_where_the_record_tells_what_was_done(warehouse: Warehouse) -> None:
    assert mark(warehouse, TUNED).score == 0
    promote(warehouse, 1, tuned={})
    by_hand = mark(warehouse, TUNED)
    assert by_hand.score == 0.5
    assert by_hand.evidence == {
        "readings": "version 1: 0 of 2 candidates compared in cross-validation were tuned by a search"
    }
    promote(warehouse, 2, tuned={"linear": {"alpha": 0.1}})
    searched = mark(warehouse, TUNED)
    assert (searched.score, searched.evidence["readings"][-8:]) == (1, ": linear")
    assert mark(warehouse, SLICES).score == 0


MEASURED = """
insert into ml.performance (pipeline, window_start_at, window_end_at, model_version, kind, subject, statistic, slice,
    reference, value, status, reason, row_count, run_id)
select 'readings', at, at + interval '1 day', 1, 'error', 'prediction', %s, %s, %s, %s, %s, '', 100, 'r'
from (select timestamptz '2025-01-01Z' + %s * interval '1 day' as at) day
"""


def test_offline_and_online_errors_correlate_where_most_windows_err_about_as_much_as_promised(
    warehouse: Warehouse,
) -> None:
    def err(day: int, value: float, status: str = "ok", statistic: str = "mae") -> None:
        warehouse.sql(MEASURED, statistic, "", 0.4, value, status, day)

    assert mark(warehouse, CORRELATE).score == 0
    for day, value in enumerate([0.3, 0.5]):
        err(day, value)
    assert mark(warehouse, CORRELATE).score == 0, "two windows tell little"
    err(2, 0.9, "breach")
    told = mark(warehouse, CORRELATE)
    assert told.score == 1
    assert told.evidence["readings"] == (
        "in 2 of 3 windows the live error was half to twice the one of the held-out rows (median 1.25 times it)"
    )
    err(3, 0.4, "unknown")
    err(4, 0.9, "ok", "coverage")
    assert mark(warehouse, CORRELATE).evidence == told.evidence, "what is unknown, or no error, says nothing"
    err(5, 0.1)
    assert mark(warehouse, CORRELATE).missing == ["readings"], "half of the windows are not most of them"


def test_slices_count_once_their_quality_is_known(warehouse: Warehouse) -> None:
    warehouse.sql(MEASURED, "mae", "day_of_week=0", 0.4, 0.3, "unknown", 0)
    assert mark(warehouse, SLICES).score == 0
    warehouse.sql(MEASURED, "mae", "day_of_week=0", 0.4, 0.3, "ok", 1)
    assert mark(warehouse, SLICES).score == 1


@pytest.mark.parametrize("test", [test for test in TESTS if test.by_hand], ids=lambda test: test.name)
def test_a_page_that_says_how_a_person_does_a_test_names_it(test) -> None:
    assert test.name in " ".join((ROOT / test.by_hand).read_text("utf-8").split())
