"""Asking without ready features: by entity and instant, and with raw rows of the source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg2
import pytest

from include.features.read import feature_rows
from include.lake.store import Lake
from include.serving.versions import point
from include.spec.load import parse
from include.spec.model import Pipeline
from include.training.candidates import make
from include.training.forecaster import Forecaster
from include.warehouse.engine import connect_engine
from include.windows import Window
from tests.model.conftest import Plant, readings
from tests.serving.conftest import BOUNDED, PLANT
from tests.serving.running import Service, unstarted, write_version

WINDOW = Window.parse("2024-01-01", "2024-01-21")
LAGS = """features:
  - {kind: lag, column: first_sensor, periods: [1, 24]}
  - {kind: rolling, column: first_sensor, window: 6, stats: [mean]}
"""
make_readings = readings.__wrapped__()


@pytest.fixture(scope="module")
def lagged() -> Pipeline:
    """Give a plant whose features look back, and whose values out of range are flagged."""
    text = PLANT.replace("{from: S1, unit: sensor, description: A sensor}", BOUNDED).replace("features:\n", LAGS)
    text = text.replace("pipeline: plant", "pipeline: lagged")
    return parse(text + "\npredictions: {out_of_range: flag}\n", "pipeline.yaml")


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, shared_warehouse_url: str, lagged: Pipeline
) -> Iterator[tuple[Plant, pd.DataFrame]]:
    """Give that plant loaded, with its features built."""
    engine = connect_engine(shared_warehouse_url)
    world = Plant(lagged, engine, Lake(f"file://{tmp_path_factory.mktemp('lake')}"))
    world.load(WINDOW, make_readings(WINDOW))
    yield world, feature_rows(engine, lagged, WINDOW, datetime.now(UTC))
    engine.dispose()


@pytest.fixture(scope="module")
def model(lagged: Pipeline, world: tuple[Plant, pd.DataFrame]) -> Forecaster:
    """Give a version that was fitted on these features."""
    rows = world[1]
    features = rows[lagged.feature_names()]
    return (
        make(lagged, "linear").fit(features[:400], rows["target"][:400]).calibrate(features[400:], rows["target"][400:])
    )


@pytest.fixture(scope="module")
def asked(
    tmp_path_factory: pytest.TempPathFactory,
    free_ports: Callable[[], int],
    postgres_url: str,
    shared_warehouse_url: str,
    lagged: Pipeline,
    model: Forecaster,
    world: tuple[Plant, pd.DataFrame],
) -> Iterator[Service]:
    """Give a service that answers for it."""
    folder: Path = tmp_path_factory.mktemp("lookup")
    rows = world[1]
    with unstarted(folder, free_ports(), free_ports(), postgres_url, shared_warehouse_url) as service:
        (folder / "pipelines" / lagged.pipeline).mkdir()
        write_version(service.folder / "models", lagged, 1, model, rows[[*lagged.feature_names(), "target"]])
        point(service.folder / "models", lagged.pipeline, {"version": 1})
        service.start()
        yield service


def ask(service: Service, body: dict[str, Any]) -> Any:
    return service.post("/v1/predict/lagged", body)


def test_features_are_looked_up_as_they_were_known_at_the_instant(
    asked: Service, world: tuple[Plant, pd.DataFrame], model: Forecaster
) -> None:
    rows = world[1]
    last = rows.iloc[-3]  # an hour is published an hour later
    instants = [last["available_at"], last["available_at"] + timedelta(minutes=59)]
    answer = ask(asked, {"at": [at.isoformat() for at in instants]})
    assert answer.status_code == 200, answer.text
    expected = model.predict(rows.iloc[[-3]])[0]
    assert [one["predicted"] for one in answer.json()["predictions"]] == [expected, expected]
    about = last["valid_at"].isoformat().replace("+00:00", "Z")
    assert {(one["valid_at"], one["target_at"]) for one in answer.json()["predictions"]} == {(about, about)}
    before = ask(asked, {"lookups": [{"at": (last["available_at"] - timedelta(seconds=1)).isoformat()}]}).json()
    assert before["predictions"][0]["predicted"] == model.predict(rows.iloc[[-4]])[0]
    kept = f"select valid_at, inputs from ml.prediction where request_id = '{before['request_id']}'"
    asked.wait_for(lambda: asked.rows(kept))
    [[valid_at, inputs]] = asked.rows(kept)
    assert valid_at == rows.iloc[-4]["valid_at"]
    assert inputs["first_sensor_lag_24"] == rows.iloc[-4]["first_sensor_lag_24"]


def test_stale_features_have_a_warning_and_nothing_known_is_told_by_name(asked: Service) -> None:
    answer = ask(asked, {"at": "2024-02-20T00:00:00Z"}).json()
    assert any(text.startswith("stale: ") for text in answer["predictions"][0]["warnings"]), answer
    assert ask(asked, {"at": "2024-01-21T00:30:00Z"}).json()["predictions"][0].get("warnings", []) == []
    early = ask(asked, {"at": "2023-12-31T00:00:00Z"})
    assert (early.status_code, "2023-12-31" in early.json()["errors"][0]) == (404, True)
    assert ask(asked, {"entity": "somebody", "at": "2024-01-20T00:00:00Z"}).status_code == 404


def test_raw_rows_get_the_features_that_training_would_have_built(
    asked: Service, world: tuple[Plant, pd.DataFrame], model: Forecaster
) -> None:
    rows = world[1]
    columns = ["co_mg_m3", "first_sensor", "second_sensor"]
    source = make_readings(WINDOW).set_index("valid_at")
    sent = [
        {"valid_at": at.isoformat(), **source.loc[at, columns].to_dict()} for at in rows["valid_at"].iloc[[-30, -2, -1]]
    ]
    answer = ask(asked, {"raw": sent})
    assert answer.status_code == 200, answer.text
    expected = model.predict(rows.iloc[[-30, -2, -1]])
    assert [one["predicted"] for one in answer.json()["predictions"]] == expected.tolist()
    new = {"valid_at": "2024-01-21T00:00:00Z", "first_sensor": 12.0, "second_sensor": 5.0}
    answer = ask(asked, {"raw": [new]}).json()
    kept = f"select inputs from ml.prediction where request_id = '{answer['request_id']}'"
    asked.wait_for(lambda: asked.rows(kept))
    [[inputs]] = asked.rows(kept)
    last = source["first_sensor"].iloc[-1]
    assert (inputs["first_sensor"], inputs["first_sensor_lag_1"], inputs["hour_of_day"]) == (12.0, last, 0)


def test_a_raw_row_without_what_training_always_had_or_without_any_history_has_a_warning(asked: Service) -> None:
    row = {"first_sensor": 12.0, "second_sensor": 5.0}
    answers = [
        ask(asked, {"raw": [given | {"valid_at": at}]}).json()["predictions"][0]
        for given, at in (
            (row, "2024-01-21T00:00:00Z"),
            ({"second_sensor": 5.0}, "2024-01-21T00:00:00Z"),
            (row, "2005-01-21T00:00:00Z"),
            (row, "2031-01-21T00:00:00Z"),
        )
    ]
    assert answers[0].get("warnings", []) == []
    assert answers[1]["warnings"] == ["first_sensor: is missing, which it never was in the training data"]
    assert "stale: it looks back, and nothing is known of the time before it" in answers[2]["warnings"]
    assert any(text.startswith("stale: its newest features were known 2557 days") for text in answers[3]["warnings"])
    nothing = ask(asked, {"raw": [{"valid_at": "2024-01-21T00:00:00Z"}]})
    assert (nothing.status_code, nothing.json()["errors"]) == (422, ["raw[0]: no column has a value"])


def test_a_raw_row_that_breaks_the_contract_is_refused_or_flagged_as_the_spec_says(asked: Service) -> None:
    row = {"valid_at": "2024-01-21T00:00:00Z", "first_sensor": 101.0, "second_sensor": 5.0}
    flagged = ask(asked, {"raw": [row]}).json()
    assert "first_sensor: outside the contract" in flagged["predictions"][0]["warnings"]
    wrong = ask(asked, {"raw": [row | {"colour": 1}, row | {"first_sensor": "x"}, row | {"valid_at": "soon"}]})
    assert wrong.status_code == 422
    assert [fault.split(":")[0] for fault in wrong.json()["errors"]] == [
        "raw[0].colour", "raw[1].first_sensor = 'x'", "raw[2].valid_at",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"at": "2024-01-20T00:00:00"}, 422),
        ({"at": []}, 422),
        ({"at": ["2024-01-20T00:00:00Z"] * 1001}, 422),
        ({"entity": "a\0b", "at": "2024-01-20T00:00:00Z"}, 422),
        ({"lookups": []}, 422),
        ({"lookups": [{"at": 3}]}, 422),
        ({"raw": []}, 422),
        ({"raw": [3]}, 422),
        ({"raw": [{"first_sensor": "a\0"}]}, 422),
        ({"raw": [{"valid_at": "2024-01-01T00:00:00Z"}, {"valid_at": "2024-03-01T00:00:00Z"}]}, 422),
        ({"raw": [{"valid_at": "2024-01-01T00:00:00Z"}] * 2}, 422),
        ({"raw": [{"valid_at": "9999-12-31T23:59:59Z"}]}, 422),
        ({"at": "2024-01-20T00:00:00Z", "raw": []}, 422),
        ({"at": "2024-01-20T00:00:00Z", "colour": 1}, 422),
    ],
)
def test_a_wrong_form_is_refused(asked: Service, body: Any, status: int) -> None:
    answer = ask(asked, body)
    assert answer.status_code == status, answer.text


def test_while_the_warehouse_is_down_ready_features_are_answered_and_others_told(
    unstarted_service: Service, plant: Pipeline
) -> None:
    unstarted_service.environment["CICLO_SERVING_DATABASE"] = "postgresql://serving@127.0.0.1:9/nothing"
    unstarted_service.start()
    ready = {"first_sensor": 10.0, "second_sensor": 5.0, "hour_of_day": 3}
    assert unstarted_service.predict(plant, ready).status_code == 200
    for body in ({"at": "2024-01-20T00:00:00Z"}, {"raw": [{"first_sensor": 10.0}]}):
        refused = unstarted_service.post(f"/v1/predict/{plant.pipeline}", body)
        assert (refused.status_code, "warehouse" in refused.json()["title"]) == (503, True)
        assert int(refused.headers["retry-after"]) > 0


def test_the_connection_is_made_anew_once_the_warehouse_dropped_it(asked: Service, postgres_url: str) -> None:
    body = {"at": "2024-01-20T00:00:00Z"}
    assert ask(asked, body).status_code == 200
    with psycopg2.connect(postgres_url) as link, link.cursor() as cursor:
        cursor.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'serving'")
    assert {ask(asked, body).status_code for _ in range(8)} == {200}
