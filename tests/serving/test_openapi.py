"""What the service's own OpenAPI allows, and what it does not, is sent: nothing ends in a server's error."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

from include.spec.model import Pipeline
from tests.serving.running import Service

MOST_EXAMPLES = 25
ALLOWED = (503,)  # full, or not ready: an answer of its own


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_nothing_ends_in_a_servers_error(shared_service: Service, plant: Pipeline, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_url(f"{shared_service.url}/openapi.json")
    headers = {"Authorization": f"Bearer {shared_service.token()}"}
    statuses: dict[str, set[int]] = {}

    def ask(case: Any) -> None:
        if "pipeline" in (case.path_parameters or {}):
            case.path_parameters["pipeline"] = plant.pipeline  # else every answer is that there is no such model
        answer = case.call(headers=headers, timeout=30)
        statuses.setdefault(case.operation.label, set()).add(answer.status_code)
        assert answer.status_code < 500 or answer.status_code in ALLOWED, (case.as_curl_command(), answer.text)

    for result in schema.get_all_operations():
        operation = result.ok()
        if mode is GenerationMode.NEGATIVE and not operation.body:
            continue  # there is no wrong way to ask for it
        asking = given(case=operation.as_strategy(generation_mode=mode))(ask)
        settings(max_examples=MOST_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))(asking)()
    posts = {"/v1/predict/{pipeline}", "/v1/explain/{pipeline}", "/v1/feedback", "/v2/models/{pipeline}/infer"}
    assert {f"POST {path}" for path in posts} <= set(statuses)
    assert statuses["POST /v1/predict/{pipeline}"] & {400, 422}
