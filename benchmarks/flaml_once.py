"""``python flaml_once.py GIVEN MADE SPLIT SECONDS``: let FLAML fit within a budget, and keep what it predicts."""

import sys

import numpy as np
import pandas as pd
from flaml import AutoML


def main(given: str, made: str, split: str, seconds: str) -> None:
    """Search on the rows to fit on, cut in time where the judged ones are later, and predict the judged ones."""
    rows = np.load(given)
    options = {"eval_method": "holdout", "split_type": "time"} if split == "time" else {}
    search = AutoML()
    search.fit(
        pd.DataFrame(rows["inputs"]).add_prefix("x"),  # of a frame FLAML fills what is missing, of an array not
        rows["target"],
        task="regression",
        metric="rmse",
        time_budget=float(seconds),
        seed=7,
        verbose=0,
        **options,
    )
    print(f"FLAML chose {search.best_estimator} after {search.time_to_find_best_model:.0f} s")
    np.save(made, search.predict(pd.DataFrame(rows["judged"]).add_prefix("x")))


if __name__ == "__main__":
    main(*sys.argv[1:5])
