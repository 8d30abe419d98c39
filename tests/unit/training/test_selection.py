"""Candidates are chosen on rows that they were not fitted on, and never on what came to be known later."""

import numpy as np
import pandas as pd
import pytest

from include.errors import NothingToDo
from include.spec.load import load_named
from include.training.selection import cross_validate, folds

AIR = load_named("air_quality")


def rows(hours, known_after="1h"):
    times = pd.date_range("2026-01-01", periods=hours, freq="h", tz="UTC")
    random = np.random.default_rng(0)
    frame = pd.DataFrame({name: random.normal(size=hours) for name in AIR.feature_names()})
    frame["hour_of_day"] = times.hour.astype(float)
    frame["target"] = frame["co_sensor"] + 0.1 * random.normal(size=hours)
    return frame.assign(valid_at=times, target_known_at=times + pd.Timedelta(known_after))


def chosen_by(**selection):
    training = AIR.training.model_copy(update={"selection": AIR.training.selection.model_copy(update=selection)})
    return AIR.model_copy(update={"training": training})


@pytest.mark.parametrize("scheme", ["expanding", "sliding"])
def test_in_time_nothing_is_fitted_on_that_was_known_only_after_its_fold_began(scheme):
    frame = rows(2400, known_after="30h")
    cut = list(folds(chosen_by(scheme=scheme), frame))
    assert len(cut) == 3
    for fitted, judged in cut:
        assert frame["target_known_at"].iloc[fitted].max() <= frame["valid_at"].iloc[judged].min()
        assert len(judged) == 14 * 24
    assert cut[-1][1][-1] == len(frame) - 1  # the newest rows are judged


def test_a_gap_is_left_out_of_what_is_fitted():
    frame = rows(2400)
    fitted, judged = next(folds(chosen_by(gap="2 days"), frame))
    assert frame["valid_at"].iloc[judged].min() - frame["valid_at"].iloc[fitted].max() >= pd.Timedelta("2D")


def test_sliding_folds_are_fitted_on_the_same_span_and_expanding_ones_on_all_before():
    sliding, expanding = ([len(f) for f, _ in folds(chosen_by(scheme=s), rows(2400))] for s in ("sliding", "expanding"))
    assert max(sliding) - min(sliding) <= 1
    assert expanding[0] < expanding[1] < expanding[2]


def test_short_histories_are_cut_in_shorter_folds():
    cut = list(folds(AIR, rows(100)))
    assert [len(judged) for _, judged in cut] == [25, 25, 25]


@pytest.mark.parametrize(("scheme", "count"), [("k_fold", 4), ("leave_one_out", 40)])
def test_independent_rows_are_each_judged_once_and_never_fitted_on_in_their_fold(scheme, count):
    cut = list(folds(chosen_by(scheme=scheme, folds=4), rows(40)))
    assert len(cut) == count
    assert sorted(np.concatenate([judged for _, judged in cut])) == list(range(40))
    assert not any(set(fitted) & set(judged) for fitted, judged in cut)


def test_the_candidate_that_follows_the_target_errs_less_than_naive():
    frame = rows(1200)
    assert cross_validate(AIR, "linear", frame) < 0.2 < cross_validate(AIR, "naive", frame)


def test_too_few_rows_say_what_to_do():
    with pytest.raises(NothingToDo, match=r"training.selection.folds\): load more windows"):
        cross_validate(AIR, "linear", rows(1))
