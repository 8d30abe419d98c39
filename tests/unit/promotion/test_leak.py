"""A feature that holds the answer stops a promotion, alone, as a sum of parts, or because it came from the future."""

import time
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter
from sklearn.metrics import roc_auc_score

from include.promotion.leak import no_leak
from include.spec.load import load_named

AIR, FIX, ALERT = load_named("air_quality"), load_named("usdmxn"), load_named("co_alert")
HOURS = 600
EVERY_SECOND = np.arange(HOURS) % 2 == 0


def honest_rows(spec=AIR, seed=0):
    """Return rows whose features explain most of the target, as a good sensor does, but not all of it."""
    random = np.random.default_rng(seed)
    times = pd.Series(pd.date_range("2026-01-01", periods=HOURS, freq="h", tz="UTC").as_unit("us"))
    frame = pd.DataFrame({name: random.normal(size=HOURS) for name in spec.feature_names()})
    first = spec.feature_names()[0]
    target = frame[first] + 0.5 * random.normal(size=HOURS)
    known = times + pd.Timedelta("1h")
    ahead = spec.target.horizon * pd.Timedelta("1h")
    return frame.assign(
        entity="", valid_at=times, available_at=known, target=target, target_known_at=known + ahead
    )  # fmt: skip


@pytest.mark.parametrize("spec", [AIR, FIX])
def test_good_features_are_no_leak(spec):
    check = no_leak(spec, honest_rows(spec))
    assert check.status == "passed", check.text
    assert check.figures["r2"] < 0.995


@pytest.mark.parametrize("planted", [lambda target: target, lambda target: 1000 - 3 * target])
def test_a_feature_that_is_the_target_is_named(planted):
    rows = honest_rows().assign(nox_ppb=lambda frame: planted(frame["target"]))
    check = no_leak(AIR, rows)
    assert (check.status, check.figures["features"]) == ("failed", "nox_ppb")
    assert check.text.startswith("leak: nox_ppb explains 100.00 % of the target's change from its last known value")


@pytest.mark.parametrize(
    "planted",
    [
        lambda target: target**2,
        lambda target: target**3,
        np.exp,
        lambda target: 1 / target,
        lambda target: np.sign(target) * np.log1p(np.abs(target)),
        lambda target: target.rank(),
        lambda target: target.where(EVERY_SECOND, 0.0),
        lambda target: target.where(EVERY_SECOND, 7.0),
        lambda target: target.where(EVERY_SECOND),
    ],
    ids=["square", "cube", "exp", "inverse", "signed log", "rank", "others 0", "others 7", "others missing"],
)
def test_a_feature_that_is_a_curve_of_the_target_or_holds_it_now_and_then_is_named(planted):
    rows = honest_rows()
    rows["target"] = np.abs(rows["target"]) * 2 + 0.3
    check = no_leak(AIR, rows.assign(nox_ppb=planted(rows["target"])))
    assert (check.status, check.figures["features"]) == ("failed", "nox_ppb"), check.text


def test_the_square_of_a_target_with_either_sign_is_named():
    rows = honest_rows()
    assert no_leak(AIR, rows.assign(nox_ppb=rows["target"] ** 2)).figures["features"] == "nox_ppb"


def test_two_features_whose_product_is_the_target_are_named_together():
    rows, part = honest_rows(), np.random.default_rng(5).lognormal(size=HOURS)
    check = no_leak(AIR, rows.assign(nox_ppb=part, o3_sensor=rows["target"] / part))
    assert check.status == "failed"
    assert set(check.figures["features"].split(" · ")) >= {"nox_ppb", "o3_sensor"}


def test_what_is_merely_near_in_time_is_no_leak():
    """A slow target is smooth in anything that grows with time, whoever looks at both sides of a row."""
    days = np.arange(HOURS) / 24
    steps = pd.Series(np.random.default_rng(6).normal(size=HOURS)).ewm(halflife=8).mean()
    rows = honest_rows(FIX).assign(target=steps.cumsum(), tiie_28d_pct=days)
    rows["target_known_at"] = rows["available_at"] + pd.Timedelta("48h")
    check = no_leak(FIX, rows)
    assert check.status == "passed", check.text


def test_a_feature_that_almost_is_the_target_is_named():
    """It explains 99.7 %: as much as nothing honest does."""
    rows, noise = honest_rows(), np.random.default_rng(7).normal(size=HOURS)
    rows["o3_sensor"] = rows["target"] + np.sqrt(0.006) * rows["target"].std() * noise
    check = no_leak(AIR, rows)
    assert (check.status, check.figures["features"]) == ("failed", "o3_sensor")
    assert check.figures["r2"] == pytest.approx(0.997, abs=0.001)


def test_five_parts_are_needed_to_tell_and_are_found():
    parts = np.random.default_rng(8).normal(size=(5, HOURS))
    names = ["benzene_ug_m3", "nox_ppb", "no2_ug_m3", "o3_sensor", "co_sensor"]
    check = no_leak(AIR, honest_rows().assign(target=parts.sum(axis=0), **dict(zip(names, parts, strict=True))))
    assert check.status == "failed"
    assert set(check.figures["features"].split(" + ")) == set(names)


def alert_rows(seed=1):
    """Return rows with an event that lasts some hours, and features that know nothing of it."""
    rows, random = honest_rows(ALERT, seed), np.random.default_rng(seed)
    level = pd.Series(random.normal(size=HOURS + 3)).ewm(halflife=4).mean()
    ahead = pd.concat([level.shift(-n) for n in (1, 2, 3)], axis=1).max(axis=1)[:HOURS]
    return rows.assign(target=(ahead > ahead.quantile(0.8)).astype("float64")), ahead, level[:HOURS]


def test_a_level_of_now_that_foretells_an_event_well_is_no_leak():
    rows, _, level = alert_rows()
    check = no_leak(ALERT, rows.assign(o3_sensor=level))
    assert check.status == "passed", check.text
    assert 0.7 < check.figures["auc"] < 0.98


def test_of_an_event_that_lasts_the_level_is_no_leak_though_it_tells_it_from_the_rest():
    """A flood goes on: that the river is high says so, and everybody knew. What it does next is another matter."""
    level = pd.Series(np.random.default_rng(1).normal(size=HOURS + 203)).ewm(halflife=40).mean()
    level = level.rolling(24).mean()[200:].reset_index(drop=True)
    ahead = level.shift(-3)[:HOURS]
    rows = honest_rows(ALERT).assign(target=(ahead > ahead.quantile(0.6)).astype("float64"), o3_sensor=level[:HOURS])
    assert roc_auc_score(rows["target"], rows["o3_sensor"]) > 0.995
    check = no_leak(ALERT, rows)
    assert check.status == "passed", check.text


@pytest.mark.parametrize("sign", [1, -1])
def test_the_later_level_that_an_event_is_made_of_is_named(sign):
    rows, ahead, _ = alert_rows()
    check = no_leak(ALERT, rows.assign(o3_sensor=sign * ahead))
    assert (check.status, check.figures) == ("failed", {"auc": 1.0, "features": "o3_sensor"})
    assert "o3_sensor tells the event from the rest with an AUC of 1.0000" in check.text


def test_a_feature_that_separates_an_event_but_says_no_probability_is_named():
    rows, *_ = alert_rows()
    noise = 0.2 * np.random.default_rng(9).random(HOURS)
    assert no_leak(ALERT, rows.assign(o3_sensor=rows["target"] + noise)).figures["features"] == "o3_sensor"


def test_two_features_that_tell_an_event_together_are_named():
    rows, ahead, _ = alert_rows()
    part = np.random.default_rng(10).normal(size=HOURS)
    check = no_leak(ALERT, rows.assign(o3_sensor=ahead + part, nox_sensor=part))
    assert check.status == "failed"
    assert set(check.figures["features"].split(" + ")) == {"o3_sensor", "nox_sensor"}


def test_of_too_few_events_nobody_knows():
    rows, *_ = alert_rows()
    rare = rows["target"].where(rows["target"].cumsum() <= 5, 0.0)
    assert no_leak(ALERT, rows.assign(target=rare)).status == "unknown"


def test_features_without_values_are_unknown_and_some_without_are_told():
    """What cannot be asked about explains nothing, and is not fine for that."""
    rows = honest_rows().head(40)
    features = AIR.feature_names()
    empty = rows.assign(**dict.fromkeys(features, np.nan))
    planted = empty.assign(nox_ppb=rows["target"].where(np.arange(40) < 29))
    assert no_leak(AIR, empty).status == "unknown"
    assert no_leak(AIR, planted).status == "unknown"
    check = no_leak(AIR, rows.assign(nox_ppb=planted["nox_ppb"]))
    assert check.status == "passed"
    assert check.text.endswith("with too few rows, not judged: nox_ppb")


def test_it_is_quick_with_many_rows():
    random, count = np.random.default_rng(0), 10_000
    many = honest_rows().sample(count, replace=True, random_state=0, ignore_index=True)
    times = pd.Series(pd.date_range("2026-01-01", periods=count, freq="h", tz="UTC").as_unit("us"))
    many = many.assign(valid_at=times, available_at=times, target_known_at=times, target=random.normal(size=count))
    begin = time.process_time()
    no_leak(AIR, many)
    assert time.process_time() - begin < 1.0


def test_a_feature_that_is_the_targets_change_is_named():
    rows = honest_rows()
    assert no_leak(AIR, rows.assign(o3_sensor=rows["target"].diff())).figures["features"] == "o3_sensor"


def test_of_a_series_that_wanders_the_level_is_no_leak_and_the_next_change_is():
    """R² against the level would call every persistent feature a leak, and drown the one that is."""
    level = np.random.default_rng(1).normal(size=HOURS + 1).cumsum()
    rows = honest_rows(FIX).assign(target=level[1:])
    level_now = level[:-1] + 1e-3 * np.random.default_rng(2).normal(size=HOURS)
    assert no_leak(FIX, rows.assign(tiie_28d_pct=level_now)).status == "passed"
    check = no_leak(FIX, rows.assign(tiie_28d_pct=np.diff(level)))
    assert (check.status, check.figures["features"]) == ("failed", "tiie_28d_pct")


def test_parts_that_add_up_to_the_target_are_named_together():
    random, rows = np.random.default_rng(3), honest_rows()
    parts = random.dirichlet([2, 2, 2], HOURS) * rows["target"].abs().to_numpy()[:, None]
    names = ["benzene_ug_m3", "nox_ppb", "no2_ug_m3"]
    check = no_leak(AIR, rows.assign(target=rows["target"].abs(), **dict(zip(names, parts.T, strict=True))))
    assert check.status == "failed"
    assert set(check.figures["features"].split(" + ")) >= set(names)


@pytest.mark.parametrize(("ahead", "told"), [(n, f"{n} rows later") for n in (2, 3, 5, 24, 168)] + [(1, "1 row later")])
def test_a_feature_that_is_a_later_target_is_named(ahead, told):
    rows = honest_rows()
    check = no_leak(AIR, rows.assign(o3_sensor=rows["target"].shift(-ahead)))
    assert check.status == "failed"
    assert f"o3_sensor explains 100.00 % of the target's step {told}" in check.text


@pytest.mark.parametrize(("spec", "feature"), [(AIR, "o3_sensor"), (FIX, "tiie_28d_pct")])
@pytest.mark.parametrize("rows_later", [3, 40])
def test_a_feature_that_is_the_way_to_a_later_target_is_named(spec, feature, rows_later):
    """What a price will have gained in three days is the commonest leak of all."""
    level = np.random.default_rng(11).normal(size=HOURS + 1).cumsum()
    target = pd.Series(level[spec.target.horizon :][:HOURS])
    rows = honest_rows(spec).assign(target=target, **{feature: target.shift(-rows_later) - target})
    assert f"leak: {feature} explains 100.00 % of the target's step {rows_later} rows later" in no_leak(spec, rows).text


def test_a_later_target_is_named_though_rows_were_dropped_since_it_was_planted():
    rows = honest_rows()
    planted = rows.assign(o3_sensor=rows["target"].shift(-5))
    check = no_leak(AIR, planted.sample(frac=0.8, random_state=0).sort_values("valid_at", ignore_index=True))
    assert "o3_sensor explains 100.00 % of the target's step 5 rows later, missing rows counted" in check.text


def test_an_earlier_target_that_was_not_known_yet_is_named_and_one_that_was_is_none():
    spec = FIX.model_copy(update={"target": FIX.target.model_copy(update={"horizon": 5})})
    rows = honest_rows(spec).assign(target=np.random.default_rng(12).normal(size=HOURS).cumsum())
    check = no_leak(spec, rows.assign(tiie_28d_pct=rows["target"].shift(2)))
    assert "tiie_28d_pct explains 100.00 % of the target's step 2 rows earlier, which was not known yet" in check.text
    assert no_leak(spec, rows.assign(tiie_28d_pct=rows["target"].shift(5))).status == "passed"


def test_an_event_that_comes_later_is_named():
    rows, *_ = alert_rows()
    check = no_leak(ALERT, rows.assign(o3_sensor=rows["target"].shift(-12)))
    assert check.text.startswith("leak: o3_sensor tells the event 12 rows later from the rest with an AUC of 1.0000")


def test_of_many_entities_each_is_looked_at_along_its_own_rows_and_by_its_own_scale():
    parts, scales = [honest_rows(seed=seed).head(200).assign(entity=f"S{seed}") for seed in range(4)], [1, 10, -5, 0.1]
    honest = pd.concat(parts).sort_values("valid_at", ignore_index=True)
    assert no_leak(AIR, honest).status == "passed"
    later = [part.assign(o3_sensor=part["target"].shift(-7)) for part in parts]
    check = no_leak(AIR, pd.concat(later).sort_values("valid_at", ignore_index=True))
    assert "o3_sensor explains 100.00 % of the target's step 7 rows later: " in check.text
    scaled = [
        part.assign(o3_sensor=scale * part["o3_sensor"] + scale) for part, scale in zip(later, scales, strict=True)
    ]
    check = no_leak(AIR, pd.concat(scaled).sort_values("valid_at", ignore_index=True))
    assert "o3_sensor explains 100.00 % of the target's step 7 rows later within S0: " in check.text


def wave(memory, random, rows):
    """Return a series that keeps some of its last value, with a deviation of 1."""
    noise = random.normal(size=rows + 200) * np.sqrt(1 - memory**2)
    return lfilter([1], [1, -memory], noise)[200:]


@pytest.mark.parametrize("memory", [0.6, 0.9, 0.99])
def test_honest_features_that_remember_are_no_leak_whatever_the_chance(memory):
    """A sensor, a slow mean and a stranger, each as alike to its neighbours as the target, in few rows."""
    for seed, count in product(range(8), (45, 120)):
        rows_ahead = 6 * (seed % 2)
        spec = FIX.model_copy(update={"target": FIX.target.model_copy(update={"horizon": rows_ahead})})
        random = np.random.default_rng(seed)
        level = wave(memory, random, count + 6)
        honest = {
            "tiie_28d_pct": level[:count] + 0.3 * random.normal(size=count),
            "inflation_annual_ratio": pd.Series(level[:count]).rolling(5, 1).mean() + 0.1 * random.normal(size=count),
            "target_rate_pct": wave(memory, random, count),
        }
        rows = honest_rows(spec).head(count).assign(target=level[rows_ahead:][:count], **honest)
        assert (check := no_leak(spec, rows)).status == "passed", (seed, count, check.text)


def test_a_season_and_a_trend_that_an_honest_feature_tells_far_ahead_are_no_leak():
    """Half a day ahead nearly all of the way is season, and a year ahead trend: what is asked about is each step."""
    random, hours = np.random.default_rng(13), np.arange(HOURS)
    day = [np.sin((hours + phase) * 2 * np.pi / 24) for phase in (0, 6)]
    seasonal = honest_rows().assign(
        target=day[0] + 0.05 * random.normal(size=HOURS), o3_sensor=day[1] + 0.05 * random.normal(size=HOURS)
    )
    assert (check := no_leak(AIR, seasonal)).status == "passed", check.text
    growth = np.exp(hours / 150 + 0.02 * random.normal(size=HOURS))
    growing = honest_rows().assign(target=growth, o3_sensor=growth * np.exp(0.02 * random.normal(size=HOURS)))
    assert (check := no_leak(AIR, growing)).status == "passed", check.text


def test_a_feature_that_is_published_after_the_target_is_named():
    rows = honest_rows()
    rows.loc[7, "available_at"] = rows.loc[7, "target_known_at"] + pd.Timedelta("2h")
    check = no_leak(AIR, rows)
    assert check.status == "failed"
    assert "in 1 rows co_sensor, " in check.text
    assert check.text.endswith("became known only after the target")


def test_the_targets_own_past_is_none_however_well_it_explains():
    """A tide repeats itself: two of its past values tell the next one, and everybody knew them."""
    tide = np.sin(np.arange(HOURS + 6) / 4)
    rows = honest_rows(FIX).assign(target=tide[6:], fix_mxn=tide[5:-1])
    past = {f"fix_mxn_diff_{n}": tide[5:-1] - tide[5 - n : -1 - n] for n in (1, 2, 5)}
    assert no_leak(FIX, rows.assign(**past)).status == "passed"


def test_too_few_rows_are_unknown_and_never_fine():
    assert no_leak(AIR, honest_rows().head(20)).status == "unknown"
    assert no_leak(AIR, honest_rows().assign(target=1.0)).status == "unknown"
