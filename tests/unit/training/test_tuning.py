"""A search stays within its budget, is the same again, and never sees what proves its outcome."""

import time

import pytest

from include.training import tuning
from include.training.selection import cross_validate
from include.training.tuning import SPACES, tune
from tests.model.kinds import KINDS, plant_with
from tests.unit.training.test_selection import rows as air_rows


def rows(hours=600):
    return air_rows(hours).rename(columns={"co_sensor": "first_sensor", "nmhc_sensor": "second_sensor"})


def lasso(**budget):
    options = ", ".join(f"{name}: {value}" for name, value in budget.items())
    return plant_with("tuned", f"{{kind: lasso, alpha: 1.0, tune: {{{options}}}}}")


def test_without_a_budget_nothing_is_searched():
    outcome = tune(plant_with("lasso"), "lasso", rows())
    assert (outcome.parameters, outcome.trials) == ({}, 0)
    assert outcome.error == cross_validate(plant_with("lasso"), "lasso", rows())


def test_a_search_finds_what_errs_less_and_says_which():
    spec, frame = lasso(trials=12), rows()
    outcome = tune(spec, "tuned", frame)
    assert outcome.trials == 12
    assert outcome.error < cross_validate(spec, "tuned", frame) / 2
    assert outcome.parameters["alpha"] < 0.3
    assert outcome.error == cross_validate(outcome.pipeline, "tuned", frame)


def test_a_budget_in_trials_comes_to_the_same_again():
    first, second = (tune(lasso(trials=6), "tuned", rows()) for _ in range(2))
    assert (first.parameters, first.error) == (second.parameters, second.error)


def test_the_specs_own_parameters_stand_where_nothing_better_is_tried():
    outcome = tune(lasso(trials=1), "tuned", rows())
    assert (outcome.parameters, outcome.trials) == ({"alpha": 1.0}, 1)


def test_no_trial_begins_after_the_time_is_up(monkeypatch):
    calls = []

    def slow(*_):
        calls.append(time.monotonic())
        while time.monotonic() < calls[-1] + 0.05:
            pass
        return 1.0

    monkeypatch.setattr(tuning, "cross_validate", slow)
    outcome = tune(lasso(trials=1000, seconds=0.2), "tuned", rows())
    assert 2 <= outcome.trials == len(calls) < 10


@pytest.mark.parametrize("kind", SPACES)
def test_each_parameter_that_is_searched_is_one_of_its_kind_within_its_limits(kind):
    options = KINDS[kind].rstrip("}") + ", tune: {trials: 3}}"
    outcome = tune(plant_with("tuned", options), "tuned", rows(200))
    assert set(outcome.parameters) == set(SPACES[kind])
    chosen = outcome.pipeline.training.candidates["tuned"]
    assert type(chosen).model_validate(chosen.model_dump()) == chosen
