"""The error to expect before the truth is known, and what it says once the truth is there."""

import numpy as np
import pytest

from include.monitoring.expected import Expected, estimate, score


@pytest.fixture
def expected():
    """Errors are as large as the prediction, from 0 to 100."""
    predicted = np.linspace(0, 100, 1000)
    return Expected.of(predicted, predicted.copy())


def test_other_inputs_lead_to_another_expectation(expected):
    assert expected.loss(np.array([5.0])) == pytest.approx(5, abs=1)
    assert expected.loss(np.array([95.0, 1000.0])) == pytest.approx(95, abs=1)


@pytest.mark.parametrize("predicted", [np.arange(99.0), np.full(500, 3.0)])
def test_few_rows_or_a_single_prediction_tell_nothing(predicted):
    assert Expected.of(predicted, np.ones(len(predicted))) is None


def test_an_estimate_is_trusted_only_while_those_before_it_held(expected):
    rows = np.full(50, 50.0)
    assert estimate(expected, rows, []).status == "unknown"
    assert estimate(expected, rows, [24.0, -24.0]).status == "ok"
    doubted = estimate(expected, rows, [1.0, -26.0, 2.0])
    assert (doubted.status, doubted.reason) == ("unknown", "not to be trusted: one was off by -26 %")
    assert doubted.value == pytest.approx(50, abs=6), "it is shown all the same"
    assert estimate(expected, rows, [90.0, 1.0, 1.0, 1.0]).status == "ok", "what is long past is past"
    assert estimate(None, rows, [1.0]).reason == "there is nothing to estimate it from"
    assert estimate(expected, rows[:0], [1.0]).value is None


def test_a_mix_of_harder_inputs_is_no_concept_drift_and_a_changed_relation_is(expected):
    chance = np.random.default_rng(5)
    hard = np.full(500, 95.0)
    honest = np.abs(chance.normal(95, 20, 500))
    off, concept = score(expected, hard, honest)
    assert (off.status, concept.status) == ("ok", "ok")
    assert off.value == pytest.approx(0, abs=5)
    _, changed = score(expected, hard, 1.3 * honest)
    assert changed.status == "breach"
    assert changed.reason == "the error is 1.30 times that of like predictions before"


def test_what_cannot_be_told_is_unknown(expected):
    assert score(None, np.ones(9), np.ones(9))[0].status == "unknown"
    assert score(expected, np.ones(5), np.ones(5))[1].status == "unknown"


def test_concept_drift_is_told_from_three_standard_errors_on(expected):
    hoped = float(expected.loss(np.array([50.0]))[0])
    spread = np.std([0.0, 2.0] * 5, ddof=1) / 10**0.5
    for off, status in ((2.9, "ok"), (3.1, "breach")):
        losses = hoped + off * spread - 1 + np.tile(np.repeat([0.0, 2.0], 24), 5)
        concept = score(expected, np.full(240, 50.0), losses)[1]
        assert concept.threshold == pytest.approx(1 + 3 * spread / hoped)
        assert concept.status == status


@pytest.mark.parametrize(("times", "status"), [(0.81, "ok"), (0.79, "breach"), (1.3, "ok"), (1.4, "breach")])
def test_an_estimate_that_was_off_by_more_than_a_quarter_did_not_hold(expected, times, status):
    rows = np.full(240, 50.0)
    off = score(expected, rows, times * expected.loss(rows))[0]
    assert (off.status, off.value) == (status, pytest.approx(100 * (1 / times - 1)))
    assert bool(off.reason) == (status == "breach")
