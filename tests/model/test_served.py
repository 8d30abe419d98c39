"""Answers to requests as the monitor sees them, and what they must not enter."""

from __future__ import annotations

import json

import pytest
from psycopg2.extras import execute_values

from include.registry.mlflow_registry import CHAMPION, by_alias
from include.steps import score
from tests.model.conftest import SECOND


@pytest.fixture
def windowed(trained, readings):
    """The second window is loaded beside the champion."""
    trained.load(SECOND, readings(SECOND))
    return trained


def serve(world, change=None, warnings=(), kind="served", count=100):
    """Log answers as the service does, half of them another version's: of rows of the second window, maybe changed."""
    rows = world.rows(
        f"select * from feature.{{name}} where valid_at >= '{SECOND.start}' and valid_at < '{SECOND.end}'"
        f" order by valid_at limit {count}"
    )
    names, version = world.spec.feature_names(), by_alias(world.spec.pipeline, CHAMPION)
    lines = []
    for number, row in enumerate(rows):
        inputs = {name: getattr(row, name) for name in names} | (change(row) if change else {})
        place = (world.spec.pipeline, version.number + number % 2, kind, None, row.valid_at, 5.0, 4.0, 6.0)
        lines.append(
            (*place, True, False, "", f"r{number}", 0, json.dumps(inputs), list(warnings), number / 10, "desk")
        )
    with world.engine.begin() as connection:
        execute_values(
            connection.connection.cursor(),
            "insert into ml.prediction (pipeline, model_version, kind, entity, valid_at, predicted, lower_bound,"
            " upper_bound, is_honest, is_simulated, run_id, request_id, row_number, inputs, warnings, latency_ms,"
            " asked_by) values %s",
            lines,
        )


def figures(world):
    rows = world.rows("select subject, statistic, value, status, reason from ml.performance where kind = 'serving'")
    return {(row.subject, row.statistic): row for row in rows}


def test_a_window_without_requests_is_unknown_and_never_fine(windowed):
    windowed.monitor("m1", SECOND)
    seen = figures(windowed)
    assert (seen["requests", "count"].status, seen["requests", "count"].value) == ("unknown", 0)
    assert "no requests" in seen["requests", "count"].reason
    assert seen["prediction", "mae"].status == "unknown"


def test_the_monitor_measures_requests_answers_and_what_came_of_them(windowed):
    serve(windowed, warnings=["first_sensor: outside the training data"])
    with windowed.engine.begin() as connection:
        connection.exec_driver_sql(
            "insert into ml.feedback (request_id, row_number, version, pipeline, actual, outcome, given_by) values"
            " ('r0', 0, 1, %(p)s, 5.5, '{\"accepted\": false}', 'desk'),"
            " ('r1', 0, 1, %(p)s, null, '{\"accepted\": true}', 'desk'),"
            " ('r0', 0, 2, %(p)s, 7.0, '{\"accepted\": false}', 'desk'),"
            " ('r2', 0, 1, %(p)s, null, '{\"margin\": 1.7e308}', 'desk'),"
            " ('r3', 0, 1, %(p)s, null, '{\"margin\": 1.7e308, \"colour\": \"red\"}', 'desk')",
            {"p": windowed.spec.pipeline},
        )
    windowed.monitor("m1", SECOND)
    seen = figures(windowed)
    assert seen["requests", "count"].value == 100
    assert seen["answers", "warned_share"].value == 1
    assert seen["answers", "latency_p99_ms"].value == pytest.approx(9.801)
    assert seen["served first_sensor", "psi"].value is not None
    assert seen["served prediction", "psi"].value is not None
    assert seen["accepted", "outcome_mean"].value == 0.5
    assert seen["margin", "outcome_mean"].value == pytest.approx(1.7e308), "no value stops the monitor"
    [[error]] = windowed.rows("select avg(abs(error)) from mart.prediction_vs_actual where kind = 'served'")
    assert seen["prediction", "mae"].value == pytest.approx(error)
    [[told]] = windowed.rows("select actual from mart.prediction_vs_actual where request_id = 'r0'")
    assert told == 7.0, "the newest feedback counts"
    assert (seen["features", "skew_share"].status, seen["features", "skew_share"].value) == ("ok", 0)
    assert windowed.rows("select 1 from ops.alert where kind = 'skew'") == []


def test_an_answer_from_other_features_than_the_loop_builds_is_an_alert(windowed):
    serve(windowed, change=lambda row: {"second_sensor": row.second_sensor + 1} if row.valid_at.hour == 3 else {})
    windowed.monitor("m1", SECOND)
    seen = figures(windowed)["features", "skew_share"]
    assert (seen.status, 0 < seen.value < 0.1, "second_sensor" in seen.reason) == ("breach", True, True)
    [alert] = windowed.rows("select severity, message from ops.alert where kind = 'skew'")
    assert (alert.severity, seen.reason in alert.message) == ("warning", True)


def test_served_answers_change_neither_errors_nor_decisions_nor_what_only_runs_predict(windowed):
    before = windowed.monitor("m1", SECOND)
    error = (
        "select statistic, value, row_count from ml.performance where kind = 'error' and run_id = '{run}' order by 1"
    )
    latest = "select * from mart.latest_prediction where pipeline = '{name}' order by valid_at"
    stood = windowed.rows(latest)
    serve(windowed, change=lambda row: {"first_sensor": 1e6}, count=400)
    after = windowed.monitor("m2", SECOND)
    assert (before["verdict"], before["reason"]) == (after["verdict"], after["reason"])
    assert windowed.rows(error.replace("{run}", "m1")) == windowed.rows(error.replace("{run}", "m2"))
    assert windowed.rows(latest) == stood


def test_shadow_answers_of_the_service_are_no_obstacle_to_those_of_a_run(windowed):
    serve(windowed, kind="shadow")
    champion = by_alias(windowed.spec.pipeline, CHAMPION)
    rows, written = score._score(windowed.run("score", "s1", SECOND), champion, SECOND, "shadow")
    assert rows == written > 0
