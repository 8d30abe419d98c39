"""A whole training on history chooses and promotes as a training does."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from include.errors import NothingToDo
from include.monitoring.decide import Rules
from include.monitoring.gate import Gate, train
from include.monitoring.ground import Ground
from include.monitoring.refits import fit
from include.monitoring.replay import price, walk
from include.monitoring.schedule import optima
from include.promotion.proof import compare
from include.spec.learning import Minimums
from include.spec.monitoring import POLICIES
from include.training import fitting
from include.training.snapshot import holdout_start, readable, split
from include.windows import Window

WEEKS = list(Window.parse("2024-01-01", "2024-03-04").split("week"))


def play(plant, matrix, policy):
    return walk(matrix, replace(Rules.of(plant), policy=POLICIES[policy]))


def parts_of(plant, frame, place):
    rows = readable(plant, frame, WEEKS[place].end)
    return split(plant, rows, holdout_start(plant, rows["valid_at"].max()))


def test_where_nothing_changes_challengers_are_refused_and_the_first_one_stands(plant, rows_of):
    matrix = train(Ground(plant, rows_of(9), WEEKS))
    played = play(plant, matrix, "every_window")
    assert played.steps[-1].champion[1] == "linear"
    assert played.promotions < len(played.trainings) == 6


def test_after_a_change_a_challenger_takes_over_once_it_is_proven_better(plant, rows_of):
    matrix = train(Ground(plant, rows_of(9, changes_after=4), WEEKS))
    played = play(plant, matrix, "every_window")
    assert played.promotions >= 1
    assert played.steps[-1].champion[0] >= 4


def test_the_verdict_is_that_of_the_comparison_on_the_held_out_rows(plant, rows_of):
    frame = rows_of(9, changes_after=4)
    gate = Gate(Ground(plant, frame, WEEKS))
    old = fit(plant, "linear", parts_of(plant, frame, 2).fit)
    for place in (3, 5, 6):
        parts = parts_of(plant, frame, place)
        actual = parts.holdout["target"].to_numpy()
        naive, linear = (fit(plant, name, parts.fit).predict(parts.holdout) for name in ("naive", "linear"))
        is_linear = compare(actual, linear, naive, plant.promotion).is_better
        found = compare(actual, linear if is_linear else naive, old.predict(parts.holdout), plant.promotion)
        chosen = (place, "linear" if is_linear else "naive")
        assert gate.successor(place, (2, "linear")) == (chosen if found.is_better else (2, "linear"))


def test_with_several_entities_a_replay_comes_to_the_comparison_of_a_training(plant, rows_of):
    """Both read the rows in time order, and each moment with all its entities is one piece of evidence."""
    one = rows_of(5)
    frame = pd.concat([one.assign(entity=name, target=one["target"] + shift) for name, shift in (("a", 0), ("b", 1))])
    frame = frame.reset_index(drop=True)
    gate, parts = Gate(Ground(plant, frame, WEEKS)), parts_of(plant, frame, 3)
    predicted = {name: fitting.fit(plant, name, parts).model.predict(parts.holdout) for name in ("naive", "linear")}
    actual, at = parts.holdout["target"].to_numpy(), parts.holdout["valid_at"]
    proof = gate.challenge(3).against_naive["linear"]
    trained = compare(actual, predicted["linear"], predicted["naive"], plant.promotion, at)
    assert proof.rows == len(at) == 2 * at.nunique()
    assert (proof.low, proof.high, proof.needed) == pytest.approx((trained.low, trained.high, trained.needed))


@pytest.mark.parametrize("recipe", ["", "linear"])
def test_a_refused_training_says_why_as_the_ledger_would(plant, rows_of, recipe):
    matrix = train(Ground(plant, rows_of(9), WEEKS), recipe)
    refused = [step for step in play(plant, matrix, "every_window").steps if step.look.outcome == "rejected"]
    assert refused
    for step in refused:
        [reason] = step.refusal
        assert "than the champion's on the same 120 held-out rows" in reason
        assert "not proven better" in reason


def test_the_rules_that_stop_a_training_stop_it_in_a_replay(plant, rows_of):
    leaking = rows_of(9).assign(second_sensor=lambda rows: rows["target"] * 2 + 5)
    with pytest.raises(NothingToDo, match=r"no training on this history is promoted, .*leak: second_sensor explains"):
        train(Ground(plant, leaking, WEEKS), "linear")
    promotion = plant.promotion.model_copy(update={"minimums": Minimums(mae=1e-9)})
    with pytest.raises(NothingToDo, match=r"mae .* is above promotion\.minimums\.mae"):
        train(Ground(plant.model_copy(update={"promotion": promotion}), rows_of(9), WEEKS))


def test_a_slice_that_becomes_much_worse_keeps_a_challenger_out(plant, rows_of):
    """After a change by day alone a new model gives up the nights, in which the old relation stands."""
    frame, changed = rows_of(9), rows_of(9, changes_after=4)
    is_night = frame["hour_of_day"] < 6
    frame = frame.assign(is_night=is_night.astype(float), target=frame["target"].where(is_night, changed["target"]))
    monitoring = plant.monitoring.model_copy(update={"slices": ("is_night",)})
    training = plant.training.model_copy(update={"lookback": "14 days"})
    plant = plant.model_copy(update={"monitoring": monitoring, "training": training})
    assert train(Ground(plant, frame, WEEKS), "linear").successor(6, (2, "linear")) == (6, "linear")
    promotion = plant.promotion.model_copy(update={"slice_max_loss_pct": 10})
    strict = train(Ground(plant.model_copy(update={"promotion": promotion}), frame, WEEKS), "linear")
    assert strict.successor(6, (2, "linear")) == (2, "linear")
    [reason] = strict.refusal(6, (2, "linear"))
    assert "larger than the champion's on 30 rows: promotion.slice_max_loss_pct allows 10 %" in reason


def test_where_the_first_training_is_refused_history_begins_with_the_first_that_is_not(plant, rows_of):
    frame = rows_of(9)
    frame.loc[: 3 * 168, "target"] += np.random.default_rng(0).normal(0, 9, 3 * 168 + 1)  # nothing can be learnt
    promotion = plant.promotion.model_copy(update={"minimums": Minimums(mae=1.0)})
    matrix = train(Ground(plant.model_copy(update={"promotion": promotion}), frame, WEEKS), "linear")
    assert matrix.first > 1
    played = play(plant, matrix, "every_window")
    assert played.steps[matrix.first].champion is None
    assert played.steps[matrix.first + 1].champion == (matrix.first, "linear")
    assert played.promotions >= 0
    assert price(matrix, Rules.of(plant)).regret(played.schedule, optima(matrix)) >= 0


def test_a_model_is_fitted_on_the_older_part_alone_and_promises_its_error_on_the_rest(plant, rows_of):
    frame = rows_of(9)
    matrix = train(Ground(plant, frame, WEEKS))
    parts = parts_of(plant, frame, 3)
    for name in ("naive", "linear"):
        model = fit(plant, name, parts.fit)
        expected = np.abs(model.predict(parts.holdout) - parts.holdout["target"])
        assert matrix.models[3, name].promised == pytest.approx(expected.to_numpy())


def test_the_best_schedule_knows_the_gate(plant, rows_of):
    matrix = train(Ground(plant, rows_of(9, changes_after=4), WEEKS))
    best, prices = optima(matrix), price(matrix, Rules.of(plant))
    for policy in ("never", "every_window", "published", "default"):
        played = play(plant, matrix, policy).schedule
        assert prices.regret(played, best) >= 0
        assert played.error >= best[len(played.trainings)].error - 1e-9


def test_rows_that_cannot_be_cut_are_told_as_a_training_tells_it(plant, rows_of):
    training = plant.training.model_copy(
        update={"split": plant.training.split.model_copy(update={"holdout": "90 days"})}
    )
    with pytest.raises(NothingToDo, match=r"shorten training\.split\.holdout"):
        train(Ground(plant.model_copy(update={"training": training}), rows_of(9), WEEKS))
