"""Figures of the prediction service."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from include.monitoring.reference import Reference
from include.monitoring.serving import Difference, Served, differences, measure_served, skew
from include.spec.load import load_all


def served(answers: int = 0) -> Served:
    return Served(answers, answers, 0.2, 1.0, 20.0, pd.DataFrame())


def spec(**limits: object) -> object:
    pipeline = load_all()["air_quality"]
    told = pipeline.predictions.model_copy(update={"limits": pipeline.predictions.limits.model_copy(update=limits)})
    return pipeline.model_copy(update={"predictions": told})


@pytest.mark.parametrize(
    ("limit", "subject", "statistic"),
    [
        ({"latency_ms": 10.0}, "answers", "latency_p99_ms"),
        ({"warned_share": 0.1}, "answers", "warned_share"),
        ({"error": 0.5}, "prediction", "mae"),
        ({"outcomes": {"accepted": 0.6}}, "accepted", "outcome_mean"),
    ],
)
def test_a_figure_beyond_a_limit_of_the_spec_is_a_breach_and_without_one_is_told(
    limit: dict[str, object], subject: str, statistic: str
) -> None:
    for pipeline, status in ((spec(**limit), "breach"), (spec(), "ok")):
        measures = measure_served(served(50), None, np.ones(3), {"accepted": (0.5, 2)}, pipeline)  # type: ignore[arg-type]
        [one] = [one for one in measures if (one.subject, one.statistic) == (subject, statistic)]
        assert one.status == status


def test_without_requests_truth_or_feedback_everything_is_unknown() -> None:
    pipeline = spec(outcomes={"accepted": 0.6})
    measures = measure_served(served(), None, np.zeros(0), {}, pipeline)  # type: ignore[arg-type]
    assert {one.status for one in measures} == {"unknown"}
    assert {one.subject for one in measures} == {"requests", "prediction", "accepted"}
    assert skew([], 0).status == "unknown"


def test_figures_beyond_all_numbers_are_unknown() -> None:
    rows = pd.DataFrame(dict.fromkeys(spec().feature_names(), 1.7e308) | {"prediction": [1.7e308] * 200})  # type: ignore[attr-defined]
    rows["valid_at"] = pd.date_range("2026-01-01", periods=200, freq="h", tz="UTC")
    reference = Reference.of(rows.assign(**{name: range(200) for name in spec().feature_names()}), list(rows)[:-1])  # type: ignore[attr-defined]
    told = Served(200, 200, 0.0, 1.0, 2.0, rows)
    with np.errstate(over="ignore", invalid="ignore"):
        measures = measure_served(told, reference, np.full(2, np.inf), {"margin": (np.inf, 2)}, spec(error=1.0))  # type: ignore[arg-type]
    assert all(one.value is None or np.isfinite(one.value) for one in measures)
    status = {one.subject: (one.status, "too large" in one.reason) for one in measures}
    assert status["margin"] == status["prediction"] == ("unknown", True)


def test_a_difference_is_found_where_a_value_or_a_gap_differs_and_rounding_is_none() -> None:
    hours = pd.date_range("2026-01-01", periods=4, freq="h", tz="UTC")
    built = pd.DataFrame({"entity": "", "valid_at": hours, "level": [1.0, 2.0, np.nan, 4.0], "gap": np.nan})
    own = built.assign(request_id=list("abcd"), row_number=0, level=[1.0 + 1e-12, 2.5, 3.0, 4.0])[:3]
    found, compared = differences(own, built, ["level", "gap"])
    assert compared == 3
    assert [(one.request_id, one.feature) for one in found] == [("b", "level"), ("c", "level")]
    measure = skew(found, compared)
    assert (measure.status, measure.value) == ("breach", pytest.approx(2 / 3))
    assert skew([], 3).status == "ok"
    assert isinstance(found[0], Difference)
