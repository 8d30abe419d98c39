"""The prediction service follows the alias `champion` of a real MLflow, but not to a bad version."""

from __future__ import annotations

import json
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest
from mlflow import MlflowClient

from include.local.postgres import with_database
from include.local.secrets import secret
from include.promotion import ledger
from include.registry.download import Downloads
from include.registry.mlflow_registry import Version, by_number
from include.serving import following
from include.serving.catalog import Catalog
from include.serving.following import Follower
from include.serving.rollout import Plan
from include.serving.troubles import Troubles
from include.serving.versions import MODEL, standing, stop
from include.settings import settings
from include.steps.champion import make_live
from tests.model.conftest import Plant
from tests.serving.load import asking, assert_each_is_kept_once
from tests.serving.relay import Relay
from tests.serving.running import Service, unstarted
from tests.serving.test_faults import ready


@pytest.fixture
def two(trained: Plant) -> Plant:
    """The champion is version 1; version 2 is the same model once more."""
    client, name = MlflowClient(), trained.spec.pipeline
    one = client.get_model_version(name, "1")
    client.create_model_version(name, one.source, one.run_id, tags=dict(one.tags), model_id=one.tags["model_id"])
    return trained


def promote(world: Plant, number: int) -> Version:
    """Let a version be live, as a promotion or a rollback does."""
    version = by_number(world.spec.pipeline, number)
    with ledger.moving(world.engine, world.spec.pipeline) as connection:
        make_live(connection, version, 1)
    return version


@pytest.fixture
def pipelines(two: Plant, tmp_path: Path) -> Path:
    """Give the folder of pipelines, with that one."""
    place = tmp_path / "pipelines" / two.spec.pipeline
    place.mkdir(parents=True)
    text = (Path(__file__).parent / "plant.yaml").read_text("utf-8")
    (place / "pipeline.yaml").write_text(text.replace("pipeline: plant", f"pipeline: {two.spec.pipeline}"))
    return place.parent


@pytest.fixture
def serving_url(two: Plant, postgres_url: str) -> str:
    database = str(two.engine.url.database)
    return with_database(postgres_url, database, "serving", secret("postgres_serving"))


@pytest.fixture
def make_follower(
    two: Plant, pipelines: Path, serving_url: str, mlflow_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Follower]:
    """Give a function that makes a follower into a folder of the test's own."""
    monkeypatch.setattr(settings(), "pipelines", pipelines)
    (tmp_path / "models").mkdir()
    return lambda troubles=None: Follower(
        tmp_path / "models", Downloads(mlflow_url), serving_url, troubles or Troubles()
    )


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)
    return value


def spoil_golden(version: Version, folder: Path) -> None:
    """Let what MLflow keeps of a version's golden answers be other ones."""
    stored = MlflowClient().download_artifacts(version.run_id, "golden.json", str(folder))
    golden = json.loads(Path(stored).read_text())
    golden["predicted"][0] += 1.0
    MlflowClient().log_text(version.run_id, json.dumps(golden), "golden.json")


def alerts(world: Plant) -> list[str]:
    return [row[0] for row in world.rows("select message from ops.alert where kind = 'serving'")]


def test_the_champion_is_brought_and_a_move_is_followed_at_once_by_its_notice(
    two: Plant, make_follower: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, models = two.spec.pipeline, tmp_path / "models"
    monkeypatch.setattr(following, "LISTENS_SECONDS", 600.0)  # nothing but the notice can be what is followed
    follower = make_follower()
    threading.Thread(target=follower.run, daemon=True).start()
    wait_for(lambda: standing(models, name).get("version") == 1 and follower._link.is_open)
    for number in (2, 1, 2):
        promote(two, number)
        wait_for(lambda number=number: standing(models, name)["version"] == number)


def test_an_alias_that_was_moved_by_hand_is_seen_and_old_versions_go(
    two: Plant, make_follower: Any, tmp_path: Path
) -> None:
    name, models, follower = two.spec.pipeline, tmp_path / "models", make_follower()
    follower.look()
    MlflowClient().set_registered_model_alias(name, "champion", "2")
    MlflowClient().delete_registered_model_alias(name, "previous")
    follower.look()
    assert standing(models, name)["version"] == 2
    assert [place.name for place in (models / name).iterdir() if place.is_dir()] == ["2"]
    MlflowClient().delete_registered_model_alias(name, "champion")
    follower.look()
    assert not (models / name).exists()


def test_a_version_that_was_damaged_on_disk_is_brought_again(two: Plant, make_follower: Any, tmp_path: Path) -> None:
    file, follower = tmp_path / "models" / two.spec.pipeline / "1" / MODEL, make_follower()
    follower.look()
    content = file.read_bytes()
    file.write_bytes(content[:100])
    follower.look()
    assert file.read_bytes() == content


def test_a_version_that_answers_otherwise_is_not_followed_and_alerts_once(
    two: Plant, make_follower: Any, tmp_path: Path
) -> None:
    name, models, troubles = two.spec.pipeline, tmp_path / "models", Troubles()
    follower = make_follower(troubles)
    follower.look()
    spoil_golden(by_number(name, 2), tmp_path)
    promote(two, 2)
    for each in (follower, follower, make_follower(Troubles())):  # also a service that was started again
        each.look()
    assert standing(models, name)["version"] == 1
    assert "golden rows" in troubles.standing()[name]["why"]
    [alert] = alerts(two)
    assert "version 2 answers its golden rows otherwise" in alert
    promote(two, 1)
    follower.look()
    assert troubles.standing() == {}


def test_mlflow_that_does_not_answer_is_told_and_what_stands_goes_on(
    two: Plant, make_follower: Any, tmp_path: Path, serving_url: str, free_ports: Callable[[], int]
) -> None:
    make_follower().look()
    troubles = Troubles()
    nobody = Downloads(f"http://127.0.0.1:{free_ports()}")
    Follower(tmp_path / "models", nobody, serving_url, troubles).look()
    assert "does not answer" in troubles.standing()["mlflow"]["why"]
    assert standing(tmp_path / "models", two.spec.pipeline)["version"] == 1


@pytest.fixture
def ways(free_ports: Any, mlflow_url: str, postgres_url: str) -> Iterator[dict[str, Relay]]:
    """Give the service's ways to MLflow and to the warehouse, which can be cut."""
    ports = {"mlflow": urlsplit(mlflow_url).port, "warehouse": urlsplit(postgres_url).port}
    relays = {part: Relay(free_ports(), port) for part, port in ports.items() if port}
    for relay in relays.values():
        relay.join()
    yield relays
    for relay in relays.values():
        relay.cut()


@pytest.fixture
def service(
    two: Plant, pipelines: Path, serving_url: str, ways: Any, tmp_path: Path, free_ports: Any, postgres_url: str
) -> Iterator[Service]:
    """Give a started service that follows the real MLflow."""
    folder = tmp_path / "service"
    folder.mkdir()
    url = with_database(postgres_url, str(two.engine.url.database), "warehouse", secret("postgres_warehouse"))
    with unstarted(folder, free_ports(), ways["mlflow"].port, postgres_url, url) as started:
        own = serving_url.replace(f":{urlsplit(serving_url).port}/", f":{ways['warehouse'].port}/")
        started.environment |= {"CICLO_SERVING_DATABASE": own, "CICLO_PIPELINES": str(pipelines)}
        started.start()
        yield started


def test_no_request_fails_while_champions_are_promoted_and_rolled_back(two: Plant, service: Service) -> None:
    row = dict.fromkeys(two.spec.feature_names(), 1.0)
    service.wait_for(lambda: service._versions(two.spec.pipeline) == {1})  # both workers have it
    with asking(service, two.spec, row=row, count=2) as clients:
        for number in (2, 1, 2, 1, 2):
            promote(two, number)
            service.wait_for(lambda number=number: clients.versions[-4:] == [number] * 4)
    assert clients.failed == {}


def test_no_request_fails_while_mlflow_and_the_warehouse_are_away_and_a_move_is_followed_after(
    two: Plant, service: Service, ways: dict[str, Relay]
) -> None:
    row = dict.fromkeys(two.spec.feature_names(), 1.0)
    service.wait_for(lambda: service._versions(two.spec.pipeline) == {1})
    with asking(service, two.spec, row=row, count=2) as clients:
        for away in ({"mlflow"}, {"mlflow", "warehouse", "notices"}):
            for part in ways.keys() & away:
                ways[part].cut()
            service.wait_for(lambda away=away: ready(service)["troubles"].keys() == away)
            service.wait_for(clients.has_answers())
        promote(two, 2)
        for relay in ways.values():
            relay.join()
        service.wait_for(lambda: clients.versions[-4:] == [2] * 4)
        service.wait_for(lambda: ready(service)["troubles"] == {})
    assert clients.failed == {}
    assert_each_is_kept_once(service, clients)


def test_a_move_is_told_when_it_is_committed(two: Plant, serving_url: str) -> None:
    with closing(psycopg2.connect(serving_url)) as link:
        following._listen(link)
        promote(two, 2)
        select.select([link], [], [], 60)
        link.poll()
        assert [notice.payload for notice in link.notifies] == [two.spec.pipeline]


WAITS = """
insert into ml.decision (pipeline, window_start_at, window_end_at, verdict, reasons, evidence, model_version, dag_id,
    run_id)
values (%s, now(), now(), 'hold', '{waits}', %s, 2, 't', 'r') returning decision_id
"""


def let_wait(world: Plant, pipelines: Path) -> int:
    """Let version 2 wait in shadow, and pipeline.yaml make it a canary; return the decision."""
    file = pipelines / world.spec.pipeline / "pipeline.yaml"
    rollout = "predictions: {rollout: {mode: canary, share: 0.25, limits: {disagreement: 0.5}}}\n"
    file.write_text(file.read_text().replace("confidence: 0.9}", "confidence: 0.9, shadow_rows: 20}") + rollout)
    evidence = json.dumps({"champion": {"version": 1}, "shadow": {"state": "waits", "wanted": 20}})
    with world.engine.begin() as connection:
        return int(connection.exec_driver_sql(WAITS, (world.spec.pipeline, evidence)).scalar_one())


def test_who_waits_in_shadow_is_brought_and_answers_beside_the_champion_as_the_spec_says(
    two: Plant, pipelines: Path, make_follower: Any, tmp_path: Path
) -> None:
    name, models, follower, in_shadow = (
        two.spec.pipeline,
        tmp_path / "models",
        make_follower(),
        let_wait(two, pipelines),
    )
    follower.look()
    sha256 = by_number(name, 2).tags["sha256"]
    plan = Plan(2, sha256, in_shadow, "canary", 0.25, errors=0.01, latency_ms=250, disagreement=0.5)
    current = standing(models, name)
    assert (current["version"], current["challenger"]) == (1, plan.to_dict())
    catalog = Catalog(models)
    catalog.refresh()
    assert catalog.models[name].challenger.plan == plan
    promote(two, 2)
    follower.look()
    assert "challenger" not in standing(models, name)


def test_a_challenger_that_answers_otherwise_leaves_the_champion_alone_and_alerts(
    two: Plant, pipelines: Path, make_follower: Any, tmp_path: Path
) -> None:
    name, models, troubles = two.spec.pipeline, tmp_path / "models", Troubles()
    follower = make_follower(troubles)
    follower.look()
    spoil_golden(by_number(name, 2), tmp_path)
    let_wait(two, pipelines)
    follower.look()
    assert (standing(models, name)["version"], "challenger" in standing(models, name)) == (1, False)
    assert "golden rows" in troubles.standing()[f"{name} challenger"]["why"]
    [alert] = alerts(two)
    assert alert.endswith("The champion answers alone")


def test_a_challenger_that_was_stopped_is_recorded_rejected_and_not_begun_again(
    two: Plant, pipelines: Path, make_follower: Any, tmp_path: Path
) -> None:
    name, models, in_shadow = two.spec.pipeline, tmp_path / "models", let_wait(two, pipelines)
    make_follower().look()
    told = {"version": 2, "reason": "it was slow", "figures": {"slow": 9}, "stopped_at": "2026-01-01T00:00:00+00:00"}
    stop(models / name, {"decision_id": in_shadow} | told)
    for follower in (make_follower(), make_follower()):
        follower.look()
    assert "challenger" not in standing(models, name)
    assert alerts(two) == ["version 2 was stopped: it was slow. The champion answers alone"]
    [row] = two.rows("select decision_id, model_version, reason, figures from ml.rollout_stop")
    assert tuple(row) == (in_shadow, 2, "it was slow", {"slow": 9})
    (models / name / "stopped.json").unlink()  # as in another service
    make_follower().look()
    assert "challenger" not in standing(models, name)
