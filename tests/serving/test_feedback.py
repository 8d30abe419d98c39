"""Feedback to answers: what is kept of it, what is refused, and what while the answer is still on its way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from include.serving import feedback
from include.serving.catalog import Catalog
from include.serving.inputs import BadRequest
from include.serving.loading import load
from include.spec.load import load_all
from include.spec.model import Pipeline
from tests.serving.running import Service

ROW = {"first_sensor": 10.0, "second_sensor": 5.0, "hour_of_day": 3}


def answered(service: Service, plant: Pipeline, **about: Any) -> str:
    """Ask, wait until the answer is in the warehouse, and return the request."""
    request_id = str(service.predict(plant, ROW | about).json()["request_id"])
    service.wait_for(lambda: service.rows(f"select 1 from ml.prediction where request_id = '{request_id}'"))
    return request_id


def tell(service: Service, *items: dict[str, Any], token: str | None = None) -> Any:
    return service.post("/v1/feedback", {"items": list(items)}, token)


def kept(service: Service, request_id: str) -> list[Any]:
    columns = "version, actual, outcome, given_by"
    return service.rows(f"select {columns} from ml.feedback where request_id = '{request_id}' order by version")


def test_the_same_feedback_again_changes_nothing_and_another_one_is_a_version(
    shared_service: Service, plant: Pipeline
) -> None:
    request_id = answered(shared_service, plant)
    item = {"request_id": request_id, "actual": 9.5}
    assert tell(shared_service, item).json() == {"received": 1, "recorded": 1, "waiting": []}
    assert tell(shared_service, item).json()["recorded"] == 0
    desk = shared_service.token(f"feedback:{plant.pipeline}", subject="desk")
    assert tell(shared_service, item | {"actual": 9.75}, token=desk).json()["recorded"] == 1
    more = {"request_id": request_id, "outcome": {"accepted": True, "margin_mxn": 3.5}}
    assert tell(shared_service, more).json()["recorded"] == 1
    assert tell(shared_service, more | {"outcome": {"accepted": True}}).json()["recorded"] == 0
    told = {"accepted": True, "margin_mxn": 3.5}
    assert kept(shared_service, request_id) == [
        (1, 9.5, None, "test"), (2, 9.75, None, "desk"), (3, 9.75, told, "test"),
    ]  # fmt: skip


def test_the_marts_join_answers_with_what_came_of_them(shared_service: Service, plant: Pipeline) -> None:
    request_id = answered(shared_service, plant, valid_at="2024-02-01T00:00:00Z")
    query = "select kind, actual, error is not null from mart.prediction_vs_actual"
    assert shared_service.rows(f"{query} where request_id = '{request_id}'") == []
    tell(shared_service, {"request_id": request_id, "actual": 9.5, "outcome": {"accepted": False}})
    assert shared_service.rows(f"{query} where request_id = '{request_id}'") == [("served", 9.5, True)]
    [day] = shared_service.rows(
        "select request_count >= 1, truth_count >= 1, latency_p99_ms > 0 from mart.serving_daily"
    )
    assert day == (True, True, True)
    [[means]] = shared_service.rows("select outcome_means from mart.serving_daily")
    assert 0 <= means["accepted"] < 1


def test_the_marts_survive_the_largest_numbers(shared_service: Service, plant: Pipeline) -> None:
    ids = [answered(shared_service, plant) for _ in range(2)]
    values = [f"('{each}', 0, 1, 'plant', -1.7e308, '{{\"margin\": 1.7e308}}', 'desk')" for each in ids]
    columns = "request_id, row_number, version, pipeline, actual, outcome, given_by"
    shared_service.write(f"insert into ml.feedback ({columns}) values {', '.join(values)}")
    [[error, means]] = shared_service.rows("select mean_absolute_error, outcome_means from mart.serving_daily")
    assert (error > 1e307, means["margin"]) == (True, pytest.approx(1.7e308))


def test_feedback_to_an_unknown_answer_is_refused_by_name(shared_service: Service, plant: Pipeline) -> None:
    request_id = answered(shared_service, plant)
    for item in ({"request_id": "ffff", "actual": 1.0}, {"request_id": request_id, "row_number": 1, "actual": 1.0}):
        refused = tell(shared_service, item, {"request_id": request_id, "actual": 1.0})
        assert (refused.status_code, item["request_id"] in refused.json()["errors"][0]) == (404, True)
        assert "retry-after" not in refused.headers, "it will never be there"
    assert kept(shared_service, request_id) == [], "all items of a request are kept, or none"


def test_feedback_needs_a_token_for_the_pipeline_of_the_answer(shared_service: Service, plant: Pipeline) -> None:
    item = {"request_id": answered(shared_service, plant), "actual": 1.0}
    assert tell(shared_service, item, token=shared_service.token("predict:*")).status_code == 403
    assert tell(shared_service, item, token=shared_service.token("feedback:other")).status_code == 403
    assert tell(shared_service, item, token="forged.forged.forged").status_code == 401


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"items": []}, 422, "items"),
        ({"items": [{"request_id": "a"}]}, 422, "give actual, outcome or both"),
        ({"items": [{"request_id": "a", "actual": 1.0}] * 2}, 422, "is there twice"),
        ({"items": [{"request_id": "a\0", "actual": 1.0}]}, 422, "request_id"),
        ({"items": [{"request_id": "a\n", "actual": 1.0}]}, 422, "request_id"),
        ({"items": [{"request_id": "a", "outcome": {"margin\n": 1}}]}, 422, "outcome"),
        ({"items": [{"request_id": "a", "outcome": {"m" * 41: 1}}]}, 422, "outcome"),
        ({"items": [{"request_id": "a", "actual": "1"}]}, 422, "actual"),
        ({"items": [{"request_id": "a", "actual": -1.1e100}]}, 422, "actual"),
        ({"items": [{"request_id": "a", "outcome": {"margin": 1.7e308}}]}, 422, "outcome"),
        ({"items": [{"request_id": "a", "outcome": {"Näme": 1}}]}, 422, "outcome"),
        ({"items": [{"request_id": "a", "outcome": {"list": []}}]}, 422, "outcome"),
        ({"items": [{"request_id": "a", "colour": 1}]}, 422, "colour"),
        (b'{"items": [{"request_id": "a", "actual": NaN}]}', 400, "no JSON"),
        (b"\xff", 400, "no JSON"),
    ],
)
def test_wrong_feedback_is_refused(shared_service: Service, body: Any, status: int, text: str) -> None:
    refused = shared_service.post("/v1/feedback", body)
    assert (refused.status_code, text in refused.text) == (status, True), refused.text


def test_what_was_predicted_as_a_probability_has_come_or_not(tmp_path: Path, plant_versions: Path) -> None:
    catalog, name = Catalog(tmp_path), "co_alert"
    catalog.models = {name: replace(load(plant_versions / "plant" / "1"), pipeline=load_all()[name])}
    items = [feedback.Item("a", number, actual) for number, actual in enumerate((0.0, 1.0, 0.5, None))]
    with pytest.raises(BadRequest) as refused:
        feedback.check(items, dict.fromkeys((("a", number) for number in range(4)), name), catalog)
    assert (refused.value.status, refused.value.faults) == (
        422,
        ["items[2].actual = 0.5: it has come, 1, or it has not, 0"],
    )


def test_feedback_to_an_answer_that_waits_in_the_spool_is_accepted_and_joined_later(
    service: Service, plant: Pipeline
) -> None:
    with service.keeper_held():
        request_id = service.predict(plant, ROW).json()["request_id"]
        early = tell(service, {"request_id": request_id, "actual": 9.5})
        assert (early.status_code, early.json()["waiting"]) == (202, [request_id])
        assert service.rows("select count(*) from ml.prediction") == [(0,)]
    query = f"select actual from mart.prediction_vs_actual where request_id = '{request_id}'"
    assert service.wait_for(lambda: service.rows(query)) == [(9.5,)]


def test_feedback_to_an_answer_of_another_instance_is_kept_once_that_has_brought_it(
    service: Service, second_service: Service, plant: Pipeline
) -> None:
    item = {"actual": 9.5}
    with ThreadPoolExecutor(1) as pool:
        with service.keeper_held():
            item |= {"request_id": service.predict(plant, ROW).json()["request_id"]}
            early = tell(second_service, item)
            assert (early.status_code, early.headers["retry-after"]) == (404, "1"), "nobody can tell whether it exists"
            assert item["request_id"] in early.json()["errors"][0]
            waits = pool.submit(tell, second_service, item)
        assert (waits.result().status_code, waits.result().json()["recorded"]) == (200, 1)
    query = f"select actual from mart.prediction_vs_actual where request_id = '{item['request_id']}'"
    assert service.rows(query) == [(9.5,)]
    known = tell(second_service, item | {"row_number": 1})
    assert (known.status_code, "retry-after" in known.headers) == (404, False), "that request had no such row"


def test_while_the_warehouse_is_down_feedback_is_to_be_sent_again(unstarted_service: Service) -> None:
    unstarted_service.environment["CICLO_SERVING_DATABASE"] = "postgresql://serving@127.0.0.1:9/nothing"
    unstarted_service.start()
    refused = tell(unstarted_service, {"request_id": "a", "actual": 1.0})
    assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
