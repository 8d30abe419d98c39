"""Asking for predictions: what is answered, what is refused, and what is kept of it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from include.spec.model import Pipeline
from tests.serving.running import Service

ROW = {"first_sensor": 10.0, "second_sensor": 5.0, "hour_of_day": 3}


def test_an_answer_is_the_models_own_and_says_which_version_gave_it(
    shared_service: Service, plant: Pipeline, plant_rows: pd.DataFrame, fitted: Any
) -> None:
    rows = plant_rows.drop(columns="target")[:20]
    sent = [{key: None if value != value else value for key, value in row.items()} for row in rows.to_dict("records")]
    expected = fitted("forest").predict(rows)
    for row, value in zip(sent, expected, strict=True):
        answer = shared_service.predict(plant, row).json()
        assert (answer["model_version"], answer["is_simulated"]) == (1, True)
        assert answer["predictions"][0]["predicted"] == value
    together = shared_service.predict(plant, *sent).json()
    assert [each["predicted"] for each in together["predictions"]] == expected.tolist()


def test_what_was_answered_is_in_the_warehouse_once(shared_service: Service, plant: Pipeline) -> None:
    answers = [
        shared_service.predict(plant, ROW | {"entity": "a\tb\\c", "valid_at": "2024-02-01T00:00:00Z"}).json()
        for _ in range(5)
    ]
    columns = "request_id, predicted, entity, inputs->>'first_sensor', asked_by, latency_ms > 0"
    query = f"select {columns} from ml.prediction where entity is not null"
    shared_service.wait_for(lambda: len(shared_service.rows(query)) == 5)
    assert {row[0] for row in shared_service.rows(query)} == {answer["request_id"] for answer in answers}
    assert {row[1:] for row in shared_service.rows(query)} == {
        (answers[0]["predictions"][0]["predicted"], "a\tb\\c", "10.0", "test", True)
    }


def test_an_answer_says_which_row_it_is_about_where_that_is_known(shared_service: Service, plant: Pipeline) -> None:
    rows = [ROW, ROW | {"entity": "a"}, ROW | {"valid_at": "2024-02-01T02:00:00+02:00"}]
    about = [
        {name: each.get(name) for name in ("entity", "valid_at", "target_at") if name in each}
        for each in shared_service.predict(plant, *rows).json()["predictions"]
    ]
    assert about == [{}, {"entity": "a"}, {"valid_at": "2024-02-01T00:00:00Z"}]


def test_an_odd_row_is_answered_with_a_warning_and_an_impossible_one_refused(
    shared_service: Service, plant: Pipeline
) -> None:
    odd = shared_service.predict(plant, ROW | {"second_sensor": 99.0}).json()
    assert odd["predictions"][0]["warnings"] == ["second_sensor: outside the training data"]
    refused = shared_service.predict(plant, ROW, ROW | {"first_sensor": 101.0})
    assert refused.status_code == 422
    assert refused.json()["errors"] == ["rows[1].first_sensor = 101: expected at most 100"]


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"rows": [ROW | {"colour": 1}]}, 422, "rows[0].colour: there is no such feature"),
        ({"rows": [{"first_sensor": 1.0}]}, 422, "rows[0].second_sensor: is missing"),
        ({"rows": [ROW, dict.fromkeys(ROW)]}, 422, "rows[1]: no feature has a value"),
        ({"rows": [ROW | {"first_sensor": 10**400}]}, 422, "rows[0].first_sensor = 1000"),
        ({"rows": [ROW], "at": None}, 422, '["at: there is no such field"]'),
        ({"rows": [ROW, ROW | {"second_sensor": 1e300}]}, 422, "rows[1].second_sensor = 1e+300: too large"),
        ({"rows": [ROW | {"first_sensor": "10"}]}, 422, "rows[0].first_sensor = '10': expected a number or null"),
        ({"rows": [ROW | {"first_sensor": True}]}, 422, "rows[0].first_sensor = True: expected a number or null"),
        ({"rows": [ROW | {"valid_at": "yesterday"}]}, 422, "rows[0].valid_at: expected a time"),
        ({"rows": []}, 422, "rows; send 1 to 10,000"),
        ({"rows": [ROW] * 10_001}, 413, "rows; send 1 to 10,000"),
        ([1], 422, "expected an object"),
        (b'{"rows": [{"first_sensor": NaN, "second_sensor": 5, "hour_of_day": 1}]}', 400, "no JSON"),
        (
            b'{"rows": [{"first_sensor": 1e999, "second_sensor": 5, "hour_of_day": 1}]}',
            422,
            "rows[0].first_sensor = inf: expected a number",
        ),
        (b"[" * 200_000, 400, "no JSON"),
        (b"\xff\xfe{}", 400, "no JSON"),
        (b" " * (9 << 20), 413, "longer than"),
    ],
)
def test_a_wrong_request_is_refused_with_what_is_wrong(
    shared_service: Service, plant: Pipeline, body: Any, status: int, text: str
) -> None:
    answer = shared_service.post(f"/v1/predict/{plant.pipeline}", body)
    assert answer.status_code == status
    assert text in answer.text


def test_another_version_answers_within_two_seconds(service: Service, plant: Pipeline) -> None:
    service.point(plant, 2)
    assert service.predict(plant, ROW).json()["model_version"] == 2
