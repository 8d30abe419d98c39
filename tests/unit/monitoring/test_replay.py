"""A walk plays the very decision that the monitor takes, and counts what it did."""

from dataclasses import fields, replace

import numpy as np
import pytest

from include.monitoring.decide import decide
from include.monitoring.history import Look
from include.monitoring.replay import look_at, price, walk
from include.spec.monitoring import POLICIES, Harm, Policy, Worth


def standing(played):
    return [step.champion[0] if step.champion else None for step in played.steps]


def test_never_keeps_the_first_model_for_good(matrix_of, rules_of):
    matrix = matrix_of(6)
    played = walk(matrix, rules_of())
    assert standing(played) == [None, 0, 0, 0, 0, 0]
    assert played.error == pytest.approx(sum(matrix.error((0, "m"), place) for place in range(1, 6)))
    assert (played.trainings, played.promotions, played.probes) == ((), 0, 0)


def test_every_window_has_the_newest_model_in_each(matrix_of, rules_of):
    matrix = matrix_of(6)
    played = walk(matrix, rules_of(every_window=True))
    assert standing(played) == [None, 0, 1, 2, 3, 4]
    assert played.error == pytest.approx(sum(matrix.error((place - 1, "m"), place) for place in range(1, 6)))
    assert (played.trainings, played.promotions) == ((1, 2, 3, 4), 4), (
        "the first is not counted, the last serves nobody"
    )
    prices = price(matrix, rules_of())
    assert (prices.possible, prices.cost(played.schedule)) == (4, pytest.approx(5.0))


def test_after_the_last_window_nothing_is_decided(matrix_of, rules_of):
    last = walk(matrix_of(4), rules_of(every_window=True)).steps[-1]
    assert (last.look.verdict, last.reasons) == ("", ())


def test_what_was_decided_is_what_decide_says_of_the_looks_up_to_there(matrix_of, rules_of):
    rules = rules_of(POLICIES["default"])
    steps = walk(matrix_of(9, seed=2), rules).steps
    for count, step in enumerate(steps[:-1]):
        history = [one.look for one in steps[:count]]
        undecided = replace(step.look, verdict="", outcome="", cause=())
        verdict = decide([*history, undecided], rules)
        assert (verdict.verdict, tuple(verdict.reasons)) == (step.look.verdict, step.reasons)


def test_a_look_holds_what_the_monitor_sees_of_a_window(matrix_of):
    matrix = matrix_of(5)
    look = look_at(matrix, 3, (1, "m"), version=2, since=2)
    assert {field.name for field in fields(Look)} == set(vars(look))
    assert (look.champion, look.fitted_rows, look.usable_rows) == (2, 120, 240)
    assert look.trained_at == matrix.periods[1].window.end
    assert np.mean(look.losses) == pytest.approx(matrix.models[1, "m"].losses[3].mean())
    assert np.mean(look.promised) == pytest.approx(matrix.models[1, "m"].promised.mean())
    assert np.mean(look.probe.losses) == pytest.approx(matrix.probe(2, 3, "m")[0].mean())
    assert np.mean(look.probe.champion_losses) == pytest.approx(matrix.models[1, "m"].losses[3][30:].mean())
    [r2] = look.measures
    assert (r2.kind, r2.statistic, r2.rows) == ("error", "r2", 60)
    assert r2.value == pytest.approx(1 - (matrix.models[1, "m"].losses[3] ** 2).sum() / 60)


def test_probes_are_counted_where_the_policy_asks_for_them(matrix_of, rules_of):
    matrix = matrix_of(7)
    assert walk(matrix, rules_of(worth=Worth())).probes == 5
    assert walk(matrix, rules_of(harm=Harm())).probes == 0


def test_a_window_that_cannot_be_judged_is_investigated_and_never_trained_on(matrix_of, rules_of):
    matrix = matrix_of(5)
    blocked = replace(matrix.periods[2], state="blocked", why="the window is blocked: half of it is missing")
    matrix = replace(matrix, periods=(*matrix.periods[:2], blocked, *matrix.periods[3:]))
    played = walk(matrix, rules_of(every_window=True))
    assert played.steps[2].look.verdict == "investigate"
    assert played.steps[2].reasons == ("the window is blocked: half of it is missing",)
    assert played.trainings == (1, 3)


def test_a_challenger_that_is_refused_is_a_training_and_no_promotion(matrix_of, rules_of):
    matrix = matrix_of(8, successor=lambda place, stood: stood or (place, "m"))
    played = walk(matrix, rules_of(every_window=True, rejected=3))
    assert (played.trainings, played.promotions) == ((1, 2, 3), 0)
    assert [step.look.outcome for step in played.steps[:5]] == ["promoted", "rejected", "rejected", "rejected", ""]
    assert played.steps[4].look.verdict == "investigate", "the circuit breaker asks a person"
    assert standing(played)[1:] == [0] * 7


def test_a_cooldown_is_kept(matrix_of, rules_of):
    assert walk(matrix_of(8), rules_of(every_window=True, cooldown=1)).trainings == (2, 4, 6)


def test_where_nothing_changes_the_default_trains_only_when_there_is_twice_as_much_to_learn_from(matrix_of, rules_of):
    played = walk(matrix_of(10, error=lambda trained, place: 1.0), rules_of(POLICIES["default"]))
    assert played.trainings == (1, 3, 7)


def test_a_model_that_ages_is_replaced_the_sooner_the_cheaper(matrix_of, rules_of):
    matrix = matrix_of(24, error=lambda trained, place: 1 + 0.02 * (place - trained))
    rare, often = (walk(matrix, rules_of(Policy(worth=Worth(growth=None)), price)) for price in (10, 1))
    assert 2 <= len(rare.trainings) < len(often.trainings)


def test_a_low_r2_makes_the_published_rule_train(matrix_of, rules_of):
    matrix = matrix_of(6, error=lambda trained, place: 1.0 if trained < 2 <= place else 0.1)
    assert walk(matrix, rules_of(r2_min=0.68)).trainings == (2,)


def test_a_part_of_history_is_what_it_would_have_been(matrix_of, rules_of):
    matrix, rules = matrix_of(10, seed=1), rules_of(every_window=True)
    whole, early, late = (walk(one, rules) for one in (matrix, matrix.until(6), matrix.since(4)))
    assert [step.error for step in early.steps] == [step.error for step in whole.steps[:6]]
    assert standing(late) == [None] * 5 + [4, 5, 6, 7, 8]
    assert late.error == pytest.approx(sum(step.error for step in whole.steps[5:]))
