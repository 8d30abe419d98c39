"""Why predictions are what they are, and which versions answer."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from include.spec.model import Pipeline
from tests.serving.running import Service

ROW = {"first_sensor": 10.0, "second_sensor": 5.0, "hour_of_day": 3}


@pytest.mark.parametrize(("version", "method"), [(1, "paths"), (2, "linear")])
def test_contributions_add_up_to_the_prediction_where_the_method_says_so(
    service: Service, plant: Pipeline, plant_rows: pd.DataFrame, version: int, method: str
) -> None:
    service.point(plant, version)
    rows = plant_rows.drop(columns="target")[:30]
    sent = [{key: None if value != value else value for key, value in row.items()} for row in rows.to_dict("records")]
    told = service.post(f"/v1/explain/{plant.pipeline}", {"rows": sent}).json()
    assert (told["method"].split(":")[0], told["adds_up"], told["model_version"]) == (method, True, version)
    for one in told["explanations"]:
        assert set(one["contributions"]) == set(rows)
        assert one["base"] + sum(one["contributions"].values()) == pytest.approx(one["predicted"], abs=1e-9)
    answers = service.predict(plant, *sent).json()["predictions"]
    assert [one["predicted"] for one in told["explanations"]] == [one["predicted"] for one in answers]
    largest = [
        max(one["contributions"], key=lambda name: abs(one["contributions"][name])) for one in told["explanations"]
    ]
    assert largest.count("first_sensor") > 15, "the target is the first sensor, more or less"


def test_an_explanation_is_an_answer_and_kept_as_one(shared_service: Service, plant: Pipeline) -> None:
    told = shared_service.post(f"/v1/explain/{plant.pipeline}", {"rows": [ROW]}).json()
    query = f"select predicted from ml.prediction where request_id = '{told['request_id']}'"
    assert shared_service.wait_for(lambda: shared_service.rows(query)) == [(told["explanations"][0]["predicted"],)]
    assert shared_service.post(f"/v1/explain/{plant.pipeline}", {"rows": [ROW] * 101}).status_code == 413


def test_the_versions_that_answer_are_told_to_whom_they_answer(shared_service: Service, plant: Pipeline) -> None:
    def ask(*scopes: str) -> Any:
        headers = {"Authorization": f"Bearer {shared_service.token(*scopes)}"}
        return shared_service.session.get(f"{shared_service.url}/v1/models", headers=headers, timeout=10)

    [model] = ask(f"predict:{plant.pipeline}").json()["models"]
    assert (model["pipeline"], model["version"], model["target"]["unit"]) == (plant.pipeline, 1, "mg/m3")
    first = model["features"][0]
    assert (first["name"], first["unit"], first["min"], first["max"]) == ("first_sensor", "sensor", 0, 100)
    assert first["seen_min"] >= 5
    assert (model["interval"]["half_width"] > 0, model["rollout"]) == (True, None)
    assert ask("predict:other").json() == {"models": []}
    assert shared_service.session.get(f"{shared_service.url}/v1/models", timeout=10).status_code == 401
