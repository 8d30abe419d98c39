"""What ``ciclo status`` tells of a service that answers."""

from __future__ import annotations

import pytest

from include.health.asking import ask_service
from include.local import console
from include.settings import settings
from include.spec.model import Pipeline
from tests.serving.running import Service
from tests.serving.test_access import ROW


def test_version_requests_speed_and_errors_are_told(
    shared_service: Service, plant: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(9):
        assert shared_service.predict(plant, ROW).ok
    assert not shared_service.predict(plant, {"colour": 1}).ok
    monkeypatch.setenv("CICLO_PREDICTIONS_URL", shared_service.url)
    settings.cache_clear()
    names = [plant.pipeline, "another"]
    try:
        shared_service.wait_for(lambda: ask_service(names)["pipelines"][plant.pipeline]["requests"] == 10)
        state = ask_service(names)
    finally:
        monkeypatch.undo()
        settings.cache_clear()
    figures = state["pipelines"][plant.pipeline]
    assert (figures["versions"], figures["requests"], figures["refused"], figures["error_share"]) == ([1], 10, 1, 0)
    assert 0 < figures["p99_ms"] < 2000
    assert state["pipelines"]["another"]["versions"] is None
    assert state["degraded"] == []
    assert state["spool_bytes"] >= 0
    table = console._predictions_table(state)
    assert [next(iter(column.cells)) for column in table.columns][:4] == [plant.pipeline, "1", "10", "1"]
