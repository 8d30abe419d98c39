"""Each figure of a window: when it is a breach, when it just is not, and when nobody can know."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from include.monitoring.drift import measure_drift
from include.monitoring.joint import worth_of
from include.monitoring.limits import Limits
from include.monitoring.reference import Reference
from include.monitoring.usual import usual_distances, usual_share

CHANCE = np.random.default_rng(6)
PAST = CHANCE.normal(10, 1, 5000)
REFERENCE = Reference.of({"x": PAST})
CODES = np.tile([1.0, 2.0, 3.0, 4.0], 500)
LIMITS = Limits(mean_shift_pct=10)


def window(rows=720, seed=1):
    return np.random.default_rng(seed).normal(10, 1, rows)


def measure(values, reference=REFERENCE, limits=LIMITS, name="x", **more):
    measures = measure_drift(reference, {"x": np.asarray(values, float)} | more, [name], limits)
    return {one.statistic: one for one in measures if one.subject == name or one.subject == "features"}


def breaches(figures):
    return {name for name, one in figures.items() if one.status == "breach"}


def test_a_window_like_the_reference_has_every_figure_and_no_breach():
    figures = measure(window())
    assert [one.status for one in figures.values()] == ["ok"] * len(figures)
    assert set(figures) == {
        *("missing_share", "psi", "js", "ks", "mean", "mean_shift_sd", "mean_shift_pct", "out_of_range_share"),
        *("outlier_share", "p_value", "shift"),
    }
    assert all(one.value is not None and one.rows == 720 for one in figures.values())
    assert figures["mean"].value == pytest.approx(window().mean(), rel=1e-12)
    assert figures["mean"].reference == pytest.approx(PAST.mean(), rel=1e-12)


@pytest.mark.parametrize("past", [PAST, CODES, np.exp(PAST), np.where(PAST > 11, np.nan, PAST)])
def test_the_reference_itself_has_not_drifted(past):
    figures = measure(past, Reference.of({"x": past}))
    assert breaches(figures) == set()
    for name in ("psi", "js", "ks", "mean_shift_sd", "mean_shift_pct"):
        assert figures[name].value == pytest.approx(0, abs=1e-9)


def test_the_order_of_the_rows_changes_nothing():
    values = np.where(np.arange(720) % 50 == 0, np.nan, window())
    one, other = measure(values), measure(values[::-1])
    for name, figure in one.items():
        assert other[name].value == pytest.approx(figure.value, rel=1e-9, abs=1e-12)
        assert replace(other[name], value=figure.value) == figure


def test_equal_windows_around_zero_never_breach_and_their_shift_in_per_cent_is_unknown():
    """g01: the mean of the reference is −0.0045, so per cents of it were in the hundreds."""
    reference = Reference.of({"x": np.random.default_rng(0).normal(size=5000)})
    for seed in range(200):
        figures = measure(np.random.default_rng(1000 + seed).normal(size=720), reference)
        assert breaches(figures) == set()
    assert figures["mean_shift_pct"].status == "unknown"
    assert "as good as zero beside its deviation" in figures["mean_shift_pct"].reason


def test_another_shape_with_the_same_mean_is_a_breach():
    """g03: half −990, half 1010."""
    figures = measure(np.repeat([-990.0, 1010.0], 360))
    assert abs(figures["mean_shift_pct"].value) < 1
    assert breaches(figures) == {"psi", "js", "ks", "out_of_range_share", "outlier_share"}
    assert figures["psi"].reason.startswith("the shape moved: PSI ")


def test_one_wild_value_is_no_breach_and_is_told():
    """g05: one value of 720 is 1e6."""
    figures = measure(np.append(np.clip(window(719), 8, 12), 1e6))
    assert breaches(figures) == set()
    assert figures["mean_shift_pct"].value > 10_000
    assert "one row of 720 beyond the whole reference did it" in figures["mean_shift_pct"].reason
    assert "one row of 720" in figures["mean_shift_sd"].reason


def test_a_wild_value_of_the_reference_neither_hides_a_shift_nor_makes_one():
    wild = Reference.of({"x": np.append(PAST[:-1], 1e6)})
    calm = measure(window(), wild)
    assert breaches(calm) == set()
    assert "single wild values of the reference did it" in calm["mean_shift_pct"].reason
    moved = measure(window() + 1.5, wild)
    assert {"mean_shift_sd", "mean_shift_pct", "psi"} <= breaches(moved)


def test_a_constant_target_is_unknown_in_deviations_and_its_new_value_is_unseen():
    """f01: the actuals are 5.0 all the time."""
    constant = Reference.of({"x": np.full(500, 5.0)})
    same = measure(np.full(100, 5.0), constant)
    assert breaches(same) == set()
    assert (same["mean_shift_sd"].status, same["mean_shift_sd"].reason) == ("unknown", "the reference never varies")
    assert same["p_value"].status == "unknown"
    other = measure(np.full(100, 105.0), constant)
    assert {"psi", "js", "ks", "unseen_share", "out_of_range_share", "mean_shift_pct"} <= breaches(other)


def test_a_level_beyond_the_whole_reference_is_no_single_wild_value():
    reference = Reference.of({"x": PAST / 10 + 99})
    figures = measure(window() / 10 + 114, reference)
    assert {"mean_shift_sd", "mean_shift_pct", "out_of_range_share"} <= breaches(figures)
    assert "wild" not in figures["mean_shift_pct"].reason


@pytest.mark.parametrize(
    ("statistic", "limit"), [("psi", 0.25), ("js", 0.18), ("ks", 0.2), ("mean_shift_sd", 0.5), ("mean_shift_pct", 5)]
)
def test_each_figure_of_level_and_shape_is_a_breach_just_beyond_its_limit(statistic, limit):
    limits, values = Limits(mean_shift_pct=5), window(5000)
    shifts = np.linspace(0.3, 0.7, 41)
    seen = [measure(values - values.mean() + PAST.mean() + shift, limits=limits)[statistic] for shift in shifts]
    assert {one.status for one in seen} == {"ok", "breach"}
    for one in seen:
        assert one.threshold == limit
        assert (one.status == "breach") == (abs(one.value) > limit)
        assert bool(one.reason) == (one.status == "breach")


def test_a_mean_that_moved_by_exactly_its_limit_is_allowed():
    """1.1 is a hair more than 110 % of 1 in binary fractions."""
    reference = Reference.of({"x": np.tile([0.9, 1.1], 500)})
    figure = measure(np.tile([0.99, 1.21], 500), reference)["mean_shift_pct"]
    assert figure.value == pytest.approx(10)
    assert figure.status == "ok"


def test_without_a_limit_a_shift_in_per_cent_is_told_and_not_judged():
    figure = measure(window() + 5, limits=Limits())["mean_shift_pct"]
    assert (figure.status, figure.threshold) == ("ok", None)
    assert figure.value == pytest.approx(50, abs=1)


def test_a_shift_in_per_cent_that_chance_may_do_says_so():
    reference = Reference.of({"x": CHANCE.normal(1, 4, 5000)})
    figure = measure(np.random.default_rng(3).normal(1.3, 4, 60), reference)["mean_shift_pct"]
    assert figure.status == "breach"
    assert "; allowed are ±10. The limit in per cent is exceeded" in figure.reason
    assert "no proof that anything changed: it is a shift which chance may do (3 standard errors are" in figure.reason
    sure = measure(np.random.default_rng(3).normal(4, 4, 5000), reference)["mean_shift_pct"]
    assert (sure.status, "chance" in sure.reason) == ("breach", False)


@pytest.mark.parametrize(("missing", "status"), [(36, "ok"), (80, "breach")])
def test_missing_values_are_a_breach_when_their_share_grew_by_more_than_it_may(missing, status):
    figure = measure(np.where(np.arange(720) < missing, np.nan, window()))["missing_share"]
    assert (figure.status, figure.value) == (status, missing / 720)
    assert bool(figure.reason) == (status == "breach")


def test_a_subject_that_is_often_away_for_long_may_be_so_again():
    times = pd.date_range("2026-01-01", periods=3360, freq="h", tz="UTC")
    past = np.where((np.arange(3360) // 168) % 5 == 2, np.nan, np.resize(PAST, 3360))
    reference = Reference.of(pd.DataFrame({"valid_at": times, "x": past}))
    half = np.where(np.arange(168) < 84, np.nan, window(168))
    assert measure(half, reference)["missing_share"].status == "ok"
    assert measure(half)["missing_share"].status == "breach"
    assert measure(np.full(168, np.nan), reference)["missing_share"].status == "breach"


@pytest.mark.parametrize(("far", "status"), [(7, "ok"), (8, "breach")])
def test_values_beyond_the_reference_are_a_breach_beyond_one_per_cent(far, status):
    figures = measure(np.concatenate([np.clip(window(720 - far), 8, 12), np.full(far, 30.0)]))
    assert figures["out_of_range_share"].status == status
    assert figures["out_of_range_share"].value == far / 720


@pytest.mark.parametrize(("far", "status"), [(6, "ok"), (12, "breach")])
def test_outliers_are_values_outside_the_middle_of_the_reference(far, status):
    values = np.clip(window(720), 8, 12)
    values[:far] = np.sort(PAST)[-1]
    figures = measure(values)
    assert figures["outlier_share"].status == status
    assert figures["out_of_range_share"].value == 0


@pytest.mark.parametrize(("new", "status"), [(7, "ok"), (8, "breach")])
def test_unseen_categories_are_a_breach_beyond_one_per_cent(new, status):
    figures = measure(np.concatenate([np.resize(CODES, 720 - new), np.full(new, 2.5)]), Reference.of({"x": CODES}))
    assert figures["unseen_share"].status == status
    assert figures["unseen_share"].value == new / 720
    assert figures["out_of_range_share"].value == 0
    assert "outlier_share" not in figures


def test_the_joint_p_value_is_a_breach_where_a_feature_is_named():
    figures = measure(window() + 0.5)
    assert figures["p_value"].status == figures["shift"].status == "breach"
    assert figures["p_value"].reason.endswith("moved: x")
    assert "standard errors off" in figures["shift"].reason
    assert measure(window())["p_value"].status == "ok"


UNKNOWN = {
    "the window has no rows": (REFERENCE, [], "x"),
    "none of 50 rows has a value": (REFERENCE, [np.nan] * 50, "x"),
    "29 values are few, 30 are needed": (REFERENCE, PAST[:29], "x"),
    "the window's rows do not have it": (REFERENCE | Reference.of({"y": PAST}), PAST[:50], "y"),
    "the model version's reference does not know it: train again": (REFERENCE, PAST[:50], "z"),
    "the reference has 29 values of it, 30 are needed": (Reference.of({"x": PAST[:29]}), PAST[:50], "x"),
    "the reference has no value of it": (Reference.of({"x": np.full(90, np.nan)}), PAST[:50], "x"),
}


@pytest.mark.parametrize("why", UNKNOWN)
def test_what_cannot_be_known_is_unknown_and_says_why(why):
    reference, values, name = UNKNOWN[why]
    figures = measure(values, reference, name=name)
    for statistic in ("psi", "js", "ks", "mean", "mean_shift_sd", "mean_shift_pct", "out_of_range_share"):
        assert (figures[statistic].value, figures[statistic].status) == (None, "unknown")
        assert figures[statistic].reason == why
    assert figures["p_value"].status == "unknown"


def test_a_feature_without_any_value_is_a_breach_of_its_own():
    figures = measure([np.nan] * 50)
    assert breaches(figures) == {"missing_share"}
    assert figures["missing_share"].reason == "100.0% of 50 rows have no value; in the reference it was 0.0%"


def test_without_a_reference_everything_is_unknown():
    measures = measure_drift(None, {"x": PAST}, ["x"])
    assert {one.status for one in measures} == {"unknown"}
    assert {one.kind for one in measures} == {"covariate", "joint"}


def test_a_target_and_a_prediction_are_told_apart_from_features_and_late_ones_are_not_missing():
    foretold = Reference.of({"prediction": PAST[:900] * 2, "loss": PAST[:900]})
    reference = Reference.of({"x": PAST, "target": PAST * 2}) | foretold
    late = np.where(np.arange(720) < 300, np.nan, window() * 2 + 3)
    rows = {"x": window(), "target": late, "prediction": window() * 2}
    measures = measure_drift(reference, rows, ["x"])
    by_kind = {}
    for one in measures:
        by_kind.setdefault(one.kind, {})[one.statistic] = one
    assert set(by_kind) == {"covariate", "target", "prediction", "joint"}
    assert "missing_share" not in by_kind["target"]
    assert by_kind["target"]["psi"].status == "breach"
    assert by_kind["prediction"]["psi"].status == "ok"
    assert {one.subject for one in measures if one.kind == "joint"} == {"features", "x"}


def test_small_windows_and_alike_neighbours_may_show_more():
    subject = REFERENCE.subjects["x"]
    few, many = (usual_distances(subject, rows, 1.0) for rows in (40, 4000))
    alike = usual_distances(subject, 4000, 0.05)
    for name in ("psi", "js", "ks"):
        assert few[name] > alike[name] > many[name]
    assert usual_share(0, 5000, 30, 1.0) <= 1 / 30
    assert usual_share(0, 5000, 30, 1.0) > usual_share(0, 5000, 3000, 1.0)


def test_a_distance_that_is_usual_for_so_few_rows_is_no_breach_and_says_so():
    figure = measure(window(72) + 0.5)["psi"]
    assert figure.status == "ok"
    assert 0.25 < figure.value < figure.threshold < 1
    assert "is usual for so many rows" in figure.reason


def days(values, per_day=24):
    """Return rows of hours, all of a day with one value: a day is one independent piece of evidence."""
    times = pd.date_range("2026-01-01", periods=len(values) * per_day, freq="h", tz="UTC")
    return pd.DataFrame({"valid_at": times, "x": np.repeat(values, per_day)})


SHORT = Reference.of(days(np.random.default_rng(0).normal(10, 1, 84)))


@pytest.mark.parametrize(("statistic", "asked", "most"), [("psi", 0.25, np.inf), ("js", 0.18, 0.8326), ("ks", 0.2, 1)])
def test_where_any_distance_would_be_usual_one_above_the_limit_is_unknown_and_one_below_is_ok(statistic, asked, most):
    usual = usual_distances(SHORT.subjects["x"], 72, worth_of(SHORT.subjects["x"]))[statistic]
    assert 2 * asked < usual <= most
    figure = measure(days([10.0, 10.8, 11.5])["x"], SHORT)[statistic]
    assert (figure.status, figure.threshold) == ("unknown", asked)
    assert figure.reason.startswith("the reference is too short, or wanders too much, to tell what is usual")
    assert f"{figure.value:.3g} is above {asked:g}, but up to {usual:.3g} may be" in figure.reason
    assert measure(days(np.random.default_rng(0).normal(10, 1, 84))["x"], SHORT)[statistic].status == "ok"


@pytest.mark.parametrize(("shift", "status"), [(0.4, "ok"), (0.9, "unknown"), (4, "breach")])
def test_a_mean_that_chance_may_carry_far_is_unknown_beyond_the_limit(shift, status):
    level = SHORT.subjects["x"].whole
    figure = measure(np.full(72, level.mean + shift * level.held_deviation), SHORT)["mean_shift_sd"]
    assert figure.status == status
    assert figure.threshold > 1
    assert ("no more than chance may do" in figure.reason) == (status == "unknown")


# Three days of one value are one piece of evidence, and 36 rows are less than that: chance explains any share.
SLOW = days(np.random.default_rng(0).normal(10, 1, 84), per_day=72)
SLOW["x"] += CHANCE.normal(0, 0.01, len(SLOW))
FEW_CODES = days(np.random.default_rng(0).integers(1, 5, 84).astype(float), per_day=72)


@pytest.mark.parametrize(
    ("lost", "status"), [(1, "ok"), (3, "unknown"), (19, "unknown"), (20, "breach"), (34, "breach")]
)
def test_the_loss_of_most_values_is_a_breach_however_little_the_reference_can_tell(lost, status):
    reference = Reference.of(SLOW)
    assert usual_share(0, len(SLOW), 36, worth_of(reference.subjects["x"])) == 1
    figure = measure(np.where(np.arange(36) < lost, np.nan, SLOW["x"][:36]), reference)["missing_share"]
    assert (figure.status, figure.threshold < 0.6) == (status, True)
    assert ("too short" in figure.reason) == (status == "unknown")


@pytest.mark.parametrize(("far", "status"), [(0, "ok"), (1, "unknown"), (18, "unknown"), (19, "breach")])
@pytest.mark.parametrize(
    ("statistic", "past", "value"),
    [("out_of_range_share", SLOW, 99.0), ("outlier_share", SLOW, SLOW["x"].max()), ("unseen_share", FEW_CODES, 2.5)],
)
def test_a_share_that_chance_could_make_anything_is_unknown_and_more_than_half_a_breach(
    statistic, past, value, far, status
):
    figure = measure(np.where(np.arange(36) < far, value, past["x"].median()), Reference.of(past))[statistic]
    assert (figure.status, figure.threshold < 0.6) == (status, True)
    assert ("too short" in figure.reason) == (status == "unknown")


def test_a_sensor_that_was_often_away_is_a_breach_when_nearly_nothing_is_left():
    past = np.where((np.arange(3360) // 168) % 5 == 2, np.nan, np.resize(PAST, 3360))
    reference = Reference.of(pd.DataFrame({"valid_at": days(range(140))["valid_at"], "x": past}))
    for missing, status in ((0.89, "ok"), (0.92, "breach")):
        figure = measure(np.where(np.arange(168) < 168 * missing, np.nan, window(168)), reference)["missing_share"]
        assert (figure.status, figure.threshold) == (status, 0.9)
        assert ("is usual" in figure.reason) == (status == "ok")


def test_the_loss_is_told_as_concept_and_a_larger_one_is_a_breach():
    loss = np.abs(PAST - 10)
    reference = REFERENCE | Reference.of({"loss": loss})
    figures = {}
    for times in (1, 3):
        measures = measure_drift(reference, {"x": window(), "loss": times * np.abs(window() - 10)}, ["x"])
        figures[times] = {one.statistic: one.status for one in measures if one.kind == "concept"}
    assert set(figures[1].values()) == {"ok"}
    assert {name for name, status in figures[3].items() if status == "breach"} >= {"psi", "ks", "mean_shift_sd"}


def test_what_the_reference_did_before_is_no_breach():
    """A season that a year's training data went through."""
    hours = np.arange(24 * 364)
    season = 3 * np.sin(2 * np.pi * hours / len(hours))
    past = np.resize(PAST, len(hours)) + season
    times = pd.date_range("2025-01-01", periods=len(hours), freq="h", tz="UTC")
    reference = Reference.of(pd.DataFrame({"valid_at": times, "x": past}))
    summer = window(720, seed=8) + season[2000:2720]
    assert breaches(measure(summer, reference)) <= {"mean_shift_pct"}
    assert {"ks", "out_of_range_share", "mean_shift_sd"} <= breaches(measure(summer + 8, reference))
