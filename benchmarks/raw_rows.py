"""A pipeline whose features look back, in a warehouse, for the figures of ``serve`` that ask it for features."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.features import run_step
from benchmarks.features_once import FEATURES
from benchmarks.rows import SPEC, START, STATIONS, VALUES
from benchmarks.service import ONE_CANDIDATE, write_version
from include.serving.versions import point
from include.spec.load import parse

NAME, DAYS = "bench", 30
ROWS = DAYS * 24 * STATIONS
END = START + timedelta(days=DAYS)


def write_lagged(models: Path, warehouse_url: str, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Load SIMULATED rows, build their features and put a forest on disk that was fitted on them.

    Returns
    -------
    tuple
        Bodies of requests for one row: with the raw row of the hour after the last one, and by station and instant.
    """
    from include.features.read import feature_rows
    from include.training.candidates import make
    from include.warehouse.engine import connect_engine

    text = SPEC.read_text("utf-8").replace("features: [{kind: value, column: level_0_m}]\n", f"features:{FEATURES}")
    pipeline = parse(text.replace(*ONE_CANDIDATE), SPEC.name)
    for step in ("fill", "build"):
        run_step(warehouse_url, folder, step, ROWS)
    engine = connect_engine(warehouse_url)
    rows = feature_rows(engine, pipeline, None, END)
    engine.dispose()
    features, target = rows[pipeline.feature_names()], rows["target"]
    model = make(pipeline, "forest").fit(features[:-500], target[:-500])
    model = model.calibrate(features[-500:], target[-500:])
    write_version(models / NAME / "1", pipeline, model, features)
    point(models, NAME, {"version": 1})
    levels = dict(zip(VALUES, np.random.default_rng(3).uniform(1, 99, len(VALUES)).round(3).tolist(), strict=True))
    raw = {"valid_at": END.isoformat(), "station_id": 7, "pulse_count": 5, **levels}
    return {"raw": [raw]}, {"entity": "7", "at": END.isoformat()}
