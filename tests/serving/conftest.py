"""The prediction service as it is run: its processes, a real Postgres, and versions on disk that were really fitted."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.serving.versions import point
from include.spec.load import parse
from include.spec.model import Pipeline
from include.training.candidates import make
from include.training.forecaster import Forecaster
from tests.serving.running import Service, unstarted, write_version

PLANT = (Path(__file__).parents[1] / "model" / "plant.yaml").read_text("utf-8")
CANDIDATES = """
    naive: {kind: naive, by: hour_of_day}
    linear: {kind: linear, alpha: 0.1}
    forest: {kind: random_forest, trees: 20, min_samples_leaf: 3, max_features: 0.5}
    boosting: {kind: gradient_boosting, trees: 30}
"""
BOUNDED = "{from: S1, unit: sensor, min: 0, max: 100, description: A sensor}"


@pytest.fixture(scope="session")
def plant() -> Pipeline:
    """Give a small pipeline whose first sensor has bounds, with a candidate of every kind that matters here."""
    text = PLANT.replace("{from: S1, unit: sensor, description: A sensor}", BOUNDED)
    head, rest = text.split("  candidates:\n")
    return parse(f"{head}  candidates:{CANDIDATES}{rest[rest.index(chr(10) * 2) :]}", "pipeline.yaml")


@pytest.fixture(scope="session")
def plant_rows() -> pd.DataFrame:
    """Give 500 hours of the plant's features and target, one value in fifty missing."""
    random = np.random.default_rng(5)
    rows = pd.DataFrame({"first_sensor": random.uniform(5, 15, 500), "second_sensor": random.normal(5, 1, 500)})
    rows["hour_of_day"] = np.arange(500.0) % 24
    rows["target"] = rows["first_sensor"] + np.sin(rows["second_sensor"]) + random.normal(0, 0.1, 500)
    return rows.mask(random.random(rows.shape) < 0.02).assign(target=rows["target"])


@pytest.fixture(scope="session")
def fitted(plant: Pipeline, plant_rows: pd.DataFrame) -> Callable[[str], Forecaster]:
    """Give a function that fits a candidate of the plant by its name."""

    def fit(name: str) -> Forecaster:
        features = plant_rows.drop(columns="target")
        model = make(plant, name).fit(features[:400], plant_rows["target"][:400])
        return model.calibrate(features[400:], plant_rows["target"][400:])

    return fit


@pytest.fixture
def unstarted_service(
    tmp_path: Path, free_ports: Callable[[], int], postgres_url: str, warehouse_url: str, plant_versions: Path
) -> Iterator[Service]:
    """Give a service of the test's own, not started; version 1 of the plant, a forest, answers, 2 is linear."""
    with unstarted(tmp_path, free_ports(), free_ports(), postgres_url, warehouse_url) as service:
        shutil.copytree(plant_versions, service.folder / "models")
        yield service


@pytest.fixture
def service(unstarted_service: Service) -> Service:
    """Give that service started: for tests that break or change it."""
    unstarted_service.start()
    return unstarted_service


@pytest.fixture
def second_service(
    service: Service, tmp_path: Path, free_ports: Callable[[], int], postgres_url: str, plant_versions: Path
) -> Iterator[Service]:
    """Give another started instance on the same warehouse."""
    with unstarted(tmp_path / "second", free_ports(), free_ports(), postgres_url, service.warehouse) as second:
        shutil.copytree(plant_versions, second.folder / "models")
        second.start()
        yield second


@pytest.fixture(scope="module")
def shared_service(
    tmp_path_factory: pytest.TempPathFactory,
    free_ports: Callable[[], int],
    postgres_url: str,
    shared_warehouse_url: str,
    plant_versions: Path,
) -> Iterator[Service]:
    """Give a started service that the tests of a file share: for tests that only ask."""
    folder = tmp_path_factory.mktemp("shared")
    with unstarted(folder, free_ports(), free_ports(), postgres_url, shared_warehouse_url) as service:
        shutil.copytree(plant_versions, service.folder / "models")
        service.start()
        yield service


@pytest.fixture(scope="session")
def plant_versions(
    tmp_path_factory: pytest.TempPathFactory, plant: Pipeline, fitted: Any, plant_rows: pd.DataFrame
) -> Path:
    """Give a folder of versions: 1 of the plant, a forest, answers; 2 is linear."""
    models = tmp_path_factory.mktemp("models")
    write_version(models, plant, 1, fitted("forest"), plant_rows)
    write_version(models, plant, 2, fitted("linear"), plant_rows)
    point(models, plant.pipeline, {"version": 1})
    return models
