"""Rows of features whose target is known to be a sum of two of them."""

import numpy as np
import pandas as pd
import pytest

from include.spec.load import load_named


@pytest.fixture
def rows() -> pd.DataFrame:
    """Give 400 rows of air_quality's features, and of a target that is made of two, with a little noise."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame({name: random.normal(size=400) for name in load_named("air_quality").feature_names()})
    return frame.assign(target=2 * frame["co_sensor"] - frame["nox_ppb"] + 0.1 * random.normal(size=400))
