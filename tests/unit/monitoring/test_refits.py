"""Every model that could have stood is fitted on what was known by then, and judged on what became known later."""

from dataclasses import replace

import numpy as np
import pytest

from include.errors import NothingToDo
from include.monitoring.decide import Rules, decide
from include.monitoring.drift import measure_drift
from include.monitoring.gate import train
from include.monitoring.ground import Ground, Seen
from include.monitoring.history import Look
from include.monitoring.limits import Limits
from include.monitoring.measure import Measure
from include.monitoring.probe import probe
from include.monitoring.reference import Reference
from include.monitoring.refits import fit
from include.monitoring.replay import walk
from include.spec.monitoring import POLICIES, Policy, Worth
from include.training.snapshot import FORCED_ROWS, holdout_start, readable, split
from include.windows import Window

WEEKS = list(Window.parse("2024-01-01", "2024-03-04").split("week"))


def matrix_of_rows(plant, frame, windows=WEEKS, seen=None):
    return train(Ground(plant, frame, windows, seen), "linear")


def parts_of(plant, frame, cut):
    rows = readable(plant, frame, cut)
    return split(plant, rows, holdout_start(plant, rows["valid_at"].max()))


def test_a_model_is_fitted_on_what_was_known_and_judged_on_what_became_known_later(plant, rows_of):
    frame = rows_of(9)
    matrix = matrix_of_rows(plant, frame)
    assert sorted({place for place, _ in matrix.models}) == [1, 2, 3, 4, 5, 6, 7], "200 rows are known after two weeks"
    model = fit(plant, "linear", parts_of(plant, frame, WEEKS[2].end).fit)
    known = frame["target_known_at"]
    for place in (3, 7):
        rows = frame[(known >= WEEKS[place].start) & (known < WEEKS[place].end)]
        expected = np.abs(model.predict(rows) - rows["target"])
        assert matrix.models[2, "linear"].losses[place] == pytest.approx(expected.to_numpy())
    assert matrix.error((2, "linear"), 3) == pytest.approx(matrix.models[2, "linear"].losses[3].sum())


def test_a_row_counts_in_the_window_in_which_its_target_became_known(plant, rows_of):
    late = matrix_of_rows(plant, rows_of(9, delay="3D"))
    assert len(late.models[2, "linear"].losses[3]) == 168
    assert len(matrix_of_rows(plant, rows_of(9)).models[2, "linear"].losses[8]) == 168
    assert [period.usable_rows for period in late.periods[:3]] == [96, 264, 432]
    assert late.periods[1].rows == 168


@pytest.mark.parametrize("delay", ["1h", "3D"])
def test_no_look_sees_what_became_known_after_its_window(plant, rows_of, delay):
    frame = rows_of(9, changes_after=4, delay=delay)
    changed = frame.copy()
    is_later = changed["target_known_at"] >= WEEKS[5].end
    changed.loc[is_later, "target"] = 1e6
    changed.loc[changed["available_at"] >= WEEKS[5].end, ["first_sensor", "second_sensor"]] = -1e6
    rules = replace(Rules.of(plant), policy=POLICIES["default"])
    before, after = (walk(matrix_of_rows(plant, rows), rules).steps for rows in (frame, changed))
    assert any(step.look.verdict == "retrain" for step in before[2:6]), "there is something to see"
    # The last measures of a window, and nothing before them, hold rows that came an hour after its end.
    assert [replace(step, look=replace(step.look, measures=())) for step in before[:6]] == [
        replace(step, look=replace(step.look, measures=())) for step in after[:6]
    ]
    assert [step.look.measures for step in before[:5]] == [step.look.measures for step in after[:5]]


def test_a_probe_is_the_one_that_the_monitor_makes(plant, rows_of):
    frame = rows_of(9, changes_after=4)
    matrix = matrix_of_rows(plant, frame)
    rules = replace(Rules.of(plant), policy=POLICIES["default"])
    for place, step in enumerate(walk(matrix, rules).steps[:-1]):
        if step.look.probe is None:
            continue
        champion = fit(plant, step.champion[1], parts_of(plant, frame, WEEKS[step.champion[0]].end).fit)
        known = frame[frame["target_known_at"] < WEEKS[place].end]
        live = probe(plant, step.champion[1], champion, known, WEEKS[place])
        assert step.look.probe.losses == pytest.approx(live.losses)
        assert step.look.probe.champion_losses == pytest.approx(live.champion_losses)


def live(plant, frame, days, rules, successor):
    """Play days as the monitor and the trainings do, each on what is known by then; give the looks."""
    looks, key, champion, since, version, fitted = [], None, None, None, 0, 0
    for place, day in enumerate(days):
        known = readable(plant, frame, day.end)
        look = Look(day, rows=8, usable_rows=len(known))
        if champion:
            compared = probe(plant, key[1], champion, known, Window(since, day.end))
            facts = {"unprobed": compared} if isinstance(compared, str) else {"probe": compared}
            look = replace(look, champion=version, fitted_rows=fitted, **facts)
            since = since if isinstance(compared, str) else day.end
        verdict = decide([*looks, look], rules)
        look = replace(look, verdict=verdict.verdict, cause=tuple(verdict.evidence.get("cause", ())))
        if look.verdict == "retrain":
            after = successor(place, key)
            look = replace(look, outcome="promoted" if after != key else "rejected")
            if after != key:
                champion = fit(plant, after[1], parts_of(plant, frame, day.end).fit)
                key, since, version, fitted = after, day.end, version + 1, len(known)
        looks.append(look)
    return looks


@pytest.mark.parametrize("lookback", [None, "25 days"])
def test_days_too_small_to_compare_on_add_up_as_the_monitor_adds_them_up(plant, rows_of, lookback):
    training = plant.training.model_copy(update={"min_rows": 160, "lookback": lookback})
    plant = plant.model_copy(update={"training": training})
    frame, days = rows_of(9, changes_after=5).iloc[::3], list(Window(WEEKS[0].start, WEEKS[-1].end).split("day"))
    rules = replace(Rules.of(plant), policy=Policy(worth=Worth(growth=None), unknown=None))
    matrix = matrix_of_rows(plant, frame, days)
    steps, looks = walk(matrix, rules).steps[:-1], live(plant, frame, days[:-1], rules, matrix.successor)
    for step, look in zip(steps, looks, strict=True):
        assert (step.look.verdict, step.look.champion) == (look.verdict, look.champion)
        assert step.look.unprobed == look.unprobed or look.champion is None
        assert (step.look.probe is None) == (look.probe is None)
        if look.probe:
            assert step.look.probe.losses == pytest.approx(look.probe.losses)
            assert step.look.probe.champion_losses == pytest.approx(look.probe.champion_losses)
    probed = [place for place, look in enumerate(looks) if look.probe]
    assert probed == [27, 35, 43, 51, 59], "eight days are compared together"
    trained = [place for place, look in enumerate(looks) if look.verdict == "retrain"]
    assert trained[:2] == [19, 43], "the target moved after 35 days"


@pytest.mark.parametrize(("learnt", "is_enough"), [(FORCED_ROWS, True), (FORCED_ROWS - 1, False)])
def test_a_refit_learns_from_no_fewer_rows_than_a_training_that_is_forced(plant, rows_of, learnt, is_enough):
    frame = rows_of(1).iloc[:80].copy()
    frame.loc[learnt:44, "target_known_at"] = frame["valid_at"][45]  # the middle one is among them
    result = probe(plant, "linear", fit(plant, "linear", frame), frame, WEEKS[0])
    assert not isinstance(result, str) if is_enough else "19 were known before it: " in result


def test_what_is_promised_is_the_error_on_rows_that_nobody_had_seen(plant, rows_of):
    matrix = matrix_of_rows(plant, rows_of(9))
    assert {len(model.promised) for model in matrix.models.values()} == {5 * 24}, "the held-out days of each training"


def test_the_means_are_told_of_the_rows_the_champion_learnt_from(plant, rows_of):
    frame = rows_of(9)
    frame["first_sensor"] *= 1 + 0.2 * (frame["valid_at"] >= WEEKS[4].start)
    _, shift = matrix_of_rows(plant, frame).measures((3, "linear"), 4)
    assert (shift.kind, shift.subject, shift.statistic) == ("covariate", "first_sensor", "mean_shift_pct")
    assert (shift.value, shift.status, shift.rows) == (pytest.approx(20, abs=2), "breach", 168)


def test_a_mean_that_is_as_good_as_zero_has_an_unknown_shift(plant, rows_of):
    frame = rows_of(9)
    frame["first_sensor"] -= frame["first_sensor"][frame["target_known_at"] < WEEKS[3].end].mean() - 0.01
    _, shift = matrix_of_rows(plant, frame).measures((3, "linear"), 4)
    assert shift.status == "unknown"
    assert "is as good as zero" in shift.reason
    frame.loc[frame["valid_at"] >= WEEKS[4].start, "first_sensor"] = float("nan")
    _, shift = matrix_of_rows(plant, frame).measures((3, "linear"), 4)
    assert (shift.value, shift.status) == (None, "unknown")
    assert shift.reason.startswith("0 values in the window and 550 in the rows the champion learnt from are few")


def wild(values):
    return values.where(values.index != 4 * 168 + 5, 1e6)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda values: values, "ok"),
        (lambda values: values * (1 + 0.2 * (values.index >= 4 * 168)), "breach"),
        (lambda values: values - values[:600].mean() + 0.01, "unknown"),
        (lambda values: values * 0, "unknown"),
        (wild, "ok"),
    ],
)
def test_a_shift_is_the_one_that_the_monitor_measures(plant, rows_of, change, status):
    frame = rows_of(9)
    frame["first_sensor"] = change(frame["first_sensor"])
    ground = Ground(plant, frame, WEEKS)
    learnt, window = parts_of(plant, frame, WEEKS[3].end).fit, frame[168 * 4 : 168 * 5]
    matrix = train(ground)
    reference = Reference.of(learnt, plant.feature_names(), plant.monitoring.block)
    measures = measure_drift(reference, window, plant.feature_names(), Limits.of(plant))
    [live] = [one for one in measures if (one.subject, one.statistic) == ("first_sensor", "mean_shift_pct")]
    assert matrix.measures((3, "linear"), 4)[1:] == (live,)
    assert live.status == status


def test_what_is_known_of_a_window_beside_its_rows_is_kept(plant, rows_of):
    outcome = Measure("business", "orders", "mean", 1.0, "breach", "too few orders")
    seen = {WEEKS[4]: Seen("quarantined", "half of it waits"), WEEKS[5]: Seen(outcome=outcome)}
    matrix = matrix_of_rows(plant, rows_of(9), seen=seen)
    assert (matrix.periods[4].state, matrix.periods[4].why) == ("quarantined", "half of it waits")
    assert matrix.possible == (2, 3, 5, 6, 7)
    assert matrix.measures((1, "linear"), 5)[-1] == outcome


def test_a_window_without_rows_is_empty(plant, rows_of):
    frame = rows_of(9)
    gap = frame[(frame["valid_at"] < WEEKS[3].start) | (frame["valid_at"] >= WEEKS[4].end)]
    matrix = matrix_of_rows(plant, gap)
    assert [period.state for period in matrix.periods[2:6]] == ["loaded", "empty", "empty", "loaded"]
    rules = replace(Rules.of(plant), policy=POLICIES["every_window"])
    assert walk(matrix, rules).trainings == (2, 5, 6, 7)


def test_few_rows_are_not_compared_on_and_the_look_says_why(plant, rows_of):
    frame = rows_of(9)
    few = frame[(frame["valid_at"] < WEEKS[3].start) | (frame["valid_at"] >= WEEKS[4].start) | (frame.index % 8 == 0)]
    rules = replace(Rules.of(plant), policy=POLICIES["default"])
    look = walk(matrix_of_rows(plant, few), rules).steps[3].look
    assert (look.probe, look.unprobed) == (None, "22 of 60 rows have met their truth since the last comparison")


def test_too_few_windows_are_one_sentence_with_the_ways_out(plant, rows_of):
    with pytest.raises(NothingToDo, match=r"2 of the 3 windows .* end with the 200 rows .* --from and --to") as raised:
        matrix_of_rows(plant, rows_of(9), WEEKS[:3])
    assert plant.pipeline in str(raised.value)
    with pytest.raises(NothingToDo, match=r"0 of the 9 windows .* end with the 200 rows"):
        matrix_of_rows(plant, rows_of(1).iloc[:0], WEEKS)


def test_a_lookback_is_kept(plant, rows_of):
    training = plant.training.model_copy(update={"lookback": "14 days"})
    short = plant.model_copy(update={"training": training})
    assert {period.usable_rows for period in matrix_of_rows(short, rows_of(9)).periods[2:]} == {335}
