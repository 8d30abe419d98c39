"""The champion is measured on what became known in the window and on nothing it had seen."""

import pandas as pd
import pytest

from include.registry.mlflow_registry import Version
from include.steps.monitor import fair_rows
from include.windows import Window

FEBRUARY = Window.parse("2024-02-01", "2024-03-01")
KNOWN = [
    "2024-01-31T23:59:59Z",
    "2024-02-01T00:00Z",
    "2024-02-10T00:00Z",
    "2024-02-29T23:00Z",
    "2024-03-01T00:00Z",
    None,
]


def champion(cut_at):
    return Version("plant", 1, "run", {"cut_at": cut_at})


def places(cut_at):
    known = pd.to_datetime(pd.Series(KNOWN), utc=True, format="ISO8601")
    return fair_rows(pd.DataFrame({"target_known_at": known}), FEBRUARY, champion(cut_at)).index.tolist()


@pytest.mark.parametrize(
    ("cut_at", "expected"),
    [
        ("2024-01-01T00:00:00+00:00", [1, 2, 3]),
        ("2024-02-01T00:00:00+00:00", [1, 2, 3]),
        ("2024-02-10T00:00:00+00:00", [2, 3]),
        ("2024-02-10T01:00:00+01:00", [2, 3]),
        ("2024-02-10T00:00:00.000001+00:00", [3]),
        ("2024-03-01T00:00:00+00:00", []),
    ],
)
def test_only_targets_known_in_the_window_and_since_the_cut_count(cut_at, expected):
    assert places(cut_at) == expected
