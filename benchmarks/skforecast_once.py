"""``python skforecast_once.py GIVEN MADE``: let skforecast forecast the judged rows, and keep what it predicts."""

import sys

import numpy as np
import pandas as pd
from skforecast.recursive import ForecasterRecursive
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

LAGS = 24


def main(given: str, made: str) -> None:
    """Fit on 24 lags of the target and the inputs; forecast all judged rows, of whose inputs each is known."""
    rows = np.load(given)
    forecaster = ForecasterRecursive(estimator=HistGradientBoostingRegressor(random_state=7), lags=LAGS)
    known, first = pd.Series(rows["target"]), len(rows["target"])
    inputs = [f"x{n}" for n in range(rows["inputs"].shape[1])]
    later = pd.DataFrame(rows["judged"], columns=inputs, index=pd.RangeIndex(first, first + len(rows["judged"])))
    with threadpool_limits(1):  # it predicts row by row, which several threads only slow down
        forecaster.fit(y=known, exog=pd.DataFrame(rows["inputs"], columns=inputs))
        np.save(made, forecaster.predict(steps=len(later), exog=later).to_numpy())


if __name__ == "__main__":
    main(*sys.argv[1:3])
