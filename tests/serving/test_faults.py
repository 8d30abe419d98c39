"""What is killed, stopped, damaged or filled up while clients ask: no answer is lost, none is doubled, few fail."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests

from benchmarks.server import PostgresServer
from include.health import looking
from include.health.asking import _ask
from include.health.service import service as health
from include.local.postgres import create_databases, with_database
from include.local.secrets import secret
from include.serving.http import NO_ROOM
from include.serving.versions import MODEL, point
from include.spec.model import Pipeline
from include.warehouse.migrate import upgrade
from tests.serving.load import BROKEN, ROW, Clients, asking, assert_each_is_kept_once
from tests.serving.running import Service


@pytest.fixture(scope="module")
def mortal_postgres(throw_away_folder: Path) -> Iterator[PostgresServer]:
    """Give a Postgres with a warehouse, which tests may kill."""
    folder = throw_away_folder / f"mortal-{uuid4().hex[:8]}"
    folder.mkdir(0o755)
    server = PostgresServer(folder)
    server.start()
    create_databases(server.url, ["warehouse"])
    upgrade(with_database(server.url, "warehouse", "warehouse", secret("postgres_warehouse")))
    yield server
    server.stop()


@pytest.fixture
def on_mortal(unstarted_service: Service, mortal_postgres: PostgresServer) -> Service:
    """Give a service, not started, whose warehouse can be killed."""
    service, url = unstarted_service, mortal_postgres.url
    service.warehouse = with_database(url, "warehouse", "warehouse", secret("postgres_warehouse"))
    own = with_database(url, "warehouse", "serving", secret("postgres_serving"))
    service.environment["CICLO_SERVING_DATABASE"] = own
    return service


def children(service: Service) -> list[int]:
    """Return what a service has forked, the keeper and the doorkeeper first as long as none was started again."""
    assert service.process is not None
    task = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children")
    return [int(pid) for pid in task.read_text().split()]


def statuses(*urls: str) -> set[int]:
    return {requests.get(url, timeout=10).status_code for url in urls}


def metrics(service: Service) -> str:
    return requests.get(f"{service.url}/metrics", timeout=10).text


def ready(service: Service) -> dict[str, Any]:
    return dict(requests.get(f"{service.url}/readyz", timeout=10).json())


def test_no_answer_is_lost_or_doubled_whichever_process_is_killed(service: Service, plant: Pipeline) -> None:
    keeper, _, *workers = children(service)
    with asking(service, plant, rows=3) as clients:
        for victim in (keeper, *workers):
            os.kill(victim, signal.SIGKILL)
            service.wait_for(clients.has_answers())
        service.wait_for(lambda: len(children(service)) == 4)
        os.killpg(service.process.pid, signal.SIGKILL)  # type: ignore[union-attr]
        service.process.wait()  # type: ignore[union-attr]
        service.start()
        service.wait_for(clients.has_answers())
    assert set(clients.failed) <= {BROKEN}
    assert_each_is_kept_once(service, clients)


def test_all_end_with_the_first_process_however_that_ends(service: Service) -> None:
    pids = children(service)
    service.process.kill()  # type: ignore[union-attr]
    service.process.wait()  # type: ignore[union-attr]
    service.wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def test_processes_are_forked_before_there_are_threads(unstarted_service: Service) -> None:
    unstarted_service.from_nothing = True
    unstarted_service.start()
    assert unstarted_service.process is not None
    assert len(os.listdir(f"/proc/{unstarted_service.process.pid}/task")) == 1


def test_a_second_service_on_the_same_folder_is_refused(service: Service, free_ports: Any) -> None:
    command = [sys.executable, "-m", "include.serving", "--port", str(free_ports())]
    second = subprocess.run(
        command, env=os.environ | service.environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert second.returncode == 2
    assert "Another prediction service works in" in second.stderr


def test_answers_go_on_while_postgres_is_killed_and_all_are_kept(
    on_mortal: Service, mortal_postgres: PostgresServer, plant: Pipeline
) -> None:
    on_mortal.start()
    with asking(on_mortal, plant) as clients:
        for _ in range(2):
            mortal_postgres.kill()
            on_mortal.wait_for(lambda: {"warehouse", "notices"} <= ready(on_mortal)["troubles"].keys())
            on_mortal.wait_for(lambda: 'ciclo_degraded{part="warehouse"} 1.0' in metrics(on_mortal))
            on_mortal.wait_for(clients.has_answers())
            mortal_postgres.start()
            on_mortal.wait_for(lambda: "warehouse" not in ready(on_mortal)["troubles"])
    assert clients.failed == {}
    assert_each_is_kept_once(on_mortal, clients)


def test_a_warehouse_that_hangs_is_told_and_nobody_waits_for_it(
    on_mortal: Service, mortal_postgres: PostgresServer, plant: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_mortal.start()
    assert on_mortal.post(f"/v1/predict/{plant.pipeline}", {"entity": ""}).status_code == 404  # it is connected
    on_mortal.wait_for(lambda: "warehouse" not in ready(on_mortal)["troubles"])
    monkeypatch.setattr(looking, "SECONDS", 0.5)
    with mortal_postgres.hangs():
        assert on_mortal.predict(plant, ROW).ok
        trouble = on_mortal.wait_for(lambda: ready(on_mortal)["troubles"].get("warehouse"))
        assert "has not answered for" in trouble["why"]
        assert "doorkeeper" in ready(on_mortal)["troubles"]
        assert on_mortal.post(f"/v1/predict/{plant.pipeline}", {"entity": ""}).status_code == 503
        seen = looking.look(on_mortal.warehouse, on_mortal.environment["MLFLOW_TRACKING_URI"], {})
        assert seen.problems == ["The warehouse has not answered for 0.5 s; if it hangs: ciclo down, ciclo up."]
    on_mortal.wait_for(lambda: not {"warehouse", "doorkeeper"} & ready(on_mortal)["troubles"].keys())


def test_it_starts_from_disk_while_neither_mlflow_nor_postgres_is_there(
    on_mortal: Service, mortal_postgres: PostgresServer, plant: Pipeline
) -> None:
    write_pipeline(on_mortal, plant)
    mortal_postgres.stop()
    try:
        on_mortal.start()
        assert on_mortal.predict(plant, ROW).status_code == 200
        on_mortal.wait_for(lambda: {"warehouse", "notices", "mlflow"} <= ready(on_mortal)["troubles"].keys())
        trouble = ready(on_mortal)["troubles"]["mlflow"]
        assert trouble["since"].endswith("+00:00")
        assert "does not answer" in trouble["why"]
    finally:
        mortal_postgres.start()
    on_mortal.wait_for(lambda: len(on_mortal.rows("select 1 from ml.prediction")) >= 1)


def test_a_full_log_refuses_with_503_until_the_warehouse_is_back(
    on_mortal: Service, mortal_postgres: PostgresServer, plant: Pipeline
) -> None:
    on_mortal.environment["CICLO_SERVING_SPOOL_MB"] = "1"
    on_mortal.start()
    assert on_mortal.predict(plant, *[ROW] * 1000).status_code == 413, "there is never room for that"
    refused = fill(on_mortal, mortal_postgres, plant, rows=20)
    assert refused.headers["Retry-After"] == "5"
    assert refused.json()["title"] == NO_ROOM
    assert "UserWarning" not in on_mortal.log.read_text()


@pytest.fixture
def on_small_disk(on_mortal: Service, tmp_path: Path) -> Iterator[Service]:
    """Give that service with all it writes on a disk of 4 MB; where none can be mounted, its files are limited."""
    folder, size = on_mortal.folder, 4 << 20
    models = shutil.move(folder / "models", tmp_path / "models")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    is_mounted = subprocess.run(mount, check=False).returncode == 0
    shutil.copytree(models, folder / "models")
    service = replace(on_mortal, log_file=tmp_path / "service.log", file_bytes=None if is_mounted else size)
    try:
        yield service
    finally:
        service.stop()
        if is_mounted:
            subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_refuses_with_503_until_the_warehouse_is_back(
    on_small_disk: Service, mortal_postgres: PostgresServer, plant: Pipeline
) -> None:
    on_small_disk.start()
    refused = fill(on_small_disk, mortal_postgres, plant, rows=20)
    assert refused.json()["title"] == NO_ROOM
    assert "log cannot be written" in (text := on_small_disk.log.read_text()) or "the disk of the log, " in text


def fill(service: Service, postgres: PostgresServer, plant: Pipeline, rows: int) -> requests.Response:
    """Ask until nothing more is answered, let the warehouse come back, and see that no answer was lost."""
    refused: list[requests.Response] = []
    probes = f"{service.url}/readyz", f"{service.url}/v2/health/ready"
    postgres.kill()
    try:
        with asking(service, plant, rows=rows) as clients:
            service.wait_for(lambda: clients.failed[503] > 20)
            service.wait_for(lambda: refused.append(service.predict(plant, *[ROW] * rows)) or not refused[-1].ok)
            if service.file_bytes is None:  # of a file's limit nobody knows before it is reached
                service.wait_for(lambda: not service.predict(plant, ROW).ok and statuses(*probes * 6) == {503})
                told = health({service.url: _ask(service.url)}, [plant.pipeline])["degraded"]
                assert any(" full: " in line for line in told), told
            postgres.start()
            service.wait_for(clients.has_answers())
    finally:
        if not postgres.is_running:
            postgres.start()
    assert set(clients.failed) == {503}
    assert_each_is_kept_once(service, clients)
    service.wait_for(lambda: ready(service)["spool"]["waiting_bytes"] == 0)
    return refused[-1]


def test_a_worker_that_was_killed_leaves_no_live_metric_behind(service: Service, plant: Pipeline) -> None:
    service.predict(plant, ROW)
    victim = children(service)[-1]
    assert list((service.folder / "metrics").glob(f"gauge_live*_{victim}.db"))
    os.kill(victim, signal.SIGKILL)
    service.wait_for(lambda: not list((service.folder / "metrics").glob(f"gauge_live*_{victim}.db")))


def test_keepers_that_hang_are_told(service: Service) -> None:
    service.wait_for(lambda: (service.folder / "state.json").exists())
    both = children(service)[:2]
    for pid in both:
        os.kill(pid, signal.SIGSTOP)
    service.wait_for(lambda: {"keeper", "doorkeeper"} <= ready(service)["troubles"].keys())
    service.wait_for(lambda: 'ciclo_degraded{part="doorkeeper"} 1.0' in metrics(service))
    for pid in both:
        os.kill(pid, signal.SIGCONT)
    service.wait_for(lambda: not {"keeper", "doorkeeper"} & ready(service)["troubles"].keys())


def test_a_process_that_does_not_end_by_itself_is_killed(service: Service) -> None:
    os.kill(children(service)[0], signal.SIGSTOP)
    service.stop()
    assert service.process.returncode == 0  # type: ignore[union-attr]


def test_a_damaged_version_leaves_the_one_before_answering(service: Service, plant: Pipeline) -> None:
    damaged = service.folder / "models" / plant.pipeline / "2" / MODEL
    damaged.write_bytes(damaged.read_bytes()[:-1])
    point(service.folder / "models", plant.pipeline, {"version": 2})
    trouble = service.wait_for(lambda: ready(service)["troubles"].get(plant.pipeline))
    assert "not the one that was registered" in trouble["why"]
    assert service.predict(plant, ROW).json()["model_version"] == 1
    service.wait_for(lambda: f'ciclo_degraded{{part="{plant.pipeline}"}} 1.0' in metrics(service))


def test_a_version_that_answers_otherwise_leaves_the_one_before_answering(service: Service, plant: Pipeline) -> None:
    golden = service.folder / "models" / plant.pipeline / "2" / "golden.json"
    told = json.loads(golden.read_text())
    told["predicted"][0] += 1.0
    golden.write_text(json.dumps(told))
    point(service.folder / "models", plant.pipeline, {"version": 2})
    service.wait_for(lambda: plant.pipeline in ready(service)["troubles"])
    assert service.predict(plant, ROW).json()["model_version"] == 1


def test_no_request_fails_during_a_hundred_promotions_and_rollbacks(service: Service, plant: Pipeline) -> None:
    with asking(service, plant, count=3) as clients:
        for number in range(100):
            version = 2 - number % 2
            point(service.folder / "models", plant.pipeline, {"version": version})
            service.wait_for(lambda version=version: clients.versions[-6:] == [version] * 6)
    assert clients.failed == {}
    assert changes(clients) >= 100
    assert_each_is_kept_once(service, clients)


def changes(clients: Clients) -> int:
    return sum(before != after for before, after in zip(clients.versions, clients.versions[1:], strict=False))


def test_a_pipeline_that_is_removed_is_answered_no_more(service: Service, plant: Pipeline) -> None:
    assert service.predict(plant, ROW).status_code == 200
    (service.folder.parents[1] / "pipelines" / "plant").rmdir()
    service.wait_for(lambda: service.predict(plant, ROW).status_code == 404)


def write_pipeline(service: Service, plant: Pipeline) -> None:
    """Let the keeper ask MLflow for the plant."""
    text = (Path(__file__).parents[1] / "model" / "plant.yaml").read_text("utf-8")
    (service.folder.parents[1] / "pipelines" / plant.pipeline / "pipeline.yaml").write_text(text)
