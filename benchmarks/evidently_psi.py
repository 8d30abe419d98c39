"""``python evidently_psi.py REFERENCE WINDOW``: time Evidently's PSI preset on two files of numbers."""

import json
import sys
import time

import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset


def main(reference: str, window: str) -> None:
    """Print the seconds as JSON; making the frames does not count."""
    frames = [pd.DataFrame(np.load(path).T).rename(columns=lambda n: f"x{n}") for path in (reference, window)]
    numbers = DataDefinition(numerical_columns=list(frames[0].columns))
    learnt, rows = (Dataset.from_pandas(frame, data_definition=numbers) for frame in frames)
    begin = time.perf_counter()
    Report([DataDriftPreset(method="psi")]).run(rows, learnt).dict()
    print(json.dumps({"seconds": time.perf_counter() - begin}))


if __name__ == "__main__":
    main(*sys.argv[1:3])
