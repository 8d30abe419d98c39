"""A whole training on history chooses and promotes as a training does."""

from dataclasses import replace

import numpy as np
import pytest

from include.errors import NothingToDo
from include.monitoring.decide import Rules
from include.monitoring.gate import Gate, train_all
from include.monitoring.ground import Ground
from include.monitoring.refits import fit
from include.monitoring.replay import price, walk
from include.monitoring.schedule import optima
from include.promotion.proof import compare
from include.spec.monitoring import POLICIES
from include.training.snapshot import holdout_start, readable, split
from include.windows import Window

WEEKS = list(Window.parse("2024-01-01", "2024-03-04").split("week"))


def play(plant, matrix, policy):
    return walk(matrix, replace(Rules.of(plant), policy=POLICIES[policy]))


def parts_of(plant, frame, place):
    rows = readable(plant, frame, WEEKS[place].end)
    return split(plant, rows, holdout_start(plant, rows["valid_at"].max()))


def test_where_nothing_changes_challengers_are_refused_and_the_first_one_stands(plant, rows_of):
    matrix = train_all(Ground(plant, rows_of(9), WEEKS))
    played = play(plant, matrix, "every_window")
    assert played.steps[-1].champion[1] == "linear"
    assert played.promotions < len(played.trainings) == 6


def test_after_a_change_a_challenger_takes_over_once_it_is_proven_better(plant, rows_of):
    matrix = train_all(Ground(plant, rows_of(9, changes_after=4), WEEKS))
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


def test_a_model_is_fitted_on_the_older_part_alone_and_promises_its_error_on_the_rest(plant, rows_of):
    frame = rows_of(9)
    matrix = train_all(Ground(plant, frame, WEEKS))
    parts = parts_of(plant, frame, 3)
    for name in ("naive", "linear"):
        model = fit(plant, name, parts.fit)
        expected = np.abs(model.predict(parts.holdout) - parts.holdout["target"])
        assert matrix.models[3, name].promised == pytest.approx(expected.to_numpy())


def test_the_best_schedule_knows_the_gate(plant, rows_of):
    matrix = train_all(Ground(plant, rows_of(9, changes_after=4), WEEKS))
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
        train_all(Ground(plant.model_copy(update={"training": training}), rows_of(9), WEEKS))
