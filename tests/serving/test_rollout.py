"""A challenger beside the champion: unseen, or for a share of the requests, until it takes over or is stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from typing import Any

import numpy as np
import pandas as pd
import psycopg2
import pytest
import requests

from include.serving.rollout import Plan
from include.serving.versions import TAGS, point
from include.spec.model import Pipeline
from tests.serving.load import ROW, asking, assert_each_is_kept_once
from tests.serving.running import Service, write_version
from tests.serving.test_faults import ready, write_pipeline

WAITS = """
insert into ml.decision (pipeline, window_start_at, window_end_at, verdict, reasons, evidence, model_version, dag_id,
    run_id)
values ('plant', now(), now(), 'hold', '{waits}', %s, 2, 'train_plant', 'r') returning decision_id
"""
TAKES_ALL_BUT_FEW = 0.999
Begin = Callable[..., Plan]


@pytest.fixture
def begin(service: Service, plant: Pipeline) -> Begin:
    """Give a function that lets version 2 answer beside version 1, on all workers, as the keeper would."""

    def do(mode: str = "canary", share: float | None = 0.5, **limits: float) -> Plan:
        evidence = {"champion": {"version": 1}, "shadow": {"state": "waits", "wanted": 20}}
        with closing(psycopg2.connect(service.warehouse)) as link, link, link.cursor() as cursor:
            cursor.execute(WAITS, (json.dumps(evidence),))
            [decision_id] = cursor.fetchone()
        tags = json.loads((service.folder / "models" / "plant" / "2" / TAGS).read_text())
        told = {"errors": 0.01, "latency_ms": 10_000.0, "disagreement": 1.0} | limits
        plan = Plan(2, tags["sha256"], decision_id, mode, share, **told)
        current = {"version": 1, "challenger": plan.to_dict()}
        point(service.folder / "models", plant.pipeline, current)
        service.wait_for(lambda: rollouts(service) == [{"plant": {"version": 2, "mode": mode, "share": share}}])
        return plan

    return do


def rollouts(service: Service) -> list[Any]:
    """Return what the workers say of rollouts, each of them once."""
    told: list[Any] = []
    for _ in range(12):  # each a connection of its own, so that both workers are asked
        each = requests.get(f"{service.url}/readyz", timeout=5).json()["rollouts"]
        told += [] if each in told else [each]
    return told


def replace_version_2(service: Service, plant: Pipeline, rows: pd.DataFrame, model: Any) -> None:
    shutil.rmtree(service.folder / "models" / plant.pipeline / "2")
    write_version(service.folder / "models", plant, 2, model, rows)


def kept(service: Service, count: int) -> dict[str, dict[str, tuple[int, float]]]:
    """Wait for so many rows in the log; return version and prediction, by request and by kind."""
    query = "select request_id, kind, model_version, predicted from ml.prediction"
    service.wait_for(lambda: len(service.rows(query)) >= count)
    by_request: dict[str, dict[str, tuple[int, float]]] = {}
    for request_id, kind, version, predicted in service.rows(query):
        assert kind not in by_request.setdefault(request_id, {})
        by_request[request_id][kind] = (version, predicted)
    return by_request


def test_what_a_challenger_in_shadow_answers_is_kept_and_never_returned(
    service: Service, plant: Pipeline, plant_rows: pd.DataFrame, fitted: Any, begin: Begin
) -> None:
    begin("shadow", None)
    rows = plant_rows.drop(columns="target").dropna()[:40]
    answers = [service.predict(plant, row).json() for row in rows.to_dict("records")]
    assert {answer["model_version"] for answer in answers} == {1}
    expected = [model.predict(rows).tolist() for model in (fitted("forest"), fitted("linear"))]
    assert [answer["predictions"][0]["predicted"] for answer in answers] == expected[0]
    log = kept(service, 80)
    pairs = [log[answer["request_id"]] for answer in answers]
    assert [pair["served"] for pair in pairs] == [(1, value) for value in expected[0]]
    assert [pair["shadow"] for pair in pairs] == [(2, pytest.approx(value)) for value in expected[1]]
    unseen = service.rows(
        "select distinct lower_bound, inputs, interval_as_of from ml.prediction where kind = 'shadow'"
    )
    assert unseen == [(None, None, None)]


def test_a_request_of_many_rows_has_all_of_them_compared(service: Service, plant: Pipeline, begin: Begin) -> None:
    begin("shadow", None)
    service.predict(plant, *[ROW] * 50)
    count = "select kind, model_version, count(*), max(row_number) from ml.prediction group by 1, 2 order by 1"
    service.wait_for(lambda: service.rows(count) == [("served", 1, 50, 49), ("shadow", 2, 50, 49)])


def test_a_canary_answers_its_share_of_the_entities_and_always_the_same(
    service: Service, plant: Pipeline, begin: Begin
) -> None:
    plan = begin(share=0.3)
    versions: list[dict[str, int]] = []
    for _ in range(2):
        answers = {f"shop {n}": service.predict(plant, ROW | {"entity": f"shop {n}"}).json() for n in range(400)}
        versions.append({entity: answer["model_version"] for entity, answer in answers.items()})
    assert versions[0] == versions[1] == {key: 2 if plan.takes("plant", key) else 1 for key in versions[0]}
    taken = sum(version == 2 for version in versions[0].values())
    assert abs(taken - 120) < 4 * np.sqrt(400 * 0.3 * 0.7)
    for pair in kept(service, 1600).values():
        assert {pair["served"][0], pair["shadow"][0]} == {1, 2}, "both are always compared"


def test_requests_that_name_no_entity_are_shared_by_their_rows(service: Service, plant: Pipeline, begin: Begin) -> None:
    begin(share=0.3)
    rows = [ROW | {"second_sensor": 4 + n / 200} for n in range(400)]
    versions = [service.predict(plant, row).json()["model_version"] for row in rows]
    assert abs(versions.count(2) - 120) < 4 * np.sqrt(400 * 0.3 * 0.7)
    assert [service.predict(plant, row).json()["model_version"] for row in rows[:50]] == versions[:50]


def test_who_asks_for_a_version_gets_that_one_and_is_told_which_there_are(
    service: Service, plant: Pipeline, begin: Begin
) -> None:
    begin(share=TAKES_ALL_BUT_FEW)
    headers = {"Authorization": f"Bearer {service.token()}"}
    [model] = requests.get(f"{service.url}/v1/models", headers=headers, timeout=10).json()["models"]
    canary = {"version": 2, "mode": "canary", "share": TAKES_ALL_BUT_FEW}
    assert (model["version"], model["rollout"]) == (1, canary)
    body = {"inputs": [{"name": "features", "shape": [1, 3], "datatype": "FP64", "data": [10.0, 5.0, 3.0]}]}
    answers = [service.post(f"/v2/models/plant{path}/infer", body).json() for path in ("", "/versions/1")]
    assert [answer["model_version"] for answer in answers] == ["2", "1"]


def test_an_explanation_is_of_the_version_that_answered(
    service: Service, plant: Pipeline, plant_rows: pd.DataFrame, fitted: Any, begin: Begin
) -> None:
    narrow = plant_rows.drop(columns="hour_of_day")  # it asks for fewer features than the champion
    model = fitted("linear").fit(narrow.drop(columns="target"), narrow["target"])
    replace_version_2(service, plant, narrow, model.calibrate(narrow.drop(columns="target"), narrow["target"]))
    begin(share=TAKES_ALL_BUT_FEW)
    told = service.post("/v1/explain/plant", {"rows": [ROW]}).json()
    assert (told["model_version"], told["method"].split(":")[0], told["adds_up"]) == (2, "linear", True)
    [one] = told["explanations"]
    assert set(one["contributions"]) == {"first_sensor", "second_sensor"}
    assert one["base"] + sum(one["contributions"].values()) == pytest.approx(one["predicted"], abs=1e-9)
    assert kept(service, 2)[told["request_id"]]["served"] == (2, one["predicted"])


def test_what_came_of_a_canarys_answer_is_joined_to_it_and_evidence_for_it(
    service: Service, plant: Pipeline, begin: Begin
) -> None:
    begin(share=TAKES_ALL_BUT_FEW)
    answer = service.predict(plant, ROW).json()
    kept(service, 2)
    told = {"request_id": answer["request_id"], "actual": 9.5}
    assert service.post("/v1/feedback", {"items": [told]}).json() == {"received": 1, "recorded": 1, "waiting": []}
    joined = service.rows("select model_version, predicted, actual from mart.prediction_vs_actual")
    assert joined == [(2, answer["predictions"][0]["predicted"], 9.5)]
    evidence = "select version, actual, challenger_predicted, champion_predicted from mart.challenger_vs_champion"
    [(version, actual, challenger, champion)] = service.rows(evidence)
    assert (version, actual, challenger) == (2, 9.5, answer["predictions"][0]["predicted"])
    assert champion != challenger


def test_a_challenger_rests_after_a_start_until_the_warehouse_says_that_it_still_waits(
    service: Service, plant: Pipeline, begin: Begin
) -> None:
    begin(share=TAKES_ALL_BUT_FEW)
    service.stop()
    service.environment["CICLO_SERVING_DATABASE"] = "postgresql://serving@127.0.0.1:9/nothing"
    service.start()
    service.wait_for(lambda: "notices" in ready(service)["troubles"])
    assert rollouts(service) == [{}]
    assert service.predict(plant, ROW).json()["model_version"] == 1


def stopped(service: Service, plan: Plan) -> tuple[str, str]:
    """Wait until no worker lets the challenger answer; return the reason and the alert in the warehouse."""
    service.wait_for(lambda: rollouts(service) == [{}], 10)
    reason = "select reason, model_version from ml.rollout_stop where decision_id = {}"
    service.wait_for(lambda: service.rows(reason.format(plan.decision_id)))
    [[told, version]] = service.rows(reason.format(plan.decision_id))
    assert version == 2
    [[alert]] = service.rows("select message from ops.alert where kind = 'serving'")
    return told, alert


def test_a_canary_that_fails_is_stopped_and_no_request_fails(
    service: Service, plant: Pipeline, plant_rows: pd.DataFrame, fitted: Any, begin: Begin
) -> None:
    broken = fitted("linear")
    broken.estimator_[-1].coef_[:] = 1e300  # too much for sensors that are far off
    replace_version_2(service, plant, plant_rows, broken)
    write_pipeline(service, plant)
    plan = begin(share=TAKES_ALL_BUT_FEW)
    with asking(service, plant, row=ROW | {"second_sensor": 1e20}) as clients:
        reason, alert = stopped(service, plan)
    assert (clients.failed, set(clients.versions)) == ({}, {1})
    assert reason.endswith("requests unanswered, 1.0% may be (ContractBroken: an answer is no number that can be kept)")
    assert alert == f"version 2 was stopped: {reason}. The champion answers alone"
    assert_each_is_kept_once(service, clients)
    service.stop()
    service.start()
    service.predict(plant, ROW)
    assert rollouts(service) == [{}], "stopped, it stays so"


def test_a_canary_that_is_slow_is_stopped(service: Service, plant: Pipeline, begin: Begin) -> None:
    write_pipeline(service, plant)
    plan = begin(latency_ms=1e-6)
    with asking(service, plant) as clients:
        reason, _ = stopped(service, plan)
    assert "answers took longer than 1e-06 ms a row, 5% may" in reason
    assert clients.failed == {}


@pytest.mark.parametrize(("mode", "share"), [("canary", 0.5), ("shadow", None)])
def test_a_challenger_that_disagrees_is_stopped_seen_or_unseen(
    service: Service, plant: Pipeline, plant_rows: pd.DataFrame, fitted: Any, begin: Begin, mode: str, share: Any
) -> None:
    other = fitted("linear")
    other.estimator_[-1].intercept_ += 100.0
    replace_version_2(service, plant, plant_rows, other)
    write_pipeline(service, plant)
    plan = begin(mode, share, disagreement=0.2)
    with asking(service, plant) as clients:
        reason, _ = stopped(service, plan)
        service.wait_for(clients.has_answers())
        assert set(clients.versions[-20:]) == {1}
    assert "answers are further from the champion's than half its interval, 20% may be" in reason
    assert clients.failed == {}
    figures = service.rows("select figures->>'rows', figures->>'other' from ml.rollout_stop")[0]
    assert figures[0] == figures[1]


def test_a_canary_that_is_promoted_takes_over_without_a_failed_request(
    service: Service, plant: Pipeline, begin: Begin
) -> None:
    begin(share=0.5)
    with asking(service, plant) as clients:
        point(service.folder / "models", plant.pipeline, {"version": 2})
        service.wait_for(lambda: rollouts(service) == [{}])
        service.wait_for(clients.has_answers())
        assert set(clients.versions[-20:]) == {2}
    assert clients.failed == {}
    assert_each_is_kept_once(service, clients)


def test_a_challenger_that_needs_what_requests_do_not_have_is_told_and_the_champion_answers(
    service: Service, plant: Pipeline, plant_rows: pd.DataFrame, fitted: Any
) -> None:
    rows = plant_rows.rename(columns={"second_sensor": "third_sensor"})
    model = fitted("linear")
    model.fit(rows.drop(columns="target"), rows["target"]).calibrate(rows.drop(columns="target"), rows["target"])
    replace_version_2(service, plant, rows, model)
    plan = Plan(2, "", 1, "canary", 0.5, errors=0.01, latency_ms=250, disagreement=1.0)
    point(service.folder / "models", plant.pipeline, {"version": 1, "challenger": plan.to_dict()})
    trouble = service.wait_for(lambda: ready(service)["troubles"].get("plant challenger"))
    assert "whose requests have no third_sensor" in trouble["why"]
    assert service.predict(plant, ROW).json()["model_version"] == 1
