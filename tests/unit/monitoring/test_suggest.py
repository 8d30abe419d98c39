"""A search for a policy sees the first part of history, and is honest about the rest."""

from dataclasses import replace

import numpy as np
import pytest

from include.errors import NothingToDo
from include.monitoring.schedule import Price
from include.monitoring.suggest import Figures, Suggestion, suggest, variations
from include.reporting.replays import Played, advice
from include.spec.monitoring import POLICIES, Costs, Policy


def ageing(trained, place):
    return 1 + 0.05 * (place - trained)


def test_every_variation_is_another_policy_with_a_name_of_its_own():
    names, policies = zip(*variations(), strict=True)
    assert names[0] == "default"
    assert policies[0] == POLICIES["default"]
    assert len(set(names)) == len(names) > 100


def test_what_comes_after_the_first_part_changes_nothing_of_the_choice(matrix_of, rules_of):
    matrix, rules = matrix_of(20, error=ageing), rules_of()
    found = suggest(matrix, rules)
    worse = {
        key: replace(model, losses={p: of * (100 if p > found.split else 1) for p, of in model.losses.items()})
        for key, model in matrix.models.items()
    }
    again = suggest(replace(matrix, models=worse), rules)
    assert (again.name, again.first) == (found.name, found.first)
    assert again.rest != found.rest


def test_the_choice_is_the_cheapest_on_the_first_part(matrix_of, rules_of):
    found = suggest(matrix_of(20, seed=4), rules_of())
    assert found.first[found.name].cost <= found.first["default"].cost
    assert set(found.rest) == {found.name, "default"}
    assert all(figures.regret >= 0 for figures in (*found.first.values(), *found.rest.values()))


def test_a_short_history_is_one_sentence_with_the_way_out(matrix_of, rules_of):
    with pytest.raises(NothingToDo, match=r"4 windows after the first training are too few .* load more windows"):
        suggest(matrix_of(5), rules_of())


@pytest.mark.parametrize(
    ("name", "rest", "last"),
    [
        ("default", {"default": 1.0}, "keep it"),
        ("odds 20", {"odds 20": 0.5, "default": 1.0}, "cheaper than the default on both parts"),
        ("odds 20", {"odds 20": 1.5, "default": 1.0}, "it was luck. Keep the default."),
        ("odds 20", {"odds 20": 1.0, "default": 1.0}, "costs the same as the default: a tie. Keep the default."),
        ("odds 20", {"odds 20": 0.1 + 0.2, "default": 0.3}, "a tie. Keep the default."),
    ],
)
def test_the_advice_says_whether_the_choice_held(matrix_of, name, rest, last):
    figures = {who: Figures(cost, 0.0, 1) for who, cost in rest.items()}
    found = Suggestion(name, Policy(), 120, figures, figures, split=2)
    costs = Costs(training=120, promotion=30, error=0.5, unit="MXN")
    played = Played("plant", "mg/m3", "", matrix_of(5), Price(1.0, 3, costs), {}, [])
    *_, figure, told = advice(found, played)
    assert f"default costs {rest['default']:,.2f} MXN, " in figure
    assert last in told
    assert np.isfinite(found.rest[name].cost)
