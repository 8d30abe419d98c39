"""When the monitor asks for training, when it does not, and what it says."""

import pytest

from include.monitoring.decide import decide
from include.monitoring.measure import Drift
from include.spec.load import load_all
from include.training.evaluate import Metrics

SPEC = load_all()["air_quality"]  # R² 0.68, ±10 %, windows of 72 rows, 1000 rows to train on


def metrics(r2, rows=500):
    return Metrics(rows=rows, r2=r2, rmse=1.0, mae=1.0, coverage=0.9)


def drift(shift, rows=500, limit=10.0):
    return Drift("co_sensor", rows, 100.0, 100.0 + shift, shift, limit, abs(shift) > limit)


def judge(champion=3, usable=5000, window=700, error=None, shifts=()):
    return decide(SPEC, champion, usable, window, error, list(shifts))


def test_without_a_champion_it_asks_for_one_once_there_are_enough_rows():
    few, enough = judge(champion=None, usable=999), judge(champion=None, usable=1000)
    assert (few.verdict, few.reasons) == ("hold", ["999 rows with a known target, training needs 1000"])
    assert (enough.verdict, enough.reasons) == ("retrain", ["there is no champion yet and 1000 rows to train on"])


def test_without_a_champion_even_a_small_window_asks_for_one():
    assert judge(champion=None, window=1).verdict == "retrain"


def test_a_window_that_is_too_small_is_never_judged():
    found = judge(window=71, error=metrics(-5.0), shifts=[drift(300.0)])
    assert (found.verdict, found.reasons) == ("hold", ["the window has 71 rows, judging needs 72"])
    assert judge(window=72, error=metrics(-5.0)).verdict == "retrain"


@pytest.mark.parametrize(("r2", "verdict"), [(0.679, "retrain"), (0.68, "hold"), (0.9, "hold"), (None, "hold")])
def test_an_r2_below_the_limit_asks_for_training_and_one_at_the_limit_does_not(r2, verdict):
    assert judge(error=metrics(r2)).verdict == verdict


def test_an_error_on_few_rows_is_not_judged_and_called_unknown():
    found = judge(error=metrics(-5.0, rows=71))
    assert (found.verdict, found.reasons) == ("hold", ["R² of version 3 is unknown and no watched mean moved too far"])


def test_a_shift_on_few_rows_is_not_judged():
    assert judge(shifts=[drift(50.0, rows=71)]).verdict == "hold"
    assert judge(shifts=[drift(50.0, rows=72)]).verdict == "retrain"


def test_a_shift_at_the_limit_holds():
    assert judge(shifts=[drift(10.0), drift(-10.0)]).verdict == "hold"


def test_every_reason_is_named_with_its_figures():
    found = judge(error=metrics(0.5), shifts=[drift(-12.5), drift(3.0), drift(11.0)])
    assert found.reasons == [
        "R² 0.500 of version 3 is below 0.68",
        "mean of co_sensor moved -12.5 % (allowed ±10 %): 100 to 87.5",
        "mean of co_sensor moved +11.0 % (allowed ±10 %): 100 to 111",
    ]


def test_a_hold_says_how_good_the_champion_was():
    assert judge(error=metrics(0.75)).reasons == ["R² of version 3 is 0.750 and no watched mean moved too far"]
    assert judge().reasons == ["R² of version 3 is unknown and no watched mean moved too far"]


def test_without_enough_rows_to_train_on_drift_changes_nothing():
    assert judge(usable=10, error=metrics(-5.0)).verdict == "hold"


def test_without_a_limit_on_r2_no_error_asks_for_training():
    rules = SPEC.thresholds.model_copy(update={"r2_min": None})
    spec = SPEC.model_copy(update={"thresholds": rules})
    assert decide(spec, 3, 5000, 700, metrics(-5.0), []).verdict == "hold"
