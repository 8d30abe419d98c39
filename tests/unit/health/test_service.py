"""How the prediction service is, told from what its instances answer."""

from __future__ import annotations

import json
from typing import Any

from include.health.service import service

METRICS = b"""# HELP ciclo_requests_total Requests.
# TYPE ciclo_requests_total counter
ciclo_requests_total{pipeline="plant",status="200"} 98.0
ciclo_requests_total{pipeline="plant",status="422"} 1.0
ciclo_requests_total{pipeline="plant",status="500"} 1.0
ciclo_requests_total{pipeline="",status="401"} 7.0
# HELP ciclo_request_seconds Time.
# TYPE ciclo_request_seconds histogram
ciclo_request_seconds_bucket{le="0.001",pipeline="plant"} 90.0
ciclo_request_seconds_bucket{le="0.002",pipeline="plant"} 98.0
ciclo_request_seconds_bucket{le="+Inf",pipeline="plant"} 98.0
# HELP ciclo_spool_bytes Waits.
# TYPE ciclo_spool_bytes gauge
ciclo_spool_bytes 1024.0
"""


def ready(version: int, rollout: Any = None, **troubles: str) -> bytes:
    """Return what an instance says of itself."""
    parts = {name: {"since": "2026-01-31T14:00:00+00:00", "why": why} for name, why in troubles.items()}
    rollouts = {"plant": rollout} if rollout else {}
    told = {"status": "ready", "models": {"plant": version}, "rollouts": rollouts, "troubles": parts}
    return json.dumps(told).encode()


def test_figures_of_all_instances_are_added_up():
    state = service({"http://a": (ready(3), METRICS), "http://b": (ready(3), METRICS)}, ["plant"])
    figures = state["pipelines"]["plant"]
    assert (figures["versions"], figures["requests"], figures["refused"]) == ([3], 200, 2)
    assert figures["error_share"] == 0.01
    assert 1.8 < figures["p99_ms"] < 2.0
    assert (state["spool_bytes"], state["degraded"]) == (2048, [])


def test_challengers_that_answer_beside_the_champion_are_told_in_words():
    canary, shadow = {"version": 4, "mode": "canary", "share": 0.125}, {"version": 4, "mode": "shadow", "share": None}
    instances = {url: (ready(3, each), METRICS) for url, each in zip("abc", (canary, canary, shadow), strict=True)}
    figures = service(instances, ["plant", "other"])["pipelines"]
    assert figures["plant"]["rollouts"] == ["canary 4 (12.5%)", "shadow 4"]
    assert figures["other"]["rollouts"] is None


def test_what_nobody_tells_is_unknown_and_said():
    state = service({"http://a": (None, None)}, ["plant"])
    assert set(state["pipelines"]["plant"].values()) == {None}
    assert state["spool_bytes"] is None
    assert state["degraded"] == ["http://a does not answer"]


def test_troubles_and_two_versions_at_once_are_told():
    state = service({"http://a": (ready(2, plant="no"), METRICS), "http://b": (ready(3), METRICS)}, ["plant", "other"])
    assert state["pipelines"]["plant"]["versions"] == [2, 3]
    assert state["pipelines"]["other"]["requests"] == 0
    assert state["pipelines"]["other"]["p99_ms"] is None
    assert state["degraded"] == ["http://a plant: no (since 2026-01-31T14:00:00+00:00)"]
