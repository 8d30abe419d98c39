"""Golden rows: what a version answers to a few rows, kept with it, and asked again in a process of its own.

``python -m include.registry.golden FOLDER SHA256`` loads a version's stored bytes as serving does, answers its golden
rows, and prints the answers and the time of one as JSON. It imports what an answer needs, and no more.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.errors import CicloError, ContractBroken
from include.registry.mlflow_access import FILE as MODEL
from include.registry.mlflow_access import TRUSTED_TYPES, reviewed, sha256

if TYPE_CHECKING:
    import pandas as pd

    from include.registry.mlflow_registry import Version
    from include.training.forecaster import Forecaster

FILE = "golden.json"
ROWS, TIMED = 20, 15
COMMAND = (sys.executable, "-m", "include.registry.golden")
PATIENCE_SECONDS = 180  # for a process that imports and loads a model, on a machine that is busy


def golden_set(model: Forecaster, rows: pd.DataFrame) -> dict[str, Any]:
    """Return some of the rows, from the first to the last, with a model's answers to them."""
    import numpy as np

    chosen = rows.iloc[np.unique(np.linspace(0, len(rows) - 1, min(ROWS, len(rows))).astype(int))][model.features_]
    values = [[None if value != value else float(value) for value in row] for row in chosen.to_numpy("float64")]
    return {"features": list(chosen), "rows": values, "predicted": model.predict(chosen).tolist()}


def answer(model: Forecaster, golden: dict[str, Any]) -> dict[str, Any]:
    """Return a model's answers to golden rows, and the time of the fastest: others tell how busy the machine is."""
    import pandas as pd

    rows = pd.DataFrame(golden["rows"], columns=golden["features"], dtype="float64")
    seconds = []
    for number in range(TIMED):
        start = time.perf_counter()
        model.predict(rows.iloc[[number % len(rows)]])
        seconds.append(time.perf_counter() - start)
    return {"predicted": model.predict(rows).tolist(), "milliseconds": 1000 * min(seconds)}


def start(version: Version, folder: str) -> subprocess.Popen[str]:
    """Start a clean process that loads a version and answers its golden rows, both put into a folder.

    Raises
    ------
    ContractBroken
        If the stored bytes are not those that were registered.
    SourceUnavailable
        If MLflow does not answer; a retry may help.
    """
    from include.registry.artifacts import load_file
    from include.registry.mlflow_registry import stored_model
    from include.settings import ROOT

    (Path(folder) / MODEL).write_bytes(stored_model(version))
    (Path(folder) / FILE).write_bytes(load_file(version, FILE) or b"null")
    command = [*COMMAND, folder, version.tags["sha256"]]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for such a process and return what it printed.

    Returns
    -------
    dict
        `predicted` and `milliseconds`; or `failure`, what kept it from answering, and `is_judged`, whether that says
        anything about the model.
    """
    try:
        output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return {"failure": f"it did not answer within {PATIENCE_SECONDS} s", "is_judged": False}
    for line in reversed(output.splitlines()):
        with suppress(ValueError):
            told = json.loads(line)
            if isinstance(told, dict):
                return told
    last = next((line for line in reversed(errors.splitlines()) if line.strip()), "it said nothing")
    ended = f"its process ended with {process.returncode}: {last}"
    return {"failure": ended, "is_judged": process.returncode > 0}  # a process that was killed says nothing


def main(folder: str, expected: str) -> dict[str, Any]:
    """Load a version and answer its golden rows."""
    import skops.io

    golden, content = json.loads((Path(folder) / FILE).read_bytes()), (Path(folder) / MODEL).read_bytes()
    if golden is None:
        return {"failure": f"{FILE} is not among the files of its run", "is_judged": False}
    try:
        if sha256(content) != expected:
            raise ContractBroken("the stored file is not the one that was registered")
        with reviewed("the stored file"):
            model = skops.io.loads(content, trusted=TRUSTED_TYPES)
        return answer(model, golden)
    except CicloError as broken:
        return {"failure": str(broken), "is_judged": True}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
