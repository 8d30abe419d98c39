"""Histories to play policies on: made of numbers, and of rows that real models are fitted on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.monitoring.decide import Rules
from include.monitoring.matrix import Key, Matrix, Model, Period
from include.spec.load import parse
from include.spec.model import Pipeline
from include.spec.monitoring import Costs, Policy
from include.windows import Window

PLANT = Path(__file__).parents[2] / "model" / "plant.yaml"
ROWS = 60  # a window


def windows(count: int, step: str = "week") -> list[Window]:
    """Give windows in a row."""
    return list(Window.parse("2024-01-01", "2026-01-01").split(step))[:count]


@pytest.fixture
def matrix_of() -> Callable[..., Matrix]:
    """Give a function that makes a history of windows from chance, or from a function of when and where."""

    def make(count: int, seed: int = 0, error: Callable[[int, int], float] | None = None, **facts: Any) -> Matrix:
        chance = np.random.default_rng(seed)

        def losses(trained: int, place: int) -> np.ndarray:
            mean = error(trained, place) if error else chance.uniform(0.5, 2)
            return mean * chance.uniform(0.8, 1.2, ROWS)

        spans = windows(count)
        periods = [Period(span, ROWS, ROWS * (place + 1), variation=float(ROWS)) for place, span in enumerate(spans)]
        models = {
            (trained, "m"): Model(losses(trained, trained), {p: losses(trained, p) for p in range(trained + 1, count)})
            for trained in range(count - 1)
        }
        probes = {(place, "m"): losses(place - 1, place)[ROWS // 2 :] for place in range(1, count - 1)}

        def probe(since: int, place: int, recipe: str) -> tuple[np.ndarray, np.ndarray]:
            return probes[place, recipe], ROWS * (place - since - 1) + np.arange(ROWS // 2, ROWS)

        def successor(place: int, stood: Key | None) -> Key | None:
            return place, "m"

        return Matrix(**{"periods": tuple(periods), "models": models, "probe": probe, "successor": successor} | facts)

    return make


@pytest.fixture
def rules_of() -> Callable[..., Rules]:
    """Give a function that makes the rules of a policy."""

    def make(policy: Policy | None = None, price: float = 5, **clauses: Any) -> Rules:
        return Rules(policy or Policy(**clauses), Costs(training_pct=price), least_rows=30, training_rows=1)

    return make


@pytest.fixture
def plant() -> Pipeline:
    """Give the small pipeline: two sensors explain the target, an hour later everything is known."""
    return parse(PLANT.read_text("utf-8"), "pipeline.yaml")


@pytest.fixture
def rows_of() -> Callable[..., pd.DataFrame]:
    """Give a function that makes feature rows of so many weeks; the relation may change after some of them."""

    def make(weeks: int, changes_after: int = 999, delay: str = "1h") -> pd.DataFrame:
        chance = np.random.default_rng(3)
        hours = pd.date_range("2024-01-01", periods=168 * weeks, freq="h", tz="UTC").as_unit("us")
        first, second = 10 + chance.normal(size=len(hours)), 5 + chance.normal(size=len(hours))
        slope = np.where(np.arange(len(hours)) < 168 * changes_after, 1.0, -1.0)
        target = slope * (first - 10) + 0.5 * second + chance.normal(0, 0.2, len(hours))
        known = hours + pd.Timedelta(delay)
        return pd.DataFrame(
            {
                **{"entity": "", "valid_at": hours, "available_at": hours + pd.Timedelta("1h")},
                **{"first_sensor": first, "second_sensor": second, "hour_of_day": hours.hour.astype("float64")},
                **{"target": target, "target_at": hours, "target_known_at": known},
            }
        )

    return make
