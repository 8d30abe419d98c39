"""An event through every step: trained, judged by the Brier score, scored, monitored and told."""

from uuid import uuid4

import pytest

from include.reporting.training_page import draw_report
from include.settings import settings
from include.spec.load import parse
from include.steps import monitor, score
from include.steps.snapshot import take_snapshot
from tests.model.conftest import FIRST, PLANT, SECOND, Plant


@pytest.fixture
def warned(plant_world, readings):
    """The plant whose event, a high emission within three hours, has a champion."""
    text = PLANT.replace("pipeline: plant", f"pipeline: plant_{uuid4().hex[:8]}")
    target = "target: {column: co_mg_m3, horizon: 3, above: 5, calendar: {step: 1 hour}}\n"
    text = "".join(target if line.startswith("target:") else line for line in text.splitlines(keepends=True))
    text = text.replace("metric: mae", "metric: brier").replace("policy: published", "policy: default")
    world = Plant(
        parse(text.replace("alpha: 0.1", "alpha: 0.1, calibration: platt"), "pipeline.yaml"),
        plant_world.engine,
        plant_world.lake,
    )
    world.load(FIRST, readings(FIRST))
    return world


def test_an_event_goes_through_the_whole_loop(warned, readings):
    decision = warned.train("first", FIRST, reason="there is no champion yet")
    run = warned.run("train", "first", FIRST, force=True)
    draw_report(run, take_snapshot(run), decision)
    [page] = (settings().var / "docs" / "training" / warned.spec.pipeline).glob("*.html")
    assert "Brier score and log loss" in page.read_text("utf-8")
    assert decision["verdict"] == "promote"
    [row] = warned.rows("select evidence from ml.decision where pipeline = '{name}'")
    metrics = row.evidence["candidates"]["linear"]
    assert {"brier", "log_loss", "roc_auc", "recall"} <= set(metrics)
    warned.load(SECOND, readings(SECOND))
    assert score.predict(warned.run("score", "s1", SECOND))["written"] > 200
    rows = warned.rows(
        "select predicted, lower_bound, target_at - valid_at as ahead from ml.prediction where pipeline = '{name}'"
    )
    assert all(0 <= row.predicted <= 1 and row.lower_bound is None for row in rows)
    assert {row.ahead.total_seconds() for row in rows} == {3 * 3600}
    run = warned.run("monitor", "m1", SECOND)
    drift, error = monitor.measure_drift(run), monitor.measure_error(run)
    verdict = monitor.decide(run, drift, error)
    assert verdict["verdict"] in ("hold", "retrain")
    told = {
        row.statistic: row
        for row in warned.rows("select * from ml.performance where pipeline = '{name}' and slice = ''")
    }
    assert told["brier"].status == "ok"
    assert told["roc_auc"].value > 0.6
    assert "r2" not in told
