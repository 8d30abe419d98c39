"""The Open Inference Protocol: an unmodified client of it asks the service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import requests
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from include.spec.model import Pipeline
from tests.serving.running import Service


@pytest.fixture(scope="module")
def client(shared_service: Service) -> Iterator[Any]:
    """Give a client of the protocol as its makers ship it."""
    with triton.InferenceServerClient(f"127.0.0.1:{shared_service.port}") as client:
        yield client


@pytest.fixture(scope="module")
def headers(shared_service: Service) -> dict[str, str]:
    """Give the header that carries a token."""
    return {"Authorization": f"Bearer {shared_service.token()}"}


def test_a_client_sees_that_the_model_is_there_and_what_it_asks_for(
    client: Any, headers: dict[str, str], plant: Pipeline
) -> None:
    name = plant.pipeline
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(name)
    assert client.is_model_ready(name, "1")
    assert not client.is_model_ready(name, "2")
    assert not client.is_model_ready("nobody")
    told = client.get_model_metadata(name, headers=headers)
    assert told["versions"] == ["1"]
    assert told["inputs"][0]["parameters"]["names"] == ["first_sensor", "second_sensor", "hour_of_day"]
    assert [output["name"] for output in told["outputs"]] == ["predicted", "lower_bound", "upper_bound"]


def test_a_client_gets_the_models_answers(
    client: Any, headers: dict[str, str], plant: Pipeline, plant_rows: pd.DataFrame, fitted: Any
) -> None:
    rows = plant_rows.drop(columns="target").dropna()[:30]
    expected = fitted("forest").predict(rows)
    matrix = triton.InferInput("features", list(rows.shape), "FP64")
    matrix.set_data_from_numpy(rows.to_numpy(), binary_data=False)
    answer = client.infer(plant.pipeline, [matrix], headers=headers, request_id="mine")
    assert answer.as_numpy("predicted").tolist() == expected.tolist()
    assert (answer.as_numpy("lower_bound") < expected).all()
    assert answer.get_response()["id"] == "mine"
    columns = [triton.InferInput(name, [len(rows)], "FP64") for name in rows]
    for each, name in zip(columns, rows, strict=True):
        each.set_data_from_numpy(rows[name].to_numpy(), binary_data=False)
    wanted = [triton.InferRequestedOutput("predicted", binary_data=False)]
    by_column = client.infer(plant.pipeline, columns, "1", outputs=wanted, headers=headers)
    assert by_column.as_numpy("predicted").tolist() == expected.tolist()
    assert by_column.as_numpy("lower_bound") is None


def test_answers_are_kept_like_any_other(
    client: Any, shared_service: Service, headers: dict[str, str], plant: Pipeline
) -> None:
    matrix = triton.InferInput("features", [1, 3], "FP32")
    matrix.set_data_from_numpy(np.array([[7.5, 5.0, 3.0]], dtype="float32"), binary_data=False)
    request_id = client.infer(plant.pipeline, [matrix], headers=headers).get_response()["parameters"]["request_id"]
    query = f"select inputs->>'first_sensor' from ml.prediction where request_id = '{request_id}'"
    assert shared_service.wait_for(lambda: shared_service.rows(query)) == [("7.5",)]


def test_a_client_without_a_token_gets_no_answer(client: Any, plant: Pipeline) -> None:
    matrix = triton.InferInput("features", [1, 3], "FP64")
    matrix.set_data_from_numpy(np.ones((1, 3)), binary_data=False)
    with pytest.raises(InferenceServerException, match="send a valid token"):
        client.infer(plant.pipeline, [matrix])


def test_what_a_model_asks_is_told_to_those_who_may_ask_it(shared_service: Service, plant: Pipeline) -> None:
    for scope, status in ((None, 401), ("predict:other", 403), (f"predict:{plant.pipeline}", 200)):
        headers = {"Authorization": f"Bearer {shared_service.token(scope)}"} if scope else {}
        for path in ("", "/versions/1"):
            url = f"{shared_service.url}/v2/models/{plant.pipeline}{path}"
            answer = requests.get(url, headers=headers, timeout=10)
            assert (answer.status_code, "first_sensor" in answer.text) == (status, status == 200)


FEATURES = {"name": "features", "shape": [1, 3], "datatype": "FP64", "data": [1, 2, 3]}


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"inputs": [FEATURES | {"shape": [1, 2]}]}, 422, "is not that of its 3 numbers"),
        ({"inputs": [FEATURES | {"shape": [3, 1]}]}, 422, r"expected the shape [n, 3], got [3, 1]"),
        ({"inputs": [FEATURES | {"shape": [-1, -3]}]}, 422, "is not that of"),
        ({"inputs": [FEATURES | {"shape": [-1, 3]}]}, 422, "is not that of"),
        ({"inputs": [FEATURES | {"shape": [1] * 98 + [1, 3]}]}, 422, "is not that of"),
        ({"inputs": [FEATURES | {"shape": [0, 1 << 62, 14], "data": []}]}, 422, "is not that of"),
        ({"inputs": [FEATURES | {"shape": [0, 3], "data": []}]}, 422, "send 1 to 10,000"),
        ({"inputs": [FEATURES | {"datatype": "BYTES"}]}, 422, "BYTES is no type of numbers"),
        ({"inputs": [FEATURES | {"data": ["1", "2", "3"]}]}, 422, "is no inference request"),
        ({"inputs": [FEATURES | {"data": [True, 2, 3]}]}, 422, "is no inference request"),
        ({"inputs": [FEATURES | {"data": [999, 2, 3]}]}, 422, "expected at most 100"),
        ({"inputs": [FEATURES | {"name": "colour"}]}, 422, "colour: there is no such input; first_sensor: is missing"),
        ({"inputs": [FEATURES, FEATURES]}, 422, "is there twice"),
        ({"inputs": []}, 422, "first_sensor: is missing"),
        (
            {"inputs": [FEATURES], "outputs": [{"name": "predicted", "parameters": {"classification": 2}}]},
            400,
            "class_count",
        ),
        ({"inputs": [FEATURES], "outputs": [{"name": "colour"}]}, 422, "colour: there is no such output"),
        (b'{"inputs": [{"name": "features", "shape": [1, 3], "datatype": "FP64", "data": [NaN, 2, 3]}]}', 400, "is no"),
    ],
)
def test_a_wrong_request_is_refused_as_the_protocol_writes_it(
    shared_service: Service, plant: Pipeline, body: Any, status: int, text: str
) -> None:
    answer = shared_service.post(f"/v2/models/{plant.pipeline}/infer", body)
    assert answer.status_code == status
    assert text in answer.json()["error"]


def test_a_version_that_does_not_answer_is_refused(shared_service: Service, plant: Pipeline) -> None:
    answer = shared_service.post(f"/v2/models/{plant.pipeline}/versions/2/infer", {"inputs": [FEATURES]})
    assert (answer.status_code, "version 2 does not answer; 1 does" in answer.json()["error"]) == (404, True)


def test_openapi_has_every_route(shared_service: Service) -> None:
    paths = requests.get(f"{shared_service.url}/openapi.json", timeout=10).json()["paths"]
    assert {"/v1/predict/{pipeline}", "/v2/models/{pipeline}/infer", "/v2/health/ready", "/metrics"} <= set(paths)
