"""The exact best schedule is what trying every schedule finds, and costs are told against it."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from include.monitoring.replay import price, walk
from include.monitoring.schedule import Price, Schedule, optima
from include.spec.monitoring import POLICIES, Costs


def error_of(matrix, trainings):
    """Play a schedule, window by window."""
    stood = matrix.successor(matrix.first, None)
    error = 0.0
    for place in range(matrix.first + 1, len(matrix.periods)):
        error += matrix.error(stood, place)
        if place in trainings:
            stood = matrix.successor(place, stood)
    return error


def tried(matrix, size):
    """Return the least error of any schedule of a size."""
    return min(error_of(matrix, chosen) for chosen in combinations(matrix.possible, size))


@pytest.mark.parametrize("count", [3, 4, 7, 9])
@pytest.mark.parametrize("seed", range(4))
def test_the_best_of_each_size_is_what_trying_every_schedule_finds(matrix_of, count, seed):
    matrix = matrix_of(count, seed)
    found = optima(matrix)
    assert [len(one.trainings) for one in found] == list(range(len(matrix.possible) + 1))
    for one in found:
        assert one.error == pytest.approx(tried(matrix, len(one.trainings)))
        assert one.error == pytest.approx(error_of(matrix, one.trainings)), "the schedule is the one that is told"


@pytest.mark.parametrize("seed", range(12))
def test_it_is_the_best_also_where_a_gate_refuses_some_challengers(matrix_of, seed):
    accepted = np.random.default_rng(seed).integers(0, 2, size=(7, 7))

    def successor(place, stood):
        return (place, "m") if stood is None or accepted[stood[0], place] else stood

    matrix = matrix_of(7, seed, successor=successor)
    for one in optima(matrix):
        assert one.error == pytest.approx(tried(matrix, len(one.trainings)))


def test_a_window_that_cannot_be_judged_is_none_to_train_after(matrix_of):
    matrix = matrix_of(6)
    blocked = replace(matrix.periods[3], state="blocked", why="the window is blocked: bad")
    matrix = replace(matrix, periods=(*matrix.periods[:3], blocked, *matrix.periods[4:]))
    assert matrix.possible == (1, 2, 4)
    assert all(3 not in one.trainings for one in optima(matrix))


def test_cost_is_excess_error_and_a_share_of_the_price():
    prices = Price(base=200.0, possible=10, costs=Costs(training_pct=5))
    assert prices.excess_pct(Schedule((1,), 202.0)) == pytest.approx(1.0)
    assert prices.cost(Schedule((1, 2), 202.0)) == pytest.approx(2.0)
    none, all_ = Schedule((), 220.0), Schedule(tuple(range(1, 11)), 200.0)
    assert prices.cheapest([none, all_]) == all_
    assert prices.regret(none, [none, all_]) == pytest.approx(5.0)


def test_in_ones_own_unit_a_refused_challenger_costs_its_training_alone():
    prices = Price(200.0, 10, Costs(training=120, promotion=30, error=0.5, unit="MXN"))
    assert prices.cost(Schedule((1, 2), 202.0)) == pytest.approx(101 + 2 * 150)
    assert prices.cost(Schedule((1, 2), 202.0, promotions=0)) == pytest.approx(101 + 2 * 120)
    assert prices.regret(Schedule((1,), 202.0, 0), [Schedule((), 220.0), Schedule((1,), 200.0)]) == pytest.approx(111)


@pytest.mark.parametrize("seed", range(6))
def test_no_policy_costs_less_than_the_best(matrix_of, rules_of, seed):
    matrix = matrix_of(10, seed)
    best, prices = optima(matrix), price(matrix, rules_of())
    for policy in POLICIES.values():
        played = walk(matrix, rules_of(policy)).schedule
        assert played.error >= best[len(played.trainings)].error - 1e-9
        assert prices.regret(played, best) >= 0
