"""Slices of a window: what moved in one of them is named, what chance does among many is not, the rest is unknown."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter

from include.monitoring.drift import measure_drift
from include.monitoring.histogram import count_rows
from include.monitoring.limits import Limits
from include.monitoring.reference import Reference
from include.monitoring.slice_drift import levels_held, measure_slices
from include.monitoring.slices import Sums, watched
from include.quality.profile import pack, unpack

PAST, WINDOW, SLICE = 24 * 7 * 30, 24 * 28, "shift"
NAMES = ["x0", "x1", "x2", SLICE]


def stream(seed, rows, features=3, rho=0.6):
    noise = np.random.default_rng(seed).standard_normal((rows + 1000, features))
    return lfilter([(1 - rho**2) ** 0.5], [1, -rho], noise * 0.7 + noise[:, :1] * 0.7, axis=0)[1000:]


def frame(values, codes=None, first=0):
    """Return hours with three features and which third of the day they are in, or other codes."""
    hours = first + np.arange(len(values))
    columns = {f"x{n}": column for n, column in enumerate(np.ascontiguousarray(values.T))}
    codes = hours % 24 // 8 if codes is None else codes
    times = pd.Timestamp("2026-01-05", tz="UTC") + pd.to_timedelta(hours, "h")
    return pd.DataFrame({"valid_at": times, SLICE: np.asarray(codes, float), **columns})


DATA = stream(1, PAST + WINDOW)
LEARNT = frame(DATA[:PAST]).assign(target=1.0)
REFERENCE = Reference.of(LEARNT, slices=[SLICE])


def window(**columns):
    return frame(DATA[PAST:], first=PAST).assign(**columns)


def measure(rows, reference=REFERENCE, features=NAMES, limits=None):
    return {(one.slice, one.subject): one for one in sliced(rows, reference, features, limits)}


def sliced(rows, reference=REFERENCE, features=NAMES, limits=None):
    return [one for one in measure_drift(reference, rows, features, limits, [SLICE]) if one.slice]


def breaches(figures):
    return {place for place, one in figures.items() if one.status == "breach"}


def shifted(size, third=1, name="x1", rows=None):
    rows = window() if rows is None else rows
    return rows.assign(**{name: rows[name] + size * (rows[SLICE] == third)})


def test_a_calm_window_has_every_figure_of_every_slice_and_no_breach():
    figures = measure(window())
    assert {one.status for one in figures.values()} == {"ok"}
    assert set(figures) == {(f"shift={n}", name) for n in range(3) for name in ("x0", "x1", "x2", "rows")}
    assert {one.kind for one in figures.values()} == {"covariate"}
    own, learnt = window()[window()[SLICE] == 2], LEARNT[LEARNT[SLICE] == 2]
    told = figures["shift=2", "x0"]
    assert (told.statistic, told.rows) == ("mean_shift_sd", len(own))
    assert told.reference == pytest.approx(learnt["x0"].mean(), abs=0.01)
    assert told.value == pytest.approx((own["x0"].mean() - learnt["x0"].mean()) / learnt["x0"].std(), abs=0.01)
    assert figures["shift=2", "rows"].value == pytest.approx(1 / 3)


def test_what_moved_in_one_slice_is_named_there_and_nowhere_else():
    figures = measure(shifted(1.2))
    assert breaches(figures) == {("shift=1", "x1")}
    told = figures["shift=1", "x1"]
    assert told.reason.startswith("the mean moved +1.")
    assert told.reason.endswith("; allowed are ±0.5")
    assert abs(told.value) > told.threshold


def test_a_certain_shift_that_is_not_worth_a_word_is_no_breach():
    assert breaches(measure(shifted(0.75), limits=Limits(mean_shift_sd=0.7))) == set()
    assert breaches(measure(shifted(0.75), limits=Limits(mean_shift_sd=0.2))) == {("shift=1", "x1")}


def test_a_large_shift_that_chance_may_do_is_told_and_no_breach():
    short = shifted(0.95, rows=window()[: 24 * 4])
    figures = measure(short)
    assert breaches(figures) == set()
    assert figures["shift=1", "x1"].reason.endswith("no more than chance may do among all slices")


def test_single_wild_values_move_no_slice():
    values = window()["x1"].to_numpy().copy()
    values[100] = 1e9
    assert breaches(measure(window(x1=values))) == set()


def test_the_slices_add_up_to_the_whole():
    own = REFERENCE.slices[SLICE]
    assert (own.labels, own.subjects) == (("shift=0", "shift=1", "shift=2"), ("x0", "x1", "x2"))
    assert own.part_rows.sum() == PAST
    for number, name in enumerate(own.subjects):
        whole = REFERENCE.subjects[name].whole
        assert own.values[:, number].sum() == whole.values
        mean = own.values[:, number] @ own.means[:, number] / whole.values
        assert mean == pytest.approx(whole.held_mean, abs=1e-3)


def test_a_window_in_parts_or_in_any_order_has_the_figures_of_the_whole():
    rows = shifted(1.2).assign(x2=np.where(np.arange(WINDOW) % 9 == 0, np.nan, DATA[PAST:, 2]))
    whole = sliced(rows)
    for other in (iter([rows[:100], rows[100:101], rows[101:]]), rows.sample(frac=1, random_state=1)):
        for one, twin in zip(whole, sliced(other), strict=True):
            assert twin.value == pytest.approx(one.value, abs=1e-9)
            assert replace(twin, value=one.value, threshold=one.threshold, reason=one.reason) == one


def test_sums_merge():
    one = Sums(3, np.array([2, 3]), np.array([1.0, 2.0]))
    both = one + one
    assert (both.rows, both.values.tolist(), both.totals.tolist()) == (6, [4, 6], [2.0, 4.0])


def test_bytes_give_the_same_slices_and_the_same_slices_the_same_bytes():
    content = REFERENCE.to_bytes()
    again = Reference.from_bytes(content)
    assert again.to_bytes() == content == Reference.of(LEARNT, slices=[SLICE]).to_bytes()
    assert sliced(shifted(1.2), again) == sliced(shifted(1.2))
    assert (again | Reference.of(LEARNT[["valid_at", "target"]])).slices.keys() == {SLICE}


def test_24_features_by_24_hours_over_60_weeks_take_less_than_400_kb():
    rows = pd.date_range("2025-01-01", periods=60 * 7 * 24 * 12, freq="5min", tz="UTC")
    chance = np.random.default_rng(5)
    values = {f"x{n}": chance.normal(size=len(rows)) * (1 + n) for n in range(22)}
    calendar = {"hour": rows.hour.astype(float), "day": rows.day_of_week.astype(float)}
    table = pd.DataFrame({"valid_at": rows, **calendar, **values})
    sizes = [len(Reference.of(table, slices=names).to_bytes()) for names in ([], ["hour", "day"])]
    assert sizes[1] < 400_000
    assert sizes[1] - sizes[0] < 60_000


def test_a_reference_from_before_slices_is_read_and_its_slices_are_unknown():
    state, arrays = unpack(Reference.of(LEARNT).to_bytes())
    del state["slices"]
    old = Reference.from_bytes(pack(state, arrays))
    for reference in (old, None):
        [told] = sliced(window(), reference)
        assert (told.status, told.slice, told.subject) == ("unknown", SLICE, "features")
        assert told.reason == "the version's reference keeps no slices of shift: train again"


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (window()[:0], "the window has no rows"),
        (window().drop(columns=SLICE), "the window's rows do not have it"),
    ],
)
def test_without_rows_or_the_feature_that_cuts_slices_are_unknown(rows, reason):
    [told] = sliced(rows)
    assert (told.status, told.reason) == ("unknown", reason)


def test_a_feature_of_too_many_values_cuts_no_slices():
    many = frame(DATA[:PAST], np.arange(PAST) % 41)
    [told] = sliced(window(), Reference.of(many, slices=[SLICE]))
    assert (told.status, told.reason[:27]) == ("unknown", "it has more than 40 values:")
    assert len(Reference.of(many[many[SLICE] < 40], slices=[SLICE]).slices[SLICE].labels) == 40


def test_a_slice_of_few_rows_and_one_that_the_reference_never_had_are_unknown():
    rows = window(**{SLICE: np.where(np.arange(WINDOW) < 29, 1.0, np.where(np.arange(WINDOW) < 200, 7.0, np.nan))})
    figures = measure(rows)
    few, new = figures["shift=1", "features"], figures["shift=7", "features"]
    assert (few.status, few.reason) == (
        "unknown",
        "1680 rows in the reference and 29 in the window are few, 30 are needed",
    )
    assert (new.status, new.reason) == ("unknown", "the version's reference has no such rows")
    assert figures["shift missing", "rows"].status == figures["shift=7", "rows"].status == "unknown"
    assert figures["shift=0", "features"].status == "unknown", "no row of it is few as well"
    enough = measure(window(**{SLICE: np.where(np.arange(WINDOW) < 30, 1.0, 2.0)}))
    assert enough["shift=1", "x0"].status != "unknown"


def test_a_slice_in_too_few_parts_of_the_reference_is_unknown():
    for days, status in ((9, "unknown"), (10, "ok")):
        codes = np.where(np.arange(PAST) < 24 * days, 1, 2)
        figures = measure(window(), Reference.of(frame(DATA[:PAST], codes), slices=[SLICE]))
        told = figures["shift=1", "features" if status == "unknown" else "x0"]
        assert told.status == status
    assert measure(window()[:29])["shift=1", "rows"].reason.startswith("the window has 29 rows")


def test_a_feature_that_is_constant_or_lacking_or_new_is_unknown_in_each_slice():
    steady = Reference.of(LEARNT.assign(x0=5.0, x2=np.nan), slices=[SLICE])
    figures = measure(window(x1=np.nan), steady)
    assert figures["shift=1", "x0"].reason == "the reference never varies there"
    assert figures["shift=1", "x1"].reason.startswith("1680 values in the reference and 0 in the window are few")
    assert figures["shift=1", "x2"].reason == "the reference has no value of it"
    assert {figures["shift=1", name].status for name in ("x0", "x1", "x2")} == {"unknown"}


def test_a_mix_that_moved_is_a_breach_and_one_that_the_calendar_deals_is_not():
    mixed = np.where(np.arange(WINDOW) % 24 < 16, 2.0, np.arange(WINDOW) % 3)
    told = measure(window(**{SLICE: mixed}))["shift=2", "rows"]
    assert (told.status, told.statistic) == ("breach", "row_share")
    assert told.reason.startswith("79.2% of the rows are of this slice, in the reference it was 33.3%")
    by_day = Reference.of(frame(DATA[:PAST], np.arange(PAST) // 24 % 7), slices=[SLICE])
    for days in (3, 10, 28):
        part = window(**{SLICE: np.arange(WINDOW) // 24 % 7})[: 24 * days]
        assert not [one for one in sliced(part, by_day) if one.subject == "rows" and one.status != "ok"]


@pytest.mark.parametrize("kind", ["hours", "days", "regime"])
@pytest.mark.parametrize("rho", [0.6, 0.95])
def test_windows_without_drift_alarm_no_more_often_than_they_may_however_alike_neighbours_are(kind, rho):
    """Any size is worth a word here, so that evidence alone decides; 36 windows a case, 5 % nominal."""
    limits, alarms = Limits(mean_shift_sd=0.0, share_shift=0.0), 0
    for seed in range(12):
        rows = PAST + 3 * WINDOW
        hours, own = np.arange(rows), stream(100 + seed, rows, 1, rho)[:, 0]
        codes = {"hours": hours % 24 // 3, "days": hours // 24 % 7, "regime": own > 0.3}[kind]
        data = frame(stream(seed, rows, 3, rho), codes)
        reference = Reference.of(data[:PAST], slices=[SLICE])
        for start in range(PAST, rows, WINDOW):
            sums = {}
            parts = watched(reference.slices, reference.grids, data[start : start + WINDOW], sums)
            counted = count_rows(reference.grids, parts)
            figures = measure_slices(reference, sums, counted, NAMES, [SLICE], limits)
            alarms += any(one.status == "breach" for one in figures)
    assert alarms <= 4  # five of 36 or more come by chance in 3 % of cases at 5 %


def test_levels_are_those_of_holm_step_by_step():
    chance = np.random.default_rng(3)
    for _ in range(200):
        chances = chance.uniform(size=6) ** 4
        rejected, left = set(), 6
        for place in np.argsort(chances):
            if chances[place] > 0.05 / left:
                break
            rejected.add(int(place))
            left -= 1
        assert set(np.flatnonzero(chances <= levels_held(chances, 0.05)).tolist()) == rejected
