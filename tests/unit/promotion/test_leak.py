"""A feature that holds the answer stops a promotion, alone, as a sum of parts, or because it came from the future."""

import numpy as np
import pandas as pd
import pytest

from include.promotion.leak import no_leak
from include.spec.load import load_named

AIR, FIX = load_named("air_quality"), load_named("usdmxn")
HOURS = 600


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


def test_a_feature_that_is_a_later_target_is_named():
    rows = honest_rows()
    check = no_leak(AIR, rows.assign(o3_sensor=rows["target"].shift(-1)))
    assert check.status == "failed"
    assert "o3_sensor explains 100.00 % of the target's change from its last known value 1 row later" in check.text


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
