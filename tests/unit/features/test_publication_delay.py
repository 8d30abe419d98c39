"""A value is unseen before it was published, and seen from then on."""

import numpy as np
import pytest

from include.features.build import build
from include.spec.load import load_all


@pytest.fixture(scope="module")
def usdmxn():
    return load_all()["usdmxn"]


def build_days(spec, tables_of, days, **given):
    fix = {"valid_at": days, "fix_mxn": np.linspace(17, 18, len(days))}
    return build(spec, tables_of(spec, fix=fix, **given)).set_index("valid_at")


def test_the_fix_is_available_at_noon_in_mexico_city(usdmxn, tables_of):
    frame = build_days(usdmxn, tables_of, ["2021-07-01", "2025-01-02"])
    assert [at.isoformat() for at in frame["available_at"]] == [
        "2021-07-01T17:00:00+00:00",  # summer time still existed
        "2025-01-02T18:00:00+00:00",
    ]


def test_the_rate_of_the_same_day_is_unseen_at_noon(usdmxn, tables_of):
    days = ["2025-01-06", "2025-01-07", "2025-01-08"]
    rates = {"valid_at": days, "tiie_28d_pct": [10.1, 10.2, 10.3], "target_rate_pct": [10, 10, 10.5]}
    frame = build_days(usdmxn, tables_of, days, rates=rates)
    np.testing.assert_allclose(frame["tiie_28d_pct"], [np.nan, 10.1, 10.2])
    np.testing.assert_allclose(frame["target_rate_pct"], [np.nan, 10, 10])


def test_a_day_without_a_rate_leaves_the_last_one_known(usdmxn, tables_of):
    rates = {"valid_at": ["2025-01-03", "2025-01-04", "2025-01-05"], "tiie_28d_pct": [10.1, None, None]}
    rates["target_rate_pct"] = [10.0, 10.0, 9.5]
    frame = build_days(usdmxn, tables_of, ["2025-01-06"], rates=rates)
    assert frame[["tiie_28d_pct", "target_rate_pct"]].to_numpy().tolist() == [[10.1, 9.5]]


def test_inflation_of_a_month_is_unseen_before_the_9th_of_the_next(usdmxn, tables_of):
    months = [f"{2023 + month // 12}-{month % 12 + 1:02d}-01" for month in range(26)]  # January 2023 to February 2025
    inflation = {"valid_at": months, "inpc_index": [100.0 + month**2 for month in range(26)]}
    frame = build_days(usdmxn, tables_of, ["2025-02-07", "2025-02-10", "2025-03-07", "2025-03-10"], inflation=inflation)
    index = inflation["inpc_index"]
    december, january, february = index[23] / index[11], index[24] / index[12], index[25] / index[13]
    np.testing.assert_allclose(frame["inflation_annual_ratio"], [december, january, january, february])


def test_an_index_published_at_six_on_the_9th_is_seen_at_noon_of_that_day(usdmxn, tables_of):
    months = [f"{2023 + month // 12}-{month % 12 + 1:02d}-01" for month in range(26)]
    inflation = {"valid_at": months, "inpc_index": [100.0 + month**2 for month in range(26)]}
    frame = build_days(usdmxn, tables_of, ["2025-01-08", "2025-01-09"], inflation=inflation)
    assert frame["inflation_annual_ratio"].nunique() == 2


def test_an_operation_after_the_fix_is_unseen_until_the_next(usdmxn, tables_of):
    operations = {  # noon in Mexico City is 18:00 UTC
        "valid_at": ["2025-01-06T18:00:00Z", "2025-01-06T18:00:01Z"],
        "operation_id": [1, 2],
        "net_usd": [100.0, 7.0],
        "is_bank_rate": [True, False],
    }
    frame = build_days(usdmxn, tables_of, ["2025-01-06", "2025-01-07", "2025-01-11"], operations=operations)
    assert frame["net_usd_sum_5d"].tolist() == [100.0, 107.0, 7.0]
    assert frame["bank_rate_share_5d"].tolist() == [1.0, 0.5, 0.0]
